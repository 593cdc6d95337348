"""Saved filters, and the filter language."""
