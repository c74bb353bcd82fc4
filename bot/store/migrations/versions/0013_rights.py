"""Where a chat moved from, also once it was linked; and no basis that was taken from where a click was made."""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"


def upgrade() -> None:
    """Adds the column; of chats that moved and were not linked since, their community tells it."""
    op.add_column("chat", sa.Column("moved_from", sa.String))
    # The page gave every correction its own basis, also of a case from Telegram or Discord; and a moderator's click on
    # Discord gave Discord's permission to a case of a Telegram group that is linked with the server.
    op.execute("""
    UPDATE correction SET basis = NULL
    WHERE basis = 'authored' AND case_id IN (
      SELECT "case".id FROM "case" JOIN message ON message.id = "case".message_id
      WHERE message.platform IN ('discord', 'telegram') AND message.room <> 'examples')
    """)
    op.execute("""
    UPDATE correction SET basis = NULL
    WHERE basis LIKE 'permission:%' AND case_id IN (
      SELECT "case".id FROM "case" JOIN message ON message.id = "case".message_id
      WHERE message.platform = 'telegram')
    """)


def downgrade() -> None:
    """Back to the schema before; a basis that was wrong stays away."""
    op.drop_column("chat", "moved_from")
