"""Answers an author: what the store keeps of them, and that it keeps it no longer."""

import asyncio
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine

from bot.domain.case import Journalled
from bot.store import tables as t
from bot.store.consents import withdrawal
from bot.store.message_rows import from_row
from bot.store.sealing import Sealer
from bot.store.writer import Writer


class PersonalData:
    """The store as far as one author's texts go. Authors are pseudonyms."""

    def __init__(self, engine: AsyncEngine, writer: Writer, sealer: Sealer) -> None:
        self._engine = engine
        self._writer = writer
        self._sealer = sealer
        self.erased = asyncio.Event()
        """Something was erased that may lie in a backup."""

    async def export(self, author: str, community: str) -> list[Journalled]:
        """All the author's messages in a community whose text is still kept, oldest first."""
        kept = sa.and_(_of(author, community), t.message.c.text_sealed.is_not(None))
        query = sa.select(t.message).where(kept).order_by(t.message.c.sent_at, t.message.c.id)
        async with self._engine.connect() as connection:
            return [from_row(row._mapping, self._sealer) for row in await connection.execute(query)]

    async def erase(self, author: str, community: str, now: datetime) -> int:
        """Texts and the author's own id go, reports the author made too, and a consent is withdrawn.

        Returns how many journal rows were marked: those whose text was forgotten in time are among them, for what they
        taught is taken back as well. Labels and decisions stay, under the pseudonym.
        """
        fresh = sa.and_(_of(author, community), t.message.c.erased_at.is_(None))
        gone = {"text_sealed": None, "author_sealed": None, "beside_sealed": None, "erased_at": t.naive(now)}
        erased = sa.update(t.message).where(fresh).values(gone)
        withdrawn = withdrawal(community, author, now)
        unreported = sa.delete(t.report).where(t.report.c.reporter == author)

        def work(connection: sa.Connection) -> int:
            connection.execute(withdrawn)
            connection.execute(unreported)
            return connection.execute(erased).rowcount

        count = await self._writer.write(work)
        if count:
            self.erased.set()
            await self._writer.empty_wal()
        return count

    async def look_for_erased(self, since: datetime) -> None:
        """Sets `erased` where a former process erased something after that moment."""
        query = sa.select(sa.exists().where(t.message.c.erased_at > t.naive(since)))
        async with self._engine.connect() as connection:
            if await connection.scalar(query):
                self.erased.set()


def _of(author: str, community: str) -> sa.ColumnElement[bool]:
    return sa.and_(t.message.c.community == community, t.message.c.author == author)
