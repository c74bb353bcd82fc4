"""Whether a candidate may serve: it must not be worse than the adapter it would replace."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from model.labels import LABELS, Label
from model.quality import Metrics
from training.evaluate import flagged_share, measure
from training.examples import Example

MACRO_F1_MARGIN = 0.01
FALSE_POSITIVE_MARGIN = 0.02
CALIBRATION_BUDGET = 0.15
IDENTITY_SLICES = frozenset({"identity_neutral", "identity_positive", "in_group", "negated", "counter_speech"})
"""Harmless sentences that name a group: the ones a careless model flags."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """`reasons` is empty when the candidate may serve; else each says in a sentence what got worse."""

    before: Metrics
    after: Metrics
    reasons: tuple[str, ...]


def judge(before: Tensor, after: Tensor, held_out: Sequence[Example]) -> Judgement:
    """Compares (N, 3) probabilities of the serving adapter and the candidate on the same N held-out texts."""
    labels = torch.tensor([LABELS.index(example.label) for example in held_out])
    old, new = measure(before, labels), measure(after, labels)
    reasons = []
    if new.macro_f1 < old.macro_f1 - MACRO_F1_MARGIN:
        reasons.append(f"macro-F1 on held-out texts fell from {old.macro_f1:.3f} to {new.macro_f1:.3f}")
    harmless = [i for i, example in enumerate(held_out) if example.label is Label.NEUTRAL]
    identity = [i for i, example in enumerate(held_out) if example.source in IDENTITY_SLICES]
    for name, rows in (("harmless texts", harmless), ("harmless mentions of groups", identity)):
        was, now = (flagged_share(p[rows]) if rows else 0.0 for p in (before, after))
        if now > was + FALSE_POSITIVE_MARGIN:
            reasons.append(f"{name} flagged: {now:.1%} instead of {was:.1%}")
    if new.calibration_error > max(CALIBRATION_BUDGET, old.calibration_error):
        reasons.append(f"calibration error {new.calibration_error:.3f} is above {CALIBRATION_BUDGET:.3f}")
    return Judgement(old, new, tuple(reasons))
