"""Recall of plain hate: how much of it is acted on, and shown, at the thresholds of a new community.

Accuracy does not notice an adapter that has become unsure: a slur with P(hate) 0.6 instead of 0.9 is still labelled
correctly, but no longer acted on. Many small losses also add up. So the recall is compared with the serving adapter's
and with the first adapter's, which no correction changed.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from torch import Tensor

from model.labels import LABELS, Label
from model.presets import PRESET_THRESHOLDS
from training.examples import Example
from training.slur_sentences import SLUR_SOURCE, known_slurs

ALERT_THRESHOLDS, ACTION_THRESHOLDS = PRESET_THRESHOLDS["standard"].alert_at, PRESET_THRESHOLDS["standard"].act_at
"""What a new community starts with: from the first moderators see a message, from the second the bot acts."""
SENTENCE_SLICES = ("derogation", "threat", "exclusion", "implicit", "profane_hate")
TWEET_SLICES, SLURS_IN_TWEETS = ("davidson", "mix"), f"{SLUR_SOURCE} in tweets"
STEP_ACTED, STEP_SHOWN = 0.15, 0.05
"""One refresh may lose this share of a slice, or one text of it. Honest corrections of other texts also move the
probabilities: the acted-on share falls by up to 0.13, the shown share by up to 0.04 (benchmarks/RESULTS.md)."""
DRIFT_ACTED, DRIFT_SHOWN = 0.2, 0.08
"""All refreshes since the first adapter together may lose this share."""
SLURS_STEP_ACTED, SLURS_DRIFT_ACTED = 0.1, 0.15
"""For slurs less may be lost: honest corrections cost up to 0.08 there."""
ONE_SLUR_SHOWN = 0.3
"""Largest share of a single slur's sentences that may no longer be shown."""


@dataclass(frozen=True, slots=True)
class HateRecall:
    """Shares of a slice's texts that reach an action threshold, and an alert threshold."""

    acted: float
    shown: float
    texts: int


def measure_hate_recall(probabilities: Tensor, held_out: Sequence[Example]) -> dict[str, HateRecall]:
    """The recall of each non-empty slice of the N texts, from their (N, 3) probabilities; single slurs come last."""
    recall = {}
    for name, rows in _slices(held_out).items():
        of_slice = probabilities[rows]
        recall[name] = HateRecall(
            share_reaching(of_slice, ACTION_THRESHOLDS), share_reaching(of_slice, ALERT_THRESHOLDS), len(rows)
        )
    return recall


def share_reaching(probabilities: Tensor, thresholds: Mapping[Label, float]) -> float:
    """Share of the texts that reach a threshold; the score of *offensive* includes *hate* (docs/concepts.md)."""
    hate, offensive = (probabilities[:, LABELS.index(label)] for label in (Label.HATE, Label.OFFENSIVE))
    reached = (hate >= thresholds[Label.HATE]) | (hate + offensive >= thresholds[Label.OFFENSIVE])
    return float(reached.float().mean())


def describe_losses(
    before: Mapping[str, HateRecall], after: Mapping[str, HateRecall], *, since_first: bool = False
) -> list[str]:
    """Why a candidate may not serve, one sentence per slice; with `since_first`, `before` is the first adapter's."""
    reasons = []
    since = " of the first adapter" if since_first else ""
    for name, was in before.items():
        now, (acted_margin, shown_margin) = after[name], _margins(name, since_first)
        for kind, share, after_share, margin in (
            ("acted on", was.acted, now.acted, acted_margin),
            ("shown", was.shown, now.shown, shown_margin),
        ):
            if (share - after_share) * was.texts > max(1.0, margin * was.texts) + 1e-6:
                reasons.append(f"{name} {kind}: {after_share:.1%} instead of {share:.1%}{since}")
    return reasons


def _margins(name: str, since_first: bool) -> tuple[float, float]:
    """(acted on, shown): the shares of a slice that may be lost."""
    if is_single_slur(name):
        return 1.0, ONE_SLUR_SHOWN
    acted, shown = (DRIFT_ACTED, DRIFT_SHOWN) if since_first else (STEP_ACTED, STEP_SHOWN)
    if name.startswith(SLUR_SOURCE):
        acted = SLURS_DRIFT_ACTED if since_first else SLURS_STEP_ACTED
    return acted, shown


def is_single_slur(name: str) -> bool:
    """Whether the slice has a single slur's sentences."""
    return name.startswith(f"{SLUR_SOURCE}: ")


def is_slur_sentence(example: Example) -> bool:
    """Whether the example is one of the slur sentences, which count only for this recall."""
    return example.source.startswith(SLUR_SOURCE)


def _slices(held_out: Sequence[Example]) -> dict[str, list[int]]:
    hateful = [(n, each.source) for n, each in enumerate(held_out) if each.label is Label.HATE]
    tweets = [n for n, source in hateful if source in TWEET_SLICES]
    slurs = known_slurs()
    slices = {
        SLUR_SOURCE: [n for n, source in hateful if source.startswith(SLUR_SOURCE)],
        "hateful sentences": [n for n, source in hateful if source in SENTENCE_SLICES],
        SLURS_IN_TWEETS: [n for n in tweets if any(slur in held_out[n].text.lower() for slur in slurs)],
        "hateful tweets": tweets,
    }
    for n, source in hateful:
        if source.startswith(SLUR_SOURCE):
            slices.setdefault(source, []).append(n)
    return {name: rows for name, rows in slices.items() if rows}


def worst_slur(before: Mapping[str, HateRecall], after: Mapping[str, HateRecall]) -> str:
    """The slice of the single slur that lost most; "" if none lost anything."""
    singles = filter(is_single_slur, before)
    worst = max(singles, key=lambda name: before[name].shown - after[name].shown, default="")
    return worst if worst and before[worst].shown > after[worst].shown else ""
