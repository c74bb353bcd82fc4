"""Forgets texts and ids after their time, and a little later the rows of harmless messages, of which only counts are
left.

It works in small steps, so that no other write waits for long; each step is one change in the log.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine

from bot.domain.row_state import FINISHED, NOTHING_DONE, sql_list
from bot.store import tables as t
from bot.store.writer import Writer

AT_ONCE = 500
"""Rows in one step."""
ROWS_LONGER = timedelta(days=8)
"""A row stays so much longer than its text: previews and counts look back for a week."""
_HARMLESS_STATES = tuple(state for state in FINISHED if state not in NOTHING_DONE)
_HARMLESS = f"""state IN ({sql_list(*_HARMLESS_STATES)}) AND text_sealed IS NULL AND erased_at IS NULL
  AND enforced IS NOT 1 AND (decision IS NULL OR decision ->> 'band' = 'clear')
  AND instr(message, 'name-') = 0 AND instr(message, 'title-') = 0
  AND NOT EXISTS (SELECT 1 FROM message AS other JOIN "case" ON "case".message_id = other.id
                  WHERE other.platform = message.platform AND other.community = message.community
                    AND other.message = message.message)
  AND NOT EXISTS (SELECT 1 FROM report WHERE report.message_id = message.id)
  AND id < (SELECT MAX(id) FROM message)"""  # noqa: S608
"""Selects rows that record only that a harmless message was written. An erased text's row stays, so that a report
cannot bring the text back. The last row stays, because numbers are counted on from it. Names and titles stay (`NAME`
and `TITLE` in bot/domain/event.py), because they would be read again."""
_DUE = f"SELECT id FROM message WHERE id > :after AND seen_at < :before AND {_HARMLESS} ORDER BY id LIMIT {AT_ONCE}"  # noqa: S608
_ROOMS = """INSERT INTO past_room (platform, community, room, messages, scored)
SELECT platform, community, room, SUM(state <> 'exempt'), SUM(decision IS NOT NULL)
FROM message WHERE id IN ({ids}) GROUP BY platform, community, room
ON CONFLICT (platform, community, room) DO UPDATE SET
  messages = past_room.messages + excluded.messages, scored = past_room.scored + excluded.scored"""
_AUTHORS = """INSERT INTO past_author (community, author)
SELECT DISTINCT community, author FROM message WHERE id IN ({ids}) ON CONFLICT (community, author) DO NOTHING"""
_READ_UP_TO = """UPDATE watermark SET message = MAX(message, (
  SELECT MAX(CAST(gone.message AS INTEGER)) FROM message AS gone WHERE gone.id IN ({ids})
    AND gone.platform = watermark.platform AND gone.room = watermark.room AND gone.message NOT GLOB '*[^0-9]*'))
WHERE gap = 0 AND EXISTS (SELECT 1 FROM message AS gone WHERE gone.id IN ({ids})
    AND gone.platform = watermark.platform AND gone.room = watermark.room AND gone.message NOT GLOB '*[^0-9]*')"""
"""A room's watermark counts with the journal's rows."""
_GONE = "DELETE FROM message WHERE id IN ({ids})"


class Retention:
    """The store's forgetting."""

    def __init__(self, engine: AsyncEngine, writer: Writer) -> None:
        self._engine = engine
        self._writer = writer

    async def forget(self, before: datetime) -> int:
        """Forgets texts and author ids seen before this moment, and what the bot had set for them, unless it is still
        to be lifted; forgets rows of harmless messages that are `ROWS_LONGER` older. Returns how many texts that were.
        """
        await self._writer.write(lambda connection: connection.execute(_ended(before)).rowcount)
        texts = await self._texts(before)
        rows = await self._rows(before - ROWS_LONGER)
        if texts or rows:
            await self._writer.empty_wal()
        return texts

    async def _texts(self, before: datetime) -> int:
        deleted, after = 0, 0
        columns = t.message.c
        old = sa.and_(columns.seen_at < t.naive(before), columns.text_sealed.is_not(None))
        emptied = {"text_sealed": None, "author_sealed": None, "beside_sealed": None}
        while True:
            due = sa.select(columns.id).where(old, columns.id > after).order_by(columns.id).limit(AT_ONCE)
            if not (ids := await self._ids(due, {})):
                return deleted
            change = sa.update(t.message).where(columns.id.in_(ids), old).values(emptied)
            deleted += await self._writer.write(lambda connection: connection.execute(change).rowcount)  # noqa: B023
            after = ids[-1]

    async def _rows(self, before: datetime) -> int:
        deleted, after = 0, 0
        moment = t.naive(before).isoformat(" ", "microseconds")
        while ids := await self._ids(sa.text(_DUE), {"after": after, "before": moment}):
            deleted += await self._writer.write(lambda connection: _drop(connection, ids))
            after = ids[-1]
        return deleted

    async def _ids(self, query: sa.Executable, values: dict[str, Any]) -> list[int]:
        async with self._engine.connect() as connection:
            return list((await connection.execute(query, values)).scalars())


def _drop(connection: sa.Connection, ids: Sequence[int]) -> int:
    """Counts and deletes those that are still harmless: a member may have reported one meanwhile."""
    wanted = ", ".join(map(str, ids))
    due = list(connection.exec_driver_sql(f"SELECT id FROM message WHERE id IN ({wanted}) AND {_HARMLESS}").scalars())  # noqa: S608
    if due:
        for statement in (_ROOMS, _AUTHORS, _READ_UP_TO, _GONE):
            connection.exec_driver_sql(statement.format(ids=", ".join(map(str, due))))
    return len(due)


def _ended(before: datetime) -> sa.Delete:
    restriction = t.restriction.c
    planned = sa.select(t.lift.c.member).where(
        t.lift.c.platform == restriction.platform,
        t.lift.c.community == restriction.place,
        t.lift.c.member == restriction.member,
    )
    return sa.delete(t.restriction).where(restriction.kept_at < t.naive(before), ~sa.exists(planned))
