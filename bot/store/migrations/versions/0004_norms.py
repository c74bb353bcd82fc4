"""Training learns which cards moderators passed over, the communities' thresholds, and how common each label is."""

from alembic import op

revision = "0004"
down_revision = "0003"

VIEWS = {
    "training_passed_over": """
CREATE VIEW training_passed_over AS
WITH answered AS (
  SELECT message.community AS community, MIN(correction.case_id) AS first, MAX(correction.case_id) AS last
  FROM correction JOIN "case" ON "case".id = correction.case_id JOIN message ON message.id = "case".message_id
  GROUP BY message.community)
SELECT message.community AS community, message.decision ->> 'label' AS label, COUNT(*) AS cards
FROM "case" JOIN message ON message.id = "case".message_id JOIN answered ON answered.community = message.community
WHERE "case".id > answered.first AND "case".id < answered.last AND message.text_sealed IS NOT NULL
  AND NOT EXISTS (SELECT 1 FROM correction WHERE correction.case_id = "case".id)
GROUP BY message.community, message.decision ->> 'label'
""",
    "training_policy": """
CREATE VIEW training_policy AS SELECT community, policy FROM policy
""",
    "training_audit": """
CREATE VIEW training_audit AS
SELECT community, CASE WHEN decision ->> 'band' = 'clear' THEN 'clear' ELSE 'shown' END AS band,
       NULL AS label, COUNT(*) AS messages
FROM message WHERE decision IS NOT NULL
GROUP BY community, CASE WHEN decision ->> 'band' = 'clear' THEN 'clear' ELSE 'shown' END
UNION ALL
SELECT message.community, CASE WHEN message.decision ->> 'band' = 'clear' THEN 'clear' ELSE 'shown' END,
       correction.label, COUNT(*)
FROM correction
JOIN "case" ON "case".id = correction.case_id
JOIN message ON message.id = "case".message_id
WHERE message.decision IS NOT NULL
  AND correction.id = (SELECT MAX(latest.id) FROM correction AS latest WHERE latest.case_id = correction.case_id)
GROUP BY message.community, CASE WHEN message.decision ->> 'band' = 'clear' THEN 'clear' ELSE 'shown' END,
         correction.label
""",
}


def upgrade() -> None:
    """Makes the views."""
    for view in VIEWS.values():
        op.execute(view)


def downgrade() -> None:
    """Drops them."""
    for name in reversed(VIEWS):
        op.execute(f"DROP VIEW {name}")
