"""The pipeline: event -> views -> verdict -> decision -> journal -> actions."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import structlog

from bot.domain.case import Case
from bot.domain.decision import Decision, unread_decision
from bot.domain.event import Message, MessageKey
from bot.domain.notice import Notice
from bot.domain.platform import Platform
from bot.domain.policy import Mode, Policy, Standing, decide, exemption
from bot.domain.row_state import RowState
from bot.pipeline.decisions import Decisions
from bot.pipeline.edits import is_unchanged
from bot.pipeline.enforcement import Enforcement, UndoResult
from bot.pipeline.fair_queue import Throttle
from bot.pipeline.hourly_cap import HourlyCap
from bot.pipeline.notice_pace import NoticePace
from bot.pipeline.poison_messages import PoisonMessages
from bot.pipeline.policy_cache import PolicyCache
from bot.pipeline.reader import Read, Reader
from bot.pipeline.recovery import Recovery
from bot.pipeline.waiting_messages import WaitingMessages
from bot.store import Store
from bot.store.retry import StoreRetry, is_corruption
from model.classifier import Classifier, Died, NotAnswering, Unavailable, Unscorable, Verdict

RETRY_AFTER_S = 1.0
log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Judgement:
    """What the model said of a message, of its aggressive view where that differs, of what it quotes, and what was
    decided."""

    verdict: Verdict
    disguised: Verdict | None
    decision: Decision
    quoted: Verdict | None = None


class Pipeline:
    """Takes events of every platform. `receive` returns once the message is on disk; `run` does the rest.

    `adapter_of` names the adapter that serves a community. `changed` is told of every case that was opened or changed,
    `notice` of what moderators must know (told once per occasion), `settled` of every message that is through.
    """

    def __init__(
        self,
        store: Store,
        classifier: Classifier,
        platforms: Mapping[str, Platform],
        *,
        adapter_of: Callable[[str], str],
        changed: Callable[[Case], None] = lambda case: None,
        notice: Callable[[Notice], None] = lambda notice: None,
        settled: Callable[[Message, Judgement | None], None] = lambda event, judged: None,
        concurrency: int = 64,
        max_waiting: int = 2000,
    ) -> None:
        self._store = store
        self._changed = changed
        self._settled = settled
        self._notices = NoticePace(notice)
        self._reader = Reader(classifier, adapter_of, notice)
        self._waiting = WaitingMessages(max_waiting)
        self._throttle = Throttle(concurrency)
        self._group: asyncio.TaskGroup | None = None
        self._store_retry = StoreRetry(self._store_trouble)
        self._poison = PoisonMessages(self._reader, self._record_tried)
        self.policies = PolicyCache(store)
        self.cap = HourlyCap(store, self._store_retry, notice)
        self._enforcement = Enforcement(
            store, self._store_retry, platforms, changed, self._notices.tell_paced, self._spawn, self.cap.is_paused
        )
        self._decisions = Decisions(store, self._store_retry, self.cap, self._decided)
        self._recovery = Recovery(
            store,
            self._store_retry,
            platforms,
            self._waiting.line,
            self._waiting.in_hand,
            self._queue_again,
            self._enforcement.finish,
            lambda: self._notices.tell_paced(Notice("notice-flood-over")),
        )
        self.leave_alone: dict[str, Callable[[MessageKey], Awaitable[bool]]] = {}
        """By platform: whether a message stands in a room that is not read now, such as the moderators' own."""

    @property
    def adapter_of(self) -> Callable[[str], str]:
        """Names the adapter that serves a community."""
        return self._reader.adapter_of

    @property
    def is_busy(self) -> bool:
        """Whether messages wait for a turn."""
        return len(self._waiting.line) > 0

    @property
    def trouble(self) -> Notice | None:
        """What keeps messages waiting at the moment; None while all is well."""
        if self._store_retry.trouble:
            return Notice("notice-store-silent")
        return self._reader.silent

    async def receive(self, event: Message) -> bool:
        """Commits the message, then queues it. False for a revision that is known already."""
        seen = await self._store.record_seen(event, datetime.now(UTC))
        if seen is None:
            return False
        if seen.revises:
            self._waiting.revising.add(seen.row)
        await self._queue(seen.row, event)
        return True

    async def run(self) -> None:
        """Serves until cancelled; first finishes what a crash left behind, later what was shed."""
        await self.cap.load()
        async with asyncio.TaskGroup() as group:
            self._group = group
            group.create_task(self.cap.run())
            group.create_task(self._work_off())
            for number in range(self._throttle.most):
                group.create_task(self._serve(number))

    async def policy(self, community: str) -> Policy:
        """The community's policy, read once and then kept."""
        return await self.policies.of(community)

    async def set_policy(self, community: str, policy: Policy) -> None:
        """Saved, and in force from the next decision on."""
        await self.policies.set(community, policy)

    async def judge(
        self, event: Message, policy: Policy | None = None, classifier: Classifier | None = None
    ) -> Judgement:
        """What would be done with a message, exempt or not, under this policy or the one in force; nothing is kept.

        `classifier` is whom a person's question goes to (`Questions`). Raises what that raises, and `NotAnswering`.
        """
        policy = policy or await self.policy(event.key.community)
        try:
            read = await self._reader.read(event, policy, classifier=classifier)
        except Unscorable as error:
            raise Unavailable(str(error)) from error
        decision = decide(event, read.verdict, Standing(), policy, disguised=read.disguised, quoted=read.quoted)
        return Judgement(read.verdict, read.disguised, decision, read.quoted)

    async def set_mode(self, community: str, mode: Mode) -> None:
        """Shadow or enforce, from the next decision on; to say enforce also ends a pause."""
        policy = await self.policy(community)
        await self.set_policy(community, policy.model_copy(update={"mode": mode}))
        if mode is Mode.ENFORCE:
            await self.resume(community)

    async def resume(self, community: str) -> bool:
        """A moderator wishes that acting goes on although the hourly cap was reached; False where it was not paused."""
        return await self.cap.resume(community, datetime.now(UTC))

    async def take_back(self, case: Case, moderator: str) -> UndoResult:
        """What was done about a case is taken back, and what is still to be done is not; raises the store's errors."""
        return await self._enforcement.take_back(case, moderator)

    async def _work_off(self) -> None:
        await self._recovery.former()
        await self._recovery.run()

    async def _queue_again(self, row: int, event: Message, tries: int | None, revises: bool) -> None:
        """A row that has stood in the journal for a while."""
        if revises:
            self._waiting.revising.add(row)
        await self._queue(row, event, tries)

    async def _queue(self, row: int, event: Message, tries: int | None = None) -> None:
        """Into the line, unless it stands there or is being handled already. `tries` is known of a row that a former
        process left: it may have died of it."""
        if row in self._waiting.in_hand:
            return
        if tries is not None:
            self._poison.suspect_former(row, tries)
        if (shed := self._waiting.put(row, event)) is not None:
            await self._shed(shed)

    async def _shed(self, row: int) -> None:
        """There is no room for it now: the journal keeps it, and it is taken up when there is."""
        try:
            await self._store_retry(lambda: self._store.record_state(row, RowState.SHED))
        finally:
            self._waiting.in_hand.discard(row)
            self._recovery.has_shed = True
        self._notices.tell_paced(Notice("notice-flood"))

    async def _serve(self, number: int) -> None:
        while True:
            await self._throttle.turn(number)
            row, event = await self._waiting.line.take()
            self._decisions.begin(row, event)
            judged: Judgement | None = None
            try:
                judged = await self._handle(row, event)
            except NotAnswering as error:
                self._decisions.end(row, event)
                await self._wait_for_model(row, event, error)
                continue
            except Exception as error:
                if is_corruption(error):
                    raise
                log.exception("message failed", row=row)
                await self._store_retry(lambda: self._store.record_state(row, RowState.FAILED))  # noqa: B023
                self._notices.tell_paced(Notice("notice-failed", {"row": row}, event.key.community))
                if (case := await self._store_retry(lambda: self._store.case_of(*event.key.address))) is not None:  # noqa: B023
                    self._changed(case)
            self._decisions.end(row, event)
            self._poison.forget(row)
            self._waiting.end(row)
            self._settled(event, judged)

    async def _wait_for_model(self, row: int, event: Message, error: Exception) -> None:
        """Nothing is punished meanwhile; the message waits in the journal, moderators are told once."""
        if isinstance(error, Died):
            self._poison.suspect(row)
            log.warning("the model's process died with a message", row=row, error=str(error))
        else:
            self._reader.has_failed(error)
            await asyncio.sleep(RETRY_AFTER_S)
        self._waiting.in_hand.discard(row)
        await self._queue(row, event)

    async def _handle(self, row: int, event: Message) -> Judgement | None:
        policy = await self._store_retry(lambda: self.policy(event.key.community))
        if await self._is_left_alone(event.key) or exemption(event, policy) is not None:
            await self._store_retry(lambda: self._store.record_state(row, RowState.EXEMPT))
            return None
        if event.unreadable:
            await self._unreadable(row, event)
            return None
        revises = row in self._waiting.revising
        earlier = await self._store_retry(lambda: self._store.revisions.before(row, event.key)) if revises else []
        if is_unchanged(event, earlier):
            await self._store_retry(lambda: self._store.record_state(row, RowState.UNCHANGED))
            return None
        try:
            read = await self._read(row, event, policy)
        except Unscorable as error:
            await self._set_aside(row, event, str(error))
            return None
        came_to = await self._decisions.come_to(row, event, read, policy, revises=bool(earlier))
        if came_to.todo:
            await self._enforcement.perform(row, event, came_to.decision, came_to.todo)
        if came_to.case is not None:
            await self._show(came_to.case)
        return Judgement(read.verdict, read.disguised, came_to.decision, read.quoted)

    async def _decided(self, event: Message, policy: Policy) -> Decision:
        return (await self.judge(event, policy)).decision

    async def _is_left_alone(self, key: MessageKey) -> bool:
        is_left_alone = self.leave_alone.get(key.platform)
        return is_left_alone is not None and await self._store_retry(lambda: is_left_alone(key))

    async def _unreadable(self, row: int, event: Message) -> None:
        """Nobody knows its shape: moderators are told once of each kind."""
        log.warning("a message of unknown shape", row=row, kind=event.unreadable)
        community, kind = event.key.community, f"{event.key.platform}: {event.unreadable}"
        await self._store_retry(lambda: self._store.record_state(row, RowState.DONE))
        if await self._store_retry(lambda: self._store.unknown.is_new(community, kind, datetime.now(UTC))):
            self._notices.tell(Notice("notice-unknown-kind", {"kind": event.unreadable}, community))

    async def _read(self, row: int, event: Message, policy: Policy) -> Read:
        """Raises `Unscorable` for what ended the model's process often enough, and what the classifier raises."""
        self._poison.check(event)
        if self._poison.is_suspect(row):
            return await self._poison.read(row, event, lambda alone: self._reader.read(event, policy, alone=alone))
        began = time.monotonic()
        read = await self._reader.read(event, policy)
        self._throttle.took(time.monotonic() - began)
        return read

    async def _record_tried(self, row: int, count: int) -> None:
        await self._store_retry(lambda: self._store.record_tried(row, count))

    async def _set_aside(self, row: int, event: Message, why: str) -> None:
        """Nobody could score it: moderators are shown it, and nothing else is done."""
        log.error("a message could not be scored", row=row, why=why)
        decision, now = unread_decision(why), datetime.now(UTC)
        case = await self._store_retry(lambda: self._store.record_unread(row, decision, now))
        if case is not None:
            await self._show(case)
        self._notices.tell_paced(Notice("notice-unread", community=event.key.community))

    async def _show(self, number: int) -> None:
        if (case := await self._store_retry(lambda: self._store.case(number))) is not None:
            self._changed(case)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        assert self._group is not None  # noqa: S101  # whoever performs was started by run()
        self._group.create_task(work)

    def _store_trouble(self, error: str) -> None:
        """Messages wait; the page says it at once, moderators on a platform too."""
        self._notices.tell(Notice("notice-store-silent") if error else Notice("notice-store-back"))
