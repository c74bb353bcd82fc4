"""Probabilities that mean what they say: temperature scaling and the expected calibration error.

Guo et al. 2017, "On Calibration of Modern Neural Networks", sections 2 and 4.2.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

COLDEST, HOTTEST = 0.25, 8.0


def calibrated(logits: Tensor, temperature: float) -> Tensor:
    """(N, 3) logits -> (N, 3) probabilities."""
    return torch.softmax(logits / temperature, dim=-1)


def fit_temperature(logits: Tensor, labels: Tensor) -> float:
    """The temperature with the least cross-entropy on held-out (N, 3) logits and (N,) labels; within 0.25 to 8."""
    candidates = torch.logspace(torch.tensor(COLDEST).log2(), torch.tensor(HOTTEST).log2(), 241, base=2)
    losses = [F.cross_entropy(logits / t, labels).item() for t in candidates]
    return float(candidates[losses.index(min(losses))])


def expected_calibration_error(probabilities: Tensor, labels: Tensor, bins: int = 15) -> float:
    """Mean |confidence - accuracy| over equal-width confidence bins, weighted by their share of the N rows; 0 to 1."""
    return sum(
        share * abs(confidence - accuracy) for confidence, accuracy, share in reliability(probabilities, labels, bins)
    )


def reliability(probabilities: Tensor, labels: Tensor, bins: int = 15) -> list[tuple[float, float, float]]:
    """(mean confidence, accuracy, share of rows) of each non-empty confidence bin, lowest first."""
    confidence, predicted = probabilities.max(dim=-1)
    correct = (predicted == labels).float()
    index = (confidence * bins).long().clamp(max=bins - 1)
    table = []
    for n in range(bins):
        inside = index == n
        if inside.any():
            table.append(
                (confidence[inside].mean().item(), correct[inside].mean().item(), inside.float().mean().item())
            )
    return table
