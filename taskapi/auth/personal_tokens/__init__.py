"""Personal access tokens, for scripts and other programs."""
