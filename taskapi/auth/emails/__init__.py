"""Verified emails, changes of the email, and password resets."""
