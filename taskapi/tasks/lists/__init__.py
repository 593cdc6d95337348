"""Lists of tasks. Each account has an inbox, the list of tasks without another list."""
