"""Recurrence rules (RFC 5545) and the dates that they produce."""
