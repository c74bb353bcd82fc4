"""Which messages were acted on becomes a column, so that strikes and the hourly cap are looked up in an index."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

INDEXES = {
    "message_enforced": ["community", "seen_at"],
    "message_enforced_by_author": ["community", "author", "seen_at"],
}


def upgrade() -> None:
    """Adds the column, fills it from the decisions, and indexes the rows where it is true."""
    op.add_column("message", sa.Column("enforced", sa.Boolean))
    message = sa.table("message", sa.column("enforced"), sa.column("decision", sa.JSON))
    acted = sa.and_(
        message.c.decision["enforced"].as_boolean(), message.c.decision["band"].as_string() == sa.literal("action")
    )
    op.execute(sa.update(message).where(message.c.decision.is_not(None)).values(enforced=acted))
    # Both are asked once for every message: without an index each answer read the community's whole last hour.
    for name, columns in INDEXES.items():
        op.create_index(
            name,
            "message",
            columns,
            sqlite_where=sa.text("enforced IS 1"),
            postgresql_where=sa.text("enforced IS TRUE"),
        )


def downgrade() -> None:
    """Takes indexes and column away."""
    for name in INDEXES:
        op.drop_index(name, "message")
    op.drop_column("message", "enforced")
