"""What the journal says of an author and a community before a decision: strikes, who was acted on, who is known."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from bot.domain.action import Warn
from bot.domain.decision import Decision
from bot.domain.event import Message
from bot.domain.row_state import ACTING, RowState
from bot.store import tables as t
from bot.store.sealing import Sealer

_M = t.message.c
KNOWN_AFTER = timedelta(days=1)
"""Whoever wrote or joined that long ago is known in a community."""
OVERTURNED = sa.or_(t.case.c.undone.is_(True), t.case.c.corrected_label == "neutral")


@dataclass(frozen=True, slots=True)
class Past:
    """What the journal says of an author: messages acted on and when they came, and whether they are an ordinary
    member; of a community: pseudonyms of the ordinary members who were acted on."""

    strikes: Mapping[str, datetime]
    members: frozenset[str] = frozenset()
    is_ordinary: bool = False


class Standings:
    """The store's questions about what authors did before. Times are when a message was received."""

    def __init__(self, engine: AsyncEngine, sealer: Sealer) -> None:
        self._engine = engine
        self._sealer = sealer

    async def past(self, event: Message, strikes_since: datetime, members_since: datetime, now: datetime) -> Past:
        """All of it."""
        async with self._engine.connect() as connection:
            return Past(
                await self._strikes(connection, event, strikes_since),
                await self._members(connection, event.key.community, members_since),
                await self._is_ordinary(connection, event, now),
            )

    async def strikes(self, event: Message, since: datetime) -> Past:
        """Only those of the author."""
        async with self._engine.connect() as connection:
            return Past(await self._strikes(connection, event, since))

    async def _strikes(self, connection: AsyncConnection, event: Message, since: datetime) -> dict[str, datetime]:
        """The author's messages that were acted on since a moment, or are to be, and when each was first received.

        What a moderator has undone is not among them, nor what was not possible.
        """
        wanted = (
            *self._author(event),
            _M.enforced.is_(True),
            _M.state.in_((*ACTING, RowState.DONE)),
            _M.seen_at >= t.naive(since),
            sa.func.coalesce(t.case.c.undone, False).is_(False),
        )
        source = t.message.outerjoin(t.case)
        query = sa.select(_M.message, sa.func.min(_M.seen_at)).select_from(source).where(*wanted).group_by(_M.message)
        return {message: seen_at.replace(tzinfo=UTC) for message, seen_at in await connection.execute(query)}

    async def _members(self, connection: AsyncConnection, community: str, since: datetime) -> frozenset[str]:
        """The ordinary members who were acted on since a moment, undone or not."""
        wanted = (_M.community == community, _M.enforced.is_(True), _M.seen_at >= t.naive(since))
        query = sa.select(_M.author).distinct().where(*wanted, _M.decision["counts"].as_boolean().is_(True))
        return frozenset((await connection.execute(query)).scalars())

    async def _is_ordinary(self, connection: AsyncConnection, event: Message, now: datetime) -> bool:
        """Whether the author is one whom only a model gone wrong would hit: known here for a day, and without an
        earlier case that stands.

        Where nobody can be known for a day yet, because the bot came later, a harmless message before makes known.
        """
        by_author, other = self._author(event), _M.message != event.key.message
        harmful = _M.decision["band"].as_string().in_(("alert", "action"))
        earlier = sa.exists().select_from(t.case.join(t.message))
        earlier = earlier.where(*by_author, other, harmful, ~sa.func.coalesce(OVERTURNED, False))
        first = sa.select(_M.sent_at).where(*by_author).order_by(_M.id).limit(1)
        watched = sa.select(_M.sent_at).where(_M.community == event.key.community).order_by(_M.seen_at).limit(1)
        harmless = sa.exists().where(*by_author, _M.decision["band"].as_string() == "clear", other)
        query = sa.select(earlier, first.scalar_subquery(), watched.scalar_subquery(), harmless)
        has_case, first_at, watched_at, was_harmless = (await connection.execute(query)).one()
        before = now - KNOWN_AFTER
        if has_case:
            return False
        if event.author.joined_at is not None:
            return event.author.joined_at <= before
        if _is_before(first_at, before):
            return True
        long_ago, rooms = t.past_author.c, t.past_room.c
        known = sa.exists().where(long_ago.community == event.key.community, long_ago.author == self._pseudonym(event))
        old = sa.exists().where(rooms.community == event.key.community)
        is_known, is_old = (await connection.execute(sa.select(known, old))).one()
        return bool(is_known) or (bool(was_harmless) and not is_old and not _is_before(watched_at, before))

    async def was_warned(self, event: Message, since: datetime) -> bool:
        """Whether the author got a warning for a message received since a moment."""
        wanted = (
            *self._author(event),
            _M.enforced.is_(True),
            _M.state == RowState.DONE,
            _M.seen_at >= t.naive(since),
            _M.message != event.key.message,
        )
        query = sa.select(_M.decision).where(*wanted).order_by(_M.id.desc()).limit(20)
        async with self._engine.connect() as connection:
            decisions = [Decision.from_json(data) for data in (await connection.execute(query)).scalars()]
        return any(isinstance(action, Warn) for decision in decisions for action in decision.actions)

    def _author(self, event: Message) -> tuple[sa.ColumnElement[bool], ...]:
        return _M.community == event.key.community, _M.author == self._pseudonym(event)

    def _pseudonym(self, event: Message) -> str:
        return self._sealer.author(event.key.platform, event.key.community, event.author.id)


def _is_before(moment: datetime | None, before: datetime) -> bool:
    return moment is not None and moment.replace(tzinfo=UTC) <= before
