"""What a server process is beside its calls: one a database, the key that it seals secrets with, and its heap."""
