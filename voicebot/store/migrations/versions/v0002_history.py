"""What history and durable delivery need: entries, latency, asides, copies, stopped endpoints, full-text search."""

import sqlalchemy as sa
from alembic import op

from voicebot.store.schema import Instant
from voicebot.store.search_index import create_index, drop_index

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add columns in place: a copied table would take everything that refers to it with it (ON DELETE CASCADE)."""
    op.add_column("turns", sa.Column("revision", sa.Integer, nullable=False, server_default="1"))
    op.add_column("turns", sa.Column("entry", sa.JSON, nullable=True))
    op.add_column("turns", sa.Column("latency", sa.JSON, nullable=True))
    op.add_column("events", sa.Column("first_attempt_at", Instant, nullable=True))
    op.add_column("events", sa.Column("ephemeral", sa.Boolean, nullable=False, server_default=sa.false()))
    op.create_index("ix_events_created_at", "events", ["created_at"], unique=False)
    op.add_column("deliveries", sa.Column("copy_url", sa.Text, nullable=True))
    _create_asides()
    _create_copies()
    _create_endpoints()
    create_index(op.get_bind())


def downgrade() -> None:
    """Drop what was added."""
    drop_index(op.get_bind())
    op.drop_table("endpoints")
    op.drop_index("ix_copies_state_next_attempt_at", table_name="copies")
    op.drop_table("copies")
    op.drop_index("ix_asides_call_id", table_name="asides")
    op.drop_table("asides")
    op.drop_index("ix_events_created_at", table_name="events")
    for table, column in (
        ("deliveries", "copy_url"),
        ("events", "ephemeral"),
        ("events", "first_attempt_at"),
        ("turns", "latency"),
        ("turns", "entry"),
        ("turns", "revision"),
    ):
        op.drop_column(table, column)


def _create_asides() -> None:
    op.create_table(
        "asides",
        sa.Column("id", sa.Integer, nullable=False),
        sa.Column("call_id", sa.String(length=64), nullable=False),
        sa.Column("kind", sa.String(length=20), nullable=False),
        sa.Column("text", sa.Text, nullable=False),
        sa.Column("at", Instant, nullable=False),
        sa.ForeignKeyConstraint(["call_id"], ["calls.id"], name="fk_asides_call_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name="pk_asides"),
    )
    op.create_index("ix_asides_call_id", "asides", ["call_id"], unique=False)


def _create_copies() -> None:
    op.create_table(
        "copies",
        sa.Column("id", sa.Integer, nullable=False),
        sa.Column("event_id", sa.String(length=64), nullable=False),
        sa.Column("url", sa.Text, nullable=False),
        sa.Column("state", sa.String(length=20), nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("first_attempt_at", Instant, nullable=True),
        sa.Column("next_attempt_at", Instant, nullable=True),
        sa.Column("delivered_at", Instant, nullable=True),
        sa.Column("last_status", sa.Integer, nullable=True),
        sa.Column("last_error", sa.Text, nullable=True),
        sa.ForeignKeyConstraint(["event_id"], ["events.id"], name="fk_copies_event_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name="pk_copies"),
        sa.UniqueConstraint("event_id", "url", name="uq_copies_event_id_url"),
    )
    op.create_index("ix_copies_state_next_attempt_at", "copies", ["state", "next_attempt_at"], unique=False)


def _create_endpoints() -> None:
    op.create_table(
        "endpoints",
        sa.Column("url", sa.Text, nullable=False),
        sa.Column("stopped_at", Instant, nullable=False),
        sa.Column("why", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("url", name="pk_endpoints"),
    )
