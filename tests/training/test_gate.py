"""The gate: intervals, slices, thresholds."""

import torch

from model.labels import LABELS, Label
from training.examples import Example
from training.gate import f1_interval, judge


def sure(labels: list[Label], share: float = 0.89) -> torch.Tensor:
    """(N, 3) probabilities that call each text so."""
    rows = torch.full((len(labels), 3), (1 - share) / 2)
    rows[range(len(labels)), [LABELS.index(label) for label in labels]] = share
    return rows


HELD_OUT = [Example(f"{label} {n}", label, "davidson") for label in LABELS for n in range(200)]
HELD_OUT += [Example(f"group {n}", Label.NEUTRAL, "identity_neutral") for n in range(100)]
TRUE = [example.label for example in HELD_OUT]


def wrong(*numbers: int) -> list[Label]:
    """The true labels, but for these texts."""
    return [Label.OFFENSIVE if n in numbers else label for n, label in enumerate(TRUE)]


def test_the_same_adapter_may_serve() -> None:
    """No change, an interval of nothing."""
    judgement = judge(sure(TRUE), sure(TRUE), HELD_OUT)
    assert judgement.reasons == () and judgement.f1_interval == (0.0, 0.0)


def test_an_adapter_that_may_be_worse_is_refused() -> None:
    """A fall of 2.4 points, though the figure alone might be chance."""
    (reason,) = judge(sure(TRUE), sure(wrong(*range(15))), HELD_OUT).reasons
    assert reason.startswith("macro-F1 on held-out texts may fall by 0.0")


def test_one_slice_is_enough() -> None:
    """Three more of a hundred harmless mentions of groups, all else better."""
    reasons = judge(sure(wrong(*range(50))), sure(wrong(600, 601, 602)), HELD_OUT).reasons
    assert reasons == ("identity neutral flagged: 3.0% instead of 0.0%",)


def test_harmless_texts_near_an_action_are_counted() -> None:
    """Sure and wrong is worse than wrong: the threshold of the action, not the label, counts."""
    after = sure(TRUE)
    after[400:409] = torch.tensor([0.96, 0.02, 0.02])
    reasons = judge(sure(wrong(*range(400, 409))), after, HELD_OUT).reasons
    assert reasons == ("harmless texts acted on: 3.0% instead of 0.0%",)


def test_the_interval_holds_the_change() -> None:
    """About as wide as resampling says by hand: 30 of 600 texts fixed is 5 points, give or take 1.5."""
    labels = torch.tensor([LABELS.index(label) for label in TRUE[:600]])
    before = torch.tensor([LABELS.index(label) for label in wrong(*range(30))[:600]])
    low, high = f1_interval(before, labels, labels)
    assert 0.03 < low < 0.05 < high < 0.07
