"""The statements that every message goes through, for many messages at once.

SQL by hand, because they come in floods: one step of SQLite does all rows. Each step lets go of the interpreter, which
a busy event loop gives back only after five milliseconds; a step for every row would wait as often.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.dialects.sqlite import insert

from bot.domain.case import CaseState
from bot.domain.row_state import ACTING, DECIDED, UNDECIDED, RowState, sql_list
from bot.store import tables as t

ROWS_AT_ONCE = 200
_SEEN = (
    "INSERT INTO message (id, platform, community, room, message, revision, author, author_sealed, text_sealed,"
    " beside_sealed, sent_at, seen_at, state) VALUES {rows}"
    " ON CONFLICT (platform, community, room, message, revision) DO NOTHING"
)
_SEEN_ROW = f"(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, {sql_list(RowState.SEEN)})"
_REVISES = (
    "SELECT new.id FROM message AS new WHERE new.id > ? AND EXISTS (SELECT 1 FROM message AS old WHERE old.platform ="
    " new.platform AND old.community = new.community AND old.message = new.message AND old.id < new.id)"
)
_SCORED = (
    "WITH new (id, state, adapter, probabilities, decision, enforced, todo) AS (VALUES {rows}) UPDATE message SET"  # noqa: S608
    " state = new.state, adapter = new.adapter, probabilities = new.probabilities, decision = new.decision,"
    " enforced = new.enforced, todo = new.todo, author_sealed ="
    ' CASE WHEN EXISTS (SELECT 1 FROM "case" WHERE "case".message_id = message.id) THEN message.author_sealed END'
    f" FROM new WHERE message.id = new.id AND message.state IN ({sql_list(*UNDECIDED)})"  # once
)
_SCORED_ROW = "(?, ?, ?, ?, ?, ?, ?)"
_PROGRESS = (
    sa.update(t.message)
    .where(
        t.message.c.id == sa.bindparam("row"),
        (t.message.c.state == RowState.UNDOING) == sa.bindparam("undoes"),
        t.message.c.state != RowState.STOPPED,
    )
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


class Seen(NamedTuple):
    """A message that was not known: its row, and whether an earlier revision of it is in the journal."""

    row: int
    revises: bool


@dataclass(frozen=True, slots=True)
class Scored:
    """What is written to a row once there is a verdict.

    `opens` says whether it becomes a case; `takes` names the case of an earlier revision, which it takes over unless
    somebody has answered it meanwhile. `todo` is what is to be done of the decision's actions; None is all.
    """

    row: int
    state: RowState
    adapter: str | None
    probabilities: Mapping[str, float] | None
    decision: Mapping[str, Any]
    enforced: bool
    opens: bool
    now: datetime
    takes: int | None = None
    todo: Sequence[Mapping[str, Any]] | None = None


@dataclass(frozen=True, slots=True)
class Progress:
    """How far the actions of a row have come: `todo` as JSON data, `unsure` names one that may have been done.

    It is not recorded where a moderator has undone them meanwhile, unless it is about that (`undoes`).
    """

    row: int
    state: RowState
    todo: Sequence[Mapping[str, Any]]
    unsure: str | None = None
    undoes: bool = False


def moment(at: datetime) -> str:
    """As SQLAlchemy writes a moment to SQLite."""
    return t.naive(at).isoformat(" ", "microseconds")


def newest(connection: sa.Connection) -> int:
    """The last row's id, 0 where there is none."""
    return int(connection.execute(_NEWEST).scalar_one())


def add(connection: sa.Connection, rows: Sequence[tuple[Any, ...]]) -> list[Seen | None]:
    """New messages, in the order of the statement's columns but without an id; None for known revisions."""
    ids: list[int | None] = []
    before = newest(connection)
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
    revising = set(connection.exec_driver_sql(_REVISES, (before,)).scalars())
    return [None if number is None else Seen(number, number in revising) for number in ids]


def score(connection: sa.Connection, rows: Sequence[Scored]) -> list[int | None]:
    """Verdicts and decisions; their cases, also those that were there already: by a member's report, or because this is
    said again. None where nothing is to be shown.

    The author is forgotten unless there is a case: one may have been opened before, by a member's report.
    """
    cases: list[int | None] = []
    for row in rows:
        if row.takes is not None:
            _take_over(connection, row.takes, row.row)
        values = {"message_id": row.row, "state": CaseState.OPEN, "undone": False, "created_at": t.naive(row.now)}
        opened = connection.execute(_OPENED, values).scalar_one_or_none() if row.opens else None
        cases.append(connection.execute(_THERE, values).scalar_one() if row.opens and opened is None else opened)
    last = list({row.row: row for row in rows}.values())
    for start in range(0, len(last), ROWS_AT_ONCE):
        some = last[start : start + ROWS_AT_ONCE]
        sql = _SCORED.format(rows=", ".join([_SCORED_ROW] * len(some)))
        connection.exec_driver_sql(sql, tuple(value for row in some for value in _values(row)))
    return cases


def move(connection: sa.Connection, rows: Sequence[tuple[int, RowState]]) -> list[None]:
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
    where something was still to be done, not all of it was possible. What earlier revisions still wanted is stopped."""
    of_case = t.case.join(t.message)
    names = ("platform", "community", "message")
    columns = (t.message.c.id, t.message.c.state, *(t.message.c[name] for name in names))
    row = connection.execute(sa.select(*columns).select_from(of_case).where(t.case.c.id == case)).one()
    outcome = RowState.FAILED if row.state in ACTING else RowState(row.state)
    listed = [*todo, {"outcome": outcome}]
    connection.execute(sa.update(t.message).where(t.message.c.id == row.id).values(state=RowState.UNDOING, todo=listed))
    same_message = sa.and_(*(t.message.c[name] == row._mapping[name] for name in names), t.message.c.id != row.id)
    at_work = t.message.c.state.in_(ACTING)
    connection.execute(sa.update(t.message).where(same_message, at_work).values(state=RowState.STOPPED))


def tried(connection: sa.Connection, rows: Sequence[tuple[int, int]]) -> list[None]:
    """How often each row was tried, the try that is about to begin included."""
    connection.execute(_TRIED, [{"row": row, "count": count} for row, count in rows])
    return [None] * len(rows)


def _values(row: Scored) -> tuple[Any, ...]:
    probabilities = None if row.probabilities is None else json.dumps(row.probabilities, allow_nan=False)
    decision = json.dumps(row.decision, allow_nan=False)
    todo = None if row.todo is None else json.dumps(row.todo, allow_nan=False)
    return row.row, row.state, row.adapter, probabilities, decision, row.enforced, todo


def _take_over(connection: sa.Connection, case: int, row: int) -> None:
    """An open case is about a later revision of its message from now on; the one before is without a case then, so its
    author is forgotten. What members reported goes with it."""
    query = sa.select(t.case.c.message_id).where(t.case.c.id == case)
    open_ = query.where(t.case.c.state == CaseState.OPEN, t.case.c.undone.is_(False))
    if (before := connection.execute(open_).scalar_one_or_none()) is None:
        return
    if connection.execute(sa.select(t.case.c.id).where(t.case.c.message_id == row)).first() is not None:
        return  # a member reported this revision
    connection.execute(sa.update(t.case).where(t.case.c.id == case).values(message_id=row))
    connection.execute(sa.update(t.report).where(t.report.c.message_id == before).values(message_id=row))
    working = t.message.c.state.in_(DECIDED)
    forgotten = sa.update(t.message).where(t.message.c.id == before, ~working).values(author_sealed=None)
    connection.execute(forgotten)
