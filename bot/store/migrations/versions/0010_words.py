"""What stands in a message beside its author's words, what belongs together, and what nobody could read."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    """Adds a column and two tables."""
    op.add_column("message", sa.Column("beside_sealed", sa.LargeBinary))
    op.create_table(
        "album_item",
        sa.Column("platform", sa.String, primary_key=True),
        sa.Column("community", sa.String, primary_key=True),
        sa.Column("message", sa.String, primary_key=True),
        sa.Column("album", sa.String, nullable=False),
        sa.Column("removed", sa.Boolean, nullable=False),
        sa.Column("seen_at", sa.DateTime, nullable=False),
    )
    op.create_index("album_items", "album_item", ["platform", "community", "album"])
    op.create_table(
        "unknown_kind",
        sa.Column("community", sa.String, primary_key=True),
        sa.Column("kind", sa.String, primary_key=True),
        sa.Column("seen_at", sa.DateTime, nullable=False),
    )


def downgrade() -> None:
    """Back to the schema before."""
    op.drop_table("unknown_kind")
    op.drop_index("album_items", "album_item")
    op.drop_table("album_item")
    op.drop_column("message", "beside_sealed")
