"""How good an adapter is: pure functions on probabilities and labels."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from model.calibration import expected_calibration_error, reliability
from model.labels import LABELS, Label


@dataclass(frozen=True, slots=True)
class Metrics:
    """Figures over N texts. `confusion[i][j]` counts texts of label i called label j, both in the order of `LABELS`."""

    rows: int
    accuracy: float
    balanced_accuracy: float
    macro_f1: float
    calibration_error: float
    confusion: tuple[tuple[int, ...], ...]
    reliability: tuple[tuple[float, float, float], ...]

    def to_json(self) -> dict[str, Any]:
        """As kept in a manifest."""
        return {name: getattr(self, name) for name in self.__slots__}


def measure(probabilities: Tensor, labels: Tensor) -> Metrics:
    """(N, 3) probabilities against (N,) label indices; a label absent from the sample does not count in the means."""
    predicted = probabilities.argmax(dim=-1)
    size = len(LABELS)
    confusion = torch.bincount(labels * size + predicted, minlength=size * size).reshape(size, size)
    right, actual, called = confusion.diag().float(), confusion.sum(1).float(), confusion.sum(0).float()
    present = actual > 0
    recall = right / actual.clamp(min=1)
    f1 = 2 * right / (actual + called).clamp(min=1)
    return Metrics(
        rows=len(labels),
        accuracy=float(right.sum() / len(labels)),
        balanced_accuracy=float(recall[present].mean()),
        macro_f1=float(f1[present].mean()),
        calibration_error=expected_calibration_error(probabilities, labels),
        confusion=tuple(tuple(row) for row in confusion.tolist()),
        reliability=tuple(reliability(probabilities, labels)),
    )


def area_under_curve(scores: Sequence[float], harmful: Sequence[bool]) -> float:
    """Probability that a harmful text scores above a harmless one (Mann-Whitney U); ties count half."""
    order = torch.tensor(scores, dtype=torch.float64)
    truth = torch.tensor(harmful)
    above, below = order[truth], order[~truth]
    if not len(above) or not len(below):
        raise ValueError("the area under the curve needs harmful and harmless texts")
    wins = (above[:, None] > below[None, :]).double() + 0.5 * (above[:, None] == below[None, :]).double()
    return float(wins.mean())


def flagged_share(probabilities: Tensor) -> float:
    """Share of the texts whose label is not neutral."""
    return float((probabilities.argmax(dim=-1) != LABELS.index(Label.NEUTRAL)).float().mean())


def by_slice(probabilities: Tensor, slices: Sequence[str]) -> Mapping[str, float]:
    """Share of each slice's texts that is flagged."""
    return {
        name: flagged_share(probabilities[[i for i, mine in enumerate(slices) if mine == name]])
        for name in sorted(set(slices))
    }
