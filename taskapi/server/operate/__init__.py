"""Administration of the data: purge, backup, restore."""
