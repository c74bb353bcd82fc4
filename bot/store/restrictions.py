"""Records restrictions that the bot has set on a member, for which message, and what stood before. Undo takes back only
these.

A member is a keyed hash. `place` is where a restriction holds: a Discord server, a Telegram chat.
"""

from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.dialects.sqlite import insert
from sqlalchemy.ext.asyncio import AsyncEngine

from bot.domain.restriction import OwnRestriction, from_json, to_json
from bot.store import tables as t
from bot.store.sealing import Sealer
from bot.store.writer import Writer

_KEYS = ("platform", "place", "member", "message", "revision", "action")


class Restrictions:
    """The store's restrictions, until they are taken back, changed by a person, or as old as forgotten texts."""

    def __init__(self, engine: AsyncEngine, writer: Writer, sealer: Sealer) -> None:
        self._engine = engine
        self._writer = writer
        self._sealer = sealer

    async def of(self, platform: str, place: str, member: str) -> list[OwnRestriction]:
        """Everything the bot has set on a member there, oldest first."""
        query = sa.select(t.restriction).where(self._whose(platform, place, member)).order_by(t.restriction.c.kept_at)
        async with self._engine.connect() as connection:
            rows = (await connection.execute(query)).all()
        return [
            OwnRestriction(
                row.message, row.revision, row.action, from_json(row.restriction), from_json(row.before), row.is_set
            )
            for row in rows
        ]

    async def keep(self, platform: str, place: str, member: str, own: OwnRestriction, now: datetime) -> None:
        """Remembers it, in place of what was remembered for the same message and action."""
        values = {
            "restriction": to_json(own.restriction),
            "before": to_json(own.before),
            "is_set": own.is_set,
            "kept_at": t.naive(now),
        }
        keys = {"message": own.message, "revision": own.revision, "action": own.action}
        pseudonym = self._sealer.author(platform, place, member)
        row = insert(t.restriction).values(platform=platform, place=place, member=pseudonym, **keys, **values)
        await self._change(row.on_conflict_do_update(index_elements=list(_KEYS), set_=values))

    async def forget(self, platform: str, place: str, member: str, message: str, action: str) -> None:
        """Forgets a restriction that was taken back, whichever revision of the message set it."""
        of_member = self._whose(platform, place, member)
        one = sa.and_(of_member, t.restriction.c.message == message, t.restriction.c.action == action)
        await self._change(sa.delete(t.restriction).where(one))

    async def forget_before(self, platform: str, place: str, member: str, moment: datetime) -> None:
        """Records that a person decided about this member in this second: earlier restrictions of the bot are no longer
        its own."""
        ended = t.naive(moment + timedelta(seconds=1))
        older = sa.and_(self._whose(platform, place, member), t.restriction.c.kept_at < ended)
        await self._change(sa.delete(t.restriction).where(older))

    def _whose(self, platform: str, place: str, member: str) -> sa.ColumnElement[bool]:
        pseudonym = self._sealer.author(platform, place, member)
        columns = t.restriction.c
        return sa.and_(columns.platform == platform, columns.place == place, columns.member == pseudonym)

    async def _change(self, change: sa.Executable) -> None:
        def work(connection: sa.Connection) -> None:
            connection.execute(change)

        await self._writer.write(work)
