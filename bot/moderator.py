"""The pipeline: event -> views -> verdict -> decision -> journal -> actions."""

import asyncio
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import structlog

from bot import actions
from bot.events import Message
from bot.intake import Intake
from bot.platforms.base import DryRun, Gone, MissingPermission, Platform, RateLimited
from bot.policy import Band, Decision, Mode, Policy, Standing, decide, exemption, strike_expiry
from bot.store import Case, Store
from bot.store.store import decision_json
from model.classifier import AdapterRejected, Classifier, Item, Overloaded, Unavailable, Verdict
from model.labels import Label
from model.normalize import aggressive, conservative

RETRY_AFTER_S = 1.0
log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Outcome:
    """What an undo came to: the text is for the moderator."""

    case: Case
    text: str


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
        notice: Callable[[str], None] = lambda text: None,
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
        self._policies: dict[str, Policy] = {}
        self.trouble = ""
        """What keeps messages waiting at the moment, in words for moderators; "" while all is well."""

    async def receive(self, event: Message) -> bool:
        """Commits the message, then queues it. False for a revision that is known already."""
        row = await self._store.record_seen(event, datetime.now(UTC))
        if row is None:
            return False
        self._first_received = min(self._first_received, row)
        await self._queue(row, event)
        return True

    async def run(self) -> None:
        """Serves until cancelled; first finishes what a crash left behind, later what was shed."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._work_off())
            for _ in range(self._concurrency):
                group.create_task(self._serve())

    async def policy(self, community: str) -> Policy:
        """The community's policy, read once and then kept."""
        if community not in self._policies:
            self._policies[community] = await self._store.policy(community)
        return self._policies[community]

    async def set_policy(self, community: str, policy: Policy) -> None:
        """Saved, and in force from the next decision on."""
        await self._store.save_policy(community, policy, datetime.now(UTC))
        self._policies[community] = policy

    async def confirm(self, case: Case, moderator: str, basis: str | None) -> Case:
        """👍: the label was right; a confirmation teaches too, where there is a basis."""
        label = str(case.message.decision["label"])
        basis = basis or await self._consent(case)
        await self._store.record_correction(case.id, moderator, label, basis, datetime.now(UTC), confirms=True)
        return await self._again(case.id)

    async def correct(self, case: Case, moderator: str, label: Label, basis: str | None) -> Outcome:
        """👎: the label is wrong. Teaches, where there is a basis, and takes back what can be taken back.

        `basis` is what the platform knows of; without one, the author's consent serves.
        """
        basis = basis or await self._consent(case)
        await self._store.record_correction(case.id, moderator, label, basis, datetime.now(UTC), confirms=False)
        undone = await self._take_back(case, moderator) if label is Label.NEUTRAL else ""
        teaches = "the next refresh learns from it" if basis else "it teaches nothing: there is no basis for that"
        return Outcome(await self._again(case.id), f"Corrected to {label}; {teaches}.{undone}")

    async def undo(self, case: Case, moderator: str) -> Outcome:
        """The action was wrong here: it is taken back, and teaches nothing."""
        undone = await self._take_back(case, moderator)
        return Outcome(await self._again(case.id), f"Undone; this teaches nothing.{undone}")

    async def _consent(self, case: Case) -> str | None:
        key = case.message.key
        author = self._store.sealer.author(key.platform, key.community, case.author.id)
        return await self._store.consents.basis(key.community, author)

    async def _take_back(self, case: Case, moderator: str) -> str:
        if not await self._store.record_undone(case.id, moderator) or not case.message.decision.get("enforced"):
            return ""
        platform = self._platforms[case.message.key.platform]
        done: list[str] = []
        kept: list[str] = []
        for data in case.message.decision["actions"]:
            action = actions.from_json(data)
            if isinstance(action, actions.Alert):
                continue
            worked = await platform.undo(action, case.message.key, case.author)
            (done if worked else kept).append(actions.describe(action))
        text = f" Taken back: {', '.join(done)}." if done else ""
        return text + (f" Cannot be taken back: {', '.join(kept)}." if kept else "")

    async def _again(self, number: int) -> Case:
        case = await self._store.case(number)
        if case is None:
            raise LookupError(f"case {number} is gone")
        self._changed(case)
        return case

    async def _queue(self, row: int, event: Message) -> None:
        """Into the line, unless it stands there or is being handled already."""
        if row in self._in_hand:
            return
        self._in_hand.add(row)
        if (shed := await self._intake.put(self._store.author(event), (row, event))) is not None:
            self._in_hand.discard(shed[0])

    async def _serve(self) -> None:
        while True:
            row, event = await self._intake.take()
            judged: Judged | None = None
            try:
                judged = await self._handle(row, event)
            except (Unavailable, AdapterRejected, Overloaded) as error:
                self._in_hand.discard(row)
                await self._wait_for_model(row, event, error)
                continue
            except Exception:
                log.exception("message failed", row=row)
                await self._store.record_state(row, "failed")
                self._notice(f"A message could not be handled (journal row {row}); the log says why.")
            self._in_hand.discard(row)
            self._settled(event, judged)

    async def _wait_for_model(self, row: int, event: Message, error: Exception) -> None:
        """Nothing is punished meanwhile; the message waits in the journal, moderators are told once."""
        if not self.trouble and not isinstance(error, Overloaded):
            self.trouble = f"The classifier does not answer ({error}). Messages wait; nothing is punished meanwhile."
            log.error("classifier unavailable", error=str(error))
            self._notice(self.trouble)
        await asyncio.sleep(RETRY_AFTER_S)
        await self._queue(row, event)

    async def _work_off(self) -> None:
        """Puts unfinished rows of the journal back into the line: after a crash all of them, later what was shed."""
        for name in self._platforms:
            for old in await self._store.unfinished(name):
                if old.id >= self._first_received:
                    continue
                if (event := await self._store.event(old.id)) is None:
                    await self._store.record_state(old.id, "failed")
                elif old.state in ("intended", "sent"):
                    await self._finish(old.id, event, old.state, old.decision)
                else:
                    await self._queue(old.id, event)
        shed = 0
        while True:
            await asyncio.sleep(RETRY_AFTER_S)
            if self._intake.shed > shed and not len(self._intake):
                shed = self._intake.shed
                for name in self._platforms:
                    already = set(self._in_hand)  # may be through by the time the journal has answered
                    for old in await self._store.unfinished(name):
                        if old.state != "seen" or old.id in already:
                            continue
                        if (event := await self._store.event(old.id)) is not None:
                            await self._queue(old.id, event)

    async def _handle(self, row: int, event: Message) -> Judged | None:
        policy = await self.policy(event.key.community)
        if exemption(event, policy) is not None:
            await self._store.record_state(row, "exempt")
            return None
        verdict, disguised = await self._verdicts(event, policy)
        now = datetime.now(UTC)
        strikes, acted = await self._store.standing(event, strike_expiry(policy, now), now)
        decision = decide(event, verdict, Standing(strikes, acted), policy, disguised=disguised)
        if decision.trips:
            await self._trip(event, policy)
        state = "intended" if decision.actions else "done"
        shown = decision.band is not Band.CLEAR
        case = await self._store.record_decision(row, verdict, decision_json(decision), state, now, case=shown)
        if decision.actions:
            await self._perform(row, event, decision)
        if case is not None:
            await self._again(case)
        return Judged(verdict, disguised, decision)

    async def _verdicts(self, event: Message, policy: Policy) -> tuple[Verdict, Verdict | None]:
        """The conservative view's verdict, and the aggressive view's where the views differ."""
        adapter = self._adapter_of(event.key.community)
        plain, undisguised = conservative(event.text), aggressive(event.text)
        views = [Item(plain, adapter, policy.asked, event.key.community)]
        if undisguised.casefold() != plain.casefold():
            views.append(Item(undisguised, adapter, community=event.key.community))
        verdicts = await self._classifier.classify(views)
        if self.trouble:
            self.trouble = ""
            self._notice("The classifier answers again; waiting messages are being read.")
        return verdicts[0], verdicts[1] if len(verdicts) > 1 else None

    async def _perform(self, row: int, event: Message, decision: Decision) -> None:
        platform = self._platforms[event.key.platform]
        await self._store.record_state(row, "sent")
        performer = platform if decision.enforced else DryRun(platform)
        await self._store.record_state(row, await self._do(performer, event, list(decision.actions)))

    async def _finish(self, row: int, event: Message, state: str, decision: Mapping[str, Any]) -> None:
        """After a crash: what was intended is done; what may have been sent is repeated, but for what people read."""
        todo = [actions.from_json(data) for data in decision["actions"]]
        if state == "sent":
            todo = [action for action in todo if not isinstance(action, actions.Warn)]
        platform = self._platforms[event.key.platform]
        performer = platform if decision["enforced"] else DryRun(platform)
        await self._store.record_state(row, await self._do(performer, event, todo))

    async def _do(self, platform: Platform, event: Message, todo: list[actions.Action]) -> str:
        """Performs each action; returns the journal state it came to."""
        state = "done"
        for action in todo:
            try:
                await platform.perform(action, event.key, event.author)
            except Gone:
                state = "gone"
            except RateLimited as error:
                await asyncio.sleep(error.retry_after_s)
                todo.append(action)
            except MissingPermission as error:
                state = "failed"
                self._notice(f"{actions.describe(action)} was not possible: {error}")
        return state

    async def _trip(self, event: Message, policy: Policy) -> None:
        community = event.key.community
        await self.set_policy(community, policy.model_copy(update={"mode": Mode.SHADOW}))
        log.warning("back to shadow mode", community=community)
        self._notice(
            f"{policy.max_actions_per_hour} actions within an hour: {community} is back in shadow mode. "
            f"Look at the last cases, then switch to enforce again."
        )
