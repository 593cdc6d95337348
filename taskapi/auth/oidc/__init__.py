"""Sign-in with OpenID Connect, and the identities of an account."""
