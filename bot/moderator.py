"""The pipeline: event -> views -> verdict -> decision -> journal -> actions."""

import asyncio
import math
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import structlog

from bot import actions
from bot.events import Message
from bot.intake import Intake
from bot.notices import Notice
from bot.platforms.base import DryRun, Gone, MissingPermission, Platform, RateLimited, Unreachable
from bot.policy import Band, Decision, Mode, Policy, Standing, band, decide, exemption, strike_expiry
from bot.store import Case, Store
from bot.store.reading import Left
from bot.store.store import decision_json
from model.classifier import AdapterRejected, Classifier, Item, Overloaded, Unavailable, Verdict
from model.normalize import views

RETRY_AFTER_S = 1.0
FIRST_WAIT_S, LONGEST_WAIT_S = 2.0, 300.0
"""How long an action waits for a platform that does not answer: twice as long each time."""
SAID_AGAIN_AFTER_S = 600.0
PAGE = 200
"""So many rows of the journal are read at once at most."""
PUNISHED_WITHIN = timedelta(hours=1)
"""Messages read later than this, after an outage, are shown to moderators and not acted on."""
log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Judged:
    """What the model said of a message, of its aggressive view where that differs, and what was decided."""

    verdict: Verdict
    disguised: Verdict | None
    decision: Decision


class Moderator:
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
        settled: Callable[[Message, Judged | None], None] = lambda event, judged: None,
        concurrency: int = 64,
    ) -> None:
        self._store = store
        self._classifier = classifier
        self._platforms = platforms
        self._adapter_of = adapter_of
        self._changed = changed
        self._notice = notice
        self._settled = settled
        self._concurrency = concurrency
        self._intake: Intake[tuple[int, Message]] = Intake()
        self._in_hand: set[int] = set()
        self._first_received: float = math.inf  # journal rows before this one are a former start's
        self._last_received = 0
        self._policies: dict[str, Policy] = {}
        self._told: dict[str, float] = {}
        self._group: asyncio.TaskGroup | None = None
        self.trouble: Notice | None = None
        """What keeps messages waiting at the moment; None while all is well."""

    async def receive(self, event: Message) -> bool:
        """Commits the message, then queues it. False for a revision that is known already."""
        row = await self._store.record_seen(event, datetime.now(UTC))
        if row is None:
            return False
        self._first_received, self._last_received = min(self._first_received, row), max(self._last_received, row)
        await self._queue(row, event)
        return True

    async def run(self) -> None:
        """Serves until cancelled; first finishes what a crash left behind, later what was shed."""
        async with asyncio.TaskGroup() as group:
            self._group = group
            group.create_task(self._work_off())
            for _ in range(self._concurrency):
                group.create_task(self._serve())

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

    async def judge(self, event: Message, policy: Policy | None = None) -> Judged:
        """What would be done with a message, exempt or not, under this policy or the one in force; nothing is kept.

        Raises `Unavailable`, `Overloaded` and `AdapterRejected`.
        """
        policy = policy or await self.policy(event.key.community)
        verdict, disguised = await self._verdicts(event, policy)
        return Judged(verdict, disguised, decide(event, verdict, Standing(), policy, disguised=disguised))

    async def _queue(self, row: int, event: Message) -> None:
        """Into the line, unless it stands there or is being handled already."""
        if row in self._in_hand:
            return
        self._in_hand.add(row)
        author = "\0".join((event.key.platform, event.key.community, event.author.id))
        if (shed := await self._intake.put(author, (row, event))) is not None:
            self._in_hand.discard(shed[0])

    async def _serve(self) -> None:
        while True:
            row, event = await self._intake.take()
            judged: Judged | None = None
            try:
                judged = await self._handle(row, event)
            except (Unavailable, AdapterRejected, Overloaded) as error:
                await self._wait_for_model(row, event, error)
                continue
            except Exception:
                log.exception("message failed", row=row)
                await self._store.record_state(row, "failed")
                self._tell(Notice("notice-failed", {"row": row}, event.key.community))
            self._in_hand.discard(row)
            self._settled(event, judged)

    async def _wait_for_model(self, row: int, event: Message, error: Exception) -> None:
        """Nothing is punished meanwhile; the message waits in the journal, moderators are told once."""
        if not self.trouble and not isinstance(error, Overloaded):
            self.trouble = Notice("notice-classifier-silent", {"error": str(error)})
            log.error("classifier unavailable", error=str(error))
            self._notice(self.trouble)
        await asyncio.sleep(RETRY_AFTER_S)
        self._in_hand.discard(row)
        await self._queue(row, event)

    async def _work_off(self) -> None:
        """Puts unfinished rows of the journal back into the line: after a crash all of them, later what was shed.

        What was decided before is done first: it does not wait for a model.
        """
        for states in (("intended", "sent"), ("seen", "scored")):
            for name in self._platforms:
                async for old in self._unfinished(name, states):
                    if old.row.id >= self._first_received:
                        break
                    if old.event is None:
                        await self._store.record_state(old.row.id, "failed")
                    elif old.row.state in ("intended", "sent"):
                        await self._finish(old.row.id, old.event, old.row.state, old.row.decision)
                    else:
                        await self._queue(old.row.id, old.event)
        shed = 0
        while True:
            await asyncio.sleep(RETRY_AFTER_S)
            if self._intake.shed > shed and not len(self._intake):
                shed, last = self._intake.shed, self._last_received
                for name in self._platforms:
                    async for old in self._unfinished(name, ("seen",)):
                        if last < old.row.id >= self._first_received:
                            break  # being received at this moment
                        if old.event is not None:
                            await self._queue(old.row.id, old.event)

    async def _unfinished(self, platform: str, states: Sequence[str]) -> AsyncIterator[Left]:
        """What the journal has in these states and nobody has in hand, oldest first, as far as there is room for it."""
        after = 0
        while True:
            limit = PAGE
            if "seen" in states:
                while not self._intake.roomy.is_set():
                    await self._intake.roomy.wait()
                limit = min(PAGE, self._intake.max_waiting - len(self._intake))
            already = set(self._in_hand)  # may be through by the time the journal has answered
            page = await self._store.left(platform, states, after, limit)
            for old in page:
                if old.row.id not in already:
                    yield old
            if len(page) < limit:
                return
            after = page[-1].row.id

    async def _handle(self, row: int, event: Message) -> Judged | None:
        policy = await self.policy(event.key.community)
        if exemption(event, policy) is not None:
            await self._store.record_state(row, "exempt")
            return None
        verdict, disguised = await self._verdicts(event, policy)
        now = datetime.now(UTC)
        standing = Standing()
        if band(verdict, policy)[0] is Band.ACTION:
            standing = Standing(*await self._store.standing(event, strike_expiry(policy, now), now))
        young = now - event.sent_at <= PUNISHED_WITHIN
        decision = decide(event, verdict, standing, policy, disguised=disguised, may_punish=young)
        if decision.trips:
            await self._trip(event, policy)
        state = "intended" if decision.actions else "done"
        shown = decision.band is not Band.CLEAR
        case = await self._store.record_decision(row, verdict, decision_json(decision), state, now, case=shown)
        if decision.actions:
            await self._perform(row, event, decision)
        if case is not None:
            await self._show(case)
        return Judged(verdict, disguised, decision)

    async def _show(self, number: int) -> None:
        if (case := await self._store.case(number)) is not None:
            self._changed(case)

    async def _verdicts(self, event: Message, policy: Policy) -> tuple[Verdict, Verdict | None]:
        """The conservative view's verdict, and the aggressive view's where the views differ."""
        adapter = self._adapter_of(event.key.community)
        plain, undisguised = views(event.text)
        items = [Item(plain, adapter, policy.asked, event.key.community)]
        if undisguised.casefold() != plain.casefold():
            items.append(Item(undisguised, adapter, community=event.key.community))
        verdicts = await self._classifier.classify(items)
        if self.trouble:
            self.trouble = None
            self._notice(Notice("notice-classifier-back"))
        return verdicts[0], verdicts[1] if len(verdicts) > 1 else None

    async def _perform(self, row: int, event: Message, decision: Decision) -> None:
        await self._store.record_state(row, "sent")
        await self._do(row, event, decision.enforced, list(decision.actions))

    async def _finish(self, row: int, event: Message, state: str, decision: Mapping[str, Any]) -> None:
        """After a crash: what was intended is done; what may have been sent is repeated, but for what people read."""
        todo = [actions.from_json(data) for data in decision["actions"]]
        if state == "sent":
            todo = [action for action in todo if not isinstance(action, actions.Warn)]
        await self._do(row, event, decision["enforced"], todo)

    async def _do(
        self, row: int, event: Message, enforced: bool, todo: list[actions.Action], wait_s: float = 0.0
    ) -> None:
        """Performs each action and records the journal state it came to.

        When the platform does not answer or asks for patience, the rest is put off and nobody waits for it.
        """
        wait_s = wait_s or FIRST_WAIT_S
        platform = self._platforms[event.key.platform]
        performer: Platform | DryRun = platform if enforced else DryRun(platform)
        state = "done"
        for position, action in enumerate(todo):
            try:
                await performer.perform(action, event.key, event.author)
            except Gone:
                state = "gone"
            except RateLimited as error:
                self._put_off(row, event, enforced, todo[position:], error.retry_after_s, wait_s)
                return
            except Unreachable as error:
                log.warning("platform does not answer", row=row, action=action.name, error=str(error))
                rest = todo[position + isinstance(action, actions.Warn) :]
                self._put_off(row, event, enforced, rest, wait_s, min(2 * wait_s, LONGEST_WAIT_S))
                return
            except MissingPermission as error:
                state = "failed"
                self._tell(Notice("notice-not-possible", {"action": action, "why": error.why}, event.key.community))
        await self._store.record_state(row, state)

    def _put_off(
        self, row: int, event: Message, enforced: bool, todo: list[actions.Action], wait_s: float, next_wait_s: float
    ) -> None:
        """Does the rest later. The journal says "sent" until then, so a restart goes on with it, too."""

        async def later() -> None:
            await asyncio.sleep(wait_s)
            await self._do(row, event, enforced, todo, next_wait_s)
            if (case := await self._store.case_of(*event.key.address)) is not None:
                self._changed(case)

        assert self._group is not None  # noqa: S101  # whoever performs was started by run()
        self._group.create_task(later())

    def _tell(self, notice: Notice) -> None:
        """The same thing at most once in ten minutes: a raid without a right is one notice, not four hundred."""
        moment, said = time.monotonic(), repr(notice)
        self._told = {told: at for told, at in self._told.items() if moment - at < SAID_AGAIN_AFTER_S}
        if said not in self._told:
            self._told[said] = moment
            self._notice(notice)

    async def _trip(self, event: Message, policy: Policy) -> None:
        community = event.key.community
        await self.set_policy(community, policy.model_copy(update={"mode": Mode.SHADOW}))
        log.warning("back to shadow mode", community=community)
        self._notice(Notice("notice-cap", {"actions": policy.max_actions_per_hour}, community))
