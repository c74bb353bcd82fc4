"""How far actions, tries and commits have come, so that a crash in their midst repeats nothing and loses nothing."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """Adds three columns and a table of one row."""
    op.create_table(
        "change_log",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("number", sa.BigInteger, nullable=False),
    )
    op.execute("INSERT INTO change_log VALUES (1, 0)")
    op.add_column("message", sa.Column("tries", sa.Integer, nullable=False, server_default="0"))
    op.add_column("message", sa.Column("todo", sa.JSON))
    op.add_column("message", sa.Column("unsure", sa.String))


def downgrade() -> None:
    """Back to the schema before."""
    for name in ("unsure", "todo", "tries"):
        op.drop_column("message", name)
    op.drop_table("change_log")
