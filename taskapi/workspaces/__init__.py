"""Workspaces: all content belongs to one, and each user has a personal one."""
