"""What moderators and members may ask of the service, on whatever platform they ask. Rights are checked by whoever
passes the question on."""

import asyncio
from array import array
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256

from bot.cases.card import Card, card, unchanged_text
from bot.cases.explanation import Explanation
from bot.domain.action import action_text
from bot.domain.case import Case, UnchangedAction
from bot.domain.correction import CorrectionOutcome
from bot.domain.decision import QUOTED, UNREAD, explained_label, wordless_decision
from bot.domain.event import Message, MessageKey
from bot.domain.policy import Policy
from bot.pipeline.enforcement import UndoResult
from bot.pipeline.pipeline import Judgement, Pipeline
from bot.pipeline.question_lane import Asker, Questions
from bot.store import Store
from bot.text.language import Language, say
from model.classifier import Classifier, Item, Unavailable, Unscorable, Verdict
from model.explain import find_evidence, find_nearest
from model.labels import LABELS, Label

NOTHING = UndoResult()
NEAREST_OF = 500
"""Past corrections an explanation is compared with."""
NEAREST, LOOKED_AT = 3, 12
"""So many of them are shown, and the likest are asked about until so many may be read."""
MOST_VECTORS, LONGEST_EMBEDDED = 4000, 2000
"""Of past corrections, kept in memory so that they are not computed for each explanation."""
MayRead = Callable[[MessageKey], Awaitable[bool]]
"""Whether whoever asks may read what was written there."""


async def reads_everything(_: MessageKey) -> bool:
    """For who reads everything of a community."""
    return True


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a moderator's click came to.

    `word` is None for an undo, `teaches` for what has nothing to do with teaching.
    """

    case: Case
    label: Label | None = None
    word: CorrectionOutcome | None = None
    teaches: bool | None = None
    back: UndoResult = NOTHING

    def text(self, language: Language = "en") -> str:
        """One or two sentences for the moderator who clicked."""
        parts = []
        if self.word is CorrectionOutcome.SAME:
            parts.append(say(language, "outcome-same"))
        elif self.label is not None:
            name = "outcome-agreed" if self.word is CorrectionOutcome.AGREED else "outcome-labelled"
            parts.append(say(language, name, label=say(language, f"label-{self.label}")))
            parts.append(say(language, "outcome-teaches" if self.teaches else "outcome-no-basis"))
        elif self.back != NOTHING:
            parts.append(say(language, "outcome-undone"))
        else:
            parts.append(say(language, "outcome-nothing-to-undo"))
        named = {
            "outcome-taken-back": self.back.done,
            "outcome-cannot": self.back.kept,
            "outcome-waiting": self.back.waiting,
        }
        for name, those in named.items():
            if those:
                parts.append(say(language, name, actions=", ".join(action_text(language, one) for one in those)))
        parts += [
            unchanged_text(UnchangedAction(action, restriction, True), language)
            for action, restriction in self.back.unchanged
        ]
        return " ".join(parts)


class CaseService:
    """Answers questions and carries out moderators' words; `changed` hears of every case that changes by them."""

    def __init__(
        self,
        store: Store,
        pipeline: Pipeline,
        classifier: Classifier,
        *,
        changed: Callable[[Case], None] = lambda case: None,
    ) -> None:
        self._store = store
        self._pipeline = pipeline
        self.questions = Questions(classifier, lambda: pipeline.is_busy)
        self._vectors: OrderedDict[bytes, Sequence[float]] = OrderedDict()
        self.changed = changed
        self.basis_of: dict[str, Callable[[str], Awaitable[str | None]]] = {}
        """By platform: by which right the texts of one of its communities teach, whoever corrects them and wherever;
        None, or no entry, is by each author's own consent."""

    async def confirm(self, case: Case, moderator: str) -> Outcome:
        """👍: the label was right; a confirmation teaches too, where there is a basis."""
        return await self._label(case, moderator, case.decision.label, confirms=True)

    async def correct(self, case: Case, moderator: str, label: Label) -> Outcome:
        """👎: the label is wrong. Teaches, where there is a basis, and takes back what can be taken back."""
        return await self._label(case, moderator, label, confirms=False)

    async def undo(self, case: Case, moderator: str) -> Outcome:
        """The action was wrong here: it is taken back, and teaches nothing."""
        back = await self._pipeline.take_back(case, moderator)
        return Outcome(await self._again(case.id), back=back)

    async def explain(
        self, event: Message, asker: Asker, may_read: MayRead = reads_everything, *, others: bool = True
    ) -> tuple[Judgement, Explanation]:
        """What would be done with a text, and why; with `others`, the past corrections it is like, as far as whoever
        asks may read them. Raises `AskLater` and `NotAnswering`."""
        with self.questions.asked(asker) as classifier:
            judged = await self._pipeline.judge(event, classifier=classifier)
            community, verdict = event.key.community, judged.verdict
            label = explained_label(judged.decision.label, verdict)
            explanation = await self._explained(classifier, event.text, label, verdict, community, may_read, others)
            return judged, explanation

    async def explain_case(self, case: Case, asker: Asker, may_read: MayRead = reads_everything) -> Explanation:
        """The same for the message of a case, by the probabilities it was decided with."""
        message = case.message
        with self.questions.asked(asker) as classifier:
            if QUOTED in case.decision.flags:
                quoted = Message(message.key, case.author, message.quoted, message.sent_at)
                text, verdict = quoted.text, (await self._pipeline.judge(quoted, classifier=classifier)).verdict
            elif message.probabilities:
                text = message.text
                verdict = Verdict({label: message.probabilities[label] for label in LABELS}, "", message.adapter)
            else:  # nobody could score it, and nobody is to try again
                raise Unavailable(case.decision.reason)
            label, community = explained_label(case.decision.label, verdict), message.key.community
            return await self._explained(classifier, text, label, verdict, community, may_read, others=True)

    async def _explained(
        self,
        classifier: Classifier,
        text: str,
        label: Label,
        verdict: Verdict,
        community: str,
        may_read: MayRead,
        others: bool,
    ) -> Explanation:
        try:
            (scored,) = await classifier.classify([Item(text, verdict.adapter, community=community)])
            verdict = replace(verdict, part=scored.part)  # the journal keeps the numbers, not the part
            evidence = await find_evidence(classifier, text, verdict, label, community)
        except Unscorable as error:
            raise Unavailable(str(error)) from error
        return Explanation(
            label, evidence, await self._nearest(classifier, text, community, may_read) if others else (), verdict.part
        )

    async def _nearest(
        self, classifier: Classifier, text: str, community: str, may_read: MayRead
    ) -> list[tuple[str, Label, float]]:
        """The past corrections that a text is most like, of those that whoever asks may read."""
        past = await self._store.corrected(community, limit=NEAREST_OF)
        own, *vectors = await self._vectors_of(classifier, [text, *(old for old, *_ in past)])
        near: list[tuple[str, Label, float]] = []
        for place, share in await asyncio.to_thread(find_nearest, own, vectors, LOOKED_AT):
            old, corrected_label, key = past[place]
            if len(near) < NEAREST and await may_read(key):
                near.append((old, Label(corrected_label), round(share, 3)))
        return near

    async def _vectors_of(self, classifier: Classifier, texts: Sequence[str]) -> list[Sequence[float]]:
        """A text's vector comes from the frozen base, so it stays the same; only digests of texts are kept."""
        marks = [sha256(text.encode("utf-8", "replace")).digest() for text in texts]
        known: dict[bytes, Sequence[float]] = {mark: self._vectors[mark] for mark in marks if mark in self._vectors}
        missing = {mark: text for mark, text in zip(marks, texts, strict=True) if mark not in known}
        vectors = await classifier.embed([text[:LONGEST_EMBEDDED] for text in missing.values()])
        known |= {mark: array("f", vector) for mark, vector in zip(missing, vectors, strict=True)}
        for mark in marks[1:]:
            self._vectors[mark] = known[mark]
            self._vectors.move_to_end(mark)
        while len(self._vectors) > MOST_VECTORS:
            self._vectors.popitem(last=False)
        return [known[mark] for mark in marks]

    async def card(self, case: Case, language: Language) -> Card:
        """A case's card with all that was said about it."""
        words, reports = await self._store.words(case.id), await self._store.reports.count(case.id)
        return card(case, language, words=words, reports=reports)

    async def report(self, event: Message, reporter: str, now: datetime) -> Case:
        """A member says that a message is not in order: it is read even if exempt, and shown to moderators.

        One without words is shown as what it is. `reporter` is the member's pseudonym; how often somebody may report
        is the caller's matter. Raises `NotAnswering`.
        """
        if event.text or event.quoted:
            classifier = self.questions.uncounted(Asker(event.key.community, reporter))
            judged = await self._pipeline.judge(event, classifier=classifier)
            verdict, decision = judged.verdict, judged.decision
        else:
            verdict, decision = None, wordless_decision()
        number = await self._store.record_shown(event, verdict, decision, now)
        if (case := await self._store.case(number)) is not None:
            await self._store.reports.record(case.message.id, reporter, now)
        return await self._again(number)

    async def preview(
        self, events: Sequence[Message], asker: Asker, policy: Policy | None = None
    ) -> list[tuple[Message, Judgement]]:
        """What would be done with these messages under this policy or the one in force; nothing is kept.

        Raises `AskLater` and `NotAnswering`.
        """
        policy = policy or await self._pipeline.policy(asker.community)
        with self.questions.asked(asker) as classifier:
            judged = await asyncio.gather(*(self._pipeline.judge(event, policy, classifier) for event in events))
            return list(zip(events, judged, strict=True))

    async def example(self, community: str, platform: str, moderator: str, text: str, label: Label) -> None:
        """A text that a moderator wrote to teach with."""
        await self._store.record_example(community, platform, moderator, text, label, datetime.now(UTC))

    async def random_cases(self, community: str, count: int) -> list[Case]:
        """Opens cards of a few random messages of the last 7 days that nobody was shown."""
        now = datetime.now(UTC)
        opened = await self._store.audit.draw(community, count, now - timedelta(days=7), now)
        return [await self._again(number) for number in opened]

    async def _label(self, case: Case, moderator: str, label: Label, *, confirms: bool) -> Outcome:
        # what ended the model would end a refresh, too, and a word on what is quoted says nothing about the text
        teaches = not {UNREAD, QUOTED} & set(case.decision.flags)
        basis = await self._basis(case) if teaches else None
        now = datetime.now(UTC)
        word = await self._store.record_correction(case.id, moderator, label, basis, now, confirms=confirms)
        if word is CorrectionOutcome.SAME:
            return Outcome(case, label, word)
        neutral = label is Label.NEUTRAL and not confirms
        back = await self._pipeline.take_back(case, moderator) if neutral else NOTHING
        return Outcome(await self._again(case.id), label, word, basis is not None, back)

    async def _basis(self, case: Case) -> str | None:
        """From where the text was written and from its author, never from who corrects it."""
        key = case.message.key
        of_platform = self.basis_of.get(key.platform)
        basis = await of_platform(key.community) if of_platform is not None else None
        return basis or await self._store.consents.basis(key.community, case.message.author)

    async def _again(self, number: int) -> Case:
        case = await self._store.case(number)
        if case is None:
            raise LookupError(f"case {number} is gone")
        self.changed(case)
        return case
