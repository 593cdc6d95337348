"""Tasks of an account."""
