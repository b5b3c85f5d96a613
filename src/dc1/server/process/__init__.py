"""What a server process is beside its calls: one a database, its secrets, and its heap."""
