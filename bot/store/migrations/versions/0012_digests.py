"""A digest of each update, so that a number which a platform gives out again is not taken for a repetition."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    """Adds the column; updates from before have none, and count as the same."""
    op.add_column("inbox", sa.Column("digest", sa.String))


def downgrade() -> None:
    """Back to the schema before."""
    op.drop_column("inbox", "digest")
