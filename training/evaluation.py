"""Measures an adapter with pure functions of probabilities and labels."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from model.labels import LABELS, Label
from model.quality import Metrics, MetricsTally


def measure(probabilities: Tensor, labels: Tensor) -> Metrics:
    """The metrics of (N, 3) probabilities and (N,) label indices."""
    tally = MetricsTally()
    for row, label in zip(probabilities.tolist(), labels.tolist(), strict=True):
        tally.add(row, LABELS[label])
    return tally.metrics()


def area_under_curve(scores: Sequence[float], harmful: Sequence[bool]) -> float:
    """Area under the ROC curve: how often a harmful text scores above a harmless one (Mann-Whitney U); ties count
    half."""
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


def flagged_by_slice(probabilities: Tensor, slices: Sequence[str]) -> Mapping[str, float]:
    """Share of each slice's texts that is flagged."""
    return {
        name: flagged_share(probabilities[[i for i, text_slice in enumerate(slices) if text_slice == name]])
        for name in sorted(set(slices))
    }
