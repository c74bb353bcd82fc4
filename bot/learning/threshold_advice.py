"""Advises thresholds from answered cards, the first thing to learn from a handful of them.

A community whose norms differ from the model's (profanity is fine here, say) needs no new adapter for that: a threshold
works at once, can be read, and is taken back as easily.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from bot.domain.case import Case, CaseState
from bot.domain.decision import QUOTED
from bot.domain.event import Kind
from bot.domain.policy import Policy
from model.labels import HARMFUL, Label
from model.quality import wilson_interval

BESIDE = {QUOTED, Kind.NAME, Kind.TITLE}
LEAST_WORDS = 12
"""Cards of a label that moderators must have answered before anything is advised."""
STEP = 0.05
FEW = 0.2
"""Advice is given where fewer cards than this share were right, as far as so few words can tell: a norm that differs.
Where some are right, a higher threshold misses them too, and the moderators' words teach the adapter instead."""


@dataclass(frozen=True, slots=True)
class Answered:
    """A card a moderator has answered: the label it was shown for, that label's score, and what it is."""

    label: Label
    score: float
    said: Label

    @property
    def right(self) -> bool:
        """Whether it was worth showing: hate is offensive too."""
        return self.said is Label.HATE or (self.said is Label.OFFENSIVE and self.label is Label.OFFENSIVE)


@dataclass(frozen=True, slots=True)
class Advice:
    """Advice to raise a label's alert threshold to `alert_at`; `sentence` gives the reason in numbers of answered
    cards."""

    label: Label
    alert_at: float
    sentence: str


def advise(answered: Sequence[Answered], policy: Policy) -> list[Advice]:
    """Returns advice for each label whose cards are nearly all wrong; often none.

    The advised threshold is the lowest from which at least half of the answered cards were right; 1 where there is
    none, which shows no more cards of this label.
    """
    advice = []
    for label in HARMFUL:
        cards = [card for card in answered if card.label is label and card.score >= policy.of(label).alert_at]
        right = sum(card.right for card in cards)
        if len(cards) < LEAST_WORDS or wilson_interval(right, len(cards))[1] >= FEW:
            continue
        alert_at = _lowest(cards, policy.of(label).alert_at)
        spared = sum(not card.right and card.score < alert_at for card in cards)
        missed = sum(card.right and card.score < alert_at for card in cards)
        sentence = (
            f"Of {len(cards)} messages shown as {label} only {right} were. An alert threshold of {alert_at:.2f} would "
            f"have spared {spared} wrong alerts and missed {missed} right ones."
        )
        advice.append(Advice(label, alert_at, sentence))
    return advice


def answered(cases: Sequence[Case]) -> list[Answered]:
    """The cards among these that a moderator confirmed or corrected. Names, titles and what is quoted say nothing about
    a message's threshold."""
    cards = []
    for case in cases:
        decision = case.decision
        label = decision.label if case.state is CaseState.CONFIRMED else case.corrected_label
        if BESIDE & set(decision.flags):
            continue
        if case.state in (CaseState.CONFIRMED, CaseState.CORRECTED) and label and decision.label in HARMFUL:
            cards.append(Answered(decision.label, decision.score, Label(label)))
    return cards


def _lowest(cards: Sequence[Answered], from_: float) -> float:
    """Returns the lowest step above `from_` from which half of at least a few cards are right, else 1."""
    for step in range(math.floor(from_ / STEP) + 1, round(1 / STEP)):
        above = [card.right for card in cards if card.score >= step * STEP]
        if len(above) >= LEAST_WORDS / 2 and sum(above) >= len(above) / 2:
            return round(step * STEP, 2)
    return 1.0
