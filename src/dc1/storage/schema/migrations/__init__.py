"""Alembic's environment and the revisions of the schema, packaged with the code that needs them."""
