"""Measures verdicts one by one in constant memory: accuracy, F1, confusion and calibration."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from model.labels import LABELS, Label

BINS = 15
MIN_AUDITED = 30
"""Random messages without a card that moderators must label before the labels' shares among all messages count."""


def wilson_interval(hits: float, of: float, z: float = 1.645) -> tuple[float, float]:
    """Both ends of a share's interval, each one-sided at 95 % (Wilson 1927, "Probable Inference"); (0, 1) if `of` is
    0."""
    if not of:
        return 0.0, 1.0
    share, scale = hits / of, 1 + z * z / of
    centre = share + z * z / (2 * of)
    spread = z * math.sqrt(share * (1 - share) / of + z * z / (4 * of * of))
    return max(0.0, (centre - spread) / scale), min(1.0, (centre + spread) / scale)


@dataclass(frozen=True, slots=True)
class Metrics:
    """Figures over N texts. `confusion[i][j]` counts texts of label i predicted as j, in the order of `LABELS`.

    `reliability` has (mean confidence, accuracy, share of texts) of each non-empty confidence bin, lowest first.
    """

    rows: int
    accuracy: float
    balanced_accuracy: float
    macro_f1: float
    calibration_error: float
    confusion: tuple[tuple[int, ...], ...]
    reliability: tuple[tuple[float, float, float], ...]

    def to_json(self) -> dict[str, Any]:
        """The form in a manifest."""
        return {name: getattr(self, name) for name in self.__slots__}


class MetricsTally:
    """Counts verdicts with their true labels; `metrics()` computes the figures.

    The calibration error is the mean |confidence - accuracy| over equal-width confidence bins, weighted by their share
    (Guo et al. 2017, "On Calibration of Modern Neural Networks", section 2).
    """

    def __init__(self) -> None:
        self._confusion = [[0] * len(LABELS) for _ in LABELS]
        self._bins = [[0, 0.0, 0] for _ in range(BINS)]  # texts, summed confidence, correct texts

    def add(self, probabilities: Sequence[float], label: Label) -> None:
        """Counts one text: its probabilities in the order of `LABELS`, and its true label."""
        confidence = max(probabilities)
        predicted, actual = probabilities.index(confidence), LABELS.index(label)
        self._confusion[actual][predicted] += 1
        bin_ = self._bins[min(int(confidence * BINS), BINS - 1)]
        bin_[0] += 1
        bin_[1] += confidence
        bin_[2] += predicted == actual

    def metrics(self) -> Metrics:
        """The figures so far; labels that never occurred do not count in means. Raises ValueError before the first
        text."""
        table = self._confusion
        rows = sum(map(sum, table))
        if not rows:
            raise ValueError("no text was counted yet")
        correct = [table[i][i] for i in range(len(LABELS))]
        actual, predicted = [sum(row) for row in table], [sum(column) for column in zip(*table, strict=True)]
        present = [i for i, count in enumerate(actual) if count]
        filled = [(confidence / n, hits / n, n / rows) for n, confidence, hits in self._bins if n]
        return Metrics(
            rows=rows,
            accuracy=sum(correct) / rows,
            balanced_accuracy=sum(correct[i] / actual[i] for i in present) / len(present),
            macro_f1=sum(2 * correct[i] / (actual[i] + predicted[i]) for i in present) / len(present),
            calibration_error=sum(share * abs(confidence - accuracy) for confidence, accuracy, share in filled),
            confusion=tuple(tuple(row) for row in table),
            reliability=tuple(filled),
        )
