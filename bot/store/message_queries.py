"""What can be asked of the journal's messages; none of it changes anything."""

from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine

from bot.domain.case import Journalled
from bot.domain.event import EXAMPLES, NAME, TITLE, Author, Message
from bot.domain.row_state import RowState
from bot.store import nonfinite
from bot.store import tables as t
from bot.store.message_rows import author_from, from_row, in_pieces
from bot.store.sealing import Sealer

AT_ONCE = 500
"""So many rows are asked for by number at once."""


@dataclass(frozen=True, slots=True)
class UnfinishedMessage:
    """A row that is not finished, and the event it was made from; None once its text or author is no longer kept."""

    row: Journalled
    event: Message | None
    revises: bool
    """Whether the journal has an earlier revision of the message."""


class MessageQueries:
    """The store's questions about messages."""

    def __init__(self, engine: AsyncEngine, sealer: Sealer) -> None:
        self._engine = engine
        self.sealer = sealer

    async def journalled(self, platform: str, community: str, message: str) -> Journalled | None:
        """The latest revision of a platform's message, in whatever room."""
        query = (
            sa.select(t.message)
            .where(numbered(platform, community, message))
            .order_by(t.message.c.revision.desc(), t.message.c.id.desc())
            .limit(1)
        )
        async with self._engine.connect() as connection:
            row = (await connection.execute(query)).one_or_none()
        return None if row is None else from_row(row._mapping, self.sealer)

    async def written_in(self, authors: Sequence[tuple[str, str]]) -> set[str]:
        """The communities among these (community, author) pairs in which the author wrote something."""
        communities = set[str]()
        async with self._engine.connect() as connection:
            for begin in range(0, len(authors), AT_ONCE):
                for table in (t.message, t.past_author):
                    pair = sa.tuple_(table.c.community, table.c.author)
                    query = sa.select(table.c.community).where(pair.in_(authors[begin : begin + AT_ONCE])).distinct()
                    communities |= set((await connection.execute(query)).scalars())
        return communities

    async def event(self, row: int) -> Message | None:
        """The event a journal row was made from; None once its text or author is no longer kept."""
        async with self._engine.connect() as connection:
            unfinished = (await connection.execute(_LEFT.where(t.message.c.id == row))).one_or_none()
        return None if unfinished is None else self._left(unfinished._mapping).event

    async def in_turn(
        self, platform: str, states: Sequence[RowState], tries: int | None = None, upto: int | None = None
    ) -> Sequence[int]:
        """Rows in these states, by number: one of each community in turn, in it one of each author, the oldest first.

        `tries` names those that were tried so often, `upto` the last row that is looked at; None is any.
        """
        columns = t.message.c
        wanted = [columns.platform == platform, columns.state.in_(states)]
        wanted += [] if tries is None else [columns.tries == tries]
        wanted += [] if upto is None else [columns.id <= upto]
        row_number, by_author = sa.func.row_number(), (columns.community, columns.author)
        of_author = row_number.over(partition_by=by_author, order_by=columns.id).label("of_author")
        waiting = sa.select(columns.id, columns.community, of_author).where(*wanted).subquery()
        order = (waiting.c.of_author, waiting.c.id)
        turn = row_number.over(partition_by=waiting.c.community, order_by=order).label("turn")
        turns = sa.select(waiting.c.id, turn).subquery()
        query = sa.select(turns.c.id).order_by(turns.c.turn, turns.c.id)
        in_order = array("q")
        async with self._engine.connect() as connection, connection.stream(query) as numbers:
            async for some in numbers.scalars().partitions(10_000):
                in_order.extend(some)
        return in_order

    async def left(self, numbers: Sequence[int], states: Sequence[RowState]) -> list[UnfinishedMessage]:
        """Those of these rows that are still in these states, in the order of their numbers as given."""
        wanted = sa.and_(t.message.c.id.in_(numbers), t.message.c.state.in_(states))
        async with self._engine.connect() as connection:
            rows = await connection.execute(_LEFT.where(wanted))
            unfinished = {row.id: self._left(row._mapping) for row in rows}
        return [unfinished[number] for number in numbers if number in unfinished]

    async def messages(self, community: str, since: datetime, limit: int = 10_000) -> list[Journalled]:
        """Scored messages of a community since a moment, newest first, for previews and the room's history."""
        wanted = sa.and_(
            t.message.c.community == community,
            t.message.c.seen_at >= t.naive(since),
            t.message.c.probabilities.is_not(None),
        )
        async with self._engine.connect() as connection:
            rows = await connection.execute(
                sa.select(t.message).where(wanted).order_by(t.message.c.id.desc()).limit(limit)
            )
            journalled = [from_row(row._mapping, self.sealer) async for row in in_pieces(rows)]
        return [message for message in journalled if message.probabilities]

    async def recent(self, platform: str, community: str, limit: int) -> list[Message]:
        """What members wrote last in a community and is still kept, newest first; names and titles are none."""
        columns = t.message.c
        wanted = (columns.community == community, columns.platform == platform, columns.room != EXAMPLES)
        named = sa.or_(*(columns.message.contains(one, autoescape=True) for one in (NAME, TITLE)))
        query = sa.select(t.message).where(*wanted, ~named, columns.text_sealed.is_not(None))
        async with self._engine.connect() as connection:
            rows = await connection.execute(query.order_by(columns.seen_at.desc(), columns.id.desc()).limit(limit))
            journalled = [from_row(row._mapping, self.sealer) async for row in in_pieces(rows)]
        return [
            Message(row.key, Author("", ""), row.text, row.sent_at, row.quoted, row.attached)
            for row in journalled
            if row.text or row.quoted
        ]

    async def scores(self, community: str, since: datetime, limit: int = 10_000) -> list[Mapping[str, float]]:
        """Only the probabilities of these messages."""
        wanted = (t.message.c.community == community, t.message.c.seen_at >= t.naive(since))
        column = t.message.c.probabilities
        query = sa.select(column).where(*wanted, column.is_not(None)).order_by(t.message.c.id.desc()).limit(limit)
        async with self._engine.connect() as connection:
            rows = await connection.execute(query)
            scores = [nonfinite.believed(row.probabilities) async for row in in_pieces(rows)]
        return [shares for shares in scores if shares]

    async def has_messages(self, platform: str, community: str, room: str) -> bool:
        """Whether a message was read in a room, or in a thread of it. Names and titles are none, nor is what was left
        alone."""
        this_room = sa.or_(t.message.c.room == room, t.message.c.room.startswith(f"{room}/", autoescape=True))
        in_room = sa.and_(t.message.c.platform == platform, t.message.c.community == community, this_room)
        named = sa.or_(*(t.message.c.message.contains(one, autoescape=True) for one in (NAME, TITLE)))
        p = t.past_room.c
        in_past_room = sa.or_(p.room == room, p.room.startswith(f"{room}/", autoescape=True))
        past = sa.exists().where(p.platform == platform, p.community == community, in_past_room, p.messages > 0)
        query = sa.select(sa.or_(sa.exists().where(in_room, ~named, t.message.c.state != RowState.EXEMPT), past))
        async with self._engine.connect() as connection:
            return bool(await connection.scalar(query))

    def author(self, event: Message) -> str:
        """The author's pseudonym in this community."""
        return self.sealer.author(event.key.platform, event.key.community, event.author.id)

    def _left(self, row: sa.RowMapping) -> UnfinishedMessage:
        old = from_row(row, self.sealer)
        if row["text_sealed"] is None or row["author_sealed"] is None:
            return UnfinishedMessage(old, None, bool(row["revises"]))
        author, text = self.sealer.legible(row["author_sealed"]), self.sealer.legible(row["text_sealed"])
        if author is None or text is None:
            return UnfinishedMessage(old, None, bool(row["revises"]))
        event = Message(old.key, author_from(author), old.text, old.sent_at, old.quoted, old.attached, old.unreadable)
        return UnfinishedMessage(old, event, bool(row["revises"]))


def _every_left() -> sa.Select[Any]:
    earlier = t.message.alias()
    names = ("platform", "community", "message")
    same = (earlier.c[name] == t.message.c[name] for name in names)
    revises = sa.exists().select_from(earlier).where(*same, earlier.c.id < t.message.c.id)
    return sa.select(t.message, revises.label("revises"))


_LEFT = _every_left()


def numbered(platform: str, community: str, message: str) -> sa.ColumnElement[bool]:
    """A platform's message, in whatever room and revision."""
    return sa.and_(t.message.c.platform == platform, t.message.c.community == community, t.message.c.message == message)
