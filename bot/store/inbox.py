"""Keeps updates as a platform delivered them, committed before they are confirmed to it; each is handled once.

A handled update keeps its number for a while, so that a second delivery is noticed, and a digest of its content: a
platform that counts anew gives the same number to another update, which is kept under a number of its own. An update
that cannot be handled is tried a few times and then set aside; it never blocks the others.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.dialects.sqlite import insert
from sqlalchemy.ext.asyncio import AsyncEngine

from bot.store import tables as t
from bot.store.sealing import Sealer
from bot.store.writer import Writer

_I = t.inbox.c
ANEW = 2**53
"""Added to a number each time it is given to another update; a platform's own numbers are lower."""


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

    async def take(self, platform: str, updates: Sequence[tuple[int, str]], now: datetime) -> dict[int, int]:
        """Commits (number, JSON text) pairs together; returns the new ones, by number, and the number under which each
        is kept here."""
        if not updates:
            return {}
        sealed = {
            number: (self._sealer.digest(text), self._sealer.seal(text)) for number, text in dict(updates).items()
        }

        def work(connection: sa.Connection) -> dict[int, int]:
            fresh = _places(connection, platform, {number: digest for number, (digest, _) in sealed.items()})
            rows = [
                {
                    "platform": platform,
                    "number": place,
                    "update_sealed": sealed[number][1],
                    "state": "waiting",
                    "tries": 0,
                    "seen_at": t.naive(now),
                    "digest": sealed[number][0],
                }
                for number, place in fresh.items()
            ]
            if rows:
                connection.execute(insert(t.inbox).on_conflict_do_nothing(), rows)
            return fresh

        return await self._writer.write(work)

    async def done(self, platform: str, numbers: Sequence[int]) -> None:
        """Handled: the text goes, the number stays."""
        await self._settle(platform, numbers, "done", None)

    async def set_aside(self, platform: str, number: int) -> None:
        """Sets an update aside that could not be handled; its text stays until its retention time is over."""
        await self._settle(platform, [number], "dead")

    async def tried(self, platform: str, number: int) -> None:
        """Counts a try on disk before it begins, so that an update that kills the process is counted."""
        this_update = sa.and_(_I.platform == platform, _I.number == number)
        await self._change(sa.update(t.inbox).where(this_update).values(tries=_I.tries + 1))

    async def waiting(self, platform: str) -> list[Waiting]:
        """Returns updates that are not handled yet, in the order of their numbers; "null" for a damaged one."""
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
        """Forgets numbers and texts from before this moment; unhandled updates stay."""
        await self._change(sa.delete(t.inbox).where(_I.seen_at < t.naive(before), _I.state != "waiting"))

    async def _settle(self, platform: str, numbers: Sequence[int], state: str, *text: None) -> None:
        values: dict[str, object] = {"state": state}
        if text:
            values["update_sealed"] = None
        these_updates = sa.and_(_I.platform == platform, _I.number.in_(list(numbers)))
        await self._change(sa.update(t.inbox).where(these_updates).values(values))

    async def _change(self, change: sa.Executable) -> None:
        def work(connection: sa.Connection) -> None:
            connection.execute(change)

        await self._writer.write(work)


def _places(connection: sa.Connection, platform: str, digests: Mapping[int, str]) -> dict[int, int]:
    """Returns where each new update goes: under its number, or above it where another update stands there."""
    places, wanted = dict[int, int](), {number: number for number in digests}
    while wanted:
        query = sa.select(_I.number, _I.digest).where(_I.platform == platform, _I.number.in_(list(wanted.values())))
        digests_kept = {row.number: row.digest for row in connection.execute(query)}
        places |= {number: place for number, place in wanted.items() if place not in digests_kept}
        changed = {
            number: place
            for number, place in wanted.items()
            if place in digests_kept and digests_kept[place] is not None
        }
        wanted = {number: place + ANEW for number, place in changed.items() if digests_kept[place] != digests[number]}
    return places
