"""The pipeline: event -> views -> verdict -> decision -> journal -> actions."""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import structlog

from bot.domain.case import Case
from bot.domain.event import Message, MessageKey
from bot.domain.notice import Notice
from bot.domain.platform import Platform
from bot.domain.policy import Decision, Mode, Policy, Standing, decide, exemption, unread
from bot.pipeline.decisions import Decisions, Read, author_of
from bot.pipeline.edits import is_unchanged
from bot.pipeline.enforcement import Enforcement, TakenBack
from bot.pipeline.fair_queue import FairQueue, Throttle
from bot.pipeline.hourly_cap import HourlyCap
from bot.pipeline.recovery import MOST_DEATHS, Recovery
from bot.store import Store
from bot.store.retry import StoreRetry, is_corruption
from bot.store.store import decision_json
from model.classifier import (
    TRIAL,
    AdapterRejected,
    Classifier,
    Died,
    Item,
    Overloaded,
    Unavailable,
    Unscorable,
    Verdict,
)
from model.labels import LABELS, Label
from model.normalize import views
from model.serving.batcher import estimate_tokens

RETRY_AFTER_S = 1.0
SAID_AGAIN_AFTER_S = 600.0
MOST_TRIES = 3
"""A message with which so many of the model's processes died is not tried again; moderators are shown it."""
LONG_TEXT = 2000
"""Characters; longer texts are normalised beside the event loop."""
REVISION_COSTS = 3
"""An edit may be compared with what stood there before: so many times as much for the model."""
MOST_UNREAD = 1000
"""So many texts that ended the model's process are remembered, so that the same ones do no more harm."""
Verdicts = tuple[Verdict, Verdict | None, Verdict | None]
"""On a message, on its aggressive view, on what it quotes."""
_NOTHING = {label: float(label is Label.NEUTRAL) for label in LABELS}
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
        self._classifier = classifier
        self.adapter_of = adapter_of
        self._changed = changed
        self._notice = notice
        self._settled = settled
        self._concurrency = concurrency
        self._throttle = Throttle(concurrency)
        self._fair_queue: FairQueue[tuple[int, Message]] = FairQueue(max_waiting)
        self._in_hand: set[int] = set()
        self._tries: dict[int, int] = {}
        self._has_answered = False
        self._former: dict[int, int] = {}  # tries of former processes, of which most ended for another reason
        self._one_suspect = asyncio.Lock()
        self._one_long_text = asyncio.Lock()
        self._unread: OrderedDict[str, None] = OrderedDict()
        self._policies: dict[str, Policy] = {}
        self._told: dict[str, float] = {}
        self._group: asyncio.TaskGroup | None = None
        self._store_retry = StoreRetry(self._store_trouble)
        self.cap = HourlyCap(store, self._store_retry, notice)
        self._enforcement = Enforcement(
            store, self._store_retry, platforms, changed, self._tell, self._spawn, self.cap.is_paused
        )
        self._revising: set[int] = set()
        """Rows of which the journal has an earlier revision, or may have one."""
        self._decisions = Decisions(store, self._store_retry, self.cap, self._decided)
        self._recovery = Recovery(
            store,
            self._store_retry,
            platforms,
            self._fair_queue,
            self._in_hand,
            self._queue_again,
            self._enforcement.finish,
            lambda: self._tell(Notice("notice-flood-over")),
        )
        self._silent: Notice | None = None
        self.leave_alone: dict[str, Callable[[MessageKey], Awaitable[bool]]] = {}
        """By platform: whether a message stands in a room that is not read now, such as the moderators' own."""

    @property
    def is_busy(self) -> bool:
        """Whether messages wait for a turn."""
        return len(self._fair_queue) > 0

    @property
    def trouble(self) -> Notice | None:
        """What keeps messages waiting at the moment; None while all is well."""
        if self._store_retry.trouble:
            return Notice("notice-store-silent")
        return self._silent

    async def receive(self, event: Message) -> bool:
        """Commits the message, then queues it. False for a revision that is known already."""
        seen = await self._store.record_seen(event, datetime.now(UTC))
        if seen is None:
            return False
        if seen.revises:
            self._revising.add(seen.row)
        await self._queue(seen.row, event)
        return True

    async def run(self) -> None:
        """Serves until cancelled; first finishes what a crash left behind, later what was shed."""
        await self.cap.load()
        async with asyncio.TaskGroup() as group:
            self._group = group
            group.create_task(self.cap.run())
            group.create_task(self._work_off())
            for number in range(self._concurrency):
                group.create_task(self._serve(number))

    async def policy(self, community: str) -> Policy:
        """The community's policy, read once and then kept."""
        if community not in self._policies:
            found = await self._store.policy(community)
            self._policies.setdefault(community, found)  # one that was set meanwhile is newer
        return self._policies[community]

    async def set_policy(self, community: str, policy: Policy) -> None:
        """Saved, and in force from the next decision on."""
        await self._store.save_policy(community, policy, datetime.now(UTC))
        self._policies[community] = policy

    async def judge(
        self, event: Message, policy: Policy | None = None, classifier: Classifier | None = None
    ) -> Judgement:
        """What would be done with a message, exempt or not, under this policy or the one in force; nothing is kept.

        `classifier` is whom a person's question goes to (`Questions`). Raises what that raises, `Unavailable`,
        `Overloaded` and `AdapterRejected`.
        """
        policy = policy or await self.policy(event.key.community)
        try:
            verdict, disguised, quoted = await self._verdicts(event, policy, classifier=classifier)
        except Unscorable as error:
            raise Unavailable(str(error)) from error
        decision = decide(event, verdict, Standing(), policy, disguised=disguised, quoted=quoted)
        return Judgement(verdict, disguised, decision, quoted)

    async def set_mode(self, community: str, mode: Mode) -> None:
        """Shadow or enforce, from the next decision on; to say enforce also ends a pause."""
        policy = await self.policy(community)
        await self.set_policy(community, policy.model_copy(update={"mode": mode}))
        if mode is Mode.ENFORCE:
            await self.resume(community)

    async def resume(self, community: str) -> bool:
        """A moderator wishes that acting goes on although the hourly cap was reached; False where it was not paused."""
        return await self.cap.resume(community, datetime.now(UTC))

    async def take_back(self, case: Case, moderator: str) -> TakenBack:
        """What was done about a case is taken back, and what is still to be done is not; raises the store's errors."""
        return await self._enforcement.take_back(case, moderator)

    async def _work_off(self) -> None:
        await self._recovery.former()
        await self._recovery.run()

    async def _queue_again(self, row: int, event: Message, tries: int | None, revises: bool) -> None:
        """A row that has stood in the journal for a while."""
        if revises:
            self._revising.add(row)
        await self._queue(row, event, tries)

    async def _queue(self, row: int, event: Message, tries: int | None = None) -> None:
        """Into the line, unless it stands there or is being handled already. `tries` is known of a row that a former
        process left: it may have died of it."""
        if row in self._in_hand:
            return
        self._in_hand.add(row)
        if tries is not None:
            self._tries[row] = min(tries, 1)
            self._former[row] = tries - self._tries[row]
        tokens = estimate_tokens(event.text) + (estimate_tokens(event.quoted) if event.quoted else 0)
        if row in self._revising:
            tokens *= REVISION_COSTS
        shed = self._fair_queue.put_now(author_of(event), (row, event), community=event.key.community, tokens=tokens)
        if shed is not None:
            await self._shed(shed[0])

    async def _shed(self, row: int) -> None:
        """There is no room for it now: the journal keeps it, and it is taken up when there is."""
        try:
            await self._store_retry(lambda: self._store.record_state(row, "shed"))
        finally:
            self._in_hand.discard(row)
            self._recovery.has_shed = True
        self._tell(Notice("notice-flood"))

    async def _serve(self, number: int) -> None:
        while True:
            await self._throttle.turn(number)
            row, event = await self._fair_queue.take()
            self._decisions.begin(row, event)
            judged: Judgement | None = None
            try:
                judged = await self._handle(row, event)
            except (Unavailable, AdapterRejected, Overloaded) as error:
                self._decisions.end(row, event)
                await self._wait_for_model(row, event, error)
                continue
            except Exception as error:
                if is_corruption(error):
                    raise
                log.exception("message failed", row=row)
                await self._store_retry(lambda: self._store.record_state(row, "failed"))  # noqa: B023
                self._tell(Notice("notice-failed", {"row": row}, event.key.community))
                if (case := await self._store_retry(lambda: self._store.case_of(*event.key.address))) is not None:  # noqa: B023
                    self._changed(case)
            self._decisions.end(row, event)
            self._revising.discard(row)
            self._tries.pop(row, None)
            self._former.pop(row, None)
            self._in_hand.discard(row)
            self._settled(event, judged)

    async def _wait_for_model(self, row: int, event: Message, error: Exception) -> None:
        """Nothing is punished meanwhile; the message waits in the journal, moderators are told once."""
        if isinstance(error, Died):
            self._tries[row] = max(1, self._tries.get(row, 0))  # from now on it is tried alone
            log.warning("the model's process died with a message", row=row, error=str(error))
        else:
            if not self._silent and not isinstance(error, Overloaded):
                self._silent = Notice("notice-classifier-silent", {"error": str(error)})
                log.error("classifier unavailable", error=str(error))
                self._notice(self._silent)
            await asyncio.sleep(RETRY_AFTER_S)
        self._in_hand.discard(row)
        await self._queue(row, event)

    async def _handle(self, row: int, event: Message) -> Judgement | None:
        policy = await self._store_retry(lambda: self.policy(event.key.community))
        if await self._is_left_alone(event.key) or exemption(event, policy) is not None:
            await self._store_retry(lambda: self._store.record_state(row, "exempt"))
            return None
        if event.unreadable:
            await self._unreadable(row, event)
            return None
        revises = row in self._revising
        earlier = await self._store_retry(lambda: self._store.revisions.before(row, event.key)) if revises else []
        if is_unchanged(event, earlier):
            await self._store_retry(lambda: self._store.record_state(row, "unchanged"))
            return None
        try:
            verdict, disguised, quoted = await self._read(row, event, policy)
        except Unscorable as error:
            await self._set_aside(row, event, str(error))
            return None
        read = Read(verdict, disguised, quoted)
        came_to = await self._decisions.come_to(row, event, read, policy, revises=bool(earlier))
        if came_to.todo:
            await self._enforcement.perform(row, event, came_to.decision, came_to.todo)
        if came_to.case is not None:
            await self._show(came_to.case)
        return Judgement(verdict, disguised, came_to.decision, quoted)

    async def _decided(self, event: Message, policy: Policy) -> Decision:
        return (await self.judge(event, policy)).decision

    async def _is_left_alone(self, key: MessageKey) -> bool:
        asked = self.leave_alone.get(key.platform)
        return asked is not None and await self._store_retry(lambda: asked(key))

    async def _unreadable(self, row: int, event: Message) -> None:
        """Nobody knows its shape: moderators are told once of each kind."""
        log.warning("a message of unknown shape", row=row, kind=event.unreadable)
        community, kind = event.key.community, f"{event.key.platform}: {event.unreadable}"
        await self._store_retry(lambda: self._store.record_state(row, "done"))
        if await self._store_retry(lambda: self._store.unknown.is_new(community, kind, datetime.now(UTC))):
            self._notice(Notice("notice-unknown-kind", {"kind": event.unreadable}, community))

    async def _read(self, row: int, event: Message, policy: Policy) -> Verdicts:
        """The verdicts. A message with which a process died, or may have, is counted on disk before it is tried, and
        tried alone from the second time on. Raises `Unscorable` when that was often enough."""
        tries = self._tries.get(row)
        if _all_of(event) in self._unread:
            raise Unscorable("the model's process died with the same text before", frozenset())
        if tries is None:
            began = time.monotonic()
            verdicts = await self._verdicts(event, policy)
            self._throttle.took(time.monotonic() - began)
            return verdicts
        await self._loaded(event)
        if tries == 0:  # left by a former process, which need not have come to it
            await self._count(row, 1)
            return await self._verdicts(event, policy)
        async with self._one_suspect:
            tries = self._tries[row]
            deaths = tries + self._former.get(row, 0)
            if tries >= MOST_TRIES or deaths >= MOST_DEATHS:
                raise Unscorable(f"a process died with it {deaths} times", frozenset())
            await self._count(row, tries + 1)
            try:
                return await self._verdicts(event, policy, alone=True)
            except Died as error:
                if tries + 1 < MOST_TRIES:
                    raise
                if not await self._answers(event):
                    await self._count(row, 1)
                    raise Unavailable(str(error)) from error  # so it is not this message's doing
                self._unread[_all_of(event)] = None
                while len(self._unread) > MOST_UNREAD:
                    self._unread.popitem(last=False)
                raise Unscorable(f"the model's process died with it {MOST_TRIES} times", frozenset()) from None
            except (Unavailable, AdapterRejected, Overloaded):  # it was not tried
                await self._count(row, tries)
                raise

    async def _loaded(self, event: Message) -> None:
        """Returns once the model has answered at all: a process that ends before that has not died of a message."""
        async with self._one_suspect:
            if not self._has_answered and not await self._answers(event):
                raise Unavailable("the model does not answer yet")
            self._has_answered = True

    async def _answers(self, event: Message) -> bool:
        """Whether the model reads a text that harms nobody."""
        try:
            await self._classifier.classify([Item(TRIAL, self.adapter_of(event.key.community), alone=True)])
        except (Unavailable, AdapterRejected, Overloaded, Unscorable):
            return False
        return True

    async def _count(self, row: int, tries: int) -> None:
        await self._store_retry(lambda: self._store.record_tried(row, tries + self._former.get(row, 0)))
        self._tries[row] = tries

    async def _set_aside(self, row: int, event: Message, why: str) -> None:
        """Nobody could score it: moderators are shown it, and nothing else is done."""
        log.error("a message could not be scored", row=row, why=why)
        said, now = decision_json(unread(why)), datetime.now(UTC)
        case = await self._store_retry(lambda: self._store.record_unread(row, said, now))
        if case is not None:
            await self._show(case)
        self._tell(Notice("notice-unread", community=event.key.community))

    async def _show(self, number: int) -> None:
        if (case := await self._store_retry(lambda: self._store.case(number))) is not None:
            self._changed(case)

    async def _verdicts(
        self, event: Message, policy: Policy, *, alone: bool = False, classifier: Classifier | None = None
    ) -> Verdicts:
        """The conservative view's verdict, the aggressive view's where the views differ, and that on what is quoted.
        Where the author wrote nothing the first speaks for nothing."""
        adapter = self.adapter_of(event.key.community)
        plain, undisguised = await self._views(event.text)
        items = [Item(plain, adapter, policy.asked, event.key.community, alone)]
        if differs := undisguised.casefold() != plain.casefold():
            items.append(Item(undisguised, adapter, community=event.key.community, alone=alone))
        if event.quoted:
            quoted_view, _ = await self._views(event.quoted)
            items.append(Item(quoted_view, adapter, community=event.key.community, alone=alone))
        if not event.text:
            items = items[-1:]
        verdicts = await (classifier or self._classifier).classify(items)
        if self._silent:
            self._silent = None
            self._notice(Notice("notice-classifier-back"))
        quoted = verdicts[-1] if event.quoted else None
        if quoted is not None and not event.text:
            return replace(quoted, probabilities=_NOTHING, categories={}), None, quoted
        return verdicts[0], verdicts[1] if differs else None, quoted

    async def _views(self, text: str) -> tuple[str, str]:
        """Both views. Long texts one at a time, in a thread, so that many of them do not take turns with the loop."""
        if len(text) <= LONG_TEXT:
            return views(text)
        async with self._one_long_text:
            return await asyncio.to_thread(views, text)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        assert self._group is not None  # noqa: S101  # whoever performs was started by run()
        self._group.create_task(work)

    def _store_trouble(self, error: str) -> None:
        """Messages wait; the page says it at once, moderators on a platform too."""
        self._notice(Notice("notice-store-silent") if error else Notice("notice-store-back"))

    def _tell(self, notice: Notice) -> None:
        """The same thing at most once in ten minutes: a raid without a right is one notice, not four hundred."""
        moment, said = time.monotonic(), repr(notice)
        self._told = {told: at for told, at in self._told.items() if moment - at < SAID_AGAIN_AFTER_S}
        if said not in self._told:
            self._told[said] = moment
            self._notice(notice)


def _all_of(event: Message) -> str:
    """What the model reads of it."""
    return f"{event.text}\n{event.quoted}" if event.quoted else event.text
