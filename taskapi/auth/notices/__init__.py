"""Notices by mail: what happened to an account that its owner should know."""
