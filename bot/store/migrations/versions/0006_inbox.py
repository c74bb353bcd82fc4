"""Updates are kept before they are confirmed, and a chat may belong to another community than its own."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Adds two tables."""
    # A handled update keeps its number, so that the same one delivered again is known.
    op.create_table(
        "inbox",
        sa.Column("platform", sa.String, primary_key=True),
        sa.Column("number", sa.BigInteger, primary_key=True),
        sa.Column("update_sealed", sa.LargeBinary),
        sa.Column("state", sa.String, nullable=False),
        sa.Column("tries", sa.Integer, nullable=False),
        sa.Column("seen_at", sa.DateTime, nullable=False),
    )
    # A start asks for what waits; that is a handful among all of two days.
    op.create_index("inbox_waiting", "inbox", ["platform", "number"], sqlite_where=sa.text("state = 'waiting'"))
    op.create_table(
        "chat",
        sa.Column("platform", sa.String, primary_key=True),
        sa.Column("chat", sa.String, primary_key=True),
        sa.Column("community", sa.String, nullable=False),
    )


def downgrade() -> None:
    """Back to the schema before."""
    op.drop_table("chat")
    op.drop_table("inbox")
