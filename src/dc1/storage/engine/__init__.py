"""SQLite and PostgreSQL behind one door, compiled statements, and rows as dataclasses."""
