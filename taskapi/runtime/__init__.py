"""What depends on how dependencies work inside; docs/runtime.md lists each use with its reason."""

CLOSE = "taskapi.close"
"""The key in the WSGI environment by which an application has the connection closed."""
