"""Whether a candidate may serve: it must not be worse than the adapter it would replace, and not worse for anybody.

Nor may it be worse than the adapter that it began with, which no correction made: of ten small losses each would be
forgiven, their sum is not.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from model.labels import LABELS, Label
from model.norms import PLAIN_NORM, Norm
from model.quality import Metrics
from training.evaluate import flagged_share, measure
from training.examples import Example
from training.prevalence import Prevalence
from training.rates import ACTING, Rates, is_single, is_slur, lost, rates, share_at, worst_slur

MACRO_F1_MARGIN = 0.02
"""The 90 % interval of the change in macro-F1 must lie above minus this: a candidate that may be worse is refused."""
SLICE_MARGIN = 0.02
"""A slice may flag one text more, or this share of its texts; less could be a single borderline sentence."""
FALSE_ACTION_BUDGET, FALSE_ACTION_MARGIN = 0.02, 0.005
"""At most this share of the harmless held-out texts (hard ones) may reach an action threshold; where the serving
adapter has more already, at most the margin on top of that."""
CALIBRATION_BUDGET = 0.15
IDENTITY_SLICES = ("identity_neutral", "identity_positive", "in_group", "negated", "counter_speech")
"""Harmless sentences that name a group: the ones a careless model flags."""
DRIFT_FACTOR = 1.5
"""Against the first adapter each margin is so many times as wide: an honest refresh may use up its own, and the next
one, too, goes on."""
_DRAWS = 2000


@dataclass(frozen=True, slots=True)
class Stake:
    """What a candidate means to one community: its norm before and after, its action thresholds, its daily mix.

    Who is not trusted has no `veto`: with a threshold or an audit of their own they would stop everybody's learning.
    """

    community: str = ""
    before: Norm = PLAIN_NORM
    after: Norm = PLAIN_NORM
    acting: Mapping[Label, float] = field(default_factory=lambda: ACTING)
    prevalence: Prevalence | None = None
    veto: bool = True


NEW_COMMUNITY = Stake()
"""A community that joins tomorrow."""


@dataclass(frozen=True, slots=True)
class DailyMix:
    """Held-out texts weighted to a community's real mix. Per 1,000 messages: wrongly flagged, and harmful but missed.

    `right` is the share of the flags that are right (precision).
    """

    wrong: float
    missed: float
    right: float


@dataclass(frozen=True, slots=True)
class Judgement:
    """`reasons` is empty when the candidate may serve; else each says in a sentence what got worse.

    `f1_interval` is the 90 % interval of the change in macro-F1; `flagged` and `acted_on` are shares (before, after),
    `acted_on` of the community where most is acted on; `daily` is (before, after) of each community with an audit.
    `rates` has what is acted on of plain hate by (serving, candidate, first), the last one empty if not given, and
    `first` how good the first adapter is.
    """

    before: Metrics
    after: Metrics
    f1_interval: tuple[float, float]
    flagged: Mapping[str, tuple[float, float]]
    acted_on: tuple[float, float]
    daily: Mapping[str, tuple[DailyMix, DailyMix]]
    reasons: tuple[str, ...]
    rates: tuple[Mapping[str, Rates], Mapping[str, Rates], Mapping[str, Rates]] = ({}, {}, {})
    first: Metrics | None = None

    @property
    def compared(self) -> list[tuple[str, str, str]]:
        """(what, before, after) for people."""
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
                (f"{among}: flagged wrongly", f"{was.wrong:.1f}", f"{now.wrong:.1f}"),
                (f"{among}: harmful and missed", f"{was.missed:.1f}", f"{now.missed:.1f}"),
                (f"{name}: flags that are right", f"{was.right:.1%}", f"{now.right:.1%}"),
            ]
        if self.first is not None:
            rows.append(("macro-F1 at the beginning, and after", f"{self.first.macro_f1:.3f}", f"{f1[1]:.3f}"))
        return rows

    def _compared_rates(self) -> list[tuple[str, str, str]]:
        """Of each slice of plain hate, and of the single slur that lost most."""
        before, after, first = self.rates
        rows = []
        for name in before:
            if is_single(name) and name != worst_slur(before, after):
                continue
            since = f" (at the beginning: {first[name].acted:.1%})" if first else ""
            rows.append((f"acted on, of {name}{since}", f"{before[name].acted:.1%}", f"{after[name].acted:.1%}"))
            rows.append((f"shown, of {name}", f"{before[name].shown:.1%}", f"{after[name].shown:.1%}"))
        return rows


def judge(
    before: Tensor,
    after: Tensor,
    held_out: Sequence[Example],
    stakes: Sequence[Stake] = (NEW_COMMUNITY,),
    first: Tensor | None = None,
) -> Judgement:
    """Compares (N, 3) probabilities of the serving adapter and the candidate on the same N held-out texts.

    All are before any norm, as the held-out labels are. `stakes` (at least one) adds each community's own view, and
    `first` that of the adapter it began with. A candidate with a score that is no finite number is refused: every
    comparison with it is false.
    """
    unsound = int((~torch.isfinite(after).all(dim=-1)).sum())
    before, after = (torch.nan_to_num(both, nan=0.0, posinf=0.0, neginf=0.0) for both in (before, after))
    was_found, now_found = rates(before, held_out), rates(after, held_out)
    first_found = rates(first, held_out) if first is not None else {}
    general = [i for i, example in enumerate(held_out) if not is_slur(example)]
    held_out, before, after = [held_out[i] for i in general], before[general], after[general]
    first = first[general] if first is not None else None
    labels = torch.tensor([LABELS.index(example.label) for example in held_out])
    old, new = measure(before, labels), measure(after, labels)
    low, high = f1_interval(before.argmax(-1), after.argmax(-1), labels)
    reasons = [f"{unsound} scores are not finite numbers"] if unsound else []
    if low < -MACRO_F1_MARGIN:
        reasons.append(
            f"macro-F1 on held-out texts may fall by {-low:.3f} ({old.macro_f1:.3f} before, {new.macro_f1:.3f} after)"
        )
    reasons += lost(was_found, now_found)
    harmless = [i for i, example in enumerate(held_out) if example.label is Label.NEUTRAL]
    slices = {"harmless texts": harmless}
    for name in IDENTITY_SLICES:
        if rows := [i for i, example in enumerate(held_out) if example.source == name]:
            slices[name.replace("_", " ")] = rows
    flagged = {}
    for name, rows in slices.items():
        was, now = flagged[name] = flagged_share(before[rows]), flagged_share(after[rows])
        if (now - was) * len(rows) > max(1.0, SLICE_MARGIN * len(rows)) + 1e-6:
            reasons.append(f"{name} flagged: {now:.1%} instead of {was:.1%}")
    acted: list[tuple[float, float]] = []
    for stake in stakes if harmless else ():
        if stake.veto:
            acted.append(_acted_on(before[harmless], after[harmless], stake))
            if reason := _too_much(*acted[-1], stake):
                reasons.append(reason)
    daily = {}
    for stake in stakes:
        if stake.prevalence is not None:
            daily[stake.community], fall = _in_daily_life(before, after, labels, stake)
            if fall < -MACRO_F1_MARGIN and stake.veto:
                reasons.append(f"macro-F1 in the daily mix of {stake.community} may fall by {-fall:.3f}")
    if new.calibration_error > max(CALIBRATION_BUDGET, old.calibration_error):
        reasons.append(f"calibration error {new.calibration_error:.3f} is above {CALIBRATION_BUDGET:.3f}")
    worst = max(acted, key=lambda both: both[1], default=(0.0, 0.0))
    began = None
    if first is not None:
        began = measure(first, labels)
        reasons += lost(first_found, now_found, since_first=True)
        reasons += _drifted(first, after, labels, slices)
    found = (was_found, now_found, first_found)
    return Judgement(old, new, (low, high), flagged, worst, daily, tuple(reasons), found, began)


def acted_on_too_much(before: Tensor, after: Tensor, held_out: Sequence[Example], stake: Stake) -> str:
    """Why a community's norm afterwards, with its thresholds, would act on too many harmless texts; "" if it would not.

    (N, 3) probabilities before any norm.
    """
    harmless = [i for i, example in enumerate(held_out) if example.label is Label.NEUTRAL]
    return _too_much(*_acted_on(before[harmless], after[harmless], stake), stake)


def _acted_on(before: Tensor, after: Tensor, stake: Stake) -> tuple[float, float]:
    """Shares of harmless texts that are acted on in a community, (N, 3) probabilities of them given."""
    was = share_at(_normed(before, stake.before), stake.acting)
    return was, share_at(_normed(after, stake.after), stake.acting)


def _too_much(was: float, now: float, stake: Stake) -> str:
    if now <= max(FALSE_ACTION_BUDGET, was + FALSE_ACTION_MARGIN):
        return ""
    where = f" at the thresholds of {stake.community}" if stake.community else ""
    return f"harmless texts acted on{where}: {now:.1%} instead of {was:.1%}"


def _drifted(first: Tensor, after: Tensor, labels: Tensor, slices: Mapping[str, list[int]]) -> list[str]:
    """Why a candidate is too far from the first adapter, by how often each is right."""
    reasons = []
    low, _ = f1_interval(first.argmax(-1), after.argmax(-1), labels)
    if low < -DRIFT_FACTOR * MACRO_F1_MARGIN:
        reasons.append(f"macro-F1 on held-out texts may have fallen by {-low:.3f} since the beginning")
    for name, rows in slices.items():
        was, now = flagged_share(first[rows]), flagged_share(after[rows])
        if rows and (now - was) * len(rows) > DRIFT_FACTOR * max(1.0, SLICE_MARGIN * len(rows)) + 1e-6:
            reasons.append(f"{name} flagged: {now:.1%} instead of {was:.1%} at the beginning")
    if harmless := slices["harmless texts"]:
        was, now = share_at(first[harmless], ACTING), share_at(after[harmless], ACTING)
        if now > max(FALSE_ACTION_BUDGET, was + DRIFT_FACTOR * FALSE_ACTION_MARGIN):
            reasons.append(f"harmless texts acted on: {now:.1%} instead of {was:.1%} at the beginning")
    return reasons


def f1_interval(
    before: Tensor, after: Tensor, labels: Tensor, seed: int = 1, shares: Sequence[float] | None = None
) -> tuple[float, float]:
    """The 90 % interval of macro-F1 after minus before, by resampling texts (paired bootstrap).

    All three (N,) label indices. With `shares` texts are drawn so that each label has its share of them. Efron and
    Tibshirani 1993, "An Introduction to the Bootstrap", section 13.3.
    """
    n = len(LABELS)
    cells = torch.bincount((labels * n + before) * n + after, minlength=n**3).double()  # every text is one of 27 kinds
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
    """(draws, label, called) counts -> (draws,); a label that is not drawn does not count."""
    right = confusion.diagonal(dim1=1, dim2=2)
    actual, called = confusion.sum(2), confusion.sum(1)
    f1 = 2 * right / (actual + called).clamp(min=1)
    return (f1 * (actual > 0)).sum(1) / (actual > 0).sum(1)


def _normed(probabilities: Tensor, norm: Norm) -> Tensor:
    return probabilities @ torch.tensor(norm.matrix)


def _in_daily_life(
    before: Tensor, after: Tensor, labels: Tensor, stake: Stake
) -> tuple[tuple[DailyMix, DailyMix], float]:
    """((before, after), lower end of the interval of the change in macro-F1), labels by the norm afterwards."""
    shares = stake.prevalence.shares if stake.prevalence else ()
    true = torch.tensor(stake.after.matrix).argmax(-1)[labels]
    called = [_normed(p, norm).argmax(-1) for p, norm in ((before, stake.before), (after, stake.after))]
    mixes = [_daily(each, true, shares) for each in called]
    low, _ = f1_interval(called[0], called[1], true, shares=shares)
    return (mixes[0], mixes[1]), low


def _daily(called: Tensor, labels: Tensor, shares: Sequence[float]) -> DailyMix:
    weight = _label_weights(labels, shares)[labels]
    weight = weight / weight.sum()
    neutral = LABELS.index(Label.NEUTRAL)
    flagged, harmful = called != neutral, labels != neutral
    wrong, missed, found = (
        float(weight[which].sum()) for which in (flagged & ~harmful, ~flagged & harmful, flagged & harmful)
    )
    return DailyMix(1000 * wrong, 1000 * missed, found / max(found + wrong, 1e-9))


def _label_weights(labels: Tensor, shares: Sequence[float]) -> Tensor:
    """(3,) what a text of each label weighs, so that the labels have these shares."""
    counts = torch.bincount(labels, minlength=len(LABELS)).float()
    return torch.tensor(shares) / counts.clamp(min=1) * (counts > 0)
