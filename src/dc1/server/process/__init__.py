"""What a server process is beside its calls: one a database, its secrets, its clock and its heap."""
