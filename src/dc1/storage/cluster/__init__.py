"""Servers that share a database: who lives, and what the others changed."""
