"""Alembic's way in: `studio.database.migrate` hands over an open connection and its transaction."""

from alembic import context

context.configure(connection=context.config.attributes["connection"], render_as_batch=True)
context.run_migrations()
