"""Two checkouts beside each other."""
