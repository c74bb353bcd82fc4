"""Updates as a platform delivered them, committed before they are confirmed to it; each is handled once.

A handled update keeps its number for a while, so that one delivered twice is noticed. One that cannot be handled is
tried a few times and then set aside; it is never in the way of the others.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.dialects.sqlite import insert
from sqlalchemy.ext.asyncio import AsyncEngine

from bot.store import tables as t
from bot.store.sealing import Sealer
from bot.store.writer import Writer

_I = t.inbox.c


@dataclass(frozen=True, slots=True)
class Waiting:
    """An update that is not handled yet, as JSON text, and how often that was begun."""

    number: int
    text: str
    tries: int


class Inbox:
    """The store's updates."""

    def __init__(self, engine: AsyncEngine, writer: Writer, sealer: Sealer) -> None:
        self._engine = engine
        self._writer = writer
        self._sealer = sealer

    async def take(self, platform: str, updates: Sequence[tuple[int, str]], now: datetime) -> set[int]:
        """Commits (number, JSON text) pairs together; returns the numbers that were not known."""
        if not updates:
            return set()
        numbers = [number for number, _ in updates]
        known = sa.select(_I.number).where(_I.platform == platform, _I.number.in_(numbers))
        rows = [
            {
                "platform": platform,
                "number": number,
                "update_sealed": self._sealer.seal(text),
                "state": "waiting",
                "tries": 0,
                "seen_at": t.naive(now),
            }
            for number, text in dict(updates).items()
        ]

        def work(connection: sa.Connection) -> set[int]:
            old = set(connection.execute(known).scalars())
            fresh = [row for row in rows if row["number"] not in old]
            if fresh:
                connection.execute(insert(t.inbox).on_conflict_do_nothing(), fresh)
            return set(numbers) - old

        return await self._writer.write(work)

    async def done(self, platform: str, numbers: Sequence[int]) -> None:
        """Handled: the text goes, the number stays."""
        await self._settle(platform, numbers, "done", None)

    async def set_aside(self, platform: str, number: int) -> None:
        """It could not be handled; the text stays until its retention time is over."""
        await self._settle(platform, [number], "dead")

    async def tried(self, platform: str, number: int) -> None:
        """It is begun once more; on disk before it is, so that one that kills the process is counted."""
        here = sa.and_(_I.platform == platform, _I.number == number)
        await self._change(sa.update(t.inbox).where(here).values(tries=_I.tries + 1))

    async def waiting(self, platform: str) -> list[Waiting]:
        """What is not handled yet, in the order it was numbered; "null" for a damaged one."""
        query = sa.select(t.inbox).where(_I.platform == platform, _I.state == "waiting").order_by(_I.number)
        async with self._engine.connect() as connection:
            rows = (await connection.execute(query)).all()
        return [Waiting(row.number, self._sealer.legible(row.update_sealed) or "null", row.tries) for row in rows]

    async def newest(self, platform: str) -> int | None:
        """The largest number that was taken."""
        async with self._engine.connect() as connection:
            newest: int | None = await connection.scalar(
                sa.select(sa.func.max(_I.number)).where(_I.platform == platform)
            )
        return newest

    async def forget(self, before: datetime) -> None:
        """Numbers and texts from before this moment; what still waits stays."""
        await self._change(sa.delete(t.inbox).where(_I.seen_at < t.naive(before), _I.state != "waiting"))

    async def _settle(self, platform: str, numbers: Sequence[int], state: str, *text: None) -> None:
        values: dict[str, object] = {"state": state}
        if text:
            values["update_sealed"] = None
        here = sa.and_(_I.platform == platform, _I.number.in_(list(numbers)))
        await self._change(sa.update(t.inbox).where(here).values(values))

    async def _change(self, change: sa.Executable) -> None:
        def work(connection: sa.Connection) -> None:
            connection.execute(change)

        await self._writer.write(work)
