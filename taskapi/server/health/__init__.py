"""The service itself: version, health checks, explanations of errors."""
