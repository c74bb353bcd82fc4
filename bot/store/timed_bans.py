"""Bans that end by themselves, on platforms that know only bans for good. A member's id is kept, sealed, until then."""

from dataclasses import dataclass
from datetime import UTC, datetime

import sqlalchemy as sa
from sqlalchemy.dialects.sqlite import insert
from sqlalchemy.ext.asyncio import AsyncEngine

from bot.store import tables as t
from bot.store.sealing import Sealer
from bot.store.writer import Writer


@dataclass(frozen=True, slots=True)
class TimedBan:
    """A ban to be lifted at `due_at`."""

    platform: str
    community: str
    member: str
    due_at: datetime


class TimedBans:
    """The store's bans with an end: at most one for a member."""

    def __init__(self, engine: AsyncEngine, writer: Writer, sealer: Sealer) -> None:
        self._engine = engine
        self._writer = writer
        self._sealer = sealer

    async def plan(self, lift: TimedBan) -> None:
        """Plans when the member's ban ends; an earlier plan is forgotten."""
        values = {"member_sealed": self._sealer.seal(lift.member), "due_at": t.naive(lift.due_at)}
        row = insert(t.lift).values(**self._whose(lift.platform, lift.community, lift.member), **values)
        planned = row.on_conflict_do_update(index_elements=["platform", "community", "member"], set_=values)
        await self._change(planned)

    async def forget(self, platform: str, community: str, member: str) -> None:
        """It was lifted, or is for good."""
        wanted = [t.lift.c[name] == value for name, value in self._whose(platform, community, member).items()]
        await self._change(sa.delete(t.lift).where(*wanted))

    async def due(self, platform: str, now: datetime) -> list[TimedBan]:
        """Returns the bans to lift by now, longest due first; the member of a damaged row is not known."""
        query = sa.select(t.lift).where(t.lift.c.platform == platform, t.lift.c.due_at <= t.naive(now))
        async with self._engine.connect() as connection:
            rows = (await connection.execute(query.order_by(t.lift.c.due_at))).all()
        return [
            TimedBan(row.platform, row.community, member, row.due_at.replace(tzinfo=UTC))
            for row in rows
            if (member := self._sealer.legible(row.member_sealed)) is not None
        ]

    def _whose(self, platform: str, community: str, member: str) -> dict[str, str]:
        pseudonym = self._sealer.author(platform, community, member)
        return {"platform": platform, "community": community, "member": pseudonym}

    async def _change(self, change: sa.Executable) -> None:
        def work(connection: sa.Connection) -> None:
            connection.execute(change)

        await self._writer.write(work)
