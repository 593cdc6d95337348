"""The members of shared workspaces, and their roles."""
