"""Operators and their tokens, and who waits to hear that a key has changed."""
