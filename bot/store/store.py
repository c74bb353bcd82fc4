"""One method per domain event; each is kept whole or not at all, and many share one commit when many come at once.

SQLite in WAL mode with `synchronous=FULL`: what a method returned from is on disk. Texts are sealed before they get
here and unsealed on the way out. Times are UTC.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import sqlalchemy as sa
import structlog
from sqlalchemy.dialects.sqlite import insert
from sqlalchemy.ext.asyncio import AsyncEngine

from bot.domain.action import Action, to_json
from bot.domain.decision import Band, Decision
from bot.domain.event import Message
from bot.domain.policy import Policy
from bot.domain.remaining_actions import RemainingActions
from bot.domain.restriction import Unchanged
from bot.domain.row_state import RowState
from bot.store import journal, nonfinite
from bot.store import tables as t
from bot.store.albums import Albums
from bot.store.audit import Audit
from bot.store.backups import KEEP, Backups, Restored
from bot.store.cards import Cards
from bot.store.case_records import CaseRecords
from bot.store.chats import Chats
from bot.store.communities import Communities
from bot.store.consents import Consents
from bot.store.engines import engines, migrate, schema_of
from bot.store.inbox import Inbox
from bot.store.integrity import overwrite_freed
from bot.store.message_rows import author_json, beside_json, columns_of, unchanged_json
from bot.store.pauses import Pauses
from bot.store.personal_data import PersonalData
from bot.store.reports import Reports, open_case
from bot.store.restrictions import Restrictions
from bot.store.retention import Retention
from bot.store.revisions import Revisions
from bot.store.sealing import KeyMissing, Sealer
from bot.store.sessions import Sessions
from bot.store.standings import Standings
from bot.store.timed_bans import TimedBans
from bot.store.training_views import TrainingViews
from bot.store.unknown_kinds import UnknownKinds
from bot.store.watermarks import Watermarks
from bot.store.writer import Writer
from model.classifier import Verdict

KEY_TRIED_ON = 20
log = structlog.get_logger()


class Store(CaseRecords):
    """Open it with `async with Store.open(path, sealer)`. What it can be asked is in `Queries`."""

    def __init__(
        self,
        engine: AsyncEngine,
        writer: Writer,
        sealer: Sealer,
        backups: Backups,
        recovery: Restored | None = None,
        newest_at_open: int = 0,
    ) -> None:
        super().__init__(engine, writer, sealer)
        self.backups = backups
        self.damaged = asyncio.Event()
        """Set when the file turns out to be damaged: a new start repairs it."""
        self.recovery = recovery
        """What this start had to repair; None for nothing."""
        self.newest_at_open = newest_at_open
        """The journal's last row when this was opened, 0 for none: up to there it is what a former process received."""
        self.consents = Consents(engine, self._writer)
        self.training_views = TrainingViews(engine)
        self.audit = Audit(engine, self._writer)
        self.communities = Communities(engine, self._writer, sealer)
        self.watermarks = Watermarks(engine, self._writer)
        self.cards = Cards(engine, self._writer)
        self.reports = Reports(engine, self._writer)
        self.inbox = Inbox(engine, self._writer, sealer)
        self.chats = Chats(engine, self._writer)
        self.timed_bans = TimedBans(engine, self._writer, sealer)
        self.restrictions = Restrictions(engine, self._writer, sealer)
        self.albums = Albums(engine, self._writer)
        self.unknown = UnknownKinds(self._writer)
        self.personal_data = PersonalData(engine, self._writer, sealer)
        self.pauses = Pauses(engine, self._writer)
        self.revisions = Revisions(engine, sealer)
        self.standings = Standings(engine, sealer)
        self.sessions = Sessions(engine, self._writer, sealer)
        self._retention = Retention(engine, self._writer)

    @classmethod
    @contextlib.asynccontextmanager
    async def open(cls, path: Path, sealer: Sealer) -> AsyncIterator["Store"]:
        """Repairs it from the backups if need be, migrates and yields it; raises `NewerStore`, `KeyMissing`,
        `Damaged`."""
        path.parent.mkdir(parents=True, exist_ok=True)
        backups = Backups(path)
        is_new = not await asyncio.to_thread(path.exists)
        recovery = backups.recover()
        engine, writing = engines(path)
        async with contextlib.AsyncExitStack() as stack:
            stack.push_async_callback(engine.dispose)
            stack.callback(writing.dispose)
            with writing.begin() as connection:
                mended = nonfinite.mend(connection)
                migrate(connection)
                version = schema_of(connection)
                newest = journal.newest(connection)
            if overwrite_freed(path) and not is_new:
                log.info("what an earlier version had left of forgotten texts in the store's free pages is overwritten")
            if mended:
                log.warning("scores that were no numbers were found and taken for none", rows=mended)
            if mended or not backups.is_up_to_date(version):
                backups.begin_anew()
            writer = Writer(writing, backups.open_log())
            stack.callback(writer.close)
            store = cls(engine, writer, sealer, backups, recovery, newest)
            loop = asyncio.get_running_loop()
            writer.on_damage = lambda: loop.call_soon_threadsafe(store.damaged.set)
            await store._check_key()
            yield store

    async def back_up(self) -> None:
        """A backup of what is committed by now; writing waits only while it is copied. Raises `Damaged`, OSError and
        the library's errors, and then older backups stay.

        What somebody erased since the last one is not to lie in older ones: then it is the only one.
        """
        keep = 1 if self.personal_data.erased.is_set() else KEEP
        self.personal_data.erased.clear()
        try:
            await self._writer.between(self.backups.copy)
            await asyncio.to_thread(self.backups.finish, keep)
        except BaseException:
            if keep == 1:
                self.personal_data.erased.set()
            raise

    async def record_seen(self, event: Message, now: datetime) -> journal.Seen | None:
        """Commits a message before anything else happens to it; None when this revision is known already."""
        key = event.key
        row = (
            *(key.platform, key.community, key.room, key.message, key.revision),
            self.author(event),
            self.sealer.seal(author_json(event.author)),
            self.sealer.seal(event.text),
            self._beside(event),
            journal.moment(event.sent_at),
            journal.moment(now),
        )
        return await self._writer.write_row(journal.add, row)

    async def record_state(self, row: int, state: RowState) -> None:
        """Moves a message along the journal."""
        await self._writer.write_row(journal.move, (row, state))

    async def record_progress(
        self,
        row: int,
        state: RowState,
        todo: Sequence[Action],
        outcome: RowState,
        unsure: Action | None = None,
        *,
        undoes: bool = False,
    ) -> None:
        """What is still to be done about a message, or `undoes`: to be taken back; "sent" says that the first of it may
        have been done.

        `outcome` is what has come of the rest so far ("done", "failed", "gone"). `unsure` marks an action that may have
        been done and is not repeated. Once a moderator has undone it, only what `undoes` is recorded.
        """
        rest = RemainingActions(tuple(todo), outcome).to_json()
        step = journal.Progress(row, state, rest, unsure.name if unsure else None, undoes)
        await self._writer.write_row(journal.progress, step)

    async def record_unchanged(self, row: int, action: Action, unchanged: Unchanged, *, undoes: bool = False) -> None:
        """What an action, or its undoing, left as it stood: the card says so. Recorded again it replaces itself."""
        one = unchanged_json(action, unchanged, undoes=undoes)
        row_wanted, column = t.message.c.id == row, t.message.c.unchanged

        def work(connection: sa.Connection) -> None:
            known = connection.execute(sa.select(column).where(row_wanted)).scalar_one_or_none() or []
            others = [other for other in known if (other["action"], other["undoes"]) != (one["action"], undoes)]
            connection.execute(sa.update(t.message).where(row_wanted).values(unchanged=[*others, one]))

        await self._writer.write(work)

    async def record_tried(self, row: int, count: int) -> None:
        """How often a message has been tried, the try that is about to begin included."""
        await self._writer.write_row(journal.tried, (row, count))

    async def record_unread(self, row: int, decision: Decision, now: datetime) -> int | None:
        """Nobody could score it: it is not tried again, and becomes a case. Returns the case."""
        unread = journal.Scored(
            row, RowState.FAILED, None, None, decision.to_json(), enforced=False, opens=True, now=now
        )
        return await self._writer.write_row(journal.score, unread)

    async def record_decision(
        self,
        row: int,
        verdict: Verdict,
        decision: Decision,
        state: RowState,
        now: datetime,
        *,
        case: bool,
        takes: int | None = None,
        todo: Sequence[Action] | None = None,
    ) -> int | None:
        """Verdict, decision and, where there is something to show, the case: in one transaction. Returns the case.

        `takes` is the case of an earlier revision that is about this one from now on, unless it was answered meanwhile.
        `todo` is what is still to be done of the decision's actions; None is all of them.
        """
        rest = None if todo is None else [to_json(action) for action in todo]
        scored = journal.Scored(row, state, **_scored(verdict, decision), opens=case, now=now, takes=takes, todo=rest)
        return await self._writer.write_row(journal.score, scored)

    async def record_shown(self, event: Message, verdict: Verdict | None, decision: Decision, now: datetime) -> int:
        """A member reported a message, which may be none of the journal's: its case, opened if there was none.

        A row without a decision (exempt, or still waiting, and then its turn comes all the same) gets this one; an
        existing decision stays. `verdict` is None where there was nothing to score. The author becomes known again,
        but for a text that was forgotten or erased. Nothing is done by this, so it is no strike.
        """
        key, scored = columns_of(event.key), _scored(verdict, decision) | {"enforced": False}
        revision = sa.and_(*(t.message.c[name] == value for name, value in key.items()))
        added = insert(t.message).values(self._sealed(event, now) | {"state": RowState.DONE, **scored})
        decided = sa.update(t.message).where(revision, t.message.c.decision.is_(None)).values(scored)
        known = sa.update(t.message).where(
            revision, t.message.c.text_sealed.is_not(None), t.message.c.author_sealed.is_(None)
        )
        statements = (
            added.on_conflict_do_nothing(),
            decided,
            known.values(author_sealed=self.sealer.seal(author_json(event.author))),
        )

        def work(connection: sa.Connection) -> int:
            for statement in statements:
                connection.execute(statement)
            row = connection.execute(sa.select(t.message.c.id).where(revision)).scalar_one()
            return open_case(connection, row, now)

        return await self._writer.write(work)

    async def save_policy(self, community: str, policy: Policy, now: datetime) -> None:
        """From the next message on, this policy decides."""
        values = {"policy": policy.model_dump(mode="json"), "updated_at": t.naive(now)}
        saved = insert(t.policy).values(community=community, **values)
        await self._execute(saved.on_conflict_do_update(index_elements=["community"], set_=values))

    async def forget_texts(self, before: datetime) -> int:
        """Retention: see `Retention.forget`. Returns how many texts that were."""
        return await self._retention.forget(before)

    async def record_refresh(self, started_at: datetime, finished_at: datetime, outcome: str) -> None:
        """One line of the refresh history."""
        values = {"started_at": t.naive(started_at), "finished_at": t.naive(finished_at), "outcome": outcome}
        await self._execute(sa.insert(t.refresh).values(values))

    def _sealed(self, event: Message, now: datetime) -> dict[str, Any]:
        return {
            **columns_of(event.key),
            "author": self.author(event),
            "author_sealed": self.sealer.seal(author_json(event.author)),
            "text_sealed": self.sealer.seal(event.text),
            "beside_sealed": self._beside(event),
            "sent_at": t.naive(event.sent_at),
            "seen_at": t.naive(now),
        }

    def _beside(self, event: Message) -> bytes | None:
        beside = beside_json(event)
        return None if beside is None else self.sealer.seal(beside)

    async def _check_key(self) -> None:
        """Unseals a few texts, so that a wrong key is found at start and not in the middle of a case; one that cannot
        be read among others that can is damaged."""
        query = sa.select(t.message.c.text_sealed).where(t.message.c.text_sealed.is_not(None)).limit(KEY_TRIED_ON)
        async with self._engine.connect() as connection:
            sealed = list((await connection.execute(query)).scalars())
        for number, one in enumerate(sealed, 1):
            try:
                self.sealer.unseal(one)
            except KeyMissing:
                if number == len(sealed):
                    raise
            else:
                return


def _scored(verdict: Verdict | None, decision: Decision) -> dict[str, Any]:
    return {
        "adapter": verdict and verdict.adapter,
        "probabilities": sa.null()
        if verdict is None
        else {str(label): p for label, p in verdict.probabilities.items()},
        "decision": decision.to_json(),
        "enforced": decision.enforced and decision.band is Band.ACTION,
    }
