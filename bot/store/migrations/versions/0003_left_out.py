"""Training learns how many moderators agree on an example, and a refresh can say why the others are left out."""

from alembic import op

revision = "0003"
down_revision = "0002"

VIEWS = {
    "training_example": """
CREATE VIEW training_example AS
SELECT correction.id AS id, message.community AS community, message.author AS author,
       correction.moderator AS moderator, message.text_sealed AS text_sealed,
       correction.label AS label, correction.basis AS basis, correction.created_at AS created_at,
       (SELECT COUNT(DISTINCT other.moderator) FROM correction AS other
        WHERE other.case_id = correction.case_id AND other.label = correction.label
          AND other.id = (SELECT MAX(own.id) FROM correction AS own
                          WHERE own.case_id = other.case_id AND own.moderator = other.moderator)) AS agreeing
FROM correction
JOIN "case" ON "case".id = correction.case_id
JOIN message ON message.id = "case".message_id
WHERE message.text_sealed IS NOT NULL
  AND correction.id = (SELECT MAX(latest.id) FROM correction AS latest WHERE latest.case_id = correction.case_id)
  AND (correction.basis IN ('public', 'authored')
       OR correction.basis LIKE 'permission:_%'
       OR EXISTS (SELECT 1 FROM consent WHERE correction.basis = 'consent:' || consent.id
                  AND consent.withdrawn_at IS NULL))
""",
    "training_left_out": """
CREATE VIEW training_left_out AS
SELECT correction.id AS id, message.community AS community,
       CASE WHEN correction.basis IS NULL THEN 'no basis'
            WHEN correction.basis LIKE 'consent:%' AND NOT EXISTS
                 (SELECT 1 FROM consent WHERE correction.basis = 'consent:' || consent.id
                  AND consent.withdrawn_at IS NULL) THEN 'consent withdrawn'
            WHEN message.text_sealed IS NULL THEN 'text forgotten'
            ELSE 'unknown basis' END AS reason
FROM correction
JOIN "case" ON "case".id = correction.case_id
JOIN message ON message.id = "case".message_id
WHERE correction.id = (SELECT MAX(latest.id) FROM correction AS latest WHERE latest.case_id = correction.case_id)
  AND correction.id NOT IN (SELECT id FROM training_example)
""",
}
BEFORE = """
CREATE VIEW training_example AS
SELECT correction.id AS id, message.community AS community, message.author AS author,
       correction.moderator AS moderator, message.text_sealed AS text_sealed,
       correction.label AS label, correction.basis AS basis, correction.created_at AS created_at
FROM correction
JOIN "case" ON "case".id = correction.case_id
JOIN message ON message.id = "case".message_id
WHERE message.text_sealed IS NOT NULL
  AND correction.id = (SELECT MAX(latest.id) FROM correction AS latest WHERE latest.case_id = correction.case_id)
  AND (correction.basis IN ('public', 'authored')
       OR correction.basis LIKE 'permission:_%'
       OR EXISTS (SELECT 1 FROM consent WHERE correction.basis = 'consent:' || consent.id
                  AND consent.withdrawn_at IS NULL))
"""


def upgrade() -> None:
    """Makes the views anew."""
    op.execute("DROP VIEW training_example")
    for view in VIEWS.values():
        op.execute(view)


def downgrade() -> None:
    """Back to one view."""
    for name in reversed(VIEWS):
        op.execute(f"DROP VIEW {name}")
    op.execute(BEFORE)
