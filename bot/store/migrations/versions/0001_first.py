"""The first schema: journal, cases, corrections, consents, policies, refresh history, and what training may see."""

import sqlalchemy as sa
from alembic import op

TRAINING_EXAMPLE = """
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

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Builds everything."""
    # One row per revision of a message is what makes a replayed event harmless: the second insert changes nothing.
    op.create_table(
        "message",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("platform", sa.String, nullable=False),
        sa.Column("community", sa.String, nullable=False),
        sa.Column("room", sa.String, nullable=False),
        sa.Column("message", sa.String, nullable=False),
        sa.Column("revision", sa.Integer, nullable=False),
        sa.Column("author", sa.String, nullable=False),
        sa.Column("author_sealed", sa.LargeBinary),
        sa.Column("text_sealed", sa.LargeBinary),
        sa.Column("sent_at", sa.DateTime, nullable=False),
        sa.Column("seen_at", sa.DateTime, nullable=False),
        sa.Column("state", sa.String, nullable=False),
        sa.Column("adapter", sa.String),
        sa.Column("probabilities", sa.JSON),
        sa.Column("decision", sa.JSON),
        sa.UniqueConstraint("platform", "community", "room", "message", "revision", name="one_row_per_revision"),
    )
    # Start-up looks for unfinished rows; the preview and the cap look at a community's last days.
    op.create_index("message_by_state", "message", ["state"])
    op.create_index("message_by_community", "message", ["community", "seen_at"])
    op.create_table(
        "case",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("message_id", sa.Integer, sa.ForeignKey("message.id"), nullable=False, unique=True),
        sa.Column("state", sa.String, nullable=False),
        sa.Column("moderator", sa.String),
        sa.Column("corrected_label", sa.String),
        sa.Column("undone", sa.Boolean, nullable=False),
        sa.Column("created_at", sa.DateTime, nullable=False),
    )
    op.create_table(
        "correction",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("case_id", sa.Integer, sa.ForeignKey("case.id"), nullable=False),
        sa.Column("moderator", sa.String, nullable=False),
        sa.Column("label", sa.String, nullable=False),
        sa.Column("basis", sa.String),
        sa.Column("created_at", sa.DateTime, nullable=False),
    )
    op.create_table(
        "consent",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("community", sa.String, nullable=False),
        sa.Column("author", sa.String, nullable=False),
        sa.Column("given_at", sa.DateTime, nullable=False),
        sa.Column("withdrawn_at", sa.DateTime),
    )
    op.create_table(
        "policy",
        sa.Column("community", sa.String, primary_key=True),
        sa.Column("policy", sa.JSON, nullable=False),
        sa.Column("updated_at", sa.DateTime, nullable=False),
    )
    op.create_table(
        "refresh",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("started_at", sa.DateTime, nullable=False),
        sa.Column("finished_at", sa.DateTime),
        sa.Column("outcome", sa.String, nullable=False),
    )
    # Training reads this view and nothing else.
    op.execute(TRAINING_EXAMPLE)


def downgrade() -> None:
    """Back to an empty file."""
    op.execute("DROP VIEW training_example")
    for table in ("refresh", "policy", "consent", "correction", "case", "message"):
        op.drop_table(table)
