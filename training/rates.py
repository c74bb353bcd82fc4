"""How much of what is plainly hateful is acted on, and shown, by the thresholds a new community starts with.

Accuracy does not see an adapter that has become unsure: a slur called hate with 0.6 instead of 0.9 is called right and
no longer acted on. And of many small losses each is forgiven. So these shares are compared with those of the adapter
it would replace, and of the first one, which no correction made.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from torch import Tensor

from model.labels import LABELS, Label
from training.examples import Example
from training.slurs import SOURCE, slurs

ACTING: Mapping[Label, float] = {Label.HATE: 0.85, Label.OFFENSIVE: 0.95}
"""The action thresholds a new community starts with."""
ALERTING: Mapping[Label, float] = {Label.HATE: 0.5, Label.OFFENSIVE: 0.7}
"""From these on its moderators are shown a message."""
SENTENCES = ("derogation", "threat", "exclusion", "implicit", "profane_hate")
TWEETS, IN_TWEETS = ("davidson", "mix"), f"{SOURCE} in tweets"
STEP_ACTED, STEP_SHOWN = 0.15, 0.05
"""One refresh may lose so much of a slice, or one text of it. Honest words about other texts make an adapter surer or
less sure, so what is acted on falls by up to 0.13, and what is shown by up to 0.04 (benchmarks/RESULTS.md)."""
DRIFT_ACTED, DRIFT_SHOWN = 0.2, 0.08
"""All refreshes together may, since the first adapter."""
SLURS_STEP_ACTED, SLURS_DRIFT_ACTED = 0.1, 0.15
"""Of slurs less may be lost: honest words cost up to 0.08 there."""
ONE_SLUR = 0.3
"""So much of a single slur's few sentences may be shown no longer."""


@dataclass(frozen=True, slots=True)
class Rates:
    """Shares of a slice's texts that reach an action threshold, and that moderators are shown."""

    acted: float
    shown: float
    texts: int


def rates(probabilities: Tensor, held_out: Sequence[Example]) -> dict[str, Rates]:
    """Of each slice of the (N, 3) probabilities of the N texts that has any; single slurs last, named as they are."""
    found = {}
    for name, rows in _slices(held_out).items():
        mine = probabilities[rows]
        found[name] = Rates(share_at(mine, ACTING), share_at(mine, ALERTING), len(rows))
    return found


def share_at(probabilities: Tensor, thresholds: Mapping[Label, float]) -> float:
    """Share that reaches a threshold; the score of *offensive* includes *hate* (docs/concepts.md)."""
    hate, offensive = (probabilities[:, LABELS.index(label)] for label in (Label.HATE, Label.OFFENSIVE))
    reached = (hate >= thresholds[Label.HATE]) | (hate + offensive >= thresholds[Label.OFFENSIVE])
    return float(reached.float().mean())


def lost(before: Mapping[str, Rates], after: Mapping[str, Rates], *, since_first: bool = False) -> list[str]:
    """Why a candidate may not serve, one sentence a slice; `before` is the first adapter's where `since_first`."""
    reasons = []
    since = " at the beginning" if since_first else ""
    for name, was in before.items():
        now, (most_acted, most_shown) = after[name], _most(name, since_first)
        for what, share, left, most in (
            ("acted on", was.acted, now.acted, most_acted),
            ("shown", was.shown, now.shown, most_shown),
        ):
            if (share - left) * was.texts > max(1.0, most * was.texts) + 1e-6:
                reasons.append(f"{name} {what}: {left:.1%} instead of {share:.1%}{since}")
    return reasons


def _most(name: str, since_first: bool) -> tuple[float, float]:
    """(of what is acted on, of what is shown) the share of a slice that may be lost."""
    if is_single(name):
        return 1.0, ONE_SLUR
    acted, shown = (DRIFT_ACTED, DRIFT_SHOWN) if since_first else (STEP_ACTED, STEP_SHOWN)
    if name.startswith(SOURCE):
        acted = SLURS_DRIFT_ACTED if since_first else SLURS_STEP_ACTED
    return acted, shown


def is_single(name: str) -> bool:
    """Whether a slice is a single slur's."""
    return name.startswith(f"{SOURCE}: ")


def is_slur(example: Example) -> bool:
    """Whether it is one of the sentences that only these shares are about."""
    return example.source.startswith(SOURCE)


def _slices(held_out: Sequence[Example]) -> dict[str, list[int]]:
    hateful = [(n, each.source) for n, each in enumerate(held_out) if each.label is Label.HATE]
    tweets = [n for n, source in hateful if source in TWEETS]
    known = slurs()
    found = {
        SOURCE: [n for n, source in hateful if source.startswith(SOURCE)],
        "hateful sentences": [n for n, source in hateful if source in SENTENCES],
        IN_TWEETS: [n for n in tweets if any(slur in held_out[n].text.lower() for slur in known)],
        "hateful tweets": tweets,
    }
    for n, source in hateful:
        if source.startswith(SOURCE):
            found.setdefault(source, []).append(n)
    return {name: rows for name, rows in found.items() if rows}


def worst_slur(before: Mapping[str, Rates], after: Mapping[str, Rates]) -> str:
    """The single slur that lost most, "" where none has."""
    singles = filter(is_single, before)
    worst = max(singles, key=lambda name: before[name].shown - after[name].shown, default="")
    return worst if worst and before[worst].shown > after[worst].shown else ""
