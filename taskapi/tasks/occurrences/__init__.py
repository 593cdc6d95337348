"""Occurrences of tasks that come again: completed, skipped, taken back."""
