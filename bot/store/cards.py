"""Records where a case's card stands on its platform, so that a click finds the case and a change finds the card."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.dialects.sqlite import insert
from sqlalchemy.ext.asyncio import AsyncEngine

from bot.domain.decision import Band
from bot.store import tables as t
from bot.store.writer import Writer


@dataclass(frozen=True, slots=True)
class Card:
    """A case as it was posted; in a digest it is one line among others. `message` is None where it is not known."""

    case: int
    platform: str
    room: str
    message: str | None
    digest: bool
    posted_at: datetime


class Cards:
    """The store's cards: at most one of each case."""

    def __init__(self, engine: AsyncEngine, writer: Writer) -> None:
        self._engine = engine
        self._writer = writer

    async def post(
        self,
        case: int,
        platform: str,
        room: str,
        message: str | None,
        digest: bool,
        now: datetime,
        mark: str | None = None,
    ) -> None:
        """Records that the case's card stands here from now on and forgets the one before. `mark` identifies what the
        card shows, if known."""
        values = {"platform": platform, "room": room, "message": message, "digest": digest, "posted_at": t.naive(now)}
        values["drawn"] = mark
        posted = insert(t.card).values(case_id=case, **values)
        posted = posted.on_conflict_do_update(index_elements=["case_id"], set_=values)

        def work(connection: sa.Connection) -> None:
            connection.execute(posted)

        await self._writer.write(work)

    async def of(self, case: int) -> Card | None:
        """The case's card, or None while it was not posted."""
        async with self._engine.connect() as connection:
            row = (await connection.execute(sa.select(t.card).where(t.card.c.case_id == case))).one_or_none()
        if row is None:
            return None
        return Card(row.case_id, row.platform, row.room, row.message, row.digest, row.posted_at.replace(tzinfo=UTC))

    async def record_drawn(self, platform: str, room: str, message: str, mark: str) -> None:
        """Returns what a posted message shows, by its mark."""
        this_card = sa.and_(t.card.c.platform == platform, t.card.c.room == room, t.card.c.message == message)
        drawn = sa.update(t.card).where(this_card).values(drawn=mark)

        def work(connection: sa.Connection) -> None:
            connection.execute(drawn)

        await self._writer.write(work)

    async def shows(self, platform: str, room: str, message: str, mark: str) -> bool:
        """Whether that is what a posted message shows already: a case that joined it since has no mark yet."""
        this_card = sa.and_(t.card.c.platform == platform, t.card.c.room == room, t.card.c.message == message)
        async with self._engine.connect() as connection:
            marks = set((await connection.execute(sa.select(t.card.c.drawn).where(this_card).distinct())).scalars())
        return marks == {mark}

    async def cases_of(self, platform: str, room: str, message: str) -> list[int]:
        """The cases that a posted message shows, oldest first: many for a digest, none where it is no card."""
        this_card = sa.and_(t.card.c.platform == platform, t.card.c.room == room, t.card.c.message == message)
        async with self._engine.connect() as connection:
            rows = await connection.execute(sa.select(t.card.c.case_id).where(this_card).order_by(t.card.c.case_id))
            return list(rows.scalars())

    async def unposted(self, platform: str, since: datetime) -> list[int]:
        """Returns cases of this platform's messages, opened since a moment, that have no card yet; oldest first.

        Answered cases are among them; examples are not, because they have no cards.
        """
        query = (
            sa.select(t.case.c.id)
            .select_from(t.case.join(t.message).outerjoin(t.card))
            .where(
                t.case.c.created_at >= t.naive(since),
                t.unindexed(t.message.c.platform) == platform,
                t.message.c.decision["band"].as_string().is_distinct_from(str(Band.EXAMPLE)),
                t.card.c.message.is_(None),  # not posted, or perhaps: the process ended before it was known
            )
            .order_by(t.case.c.id)
        )
        async with self._engine.connect() as connection:
            return list((await connection.execute(query)).scalars())

    async def in_last_digests(self, platform: str, within: timedelta) -> list[int]:
        """A case of each digest that took one in at last, or so long before that."""
        digests = sa.and_(t.card.c.platform == platform, t.card.c.digest.is_(True), t.card.c.message.is_not(None))
        newest = sa.select(sa.func.max(t.card.c.posted_at)).where(digests)
        async with self._engine.connect() as connection:
            if (last := await connection.scalar(newest)) is None:
                return []
            query = sa.select(sa.func.max(t.card.c.case_id)).where(digests, t.card.c.posted_at >= last - within)
            return list((await connection.execute(query.group_by(t.card.c.room, t.card.c.message))).scalars())
