"""Runs revisions on the connection that :mod:`dc1.storage.engine.migrate` hands over."""

from alembic import context

from dc1.storage.schema.tables import metadata

# SQLite changes most of a table by copying it, which Alembic's batch mode does.
context.configure(connection=context.config.attributes["connection"], target_metadata=metadata, render_as_batch=True)
context.run_migrations()
