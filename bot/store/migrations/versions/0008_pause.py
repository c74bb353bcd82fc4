"""Where acting is paused because the hourly cap was reached, and since when it is counted anew."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    """Adds a table."""
    op.create_table(
        "pause",
        sa.Column("community", sa.String, primary_key=True),
        sa.Column("began_at", sa.DateTime),
        sa.Column("last_hit_at", sa.DateTime),
        sa.Column("counted_since", sa.DateTime),
    )


def downgrade() -> None:
    """Back to the schema before."""
    op.drop_table("pause")
