"""What the bot has set on members and what stood before, so that Undo takes back only its own; what it left alone."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    """Adds a table, and a column for what a card says was left as a person had set it."""
    op.create_table(
        "restriction",
        sa.Column("platform", sa.String, primary_key=True),
        sa.Column("place", sa.String, primary_key=True),
        sa.Column("member", sa.String, primary_key=True),
        sa.Column("message", sa.String, primary_key=True),
        sa.Column("revision", sa.BigInteger, primary_key=True),
        sa.Column("action", sa.String, primary_key=True),
        sa.Column("restriction", sa.JSON, nullable=False),
        sa.Column("before", sa.JSON, nullable=False),
        sa.Column("is_set", sa.Boolean, nullable=False),
        sa.Column("kept_at", sa.DateTime, nullable=False),
    )
    op.add_column("message", sa.Column("unchanged", sa.JSON))


def downgrade() -> None:
    """Back to the schema before."""
    op.drop_column("message", "unchanged")
    op.drop_table("restriction")
