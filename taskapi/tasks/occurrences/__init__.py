"""Occurrences of recurring tasks: complete, skip, undo, history."""
