"""What a card or a digest showed last, so that nothing is sent that changes nothing."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    """Adds a column."""
    op.add_column("card", sa.Column("drawn", sa.String))


def downgrade() -> None:
    """Back to the schema before."""
    op.drop_column("card", "drawn")
