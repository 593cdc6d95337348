"""Errors of the embedded server."""


class EmbeddedError(Exception):
    """The embedded server cannot be used. The message says what to do."""
