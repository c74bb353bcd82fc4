"""One method per domain event; each is kept whole or not at all, and many share one commit when many come at once.

SQLite in WAL mode with `synchronous=FULL`: what a method returned from is on disk. Texts are sealed before they get
here and unsealed on the way out. Times are UTC.
"""

import contextlib
import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from alembic import command, script
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from sqlalchemy.dialects.sqlite import insert
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from bot.actions import to_json
from bot.events import Author, Message, MessageKey
from bot.policy import Band, Decision, Policy
from bot.store import tables as t
from bot.store.audit import Audit
from bot.store.consents import Consents
from bot.store.lessons import Lessons
from bot.store.sealing import Sealer
from bot.store.writer import Writer
from model.classifier import Verdict

UNFINISHED = ("seen", "scored", "intended", "sent")


class NewerStore(Exception):
    """The store was written by a newer version; install that version or restore an older backup."""


@dataclass(frozen=True, slots=True)
class Journalled:
    """A message's row in the journal."""

    id: int
    key: MessageKey
    state: str
    text: str
    decision: Mapping[str, Any]
    probabilities: Mapping[str, float]
    adapter: str
    sent_at: datetime


@dataclass(frozen=True, slots=True)
class Case:
    """One alert card and its history, with the message it is about."""

    id: int
    message: Journalled
    author: Author
    state: str
    moderator: str | None
    corrected_label: str | None
    undone: bool
    teaches: bool | None
    created_at: datetime


def _config(connection: sa.Connection | None = None) -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).with_name("migrations")))
    config.attributes["connection"] = connection
    return config


def migrate(connection: sa.Connection) -> None:
    """Brings the schema to this version; raises `NewerStore` for one from the future."""
    known = {revision.revision for revision in script.ScriptDirectory.from_config(_config()).walk_revisions()}
    there = MigrationContext.configure(connection).get_current_revision()
    if there is not None and there not in known:
        raise NewerStore(
            f"the store has schema {there}, this version knows up to {max(known)}; "
            f"install the newer version or restore an older backup; nothing was changed"
        )
    command.upgrade(_config(connection), "head")


class Store:
    """Open it with `async with Store.open(path, sealer)`."""

    def __init__(self, engine: AsyncEngine, sealer: Sealer) -> None:
        self._engine = engine
        self._writer = Writer(engine)
        self.consents = Consents(engine, self._writer)
        self.lessons = Lessons(engine)
        self.audit = Audit(engine, self._writer)
        self.sealer = sealer

    @classmethod
    @contextlib.asynccontextmanager
    async def open(cls, path: Path, sealer: Sealer) -> AsyncIterator["Store"]:
        """Migrates and yields the store; raises `NewerStore`, `KeyMissing`."""
        path.parent.mkdir(parents=True, exist_ok=True)
        engine = create_async_engine(f"sqlite+aiosqlite:///{path}")

        @sa.event.listens_for(engine.sync_engine, "connect")
        def _pragmas(connection: Any, _record: object) -> None:
            cursor = connection.cursor()
            for pragma in ("journal_mode=WAL", "synchronous=FULL", "busy_timeout=60000", "foreign_keys=ON"):
                cursor.execute(f"PRAGMA {pragma}")
            cursor.close()

        try:
            async with engine.begin() as connection:
                await connection.run_sync(migrate)
            store = cls(engine, sealer)
            await store._check_key()
            yield store
        finally:
            await engine.dispose()

    async def record_seen(self, event: Message, now: datetime) -> int | None:
        """Commits a message before anything else happens to it; None when this revision is known already."""
        values = {
            **_columns(event.key),
            "author": self.author(event),
            "author_sealed": self.sealer.seal(_author_json(event.author)),
            "text_sealed": self.sealer.seal(event.text),
            "sent_at": _naive(event.sent_at),
            "seen_at": _naive(now),
            "state": "seen",
        }
        added = insert(t.message).values(values).on_conflict_do_nothing().returning(t.message.c.id)

        async def work(connection: AsyncConnection) -> int | None:
            row_id: int | None = (await connection.execute(added)).scalar_one_or_none()
            return row_id

        return await self._writer.write(work)

    async def record_state(self, row: int, state: str) -> None:
        """Moves a message along the journal."""
        await self._execute(sa.update(t.message).where(t.message.c.id == row).values(state=state))

    async def record_decision(
        self, row: int, verdict: Verdict, decision: Mapping[str, Any], state: str, now: datetime, *, case: bool
    ) -> int | None:
        """Verdict, decision and, where there is something to show, the case: in one transaction. Returns the case."""
        values: dict[str, Any] = {"state": state, "adapter": verdict.adapter, "decision": dict(decision)}
        values["probabilities"] = {str(label): p for label, p in verdict.probabilities.items()}
        values["enforced"] = bool(decision["enforced"]) and decision["band"] == Band.ACTION
        if not case:
            values["author_sealed"] = None
        scored = sa.update(t.message).where(t.message.c.id == row).values(values)
        opened = {"message_id": row, "state": "open", "undone": False, "created_at": _naive(now)}
        added = insert(t.case).values(opened).on_conflict_do_nothing().returning(t.case.c.id)

        async def work(connection: AsyncConnection) -> int | None:
            await connection.execute(scored)
            return (await connection.execute(added)).scalar_one_or_none() if case else None

        return await self._writer.write(work)

    async def record_correction(
        self, case: int, moderator: str, label: str, basis: str | None, now: datetime, *, confirms: bool
    ) -> None:
        """A moderator's word on the label; the last word on a case counts, every one is kept."""
        word = {"moderator": moderator, "label": label, "basis": basis, "created_at": _naive(now)}
        values = {"moderator": moderator, "corrected_label": None if confirms else label}
        values["state"] = "confirmed" if confirms else "corrected"
        await self._execute(
            sa.insert(t.correction).values(case_id=case, **word),
            sa.update(t.case).where(t.case.c.id == case).values(values),
        )

    async def record_undone(self, case: int, moderator: str) -> bool:
        """The action was wrong here; teaches nothing. False when it was undone before: the first click wins."""
        still = sa.and_(t.case.c.id == case, t.case.c.undone.is_(False))
        undone = sa.update(t.case).where(still).values(undone=True, moderator=moderator)
        closed = sa.update(t.case).where(t.case.c.id == case, t.case.c.state == "open").values(state="undone")

        async def work(connection: AsyncConnection) -> bool:
            first = (await connection.execute(undone)).rowcount == 1
            await connection.execute(closed)
            return first

        return await self._writer.write(work)

    async def cases(self, community: str, limit: int = 50) -> list[Case]:
        """The community's cases, newest first."""
        return await self._cases(t.message.c.community == community, limit)

    async def case(self, number: int) -> Case | None:
        """One case, or None."""
        found = await self._cases(t.case.c.id == number, 1)
        return found[0] if found else None

    async def unfinished(self, platform: str) -> list[Journalled]:
        """Messages a crash left half-way, oldest first."""
        wanted = sa.and_(t.message.c.platform == platform, t.message.c.state.in_(UNFINISHED))
        async with self._engine.connect() as connection:
            rows = await connection.execute(sa.select(t.message).where(wanted).order_by(t.message.c.id))
            return [self._journalled(row._mapping) for row in rows]

    async def event(self, row: int) -> Message | None:
        """The event a journal row was made from; None once its text or author is no longer kept."""
        async with self._engine.connect() as connection:
            found = (await connection.execute(sa.select(t.message).where(t.message.c.id == row))).one_or_none()
        if found is None or found.text_sealed is None or found.author_sealed is None:
            return None
        old = self._journalled(found._mapping)
        return Message(old.key, _author(self.sealer.unseal(found.author_sealed)), old.text, old.sent_at)

    async def messages(self, community: str, since: datetime, limit: int = 10_000) -> list[Journalled]:
        """Scored messages of a community since a moment, newest first, for previews and the room's history."""
        wanted = sa.and_(
            t.message.c.community == community,
            t.message.c.seen_at >= _naive(since),
            t.message.c.probabilities.is_not(None),
        )
        async with self._engine.connect() as connection:
            rows = await connection.execute(
                sa.select(t.message).where(wanted).order_by(t.message.c.id.desc()).limit(limit)
            )
            return [self._journalled(row._mapping) for row in rows]

    async def standing(self, event: Message, strikes_since: datetime, now: datetime) -> tuple[int, int]:
        """(the author's strikes that still count, the community's actions within the last hour)."""
        acted = sa.and_(
            t.message.c.community == event.key.community,
            t.message.c.state == "done",
            t.message.c.enforced.is_(True),
            sa.func.coalesce(t.case.c.undone, False).is_(False),
        )
        source = sa.select(sa.func.count()).select_from(t.message.outerjoin(t.case))
        mine = source.where(
            acted, t.message.c.author == self.author(event), t.message.c.seen_at >= _naive(strikes_since)
        )
        lately = source.where(acted, t.message.c.seen_at >= _naive(now - timedelta(hours=1)))
        async with self._engine.connect() as connection:
            both = await connection.execute(sa.select(mine.scalar_subquery(), lately.scalar_subquery()))
            strikes, actions = both.one()
        return int(strikes), int(actions)

    async def policy(self, community: str) -> Policy:
        """The community's policy; the default (shadow mode) where none was saved."""
        async with self._engine.connect() as connection:
            query = sa.select(t.policy.c.policy).where(t.policy.c.community == community)
            saved = (await connection.execute(query)).scalar_one_or_none()
        return Policy() if saved is None else Policy.model_validate(saved)

    async def save_policy(self, community: str, policy: Policy, now: datetime) -> None:
        """From the next message on, this policy decides."""
        values = {"policy": policy.model_dump(mode="json"), "updated_at": _naive(now)}
        saved = insert(t.policy).values(community=community, **values)
        await self._execute(saved.on_conflict_do_update(index_elements=["community"], set_=values))

    async def corrections(self, community: str, limit: int = 500) -> list[tuple[str, str]]:
        """(text, label) of the community's latest corrections that are still kept, newest first."""
        source = t.correction.join(t.case).join(t.message)
        query = (
            sa.select(t.message.c.text_sealed, t.correction.c.label)
            .select_from(source)
            .where(t.message.c.community == community, t.message.c.text_sealed.is_not(None))
            .order_by(t.correction.c.id.desc())
            .limit(limit)
        )
        async with self._engine.connect() as connection:
            return [(self.sealer.unseal(sealed), label) for sealed, label in await connection.execute(query)]

    async def forget_texts(self, before: datetime) -> int:
        """Retention: texts and author ids seen before this moment go; returns how many messages that were."""
        old = sa.and_(t.message.c.seen_at < _naive(before), t.message.c.text_sealed.is_not(None))
        forgotten = sa.update(t.message).where(old).values(text_sealed=None, author_sealed=None)

        async def work(connection: AsyncConnection) -> int:
            return (await connection.execute(forgotten)).rowcount

        return await self._writer.write(work)

    async def record_refresh(self, started_at: datetime, finished_at: datetime, outcome: str) -> None:
        """One line of the refresh history."""
        values = {"started_at": _naive(started_at), "finished_at": _naive(finished_at), "outcome": outcome}
        await self._execute(sa.insert(t.refresh).values(values))

    def author(self, event: Message) -> str:
        """The author's pseudonym in this community."""
        return self.sealer.author(event.key.platform, event.key.community, event.author.id)

    async def _execute(self, *statements: sa.Executable) -> None:
        """All of them, or none."""

        async def work(connection: AsyncConnection) -> None:
            for statement in statements:
                await connection.execute(statement)

        await self._writer.write(work)

    async def _cases(self, wanted: sa.ColumnElement[bool], limit: int) -> list[Case]:
        teaches: sa.Select[Any] = sa.select(sa.literal_column("1")).select_from(sa.text("training_example")).where(
            sa.text("training_example.id = (SELECT MAX(id) FROM correction WHERE case_id = \"case\".id)")
        )  # fmt: skip
        corrected = sa.select(sa.func.count(t.correction.c.id)).where(t.correction.c.case_id == t.case.c.id)
        query = (
            sa.select(
                t.message,
                t.case.c.id.label("case_id"),
                t.case.c.state.label("case_state"),
                *(t.case.c[name] for name in ("moderator", "corrected_label", "undone", "created_at")),
                corrected.scalar_subquery().label("words"),
                sa.exists(teaches).label("teaches"),
            )
            .select_from(t.case.join(t.message))
            .where(wanted)
            .order_by(t.case.c.id.desc())
            .limit(limit)
        )
        async with self._engine.connect() as connection:
            return [self._case(row._mapping) for row in await connection.execute(query)]

    def _case(self, row: sa.RowMapping) -> Case:
        sealed = row["author_sealed"]
        author = _author(self.sealer.unseal(sealed)) if sealed else Author("", row["author"][:8])
        return Case(
            id=row["case_id"],
            message=self._journalled(row),
            author=author,
            state=row["case_state"],
            moderator=row["moderator"],
            corrected_label=row["corrected_label"],
            undone=row["undone"],
            teaches=bool(row["teaches"]) if row["words"] else None,
            created_at=row["created_at"].replace(tzinfo=UTC),
        )

    def _journalled(self, row: sa.RowMapping) -> Journalled:
        return Journalled(
            id=row["id"],
            key=MessageKey(*(row[name] for name in ("platform", "community", "room", "message", "revision"))),
            state=row["state"],
            text=self.sealer.unseal(row["text_sealed"]) if row["text_sealed"] else "",
            decision=row["decision"] or {},
            probabilities=row["probabilities"] or {},
            adapter=row["adapter"] or "",
            sent_at=row["sent_at"].replace(tzinfo=UTC),
        )

    async def _check_key(self) -> None:
        """Unseals one text, so that a wrong key is found at start and not in the middle of a case."""
        query = sa.select(t.message.c.text_sealed).where(t.message.c.text_sealed.is_not(None)).limit(1)
        async with self._engine.connect() as connection:
            if (sealed := (await connection.execute(query)).scalar_one_or_none()) is not None:
                self.sealer.unseal(sealed)


def _columns(key: MessageKey) -> dict[str, Any]:
    return {name: getattr(key, name) for name in ("platform", "community", "room", "message", "revision")}


def _naive(moment: datetime) -> datetime:
    """SQLite keeps no time zone: everything in it is UTC."""
    return moment.astimezone(UTC).replace(tzinfo=None)


def _author_json(author: Author) -> str:
    return json.dumps([author.id, author.name, sorted(author.roles), author.is_moderator, author.is_bot])


def _author(text: str) -> Author:
    number, name, roles, is_moderator, is_bot = json.loads(text)
    return Author(number, name, frozenset(roles), is_moderator, is_bot)


def decision_json(decision: Decision) -> dict[str, Any]:
    """A decision as the journal keeps it."""
    return {
        "band": str(decision.band),
        "label": str(decision.label),
        "score": decision.score,
        "threshold": decision.threshold,
        "actions": [to_json(action) for action in decision.actions],
        "enforced": decision.enforced,
        "reason": decision.reason,
        "flags": list(decision.flags),
    }
