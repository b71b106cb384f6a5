"""Runs the migrations on the connection that the store hands over."""

from alembic import context

from voicebot.store.schema import metadata

# SQLite cannot change a column in place; batch mode copies the table, and is plain ALTER TABLE elsewhere.
context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    render_as_batch=True,
)
with context.begin_transaction():
    context.run_migrations()
