"""Lists of tasks."""
