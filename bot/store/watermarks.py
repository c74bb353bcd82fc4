"""Records how far each room was read, so that a start reads the messages of its absence. Message ids are decimal
snowflakes.

While a room is read as it is written, the journal itself says how far. A gap fixes that: later messages of the room do
not count until the gap was read. A gap is on disk, so a crash in the middle of reading it loses nothing.
"""

from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.sqlite import insert
from sqlalchemy.ext.asyncio import AsyncEngine

from bot.store import tables as t
from bot.store.writer import Writer

_W = t.watermark.c


class Watermarks:
    """The store's watermarks. A room is any text; two rooms are one only if their texts are equal."""

    def __init__(self, engine: AsyncEngine, writer: Writer) -> None:
        self._engine = engine
        self._writer = writer

    async def begin(self, platform: str, room: str, message: int, now: datetime) -> bool:
        """Starts reading after this message; False, and nothing changes, where reading had started before."""
        row = {"platform": platform, "room": room, "message": message, "gap": False, "journal": 0}
        added = insert(t.watermark).values(**row, updated_at=t.naive(now)).on_conflict_do_nothing()

        def work(connection: sa.Connection) -> bool:
            newest = connection.scalar(sa.select(sa.func.coalesce(sa.func.max(t.message.c.id), 0)))
            return connection.execute(added.values(journal=newest)).rowcount == 1

        return await self._writer.write(work)

    async def open_gaps(self, platform: str, until: int, now: datetime) -> None:
        """Nothing that is written after `until` is heard, in any room: each is read again from the last message of the
        journal before that. Rooms with a gap already keep it."""
        heard = sa.and_(_W.platform == platform, _W.gap.is_(False))

        def work(connection: sa.Connection) -> None:
            rooms = connection.execute(sa.select(_W.room, _W.message, _W.journal).where(heard)).all()
            since = min((row.journal for row in rooms), default=0)
            lately = connection.execute(_newest(platform, since, until)).all()
            newest = {room: number for room, number in lately}
            last = connection.scalar(sa.select(sa.func.coalesce(sa.func.max(t.message.c.id), 0)))
            for room, message, _ in rooms:
                values = {"message": max(message, newest.get(room, 0)), "gap": True, "journal": last}
                change = sa.update(t.watermark).where(heard, _W.room == room)
                connection.execute(change.values(**values, updated_at=t.naive(now)))

        await self._writer.write(work)

    async def open_gap(self, platform: str, room: str, message: int, now: datetime) -> None:
        """One room is to be read again from this message, or from further back where that was known before."""
        row = insert(t.watermark).values(
            platform=platform, room=room, message=message, gap=True, journal=0, updated_at=t.naive(now)
        )
        further = sa.case((_W.gap.is_(True), sa.func.min(_W.message, row.excluded.message)), else_=row.excluded.message)
        values = {"message": further, "gap": True, "updated_at": row.excluded.updated_at}
        await self._change(row.on_conflict_do_update(index_elements=["platform", "room"], set_=values))

    async def move_gap(self, platform: str, room: str, message: int, to: int, now: datetime) -> None:
        """The gap begins further on, unless it was opened further back than this message meanwhile."""
        here = sa.and_(_W.platform == platform, _W.room == room, _W.gap.is_(True), _W.message >= message)
        values = {"message": sa.func.max(_W.message, to), "updated_at": t.naive(now)}
        await self._change(sa.update(t.watermark).where(here).values(values))

    async def close_gap(self, platform: str, room: str, message: int, now: datetime) -> None:
        """Closes a room's gap: the room was read up to this message, and the journal counts again."""
        here = sa.and_(_W.platform == platform, _W.room == room)
        values = {"message": message, "gap": False, "updated_at": t.naive(now)}
        await self._change(sa.update(t.watermark).where(here).values(values))

    async def gaps(self, platform: str) -> dict[str, int]:
        """Returns by room with a gap the message after which it is to be read."""
        query = sa.select(_W.room, _W.message).where(_W.platform == platform, _W.gap.is_(True))
        async with self._engine.connect() as connection:
            return {room: message for room, message in await connection.execute(query)}

    async def rooms(self, platform: str) -> frozenset[str]:
        """Every room in which reading has begun."""
        async with self._engine.connect() as connection:
            rooms = await connection.execute(sa.select(_W.room).where(_W.platform == platform))
            return frozenset(rooms.scalars())

    async def _change(self, change: sa.Executable) -> None:
        def work(connection: sa.Connection) -> None:
            connection.execute(change)

        await self._writer.write(work)


def _newest(platform: str, since: int, until: int) -> sa.Select[Any]:
    """(room, its largest decimal message id up to `until`) among the journal's rows after `since`: what came since the
    last gap, read by the primary key."""
    number: sa.ColumnElement[int] = sa.cast(t.message.c.message, sa.BigInteger)
    decimal = t.message.c.message.op("NOT GLOB", is_comparison=True)("*[^0-9]*")
    rows = sa.and_(t.message.c.id > since, t.message.c.platform == platform, decimal, number <= until)
    return sa.select(t.message.c.room, sa.func.max(number)).where(rows).group_by(t.message.c.room)
