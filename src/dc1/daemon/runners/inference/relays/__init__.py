"""Who listens to the answer of an engine, and passes it on."""
