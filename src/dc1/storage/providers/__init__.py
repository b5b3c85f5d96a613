"""Providers, the decisions on them, and what their daemons reported."""
