"""What is left of harmless messages whose time is over: how many there were in a room, and who is known."""

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0015"

SPOKEN = """
SELECT message.community, CASE WHEN message.decision ->> 'band' = 'clear' THEN 'clear' ELSE 'shown' END,
       correction.label, COUNT(*)
FROM correction
JOIN "case" ON "case".id = correction.case_id
JOIN message ON message.id = "case".message_id
WHERE message.decision IS NOT NULL AND message.decision ->> 'band' <> 'example'
  AND NOT (message.decision ->> 'band' = 'clear'
           AND EXISTS (SELECT 1 FROM report WHERE report.message_id = message.id))
  AND correction.id = (SELECT MAX(latest.id) FROM correction AS latest WHERE latest.case_id = correction.case_id)
GROUP BY message.community, CASE WHEN message.decision ->> 'band' = 'clear' THEN 'clear' ELSE 'shown' END,
         correction.label
"""
BEFORE = f"""
CREATE VIEW training_audit AS
SELECT community, CASE WHEN decision ->> 'band' = 'clear' THEN 'clear' ELSE 'shown' END AS band,
       NULL AS label, COUNT(*) AS messages
FROM message WHERE decision IS NOT NULL AND decision ->> 'band' <> 'example'
GROUP BY community, CASE WHEN decision ->> 'band' = 'clear' THEN 'clear' ELSE 'shown' END
UNION ALL
{SPOKEN.strip()}
"""  # noqa: S608
SINCE = f"""
CREATE VIEW training_audit AS
SELECT community, band, NULL AS label, SUM(messages) AS messages
FROM (SELECT community, CASE WHEN decision ->> 'band' = 'clear' THEN 'clear' ELSE 'shown' END AS band,
             COUNT(*) AS messages
      FROM message WHERE decision IS NOT NULL AND decision ->> 'band' <> 'example'
      GROUP BY community, CASE WHEN decision ->> 'band' = 'clear' THEN 'clear' ELSE 'shown' END
      UNION ALL SELECT community, 'clear', scored FROM past_room WHERE scored > 0)
GROUP BY community, band
UNION ALL
{SPOKEN.strip()}
"""  # noqa: S608


def upgrade() -> None:
    """Adds two tables, which the count of clear messages takes in."""
    op.create_table(
        "past_room",
        sa.Column("platform", sa.String, primary_key=True),
        sa.Column("community", sa.String, primary_key=True),
        sa.Column("room", sa.String, primary_key=True),
        sa.Column("messages", sa.Integer, nullable=False),
        sa.Column("scored", sa.Integer, nullable=False),
    )
    op.create_index("past_room_by_community", "past_room", ["community"])
    op.create_table(
        "past_author",
        sa.Column("community", sa.String, primary_key=True),
        sa.Column("author", sa.String, primary_key=True),
    )
    op.execute("DROP VIEW training_audit")
    op.execute(SINCE)


def downgrade() -> None:
    """Back to the schema before; what was counted is gone."""
    op.execute("DROP VIEW training_audit")
    op.execute(BEFORE)
    op.drop_table("past_author")
    op.drop_table("past_room")
