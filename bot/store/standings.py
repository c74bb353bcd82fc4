"""What the journal says of an author and a community before a decision: strikes, who was acted on, who is known."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine

from bot.events import Message
from bot.store import tables as t
from bot.store.sealing import Sealer

_M = t.message.c
KNOWN_AFTER = timedelta(days=1)
"""Whoever wrote or joined that long ago is known in a community."""
OVERTURNED = sa.or_(t.case.c.undone.is_(True), t.case.c.corrected_label == "neutral")


class Standings:
    """The store's questions about what authors did before. Times are when a message was received."""

    def __init__(self, engine: AsyncEngine, sealer: Sealer) -> None:
        self._engine = engine
        self._sealer = sealer

    async def strikes(self, event: Message, since: datetime) -> dict[str, datetime]:
        """The author's messages that were acted on since a moment, or are to be, and when each was first received.

        What a moderator has undone is not among them, nor what was not possible.
        """
        wanted = (
            *self._author(event),
            _M.enforced.is_(True),
            _M.state.in_(("intended", "sent", "done")),
            _M.seen_at >= t.naive(since),
            sa.func.coalesce(t.case.c.undone, False).is_(False),
        )
        source = t.message.outerjoin(t.case)
        query = sa.select(_M.message, sa.func.min(_M.seen_at)).select_from(source).where(*wanted).group_by(_M.message)
        async with self._engine.connect() as connection:
            return {message: seen_at.replace(tzinfo=UTC) for message, seen_at in await connection.execute(query)}

    async def members(self, community: str, since: datetime) -> set[str]:
        """Pseudonyms of the ordinary members who were acted on since a moment, undone or not."""
        wanted = (_M.community == community, _M.enforced.is_(True), _M.seen_at >= t.naive(since))
        query = sa.select(_M.author).distinct().where(*wanted, _M.decision["counts"].as_boolean().is_(True))
        async with self._engine.connect() as connection:
            return set((await connection.execute(query)).scalars())

    async def is_ordinary(self, event: Message, now: datetime) -> bool:
        """Whether the author is one whom only a model gone wrong would hit: known here for a day, and without an
        earlier case that stands.

        Where nobody can be known for a day yet, because the bot came later, a harmless message before makes known.
        """
        mine = self._author(event)
        cases = t.case.join(t.message)
        harmful = _M.decision["band"].as_string().in_(("alert", "action"))
        earlier = sa.select(t.case.c.id).select_from(cases)
        earlier = earlier.where(*mine, _M.message != event.key.message, harmful, ~sa.func.coalesce(OVERTURNED, False))
        first = sa.select(_M.sent_at).where(*mine).order_by(_M.id).limit(1)
        watched = sa.select(_M.sent_at).where(_M.community == event.key.community).order_by(_M.seen_at).limit(1)
        clear = (_M.decision["band"].as_string() == "clear", _M.message != event.key.message)
        harmless = sa.select(_M.id).where(*mine, *clear).limit(1)
        before = now - KNOWN_AFTER
        async with self._engine.connect() as connection:
            if (await connection.execute(earlier.limit(1))).first() is not None:
                return False
            if event.author.joined_at is not None:
                return event.author.joined_at <= before
            if _is_before((await connection.execute(first)).scalars().all(), before):
                return True
            if _is_before((await connection.execute(watched)).scalars().all(), before):
                return False
            return (await connection.execute(harmless)).first() is not None

    async def was_warned(self, event: Message, since: datetime) -> bool:
        """Whether the author got a warning for a message received since a moment."""
        wanted = (
            *self._author(event),
            _M.enforced.is_(True),
            _M.state == "done",
            _M.seen_at >= t.naive(since),
            _M.message != event.key.message,
        )
        query = sa.select(_M.decision).where(*wanted).order_by(_M.id.desc()).limit(20)
        async with self._engine.connect() as connection:
            decisions = (await connection.execute(query)).scalars().all()
        return any(action["name"] == "warn" for decision in decisions for action in decision["actions"])

    def _author(self, event: Message) -> tuple[sa.ColumnElement[bool], ...]:
        key = event.key
        author = self._sealer.author(key.platform, key.community, event.author.id)
        return _M.community == key.community, _M.author == author


def _is_before(moments: Sequence[datetime], before: datetime) -> bool:
    return any(moment.replace(tzinfo=UTC) <= before for moment in moments)
