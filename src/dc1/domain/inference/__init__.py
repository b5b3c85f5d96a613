"""Calls under /v1."""
