"""What can be asked of the cases and of what moderators said; none of it changes anything."""

from collections.abc import Sequence
from datetime import UTC
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine

from bot.domain.case import Case, CaseState
from bot.domain.correction import Correction
from bot.domain.decision import Band
from bot.domain.event import Author, MessageKey
from bot.store import tables as t
from bot.store.message_queries import AT_ONCE, numbered
from bot.store.message_rows import author_from, from_row, in_pieces
from bot.store.sealing import Sealer


class CaseQueries:
    """The store's questions about cases."""

    def __init__(self, engine: AsyncEngine, sealer: Sealer) -> None:
        self._engine = engine
        self.sealer = sealer

    async def cases(self, community: str, limit: int = 50) -> list[Case]:
        """The community's cases, newest first; the texts moderators typed as examples are not among them."""
        return await self._cases(sa.and_(t.unindexed(t.message.c.community) == community, without_examples()), limit)

    async def case(self, number: int) -> Case | None:
        """One case, or None."""
        cases = await self._cases(t.case.c.id == number, 1)
        return cases[0] if cases else None

    async def cases_of(self, numbers: Sequence[int]) -> list[Case]:
        """Those of these cases that there are, oldest first; many at once."""
        cases: list[Case] = []
        for start in range(0, len(numbers), AT_ONCE):
            some = numbers[start : start + AT_ONCE]
            cases += reversed(await self._cases(t.case.c.id.in_(some), len(some)))
        return sorted(cases, key=lambda case: case.id)

    async def history(self, community: str, author: str, limit: int = 20) -> list[Case]:
        """Cases of one author's messages, newest first; `author` is the pseudonym."""
        by_author = sa.and_(t.message.c.community == community, t.message.c.author == author)
        return await self._cases(sa.and_(by_author, without_examples()), limit)

    async def case_of(self, platform: str, community: str, message: str) -> Case | None:
        """The case of a platform's message, in whatever room: of the latest revision that has one."""
        query = (
            sa.select(t.case.c.id)
            .select_from(t.message.join(t.case))
            .where(numbered(platform, community, message))
            .order_by(t.message.c.revision.desc(), t.message.c.id.desc())
            .limit(1)
        )
        async with self._engine.connect() as connection:
            number = (await connection.execute(query)).scalar_one_or_none()
        return None if number is None else await self.case(number)

    async def words(self, case: int) -> list[Correction]:
        """Every moderator's word on a case, oldest first."""
        async with self._engine.connect() as connection:
            return await connection.run_sync(corrections_of_case, case)

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

    async def _cases(self, wanted: sa.ColumnElement[bool], limit: int) -> list[Case]:
        query = _CASES.where(wanted).order_by(t.case.c.id.desc()).limit(limit)
        async with self._engine.connect() as connection:
            return [self._case(row._mapping) async for row in in_pieces(await connection.execute(query))]

    def _case(self, row: sa.RowMapping) -> Case:
        unsealed = self.sealer.legible(row["author_sealed"]) if row["author_sealed"] else ""
        author = author_from(unsealed) if unsealed else Author("", row["author"][:8])
        return Case(
            id=row["case_id"],
            message=from_row(row, self.sealer),
            author=author,
            state=CaseState(row["case_state"]),
            moderator=row["moderator"],
            corrected_label=row["corrected_label"],
            undone=row["undone"],
            teaches=bool(row["teaches"]) if row["words"] else None,
            created_at=row["created_at"].replace(tzinfo=UTC),
            edited=row["edited"] or "",
        )


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


def corrections_of_case(connection: sa.Connection, case: int) -> list[Correction]:
    """The words on a case, oldest first, within the caller's transaction."""
    columns = (t.correction.c.moderator, t.correction.c.label, t.correction.c.created_at)
    rows = connection.execute(sa.select(*columns).where(t.correction.c.case_id == case).order_by(t.correction.c.id))
    return [Correction(moderator, label, created_at.replace(tzinfo=UTC)) for moderator, label, created_at in rows]


def without_examples() -> sa.ColumnElement[bool]:
    """Not a text that a moderator typed as an example."""
    shown: sa.ColumnElement[bool] = t.message.c.decision["band"].as_string().is_distinct_from(str(Band.EXAMPLE))
    return shown
