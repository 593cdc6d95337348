"""Full-text search of tasks."""
