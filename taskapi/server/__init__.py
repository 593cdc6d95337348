"""Running the service: gunicorn's worker, health, documentation pages, metrics, backups."""
