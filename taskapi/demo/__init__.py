"""`flask demo`: an account with sample data."""
