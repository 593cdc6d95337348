"""Tasks, and everything that belongs to them."""
