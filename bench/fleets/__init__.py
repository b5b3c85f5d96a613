"""Fleets while the market works, and when they come back."""
