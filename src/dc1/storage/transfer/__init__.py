"""A whole database at once: what state it is in, copies of it to either engine, backups and their return."""
