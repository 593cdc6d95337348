"""What goes wrong with the embedded server."""


class EmbeddedError(Exception):
    """The embedded server cannot be had; the message says what to do."""
