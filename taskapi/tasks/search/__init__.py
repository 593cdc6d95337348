"""Search for tasks by their words."""
