"""`flask demo`: an account filled with believable things."""
