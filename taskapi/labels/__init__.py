"""Labels of tasks."""
