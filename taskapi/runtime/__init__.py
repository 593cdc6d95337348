"""Code that depends on the internals of dependencies. docs/runtime.md lists and justifies it."""

SERVER = "taskapi"
"""The Server header of all responses."""

CLOSE = "taskapi.close"
"""The key in the WSGI environment with which an application requests to close the connection."""

MAX_CHUNKS = 8_192
"""The most chunks of a request's body, including the last one, which is empty."""
