"""What a call needs to go on after a restart: the carrier's name of it, and how it stands."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add columns in place; calls of before stay as they are, with an end or without."""
    op.add_column("calls", sa.Column("carrier_id", sa.String(length=64), nullable=True))
    op.add_column("calls", sa.Column("course", sa.JSON, nullable=True))
    op.create_index("ix_calls_ended_at", "calls", ["ended_at"], unique=False)


def downgrade() -> None:
    """Drop what was added."""
    op.drop_index("ix_calls_ended_at", table_name="calls")
    op.drop_column("calls", "course")
    op.drop_column("calls", "carrier_id")
