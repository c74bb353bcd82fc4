"""What moderators do with cases, as the store keeps it: each method is one transaction."""

import secrets
from collections.abc import Sequence
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine

from bot.domain.action import Action, to_json
from bot.domain.case import CaseState
from bot.domain.correction import CorrectionOutcome, compare
from bot.domain.decision import example
from bot.domain.event import EXAMPLES, MessageKey
from bot.domain.row_state import RowState
from bot.store import journal
from bot.store import tables as t
from bot.store.case_queries import corrections_of_case
from bot.store.message_rows import columns_of
from bot.store.queries import Queries
from bot.store.sealing import Sealer
from bot.store.writer import Writer
from model.labels import Label


class CaseRecords(Queries):
    """The store's methods for moderators' words, Undo and what is posted back."""

    def __init__(self, engine: AsyncEngine, writer: Writer, sealer: Sealer) -> None:
        super().__init__(engine, sealer)
        self._writer = writer

    async def record_correction(
        self, case: int, moderator: str, label: str, basis: str | None, now: datetime, *, confirms: bool
    ) -> CorrectionOutcome:
        """A moderator's word on the label, and what it came to; the last word on a case counts, every one is kept.

        A repeated word (`SAME`) is not written. One that agrees with another moderator's leaves the case as it is, its
        moderator and its basis too.
        """
        spoken = {"case_id": case, "moderator": moderator, "label": label, "created_at": t.naive(now)}
        last = sa.select(t.correction.c.basis).where(t.correction.c.case_id == case)
        last = last.order_by(t.correction.c.id.desc()).limit(1)
        values = {"moderator": moderator, "corrected_label": None if confirms else label}
        values["state"] = CaseState.CONFIRMED if confirms else CaseState.CORRECTED
        changed = sa.update(t.case).where(t.case.c.id == case).values(values)

        def work(connection: sa.Connection) -> CorrectionOutcome:
            word = compare(corrections_of_case(connection, case), moderator, label)
            if word is not CorrectionOutcome.SAME:
                by = basis or (connection.scalar(last) if word is CorrectionOutcome.AGREED else None)
                connection.execute(sa.insert(t.correction).values(**spoken, basis=by))
                if word is not CorrectionOutcome.AGREED:
                    connection.execute(changed)
            return word

        return await self._writer.write(work)

    async def record_example(
        self, community: str, platform: str, moderator: str, text: str, label: str, now: datetime
    ) -> int:
        """A text a moderator typed to teach: a confirmed case that no moderator is shown and no count has. Its number.

        `moderator` is "platform:id"; the example's author is that member's pseudonym.
        """
        written = sa.insert(t.message).values(
            **columns_of(MessageKey(platform, community, EXAMPLES, secrets.token_hex(16))),
            author=self.sealer.author(platform, community, moderator.removeprefix(f"{platform}:")),
            text_sealed=self.sealer.seal(text),
            sent_at=t.naive(now),
            seen_at=t.naive(now),
            state=RowState.DONE,
            decision=example(Label(label)).to_json(),
            enforced=False,
        )
        card = {"state": CaseState.CONFIRMED, "moderator": moderator, "undone": False, "created_at": t.naive(now)}
        word = {"moderator": moderator, "label": label, "basis": "authored", "created_at": t.naive(now)}

        def work(connection: sa.Connection) -> int:
            row = connection.execute(written.returning(t.message.c.id)).scalar_one()
            confirmed = sa.insert(t.case).values(message_id=row, **card).returning(t.case.c.id)
            case: int = connection.execute(confirmed).scalar_one()
            connection.execute(sa.insert(t.correction).values(case_id=case, **word))
            return case

        return await self._writer.write(work)

    async def record_undone(self, case: int, moderator: str, todo: Sequence[Action] = ()) -> bool:
        """The action was wrong here; teaches nothing. False when it was undone before: the first click wins.

        `todo` is to be taken back: the message is "undoing" from now on, and what was still to be done about it is not
        done any more.
        """
        not_undone = sa.and_(t.case.c.id == case, t.case.c.undone.is_(False))
        undone = sa.update(t.case).where(not_undone).values(undone=True, moderator=moderator)
        closed = (
            sa.update(t.case)
            .where(t.case.c.id == case, t.case.c.state == CaseState.OPEN)
            .values(state=CaseState.UNDONE)
        )
        listed = [to_json(action) for action in todo]

        def work(connection: sa.Connection) -> bool:
            first = connection.execute(undone).rowcount == 1
            connection.execute(closed)
            if first and listed:
                journal.undo(connection, case, listed)
            return first

        return await self._writer.write(work)

    async def record_posted_back(self, case: int) -> bool:
        """A removed text is shown again. False when it was before: only the first may post it."""
        first = sa.and_(t.case.c.id == case, t.case.c.posted_back.is_(False))
        posted = sa.update(t.case).where(first).values(posted_back=True)

        def work(connection: sa.Connection) -> bool:
            return connection.execute(posted).rowcount == 1

        return await self._writer.write(work)

    async def record_not_posted_back(self, case: int) -> None:
        """The platform refused it: it may be tried again."""
        await self._execute(sa.update(t.case).where(t.case.c.id == case).values(posted_back=False))

    async def _execute(self, *statements: sa.Executable) -> None:
        """All of them, or none."""

        def work(connection: sa.Connection) -> None:
            for statement in statements:
                connection.execute(statement)

        await self._writer.write(work)
