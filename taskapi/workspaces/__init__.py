"""Workspaces that several people share."""
