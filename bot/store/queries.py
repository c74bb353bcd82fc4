"""What can be asked of the journal and its cases: texts are unsealed on the way out, times come back in UTC."""

import asyncio
import json
from array import array
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine

from bot.domain import action as actions
from bot.domain import restriction as restrictions
from bot.domain.action import Action
from bot.domain.case import Case, Journalled, UnchangedAction
from bot.domain.correction import Said
from bot.domain.decision import Band, Decision
from bot.domain.event import EXAMPLES, NAME, TITLE, Attached, Author, Message, MessageKey
from bot.domain.policy import Policy, as_far_as_valid
from bot.domain.remaining_actions import RemainingActions
from bot.domain.restriction import Restriction, Unchanged
from bot.domain.row_state import RowState
from bot.store import nonfinite
from bot.store import tables as t
from bot.store.sealing import Sealer

AT_ONCE = 500
"""So many rows are asked for by number at once."""
A_PIECE = 100
R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class UnfinishedMessage:
    """A row that is not finished, and the event it was made from; None once its text or author is no longer kept."""

    row: Journalled
    event: Message | None
    revises: bool
    """Whether the journal has an earlier revision of the message."""


@dataclass(frozen=True, slots=True)
class Counts:
    """A community since a moment: messages seen (each revision that says something else is one), cards opened and how
    many of those are answered, messages acted on and not undone."""

    messages: int
    opened: int
    answered: int
    acted: int


class Queries:
    """The store's questions; none of them changes anything."""

    def __init__(self, engine: AsyncEngine, sealer: Sealer) -> None:
        self._engine = engine
        self.sealer = sealer

    async def cases(self, community: str, limit: int = 50) -> list[Case]:
        """The community's cases, newest first; the texts moderators typed as examples are not among them."""
        return await self._cases(sa.and_(t.unindexed(t.message.c.community) == community, _shown()), limit)

    async def case(self, number: int) -> Case | None:
        """One case, or None."""
        found = await self._cases(t.case.c.id == number, 1)
        return found[0] if found else None

    async def cases_of(self, numbers: Sequence[int]) -> list[Case]:
        """Those of these cases that there are, oldest first; many at once."""
        found: list[Case] = []
        for start in range(0, len(numbers), AT_ONCE):
            some = numbers[start : start + AT_ONCE]
            found += reversed(await self._cases(t.case.c.id.in_(some), len(some)))
        return sorted(found, key=lambda case: case.id)

    async def history(self, community: str, author: str, limit: int = 20) -> list[Case]:
        """Cases of one author's messages, newest first; `author` is the pseudonym."""
        mine = sa.and_(t.message.c.community == community, t.message.c.author == author)
        return await self._cases(sa.and_(mine, _shown()), limit)

    async def case_of(self, platform: str, community: str, message: str) -> Case | None:
        """The case of a platform's message, in whatever room: of the latest revision that has one."""
        query = (
            sa.select(t.case.c.id)
            .select_from(t.message.join(t.case))
            .where(_numbered(platform, community, message))
            .order_by(t.message.c.revision.desc(), t.message.c.id.desc())
            .limit(1)
        )
        async with self._engine.connect() as connection:
            number = (await connection.execute(query)).scalar_one_or_none()
        return None if number is None else await self.case(number)

    async def journalled(self, platform: str, community: str, message: str) -> Journalled | None:
        """The latest revision of a platform's message, in whatever room."""
        query = (
            sa.select(t.message)
            .where(_numbered(platform, community, message))
            .order_by(t.message.c.revision.desc(), t.message.c.id.desc())
            .limit(1)
        )
        async with self._engine.connect() as connection:
            row = (await connection.execute(query)).one_or_none()
        return None if row is None else from_row(row._mapping, self.sealer)

    async def words(self, case: int) -> list[Said]:
        """Every moderator's word on a case, oldest first."""
        async with self._engine.connect() as connection:
            return await connection.run_sync(said, case)

    async def written_in(self, authors: Sequence[tuple[str, str]]) -> set[str]:
        """The communities among these (community, author) pairs in which the author wrote something."""
        found = set[str]()
        async with self._engine.connect() as connection:
            for begin in range(0, len(authors), AT_ONCE):
                for table in (t.message, t.past_author):
                    pair = sa.tuple_(table.c.community, table.c.author)
                    query = sa.select(table.c.community).where(pair.in_(authors[begin : begin + AT_ONCE])).distinct()
                    found |= set((await connection.execute(query)).scalars())
        return found

    async def counts(self, community: str, since: datetime) -> Counts:
        """What happened in a community since a moment, for a status line."""
        seen = sa.and_(t.message.c.community == community, t.message.c.seen_at >= t.naive(since))
        opened = sa.and_(t.unindexed(t.message.c.community) == community, t.case.c.created_at >= t.naive(since))
        acted = sa.and_(seen, *acted_on())
        count, cases = sa.select(sa.func.count()), t.case.join(t.message)
        queries = (
            count.select_from(t.message).where(seen, t.message.c.state != RowState.UNCHANGED, _shown()),
            count.select_from(cases).where(opened, _shown()),
            count.select_from(cases).where(opened, _shown(), t.case.c.state != "open"),
            sa.select(sa.func.count(t.message.c.message.distinct()))
            .select_from(t.message.outerjoin(t.case))
            .where(acted),
        )
        async with self._engine.connect() as connection:
            numbers = (await connection.execute(sa.select(*(query.scalar_subquery() for query in queries)))).one()
        return Counts(*map(int, numbers))

    async def event(self, row: int) -> Message | None:
        """The event a journal row was made from; None once its text or author is no longer kept."""
        async with self._engine.connect() as connection:
            found = (await connection.execute(_LEFT.where(t.message.c.id == row))).one_or_none()
        return None if found is None else self._left(found._mapping).event

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
        found = array("q")
        async with self._engine.connect() as connection, connection.stream(query) as numbers:
            async for some in numbers.scalars().partitions(10_000):
                found.extend(some)
        return found

    async def left(self, numbers: Sequence[int], states: Sequence[RowState]) -> list[UnfinishedMessage]:
        """Those of these rows that are still in these states, in the order of their numbers as given."""
        wanted = sa.and_(t.message.c.id.in_(numbers), t.message.c.state.in_(states))
        async with self._engine.connect() as connection:
            rows = await connection.execute(_LEFT.where(wanted))
            found = {row.id: self._left(row._mapping) for row in rows}
        return [found[number] for number in numbers if number in found]

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
            found = [from_row(row._mapping, self.sealer) async for row in _in_pieces(rows)]
        return [message for message in found if message.probabilities]

    async def recent(self, platform: str, community: str, limit: int) -> list[Message]:
        """What members wrote last in a community and is still kept, newest first; names and titles are none."""
        columns = t.message.c
        wanted = (columns.community == community, columns.platform == platform, columns.room != EXAMPLES)
        named = sa.or_(*(columns.message.contains(one, autoescape=True) for one in (NAME, TITLE)))
        query = sa.select(t.message).where(*wanted, ~named, columns.text_sealed.is_not(None))
        async with self._engine.connect() as connection:
            rows = await connection.execute(query.order_by(columns.seen_at.desc(), columns.id.desc()).limit(limit))
            found = [from_row(row._mapping, self.sealer) async for row in _in_pieces(rows)]
        return [
            Message(row.key, Author("", ""), row.text, row.sent_at, row.quoted, row.attached)
            for row in found
            if row.text or row.quoted
        ]

    async def scores(self, community: str, since: datetime, limit: int = 10_000) -> list[Mapping[str, float]]:
        """Only the probabilities of these messages."""
        wanted = (t.message.c.community == community, t.message.c.seen_at >= t.naive(since))
        column = t.message.c.probabilities
        query = sa.select(column).where(*wanted, column.is_not(None)).order_by(t.message.c.id.desc()).limit(limit)
        async with self._engine.connect() as connection:
            rows = await connection.execute(query)
            found = [nonfinite.believed(row.probabilities) async for row in _in_pieces(rows)]
        return [shares for shares in found if shares]

    async def policy(self, community: str) -> Policy:
        """The community's policy; the default (shadow mode) where none was saved."""
        async with self._engine.connect() as connection:
            query = sa.select(t.policy.c.policy).where(t.policy.c.community == community)
            saved = (await connection.execute(query)).scalar_one_or_none()
        return Policy() if saved is None else as_far_as_valid(saved)

    async def has_messages(self, platform: str, community: str, room: str) -> bool:
        """Whether a message was read in a room, or in a thread of it. Names and titles are none, nor is what was left
        alone."""
        here = sa.or_(t.message.c.room == room, t.message.c.room.startswith(f"{room}/", autoescape=True))
        found = sa.and_(t.message.c.platform == platform, t.message.c.community == community, here)
        named = sa.or_(*(t.message.c.message.contains(one, autoescape=True) for one in (NAME, TITLE)))
        p = t.past_room.c
        there = sa.or_(p.room == room, p.room.startswith(f"{room}/", autoescape=True))
        past = sa.exists().where(p.platform == platform, p.community == community, there, p.messages > 0)
        query = sa.select(sa.or_(sa.exists().where(found, ~named, t.message.c.state != RowState.EXEMPT), past))
        async with self._engine.connect() as connection:
            return bool(await connection.scalar(query))

    async def corrections(self, community: str, limit: int = 500) -> list[tuple[str, str]]:
        """(text, label) of the community's latest corrections that are still kept, newest first."""
        return [(text, label) for text, label, _ in await self.corrected(community, limit)]

    async def corrected(self, community: str, limit: int = 500) -> list[tuple[str, str, MessageKey]]:
        """The same with where each text was written."""
        source = t.correction.join(t.case).join(t.message)
        names = ("platform", "community", "room", "message", "revision")
        query = (
            sa.select(t.message.c.text_sealed, t.correction.c.label, *(t.message.c[name] for name in names))
            .select_from(source)
            .where(t.message.c.community == community, t.message.c.text_sealed.is_not(None))
            .order_by(t.correction.c.id.desc())
            .limit(limit)
        )
        async with self._engine.connect() as connection:
            rows = await connection.execute(query)
            return [(self.sealer.legible(sealed) or "", label, MessageKey(*key)) for sealed, label, *key in rows]

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

    async def _cases(self, wanted: sa.ColumnElement[bool], limit: int) -> list[Case]:
        query = _CASES.where(wanted).order_by(t.case.c.id.desc()).limit(limit)
        async with self._engine.connect() as connection:
            return [self._case(row._mapping) async for row in _in_pieces(await connection.execute(query))]

    def _case(self, row: sa.RowMapping) -> Case:
        known = self.sealer.legible(row["author_sealed"]) if row["author_sealed"] else ""
        author = author_from(known) if known else Author("", row["author"][:8])
        return Case(
            id=row["case_id"],
            message=from_row(row, self.sealer),
            author=author,
            state=row["case_state"],
            moderator=row["moderator"],
            corrected_label=row["corrected_label"],
            undone=row["undone"],
            teaches=bool(row["teaches"]) if row["words"] else None,
            created_at=row["created_at"].replace(tzinfo=UTC),
            edited=row["edited"] or "",
        )


async def _in_pieces(rows: Iterable[R]) -> AsyncIterator[R]:
    """Others have a turn now and then while many rows are unsealed."""
    for place, row in enumerate(rows, 1):
        yield row
        if place % A_PIECE == 0:
            await asyncio.sleep(0)


def _every_left() -> sa.Select[Any]:
    earlier = t.message.alias()
    names = ("platform", "community", "message")
    same = (earlier.c[name] == t.message.c[name] for name in names)
    revises = sa.exists().select_from(earlier).where(*same, earlier.c.id < t.message.c.id)
    return sa.select(t.message, revises.label("revises"))


_LEFT = _every_left()


def _every_case() -> sa.Select[Any]:
    teaches: sa.Select[Any] = sa.select(sa.literal_column("1")).select_from(sa.text("training_example")).where(
        sa.text("training_example.id = (SELECT MAX(id) FROM correction WHERE case_id = \"case\".id)")
    )  # fmt: skip
    later = t.message.alias()
    same = (later.c[name] == t.message.c[name] for name in ("platform", "community", "message", "author"))
    edited = sa.select(later.c.decision["band"].as_string()).where(*same, later.c.id > t.message.c.id)
    edited = edited.where(later.c.decision.is_not(None)).order_by(later.c.id.desc()).limit(1)
    corrected = sa.select(sa.func.count(t.correction.c.id)).where(t.correction.c.case_id == t.case.c.id)
    return sa.select(
        t.message,
        t.case.c.id.label("case_id"),
        t.case.c.state.label("case_state"),
        *(t.case.c[name] for name in ("moderator", "corrected_label", "undone", "created_at")),
        corrected.scalar_subquery().label("words"),
        sa.exists(teaches).label("teaches"),
        edited.scalar_subquery().label("edited"),
    ).select_from(t.case.join(t.message))


_CASES = _every_case()
"""Made once: to build it takes longer than to run it."""


def said(connection: sa.Connection, case: int) -> list[Said]:
    """The words on a case, oldest first, within the caller's transaction."""
    columns = (t.correction.c.moderator, t.correction.c.label, t.correction.c.created_at)
    rows = connection.execute(sa.select(*columns).where(t.correction.c.case_id == case).order_by(t.correction.c.id))
    return [Said(moderator, label, created_at.replace(tzinfo=UTC)) for moderator, label, created_at in rows]


def from_row(row: sa.RowMapping, sealer: Sealer) -> Journalled:
    """A row of the message table; the text is "" once it is not kept."""
    beside = (sealer.legible(row["beside_sealed"]) if row["beside_sealed"] else None) or "[]"
    quoted, attached, unreadable = json.loads(beside) or ("", (), "")
    return Journalled(
        id=row["id"],
        key=MessageKey(*(row[name] for name in ("platform", "community", "room", "message", "revision"))),
        state=RowState(row["state"]),
        text=(sealer.legible(row["text_sealed"]) or "") if row["text_sealed"] else "",
        decision=_decision(row["decision"]),
        probabilities=nonfinite.believed(row["probabilities"]),
        adapter=row["adapter"] or "",
        sent_at=row["sent_at"].replace(tzinfo=UTC),
        author=row["author"],
        tries=row["tries"],
        todo=None if row["todo"] is None else RemainingActions.from_json(row["todo"]),
        unsure=row["unsure"],
        unchanged=[_unchanged(one) for one in row["unchanged"] or ()],
        quoted=quoted,
        attached=tuple(Attached(*one) for one in attached),
        unreadable=unreadable,
    )


def _decision(data: Mapping[str, Any] | None) -> Decision | None:
    """None where there is no decision yet."""
    return Decision.from_json(nonfinite.decided(data)) if data else None


def unchanged_json(action: Action, what: Unchanged, *, undoes: bool) -> dict[str, Any]:
    """What was left as it stood, as kept beside a message."""
    standing = restrictions.to_json(Restriction(what.standing.kind, what.standing.until))  # without a person's words
    return {"action": actions.to_json(action), "standing": standing, "by": what.by, "undoes": undoes}


def _unchanged(data: Mapping[str, Any]) -> UnchangedAction:
    what = Unchanged(restrictions.from_json(data["standing"]), data["by"])
    return UnchangedAction(actions.from_json(data["action"]), what, data["undoes"])


def beside_json(event: Message) -> str | None:
    """What stands in a message beside its author's words, as sealed beside them; None for nothing."""
    if not (event.quoted or event.attached or event.unreadable):
        return None
    return json.dumps([event.quoted, [[one.kind, one.name] for one in event.attached], event.unreadable])


def author_json(author: Author) -> str:
    """An author as sealed beside a message."""
    joined = author.joined_at.isoformat() if author.joined_at else None
    return json.dumps([author.id, author.name, sorted(author.roles), author.is_moderator, author.is_bot, joined])


def author_from(text: str) -> Author:
    """What `author_json` made, now or when it knew no moment of joining."""
    number, name, roles, is_moderator, is_bot, *more = json.loads(text)
    joined = datetime.fromisoformat(more[0]) if more and more[0] else None
    return Author(number, name, frozenset(roles), is_moderator, is_bot, joined)


def _shown() -> sa.ColumnElement[bool]:
    """Not a text that a moderator typed as an example."""
    shown: sa.ColumnElement[bool] = t.message.c.decision["band"].as_string().is_distinct_from(str(Band.EXAMPLE))
    return shown


def _numbered(platform: str, community: str, message: str) -> sa.ColumnElement[bool]:
    return sa.and_(t.message.c.platform == platform, t.message.c.community == community, t.message.c.message == message)


def acted_on() -> tuple[sa.ColumnElement[bool], ...]:
    """Done and not undone; to be used where cases are joined."""
    undone = sa.func.coalesce(t.case.c.undone, False)
    return t.message.c.state == RowState.DONE, t.message.c.enforced.is_(True), undone.is_(False)
