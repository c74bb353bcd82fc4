"""The statements that every message goes through, for many messages at once.

SQL by hand, because they come in floods: one step of SQLite does all rows. Each step lets go of the interpreter, which
a busy event loop gives back only after five milliseconds; a step for every row would wait as often.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.sqlite import insert

from bot.store import tables as t

ROWS_AT_ONCE = 200
_SEEN = (
    "INSERT INTO message (id, platform, community, room, message, revision, author, author_sealed, text_sealed,"
    " beside_sealed, sent_at, seen_at, state) VALUES {rows}"
    " ON CONFLICT (platform, community, room, message, revision) DO NOTHING"
)
_SEEN_ROW = "(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 'seen')"
_SCORED = (
    "WITH new (id, state, adapter, probabilities, decision, enforced) AS (VALUES {rows}) UPDATE message SET"
    " state = new.state, adapter = new.adapter, probabilities = new.probabilities, decision = new.decision,"
    " enforced = new.enforced, author_sealed ="
    ' CASE WHEN EXISTS (SELECT 1 FROM "case" WHERE "case".message_id = message.id) THEN message.author_sealed END'
    " FROM new WHERE message.id = new.id AND message.state IN ('seen', 'shed', 'scored')"  # once
)
_SCORED_ROW = "(?, ?, ?, ?, ?, ?)"
_PROGRESS = (
    sa.update(t.message)
    .where(t.message.c.id == sa.bindparam("row"), (t.message.c.state == "undoing") == sa.bindparam("undoes"))
    .values(
        state=sa.bindparam("to"),
        todo=sa.bindparam("rest"),
        unsure=sa.func.coalesce(sa.bindparam("doubt"), t.message.c.unsure),
    )
)
_TRIED = sa.update(t.message).where(t.message.c.id == sa.bindparam("row")).values(tries=sa.bindparam("count"))
_MOVED = sa.update(t.message).where(t.message.c.id == sa.bindparam("row")).values(state=sa.bindparam("to"))
_OPENED = insert(t.case).on_conflict_do_nothing().returning(t.case.c.id)
_THERE = sa.select(t.case.c.id).where(t.case.c.message_id == sa.bindparam("message_id"))
_NEWEST = sa.select(sa.func.coalesce(sa.func.max(t.message.c.id), 0))


@dataclass(frozen=True, slots=True)
class Scored:
    """What is written to a row once there is a verdict; `opens` says whether it becomes a case."""

    row: int
    state: str
    adapter: str | None
    probabilities: Mapping[str, float] | None
    decision: Mapping[str, Any]
    enforced: bool
    opens: bool
    now: datetime


@dataclass(frozen=True, slots=True)
class Progress:
    """How far the actions of a row have come: `todo` as JSON data, `unsure` names one that may have been done.

    It is not recorded where a moderator has undone them meanwhile, unless it is about that (`undoes`).
    """

    row: int
    state: str
    todo: Sequence[Mapping[str, Any]]
    unsure: str | None = None
    undoes: bool = False


def moment(at: datetime) -> str:
    """As SQLAlchemy writes a moment to SQLite."""
    return t.naive(at).isoformat(" ", "microseconds")


def newest(connection: sa.Connection) -> int:
    """The last row's id, 0 where there is none."""
    return int(connection.execute(_NEWEST).scalar_one())


def add(connection: sa.Connection, rows: Sequence[tuple[Any, ...]]) -> list[int | None]:
    """New messages, in the order of the statement's columns but without an id; their ids, None for known revisions."""
    ids: list[int | None] = []
    for start in range(0, len(rows), ROWS_AT_ONCE):
        some = rows[start : start + ROWS_AT_ONCE]
        newest_row = newest(connection)
        values = tuple(value for number, row in enumerate(some, newest_row + 1) for value in (number, *row))
        sql = _SEEN.format(rows=", ".join([_SEEN_ROW] * len(some)))
        added = range(newest_row + 1, newest_row + 1 + len(some))
        if connection.exec_driver_sql(sql, values).rowcount == len(some):
            ids += added
        else:
            fresh = set(connection.execute(sa.select(t.message.c.id).where(t.message.c.id > newest_row)).scalars())
            ids += [number if number in fresh else None for number in added]
    return ids


def score(connection: sa.Connection, rows: Sequence[Scored]) -> list[int | None]:
    """Verdicts and decisions; their cases, also those that were there already: by a member's report, or because this is
    said again. None where nothing is to be shown.

    The author is forgotten unless there is a case: one may have been opened before, by a member's report.
    """
    cases: list[int | None] = []
    for row in rows:
        values = {"message_id": row.row, "state": "open", "undone": False, "created_at": t.naive(row.now)}
        opened = connection.execute(_OPENED, values).scalar_one_or_none() if row.opens else None
        cases.append(connection.execute(_THERE, values).scalar_one() if row.opens and opened is None else opened)
    last = list({row.row: row for row in rows}.values())
    for start in range(0, len(last), ROWS_AT_ONCE):
        some = last[start : start + ROWS_AT_ONCE]
        sql = _SCORED.format(rows=", ".join([_SCORED_ROW] * len(some)))
        connection.exec_driver_sql(sql, tuple(value for row in some for value in _values(row)))
    return cases


def move(connection: sa.Connection, rows: Sequence[tuple[int, str]]) -> list[None]:
    """Rows to their next states."""
    connection.execute(_MOVED, [{"row": row, "to": state} for row, state in rows])
    return [None] * len(rows)


def progress(connection: sa.Connection, rows: Sequence[Progress]) -> list[None]:
    """What is still to be done, before it is."""
    values = [
        {"row": row.row, "to": row.state, "rest": list(row.todo), "doubt": row.unsure, "undoes": row.undoes}
        for row in rows
    ]
    connection.execute(_PROGRESS, values)
    return [None] * len(rows)


def undo(connection: sa.Connection, case: int, todo: Sequence[Mapping[str, Any]]) -> None:
    """The message of a case is "undoing", and `todo` is to be taken back. What was done to it so far stays its outcome;
    where something was still to be done, not all of it was possible."""
    message = sa.select(t.case.c.message_id).where(t.case.c.id == case).scalar_subquery()
    state: str = connection.execute(sa.select(t.message.c.state).where(t.message.c.id == message)).scalar_one()
    outcome = "failed" if state in ("intended", "sent") else state
    listed = [*todo, {"outcome": outcome}]
    connection.execute(sa.update(t.message).where(t.message.c.id == message).values(state="undoing", todo=listed))


def tried(connection: sa.Connection, rows: Sequence[tuple[int, int]]) -> list[None]:
    """How often each row was tried, the try that is about to begin included."""
    connection.execute(_TRIED, [{"row": row, "count": count} for row, count in rows])
    return [None] * len(rows)


def _values(row: Scored) -> tuple[Any, ...]:
    probabilities = None if row.probabilities is None else json.dumps(row.probabilities)
    decision = json.dumps(row.decision)
    return row.row, row.state, row.adapter, probabilities, decision, row.enforced
