"""Records members' reports. Reporters are pseudonyms, as authors are; each counts once for a message."""

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.dialects.sqlite import insert
from sqlalchemy.ext.asyncio import AsyncEngine

from bot.domain.case import CaseState
from bot.store import tables as t
from bot.store.writer import Writer


class Reports:
    """The store's reports of journalled messages."""

    def __init__(self, engine: AsyncEngine, writer: Writer) -> None:
        self._engine = engine
        self._writer = writer

    async def record(self, row: int, reporter: str, now: datetime) -> bool:
        """Records a member's report of a journal row; False when this reporter had reported it."""
        values = {"message_id": row, "reporter": reporter, "created_at": t.naive(now)}
        added = insert(t.report).values(values).on_conflict_do_nothing()

        def work(connection: sa.Connection) -> bool:
            return connection.execute(added).rowcount == 1

        return await self._writer.write(work)

    async def count(self, case: int) -> int:
        """Returns how many members reported the case's message."""
        reported = t.case.join(t.report, t.report.c.message_id == t.case.c.message_id)
        query = sa.select(sa.func.count()).select_from(reported).where(t.case.c.id == case)
        async with self._engine.connect() as connection:
            return int(await connection.scalar(query) or 0)


def open_case(connection: sa.Connection, row: int, now: datetime) -> int:
    """Returns the journal row's case, within the caller's transaction; opens one if there was none."""
    values = {"message_id": row, "state": CaseState.OPEN, "undone": False, "created_at": t.naive(now)}
    connection.execute(insert(t.case).values(values).on_conflict_do_nothing())
    numbers = connection.execute(sa.select(t.case.c.id).where(t.case.c.message_id == row))
    number: int = numbers.scalar_one()
    return number
