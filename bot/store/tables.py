"""The schema as code. `migrations/` builds the same one step by step; a test compares the two."""

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    ColumnElement,
    DateTime,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    UniqueConstraint,
    false,
    text,
)

metadata = MetaData()
_ENFORCED: Any = {"sqlite_where": text("enforced IS 1"), "postgresql_where": text("enforced IS TRUE")}

message = Table(
    "message",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("platform", String, nullable=False),
    Column("community", String, nullable=False),
    Column("room", String, nullable=False),
    Column("message", String, nullable=False),
    Column("revision", Integer, nullable=False),
    Column("author", String, nullable=False),  # keyed hash
    Column("author_sealed", LargeBinary),  # the platform's own id and name, only while an action is open
    Column("text_sealed", LargeBinary),  # NULL once its retention time is over
    Column("sent_at", DateTime, nullable=False),
    Column("seen_at", DateTime, nullable=False),
    Column("state", String, nullable=False),  # see bot/domain/row_state.py
    Column("adapter", String),
    Column("probabilities", JSON),
    Column("decision", JSON),
    Column("enforced", Boolean),  # an action was to be done, not only shown
    Column("erased_at", DateTime),  # set when the author asked to erase text and id; NULL for a text forgotten in time
    Column("tries", Integer, nullable=False, server_default="0"),  # begun after a process had died with it
    Column("todo", JSON),  # actions still to be done; "sent" means that the first may have been done; NULL: all
    Column("unsure", String),  # an action that may have been done and is not repeated
    Column("unchanged", JSON),  # what an action or its undoing left as it stood; NULL: nothing
    Column("beside_sealed", LargeBinary),  # quotations and attachments, sealed as the text is; NULL for neither
    UniqueConstraint("platform", "community", "room", "message", "revision", name="one_row_per_revision"),
    Index("message_by_state", "state"),
    Index("message_by_community", "community", "seen_at"),
    Index("message_by_author", "community", "author"),
    Index("message_by_number", "platform", "community", "message", "revision"),
    Index("message_enforced", "community", "seen_at", **_ENFORCED),
    Index("message_enforced_by_author", "community", "author", "seen_at", **_ENFORCED),
)

case = Table(
    "case",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("message_id", ForeignKey("message.id"), nullable=False, unique=True),
    Column("state", String, nullable=False),  # open confirmed corrected undone
    Column("moderator", String),
    Column("corrected_label", String),
    Column("undone", Boolean, nullable=False),
    Column("created_at", DateTime, nullable=False),
    Column("posted_back", Boolean, nullable=False, server_default=false()),  # a removed text was shown again
)

correction = Table(
    "correction",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("case_id", ForeignKey("case.id"), nullable=False),
    Column("moderator", String, nullable=False),
    Column("label", String, nullable=False),
    Column("basis", String),  # public | authored | consent:<id> | permission:<reference>; NULL teaches nothing
    Column("created_at", DateTime, nullable=False),
    Index("correction_by_case", "case_id"),
)

consent = Table(
    "consent",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("community", String, nullable=False),
    Column("author", String, nullable=False),
    Column("given_at", DateTime, nullable=False),
    Column("withdrawn_at", DateTime),
)

policy = Table(
    "policy",
    metadata,
    Column("community", String, primary_key=True),
    Column("policy", JSON, nullable=False),
    Column("updated_at", DateTime, nullable=False),
)

refresh = Table(
    "refresh",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("started_at", DateTime, nullable=False),
    Column("finished_at", DateTime),
    Column("outcome", String, nullable=False),
)

community = Table(
    "community",
    metadata,
    Column("community", String, primary_key=True),
    Column("platform", String, nullable=False),
    Column("name_sealed", LargeBinary),
    Column("setup", JSON, nullable=False),
    Column("greeted_at", DateTime),
    Column("updated_at", DateTime, nullable=False),
)

watermark = Table(
    "watermark",
    metadata,
    Column("platform", String, primary_key=True),
    Column("room", String, primary_key=True),
    Column("message", BigInteger, nullable=False),  # everything up to here was read
    Column(
        "gap", Boolean, nullable=False
    ),  # later messages were missed: read the room again from here, whatever the journal has
    Column("journal", Integer, nullable=False),  # the last journal row that `message` accounts for
    Column("updated_at", DateTime, nullable=False),
)

card = Table(
    "card",
    metadata,
    Column("case_id", ForeignKey("case.id"), primary_key=True),
    Column("platform", String, nullable=False),
    Column("room", String, nullable=False),
    Column("message", String),  # the platform's own; NULL where it gave none
    Column("digest", Boolean, nullable=False),  # one line among others
    Column("posted_at", DateTime, nullable=False),
    Column("drawn", String),  # a digest of what it shows; NULL where that is not known
    Index("card_by_message", "platform", "room", "message"),
)

inbox = Table(
    "inbox",
    metadata,
    Column("platform", String, primary_key=True),
    Column("number", BigInteger, primary_key=True),  # the platform's own, above 2**53 where it counted anew
    Column("update_sealed", LargeBinary),  # NULL once it is handled
    Column("state", String, nullable=False),  # waiting done dead
    Column("tries", Integer, nullable=False),
    Column("seen_at", DateTime, nullable=False),
    Column("digest", String),  # of the update; NULL before it was kept
    Index("inbox_waiting", "platform", "number", sqlite_where=text("state = 'waiting'")),
)

chat = Table(
    "chat",
    metadata,
    Column("platform", String, primary_key=True),
    Column("chat", String, primary_key=True),
    Column("community", String, nullable=False),
    Column("moved_from", String),  # its number before the platform gave it another; NULL for one that never moved
)

pause = Table(
    "pause",
    metadata,
    Column("community", String, primary_key=True),
    Column("began_at", DateTime),  # NULL while acting is not paused
    Column("last_hit_at", DateTime),  # when a member who would have counted was last spared
    Column("counted_since", DateTime),  # earlier actions count no more: a pause ended then
)

session = Table(
    "session",
    metadata,
    Column("token", String, primary_key=True),  # SHA-256 of what the browser has
    Column("account", String, nullable=False),  # a pseudonym
    Column("account_sealed", LargeBinary, nullable=False),  # JSON: platform, id, name
    Column("ends_at", DateTime, nullable=False),
)

change_log = Table(
    "change_log",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("number", BigInteger, nullable=False),  # of the last change in the log beside the store
)

lift = Table(
    "lift",
    metadata,
    Column("platform", String, primary_key=True),
    Column("community", String, primary_key=True),
    Column("member", String, primary_key=True),  # keyed hash
    Column("member_sealed", LargeBinary, nullable=False),
    Column("due_at", DateTime, nullable=False),
)

restriction = Table(
    "restriction",
    metadata,
    Column("platform", String, primary_key=True),
    Column("place", String, primary_key=True),
    Column("member", String, primary_key=True),  # keyed hash
    Column("message", String, primary_key=True),
    Column("revision", BigInteger, primary_key=True),
    Column("action", String, primary_key=True),
    Column("restriction", JSON, nullable=False),
    Column("before", JSON, nullable=False),  # what a person had set until then
    Column("is_set", Boolean, nullable=False),  # the platform has answered that it stands
    Column("kept_at", DateTime, nullable=False),
)

album_item = Table(
    "album_item",
    metadata,
    Column("platform", String, primary_key=True),
    Column("community", String, primary_key=True),
    Column("message", String, primary_key=True),
    Column("album", String, nullable=False),
    Column("removed", Boolean, nullable=False),  # the whole album is to go, what arrives later as well
    Column("seen_at", DateTime, nullable=False),
    Index("album_items", "platform", "community", "album"),
)

unknown_kind = Table(
    "unknown_kind",
    metadata,
    Column("community", String, primary_key=True),
    Column("kind", String, primary_key=True),
    Column("seen_at", DateTime, nullable=False),
)

report = Table(
    "report",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("message_id", ForeignKey("message.id"), nullable=False),
    Column("reporter", String, nullable=False),  # keyed hash
    Column("created_at", DateTime, nullable=False),
    UniqueConstraint("message_id", "reporter", name="one_report_per_member"),
)


past_room = Table(
    "past_room",
    metadata,
    Column("platform", String, primary_key=True),
    Column("community", String, primary_key=True),
    Column("room", String, primary_key=True),
    Column("messages", Integer, nullable=False),  # harmless ones whose rows are gone, but for those left alone
    Column("scored", Integer, nullable=False),  # of these and those left alone, with a decision
    Index("past_room_by_community", "community"),
)

past_author = Table(
    "past_author",
    metadata,
    Column("community", String, primary_key=True),
    Column("author", String, primary_key=True),  # keyed hash
)


def naive(moment: datetime) -> datetime:
    """SQLite keeps no time zone: everything in it is UTC."""
    return moment.astimezone(UTC).replace(tzinfo=None)


def unindexed(column: Column[str]) -> ColumnElement[str]:
    """The column without its index: where cases are asked for, SQLite would otherwise begin with the community's
    messages, of which there are a hundred for every case."""
    return column.concat("")


VIEWS = {
    # Only rows that may be trained on: with a basis, in the moderators' last word, from texts still kept. `agreeing`
    # is how many moderators said so last.
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
    # The moderators' last words that training never sees, and why.
    "training_left_out": """
CREATE VIEW training_left_out AS
SELECT correction.id AS id, message.community AS community,
       CASE WHEN correction.basis IS NULL THEN 'no basis'
            WHEN correction.basis LIKE 'consent:%' AND NOT EXISTS
                 (SELECT 1 FROM consent WHERE correction.basis = 'consent:' || consent.id
                  AND consent.withdrawn_at IS NULL) THEN 'consent withdrawn'
            WHEN message.erased_at IS NOT NULL THEN 'erased by its author'
            WHEN message.text_sealed IS NULL THEN 'text forgotten'
            ELSE 'unknown basis' END AS reason
FROM correction
JOIN "case" ON "case".id = correction.case_id
JOIN message ON message.id = "case".message_id
WHERE correction.id = (SELECT MAX(latest.id) FROM correction AS latest WHERE latest.case_id = correction.case_id)
  AND correction.id NOT IN (SELECT id FROM training_example)
""",
    # Cards left unanswered between answered ones: whoever works through the cards took them for right. An example is
    # no card, so it does not lengthen the span.
    "training_passed_over": """
CREATE VIEW training_passed_over AS
WITH answered AS (
  SELECT message.community AS community, MIN(correction.case_id) AS first, MAX(correction.case_id) AS last
  FROM correction JOIN "case" ON "case".id = correction.case_id JOIN message ON message.id = "case".message_id
  WHERE message.decision ->> 'band' <> 'example'
  GROUP BY message.community)
SELECT message.community AS community, message.decision ->> 'label' AS label, COUNT(*) AS cards
FROM "case" JOIN message ON message.id = "case".message_id JOIN answered ON answered.community = message.community
WHERE "case".id > answered.first AND "case".id < answered.last AND message.text_sealed IS NOT NULL
  AND NOT EXISTS (SELECT 1 FROM correction WHERE correction.case_id = "case".id)
GROUP BY message.community, message.decision ->> 'label'
""",
    # The messages that a community counts as near an action.
    "training_policy": """
CREATE VIEW training_policy AS SELECT community, policy FROM policy
""",
    # How many messages were shown to moderators and how many were clear, and what moderators said of some of both. No
    # text and no author is in it, so it needs no basis. Examples are no messages. A clear message that a member
    # reported was not drawn evenly: what moderators said of it says nothing about the other clear ones.
    "training_audit": """
CREATE VIEW training_audit AS
SELECT community, band, NULL AS label, SUM(messages) AS messages
FROM (SELECT community, CASE WHEN decision ->> 'band' = 'clear' THEN 'clear' ELSE 'shown' END AS band,
             COUNT(*) AS messages
      FROM message WHERE decision IS NOT NULL AND decision ->> 'band' <> 'example'
      GROUP BY community, CASE WHEN decision ->> 'band' = 'clear' THEN 'clear' ELSE 'shown' END
      UNION ALL SELECT community, 'clear', scored FROM past_room WHERE scored > 0)
GROUP BY community, band
UNION ALL
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
""",
}
"""The views that training reads, and nothing else."""
