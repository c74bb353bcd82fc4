"""The gate: decides whether a candidate may serve. It must not be worse than the serving adapter for any community.

It must also not be much worse than the first adapter, which no correction changed: ten small losses, each allowed
alone, would add up.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from model.labels import LABELS, Label
from model.norms import PLAIN_NORM, Norm
from model.quality import Metrics
from training.evaluation import flagged_share, measure
from training.examples import Example
from training.hate_recall import (
    ACTION_THRESHOLDS,
    HateRecall,
    describe_losses,
    is_single_slur,
    is_slur_sentence,
    measure_hate_recall,
    share_reaching,
    worst_slur,
)
from training.prevalence import Prevalence

MACRO_F1_MARGIN = 0.02
"""The 90 % interval of the change in macro-F1 must lie above minus this: a candidate that may be worse is refused."""
SLICE_MARGIN, SLICE_TEXTS = 0.02, 2.0
"""A slice may flag so many texts more, or this share of its texts: one correction of one text can turn two of 40 that
lie near the line."""
FALSE_ACTION_BUDGET, FALSE_ACTION_MARGIN = 0.02, 0.005
"""At most this share of the harmless (and difficult) held-out texts may reach an action threshold. If the serving
adapter exceeds it, the candidate may exceed that adapter's share by the margin."""
CALIBRATION_BUDGET = 0.15
IDENTITY_SLICES = ("identity_neutral", "identity_positive", "in_group", "negated", "counter_speech")
"""Slices of harmless sentences that name a group, which a careless model flags."""
DRIFT_FACTOR = 1.5
"""Against the first adapter each margin is this many times as wide, because one honest refresh may already use up the
simple margin."""
_DRAWS = 2000


@dataclass(frozen=True, slots=True)
class CommunityCheck:
    """What the gate checks for one community: its norm before and after, its action thresholds, its daily mix.

    Communities that are not trusted have no veto, else one of them could stop the learning of all others.
    """

    community: str = ""
    before: Norm = PLAIN_NORM
    after: Norm = PLAIN_NORM
    action_thresholds: Mapping[Label, float] = field(default_factory=lambda: ACTION_THRESHOLDS)
    prevalence: Prevalence | None = None
    has_veto: bool = True


NEW_COMMUNITY = CommunityCheck()
"""A new community with the default settings."""


@dataclass(frozen=True, slots=True)
class DailyMix:
    """Held-out texts weighted by a community's real shares of the labels.

    `wrongly_flagged` and `missed` (harmful, but not flagged) count among 1,000 messages. `precision` is the share of
    correct flags.
    """

    wrongly_flagged: float
    missed: float
    precision: float


@dataclass(frozen=True, slots=True)
class Judgement:
    """The gate's result. `reasons` is empty if the candidate may serve; else each sentence says what got worse.

    `f1_change_interval` is the 90 % interval of the change in macro-F1. `flagged` and `acted_on` are shares (before,
    after); `acted_on` is of the community where most is acted on. `daily` is (before, after) of each audited community.
    `hate_recall` has (serving, candidate, first adapter), the last one empty if not given; `first` has the metrics of
    the first adapter.
    """

    before: Metrics
    after: Metrics
    f1_change_interval: tuple[float, float]
    flagged: Mapping[str, tuple[float, float]]
    acted_on: tuple[float, float]
    daily: Mapping[str, tuple[DailyMix, DailyMix]]
    reasons: tuple[str, ...]
    hate_recall: tuple[Mapping[str, HateRecall], Mapping[str, HateRecall], Mapping[str, HateRecall]] = ({}, {}, {})
    first: Metrics | None = None

    @property
    def compared(self) -> list[tuple[str, str, str]]:
        """(figure, before, after) for the report."""
        f1, acted = (self.before.macro_f1, self.after.macro_f1), self.acted_on
        rows = [
            ("macro-F1 on held-out texts", f"{f1[0]:.3f}", f"{f1[1]:.3f}"),
            ("harmless texts at an action threshold", f"{acted[0]:.1%}", f"{acted[1]:.1%}"),
        ]
        rows += self._compared_rates()
        rows += [(f"flagged: {name}", f"{was:.1%}", f"{now:.1%}") for name, (was, now) in self.flagged.items()]
        for name, (was, now) in self.daily.items():
            among = f"{name}, in 1,000 of its messages"
            rows += [
                (f"{among}: flagged wrongly", f"{was.wrongly_flagged:.1f}", f"{now.wrongly_flagged:.1f}"),
                (f"{among}: harmful and missed", f"{was.missed:.1f}", f"{now.missed:.1f}"),
                (f"{name}: flags that are right", f"{was.precision:.1%}", f"{now.precision:.1%}"),
            ]
        if self.first is not None:
            rows.append(("macro-F1 of the first adapter, and after", f"{self.first.macro_f1:.3f}", f"{f1[1]:.3f}"))
        return rows

    def _compared_rates(self) -> list[tuple[str, str, str]]:
        """Rows for each slice of plain hate, and for the single slur that lost most."""
        before, after, first = self.hate_recall
        rows = []
        for name in before:
            if is_single_slur(name) and name != worst_slur(before, after):
                continue
            since = f" (first adapter: {first[name].acted:.1%})" if first else ""
            rows.append((f"acted on, of {name}{since}", f"{before[name].acted:.1%}", f"{after[name].acted:.1%}"))
            rows.append((f"shown, of {name}", f"{before[name].shown:.1%}", f"{after[name].shown:.1%}"))
        return rows


def judge(
    before: Tensor,
    after: Tensor,
    held_out: Sequence[Example],
    checks: Sequence[CommunityCheck] = (NEW_COMMUNITY,),
    first: Tensor | None = None,
) -> Judgement:
    """Compares (N, 3) probabilities of the serving adapter and the candidate on the same N held-out texts.

    All probabilities are before any norm, like the held-out labels. `checks` (at least one) has the communities, and
    `first` the probabilities of the first adapter. A candidate with a score that is not finite is refused, because
    every comparison with such a score is false.
    """
    unsound = int((~torch.isfinite(after).all(dim=-1)).sum())
    before, after = (torch.nan_to_num(pair, nan=0.0, posinf=0.0, neginf=0.0) for pair in (before, after))
    recall_before, recall_after = measure_hate_recall(before, held_out), measure_hate_recall(after, held_out)
    recall_first = measure_hate_recall(first, held_out) if first is not None else {}
    general = [i for i, example in enumerate(held_out) if not is_slur_sentence(example)]
    held_out, before, after = [held_out[i] for i in general], before[general], after[general]
    first = first[general] if first is not None else None
    labels = torch.tensor([LABELS.index(example.label) for example in held_out])
    metrics_before, metrics_after = measure(before, labels), measure(after, labels)
    low, high = f1_change_interval(before.argmax(-1), after.argmax(-1), labels)
    reasons = [f"{unsound} scores are not finite numbers"] if unsound else []
    if low < -MACRO_F1_MARGIN:
        reasons.append(
            f"macro-F1 on held-out texts may fall by {-low:.3f} "
            f"({metrics_before.macro_f1:.3f} before, {metrics_after.macro_f1:.3f} after)"
        )
    reasons += describe_losses(recall_before, recall_after)
    harmless = [i for i, example in enumerate(held_out) if example.label is Label.NEUTRAL]
    slices = {"harmless texts": harmless}
    for name in IDENTITY_SLICES:
        if rows := [i for i, example in enumerate(held_out) if example.source == name]:
            slices[name.replace("_", " ")] = rows
    flagged = {}
    for name, rows in slices.items():
        was, now = flagged[name] = flagged_share(before[rows]), flagged_share(after[rows])
        if (now - was) * len(rows) > max(SLICE_TEXTS, SLICE_MARGIN * len(rows)) + 1e-6:
            reasons.append(f"{name} flagged: {now:.1%} instead of {was:.1%}")
    acted: list[tuple[float, float]] = []
    for check in checks if harmless else ():
        if check.has_veto:
            acted.append(_acted_on(before[harmless], after[harmless], check))
            if reason := _false_actions_reason(*acted[-1], check):
                reasons.append(reason)
    daily = {}
    for check in checks:
        if check.prevalence is not None:
            daily[check.community], fall = _compare_daily_mix(before, after, labels, check)
            if fall < -MACRO_F1_MARGIN and check.has_veto:
                reasons.append(f"macro-F1 in the daily mix of {check.community} may fall by {-fall:.3f}")
    if metrics_after.calibration_error > max(CALIBRATION_BUDGET, metrics_before.calibration_error):
        reasons.append(f"calibration error {metrics_after.calibration_error:.3f} is above {CALIBRATION_BUDGET:.3f}")
    most_acted = max(acted, key=lambda pair: pair[1], default=(0.0, 0.0))
    metrics_first = None
    if first is not None:
        metrics_first = measure(first, labels)
        reasons += describe_losses(recall_first, recall_after, since_first=True)
        reasons += _describe_drift(first, after, labels, slices)
    recalls = (recall_before, recall_after, recall_first)
    return Judgement(
        metrics_before, metrics_after, (low, high), flagged, most_acted, daily, tuple(reasons), recalls, metrics_first
    )


def false_action_reason(before: Tensor, after: Tensor, held_out: Sequence[Example], check: CommunityCheck) -> str:
    """Why a community's new norm would act on too many harmless texts at its thresholds; "" if it would not.

    `before` and `after` are (N, 3) probabilities before any norm.
    """
    harmless = [i for i, example in enumerate(held_out) if example.label is Label.NEUTRAL]
    return _false_actions_reason(*_acted_on(before[harmless], after[harmless], check), check)


def _acted_on(before: Tensor, after: Tensor, check: CommunityCheck) -> tuple[float, float]:
    """(before, after): shares of harmless texts, with (N, 3) probabilities, that are acted on in a community."""
    was = share_reaching(_normed(before, check.before), check.action_thresholds)
    return was, share_reaching(_normed(after, check.after), check.action_thresholds)


def _false_actions_reason(was: float, now: float, check: CommunityCheck) -> str:
    if now <= max(FALSE_ACTION_BUDGET, was + FALSE_ACTION_MARGIN):
        return ""
    place = f" at the thresholds of {check.community}" if check.community else ""
    return f"harmless texts acted on{place}: {now:.1%} instead of {was:.1%}"


def _describe_drift(first: Tensor, after: Tensor, labels: Tensor, slices: Mapping[str, list[int]]) -> list[str]:
    """Why a candidate is too much worse than the first adapter, one sentence for each figure."""
    reasons = []
    low, _ = f1_change_interval(first.argmax(-1), after.argmax(-1), labels)
    if low < -DRIFT_FACTOR * MACRO_F1_MARGIN:
        reasons.append(f"macro-F1 on held-out texts may have fallen by {-low:.3f} since the first adapter")
    for name, rows in slices.items():
        was, now = flagged_share(first[rows]), flagged_share(after[rows])
        if rows and (now - was) * len(rows) > DRIFT_FACTOR * max(SLICE_TEXTS, SLICE_MARGIN * len(rows)) + 1e-6:
            reasons.append(f"{name} flagged: {now:.1%} instead of {was:.1%} of the first adapter")
    if harmless := slices["harmless texts"]:
        was, now = (
            share_reaching(first[harmless], ACTION_THRESHOLDS),
            share_reaching(after[harmless], ACTION_THRESHOLDS),
        )
        if now > max(FALSE_ACTION_BUDGET, was + DRIFT_FACTOR * FALSE_ACTION_MARGIN):
            reasons.append(f"harmless texts acted on: {now:.1%} instead of {was:.1%} of the first adapter")
    return reasons


def f1_change_interval(
    before: Tensor, after: Tensor, labels: Tensor, seed: int = 1, shares: Sequence[float] | None = None
) -> tuple[float, float]:
    """The 90 % interval of macro-F1 after minus before, by resampling texts (paired bootstrap).

    `before`, `after` and `labels` are (N,) label indices. With `shares`, each label has this share of the drawn texts.
    Efron and
    Tibshirani 1993, "An Introduction to the Bootstrap", section 13.3.
    """
    n = len(LABELS)
    cells = torch.bincount(
        (labels * n + before) * n + after, minlength=n**3
    ).double()  # every text belongs to one of 27 cells
    if shares is not None:
        cells = cells * _label_weights(labels, shares).double().repeat_interleave(n * n)
    generator = torch.Generator().manual_seed(seed)
    drawn = torch.multinomial(cells, _DRAWS * len(labels), replacement=True, generator=generator)
    counts = torch.zeros(_DRAWS, n**3).scatter_add_(1, drawn.view(_DRAWS, -1), torch.ones(_DRAWS, len(labels)))
    table = counts.view(_DRAWS, n, n, n)  # (draws, label, called before, called after)
    change = _macro_f1(table.sum(2)) - _macro_f1(table.sum(3))
    low, high = torch.quantile(change, torch.tensor([0.05, 0.95])).tolist()
    return low, high


def _macro_f1(confusion: Tensor) -> Tensor:
    """(draws, label, predicted) counts -> (draws,); a label that is not drawn does not count."""
    precision = confusion.diagonal(dim1=1, dim2=2)
    actual, predicted = confusion.sum(2), confusion.sum(1)
    f1 = 2 * precision / (actual + predicted).clamp(min=1)
    return (f1 * (actual > 0)).sum(1) / (actual > 0).sum(1)


def _normed(probabilities: Tensor, norm: Norm) -> Tensor:
    return probabilities @ torch.tensor(norm.matrix)


def _compare_daily_mix(
    before: Tensor, after: Tensor, labels: Tensor, check: CommunityCheck
) -> tuple[tuple[DailyMix, DailyMix], float]:
    """((before, after), lower end of the interval of the change in macro-F1), with labels by the new norm."""
    shares = check.prevalence.shares if check.prevalence else ()
    true = torch.tensor(check.after.matrix).argmax(-1)[labels]
    predicted = [_normed(p, norm).argmax(-1) for p, norm in ((before, check.before), (after, check.after))]
    mixes = [_daily_mix(each, true, shares) for each in predicted]
    low, _ = f1_change_interval(predicted[0], predicted[1], true, shares=shares)
    return (mixes[0], mixes[1]), low


def _daily_mix(predicted: Tensor, labels: Tensor, shares: Sequence[float]) -> DailyMix:
    weight = _label_weights(labels, shares)[labels]
    weight = weight / weight.sum()
    neutral = LABELS.index(Label.NEUTRAL)
    flagged, harmful = predicted != neutral, labels != neutral
    wrongly_flagged, missed, caught = (
        float(weight[which].sum()) for which in (flagged & ~harmful, ~flagged & harmful, flagged & harmful)
    )
    return DailyMix(1000 * wrongly_flagged, 1000 * missed, caught / max(caught + wrongly_flagged, 1e-9))


def _label_weights(labels: Tensor, shares: Sequence[float]) -> Tensor:
    """(3,) the weight of a text of each label, so that the labels have these shares."""
    counts = torch.bincount(labels, minlength=len(LABELS)).float()
    return torch.tensor(shares) / counts.clamp(min=1) * (counts > 0)
