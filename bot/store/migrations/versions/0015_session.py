"""Who is signed in to the page, so that a restart signs nobody out and an operator can."""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0013"


def upgrade() -> None:
    """Adds a table."""
    op.create_table(
        "session",
        sa.Column("token", sa.String, primary_key=True),
        sa.Column("account", sa.String, nullable=False),
        sa.Column("account_sealed", sa.LargeBinary, nullable=False),
        sa.Column("ends_at", sa.DateTime, nullable=False),
    )


def downgrade() -> None:
    """Back to the schema before."""
    op.drop_table("session")
