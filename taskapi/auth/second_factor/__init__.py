"""The second factor of accounts: codes of an authenticator app, and recovery codes."""
