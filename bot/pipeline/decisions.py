"""From a verdict to a recorded decision: the author's past, the community's cap, and what an edit changes."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from bot.domain.action import Action
from bot.domain.decision import Band, Decision
from bot.domain.event import Message
from bot.domain.policy import Mode, Policy, Standing, decide, strike_expiry
from bot.domain.row_state import RowState
from bot.pipeline.edits import (
    EditOutcome,
    has_same_flagged_words,
    held_decision,
    last_word,
    outcome_of_edit,
    shown_revision,
)
from bot.pipeline.hourly_cap import HourlyCap
from bot.pipeline.ordering import Ordering
from bot.pipeline.pending_decisions import Acted, PendingDecisions
from bot.pipeline.reader import Read
from bot.pipeline.waiting_messages import author_of
from bot.store import Store
from bot.store.retry import StoreRetry
from bot.store.revisions import Revision
from bot.store.standings import Past
from model.classifier import Verdict

PUNISHED_WITHIN = timedelta(hours=1)
"""Messages read later than this, after an outage, are shown to moderators and not acted on."""
LAST_MINUTE = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Recorded:
    """A decision that is in the journal: `todo` is what is to be done now, `case` is to be shown, or shown anew."""

    decision: Decision
    todo: tuple[Action, ...]
    case: int | None


class Decisions:
    """Decides about an author's messages in their order, about a message's revisions in theirs, and so that a
    community's cap holds exactly.

    `judged` gives what another text of the same message would come to, under the policy and without its past.
    """

    def __init__(
        self,
        store: Store,
        store_retry: StoreRetry,
        cap: HourlyCap,
        judged: Callable[[Message, Policy], Awaitable[Decision]],
    ) -> None:
        self._store = store
        self._store_retry = store_retry
        self._cap = cap
        self._judged = judged
        self._pending_decisions = PendingDecisions()
        self._authors, self._messages = Ordering(), Ordering()

    def begin(self, row: int, event: Message) -> None:
        """The message is taken up, behind its author's others."""
        self._authors.begin(author_of(event), row)
        self._messages.begin(_message_of(event), row)

    def end(self, row: int, event: Message) -> None:
        """It is through, or goes back into the line."""
        self._pending_decisions.written(row)
        self._authors.end(author_of(event), row)
        self._messages.end(_message_of(event), row)

    async def come_to(
        self,
        row: int,
        event: Message,
        read: Read,
        policy: Policy,
        *,
        revises: bool,
    ) -> Recorded:
        """Decides and records it. `revises`: the journal has an earlier revision of the message."""
        now = datetime.now(UTC)
        young = now - event.sent_at <= PUNISHED_WITHIN

        def decided(standing: Standing) -> Decision:
            views = {"disguised": read.disguised, "quoted": read.quoted}
            return decide(event, read.verdict, standing, policy, **views, may_punish=young)

        decision, earlier = decided(Standing()), list[Revision]()
        if revises:
            await self._messages.before(_message_of(event), row)
            earlier = await self._store_retry(lambda: self._store.revisions.before(row, event.key))
        if await self._is_held(event, decision, earlier, policy):
            outcome = EditOutcome(held_decision(decision), (), opens=False)
        elif decision.band is Band.ACTION:
            outcome = outcome_of_edit(await self._with_the_past(row, event, policy, decided, now), earlier)
        else:
            outcome = outcome_of_edit(decision, earlier)
        recorded = await self._record(row, read.verdict, outcome, earlier, now)
        self.end(row, event)
        return recorded

    async def _with_the_past(
        self,
        row: int,
        event: Message,
        policy: Policy,
        decided: Callable[[Standing], Decision],
        now: datetime,
    ) -> Decision:
        """Many read the journal side by side; then each decides in its turn, with what was decided since it read.

        Between the look at that and its own entry nobody else has a turn.
        """
        author, community = self._store.author(event), event.key.community
        with self._pending_decisions.reading() as began:
            past = await self._past(event, policy, now)
            await self._authors.before(author_of(event), row)
            pending = self._pending_decisions.since(began, community)
        standing = self._standing(event, author, past, pending, now)
        decision = decided(standing)
        if decision.enforced:
            self._pending_decisions.write(row, Acted(community, author, event.key.message, now, decision.counts))
        self._authors.end(author_of(event), row)
        if decision.trips:
            await self._cap.pause(community, policy.max_actions_per_hour, now)
        elif standing.is_paused and standing.is_ordinary:
            await self._cap.hit(community, now)
        return decision

    async def _past(self, event: Message, policy: Policy, now: datetime) -> Past:
        """What the journal says."""
        community, ask = event.key.community, self._store.standings
        strikes_since, members_since = strike_expiry(policy, now), self._cap.counted_since(community, now)
        if policy.mode is not Mode.ENFORCE or event.author.is_bot or event.author.is_moderator:
            return await self._store_retry(lambda: ask.strikes(event, strikes_since))
        return await self._store_retry(lambda: ask.past(event, strikes_since, members_since, now))

    def _standing(self, event: Message, author: str, past: Past, others: Sequence[Acted], now: datetime) -> Standing:
        strikes = dict(past.strikes)
        for one in others:
            if one.author == author:
                strikes.setdefault(one.message, one.at)
        strikes.pop(event.key.message, None)
        members = past.members | {one.author for one in others if one.counts}
        return Standing(
            strikes=len(strikes),
            last_minute=sum(at > now - LAST_MINUTE for at in strikes.values()),
            is_ordinary=past.is_ordinary and author not in members,
            members_last_hour=len(members),
            is_paused=self._cap.is_paused(event.key.community),
        )

    async def _is_held(self, event: Message, decision: Decision, earlier: Sequence[Revision], policy: Policy) -> bool:
        """Whether a moderator's word or Undo about an earlier revision covers what is flagged in this one."""
        word = last_word(earlier)
        if word is None or decision.band is Band.CLEAR:
            return False

        async def band_of(text: str) -> Band:
            own = replace(event, text=text, quoted="")
            return (await self._judged(own, policy)).band if text.strip() else Band.CLEAR

        before = f"{word.row.text}\n{word.row.quoted}"
        return await has_same_flagged_words(before, f"{event.text}\n{event.quoted}", band_of)

    async def _record(
        self, row: int, verdict: Verdict, outcome: EditOutcome, earlier: Sequence[Revision], now: datetime
    ) -> Recorded:
        decision, todo = outcome.decision, outcome.todo
        case = await self._store_retry(
            lambda: self._store.record_decision(
                row,
                verdict,
                decision,
                RowState.INTENDED if todo else RowState.DONE,
                now,
                case=outcome.opens,
                takes=outcome.takes,
                todo=todo if earlier else None,
            )
        )
        before = shown_revision(earlier)
        return Recorded(decision, todo, case if case is not None or before is None else before.case)


def _message_of(event: Message) -> str:
    return "\0".join(event.key.address)
