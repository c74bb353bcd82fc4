"""Records which authors agreed that their texts teach. Authors are pseudonyms; a withdrawn consent stays on record."""

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine

from bot.store import tables as t
from bot.store.writer import Writer


class Consents:
    """The store's consents; `basis` is the basis of corrections of the author's texts."""

    def __init__(self, engine: AsyncEngine, writer: Writer) -> None:
        self._engine = engine
        self._writer = writer

    async def give(self, community: str, author: str, now: datetime) -> str:
        """Gives consent and returns the basis; giving it twice changes nothing."""

        def work(connection: sa.Connection) -> int:
            if (given := connection.scalar(_active(community, author))) is not None:
                return given
            values = {"community": community, "author": author, "given_at": t.naive(now)}
            inserted = sa.insert(t.consent).values(values).returning(t.consent.c.id)
            number: int = connection.execute(inserted).scalar_one()
            return number

        return f"consent:{await self._writer.write(work)}"

    async def withdraw(self, community: str, author: str, now: datetime) -> bool:
        """Withdraws consent: the author's texts teach nothing from now on, those corrected before included. False if
        there was none."""
        change = withdrawal(community, author, now)

        def work(connection: sa.Connection) -> int:
            return connection.execute(change).rowcount

        return await self._writer.write(work) > 0

    async def basis(self, community: str, author: str) -> str | None:
        """Returns `consent:<id>` of an author who agreed, else None."""
        async with self._engine.connect() as connection:
            row = (await connection.execute(_active(community, author))).scalar()
        return None if row is None else f"consent:{row}"


def withdrawal(community: str, author: str, now: datetime) -> sa.Update:
    """The statement that ends an author's consent, where one is in force."""
    of_author = sa.and_(t.consent.c.community == community, t.consent.c.author == author)
    return sa.update(t.consent).where(of_author, t.consent.c.withdrawn_at.is_(None)).values(withdrawn_at=t.naive(now))


def _active(community: str, author: str) -> sa.Select[int]:
    return sa.select(t.consent.c.id).where(
        t.consent.c.community == community, t.consent.c.author == author, t.consent.c.withdrawn_at.is_(None)
    )
