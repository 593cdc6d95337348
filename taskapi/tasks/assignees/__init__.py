"""Tasks that are assigned to a user, in all workspaces."""
