"""Recurrence: rules of RFC 5545, and the dates that come of them."""
