"""How good verdicts are, counted one by one in constant memory: accuracy, F1, confusion and calibration."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from model.labels import LABELS, Label

BINS = 15
LEAST_AUDITED = 30
"""Messages nobody was shown that moderators must have looked at before the labels' shares among all mean anything."""


def wilson(hits: float, of: float, z: float = 1.645) -> tuple[float, float]:
    """Both ends of the interval of a share, each one-sided at 95 % (Wilson 1927, "Probable Inference"); (0, 1) of 0."""
    if not of:
        return 0.0, 1.0
    share, scale = hits / of, 1 + z * z / of
    centre = share + z * z / (2 * of)
    spread = z * math.sqrt(share * (1 - share) / of + z * z / (4 * of * of))
    return max(0.0, (centre - spread) / scale), min(1.0, (centre + spread) / scale)


@dataclass(frozen=True, slots=True)
class Metrics:
    """Figures over N texts. `confusion[i][j]` counts texts of label i called label j, both in the order of `LABELS`.

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
        """As kept in a manifest."""
        return {name: getattr(self, name) for name in self.__slots__}


class Tally:
    """Takes verdicts with their true labels; `metrics()` sums up.

    The calibration error is the mean |confidence - accuracy| over equal-width confidence bins, weighted by their share
    (Guo et al. 2017, "On Calibration of Modern Neural Networks", section 2).
    """

    def __init__(self) -> None:
        self._confusion = [[0] * len(LABELS) for _ in LABELS]
        self._bins = [[0, 0.0, 0] for _ in range(BINS)]  # texts, summed confidence, right ones

    def add(self, probabilities: Sequence[float], label: Label) -> None:
        """One text's probabilities, in the order of `LABELS`, and what it is."""
        confidence = max(probabilities)
        called, actual = probabilities.index(confidence), LABELS.index(label)
        self._confusion[actual][called] += 1
        box = self._bins[min(int(confidence * BINS), BINS - 1)]
        box[0] += 1
        box[1] += confidence
        box[2] += called == actual

    def metrics(self) -> Metrics:
        """A label that never occurred does not count in the means. Raises ValueError before the first text."""
        table = self._confusion
        rows = sum(map(sum, table))
        if not rows:
            raise ValueError("no text was counted yet")
        right = [table[i][i] for i in range(len(LABELS))]
        actual, called = [sum(row) for row in table], [sum(column) for column in zip(*table, strict=True)]
        present = [i for i, count in enumerate(actual) if count]
        filled = [(confidence / n, good / n, n / rows) for n, confidence, good in self._bins if n]
        return Metrics(
            rows=rows,
            accuracy=sum(right) / rows,
            balanced_accuracy=sum(right[i] / actual[i] for i in present) / len(present),
            macro_f1=sum(2 * right[i] / (actual[i] + called[i]) for i in present) / len(present),
            calibration_error=sum(share * abs(said - was) for said, was, share in filled),
            confusion=tuple(tuple(row) for row in table),
            reliability=tuple(filled),
        )
