"""SQLite: the connection that writes, which units of work share, and those that read."""
