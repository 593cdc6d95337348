"""Invitations to shared workspaces."""
