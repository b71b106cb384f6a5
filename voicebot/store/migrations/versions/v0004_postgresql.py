"""PostgreSQL as SQLite is: no text is too long for its column, and words are found without their accents."""

import sqlalchemy as sa
from alembic import op

from voicebot.store.search_index import create_index, drop_index

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

LINES = {
    "calls": {
        "id": 64,
        "from_number": 100,
        "to_number": 100,
        "direction": 10,
        "mode": 10,
        "reason": 200,
        "carrier_id": 64,
    },
    "turns": {"call_id": 64, "track": 10, "digits": 100, "reason": 20},
    "utterances": {"call_id": 64},
    "asides": {"call_id": 64, "kind": 20},
    "events": {"id": 64, "call_id": 64, "type": 40, "state": 20},
    "copies": {"event_id": 64, "state": 20},
    "deliveries": {"event_id": 64},
}
"""Columns that had a length, by table."""


def upgrade() -> None:
    """Take the lengths away, which costs PostgreSQL nothing, and index the words anew; SQLite has all that."""
    if op.get_bind().dialect.name != "postgresql":
        return
    for table, columns in LINES.items():
        for column in columns:
            op.alter_column(table, column, type_=sa.Text)
    drop_index(op.get_bind())
    create_index(op.get_bind())


def downgrade() -> None:
    """Give the lengths back; longer texts are cut. The index stays as it is: the schema before has the same."""
    if op.get_bind().dialect.name != "postgresql":
        return
    for table, columns in LINES.items():
        for column, length in columns.items():
            op.alter_column(table, column, type_=sa.String(length), postgresql_using=f"left({column}, {length})")
