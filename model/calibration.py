"""Probabilities that mean what they say: temperature scaling.

Guo et al. 2017, "On Calibration of Modern Neural Networks", section 4.2. How far it works is in `model.quality`.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

COLDEST, HOTTEST = 0.25, 8.0


def calibrated(logits: Tensor, temperature: float | Tensor) -> Tensor:
    """(N, 3) logits -> (N, 3) probabilities; one temperature, or (N, 1) of them."""
    return torch.softmax(logits / temperature, dim=-1)


def fit_temperature(logits: Tensor, labels: Tensor) -> float:
    """The temperature with the least cross-entropy on held-out (N, 3) logits and (N,) labels; within 0.25 to 8.

    Raises ValueError where a logit is no finite number.
    """
    if not bool(torch.isfinite(logits).all()):
        raise ValueError("the adapter's scores are not finite numbers")
    candidates = torch.logspace(torch.tensor(COLDEST).log2(), torch.tensor(HOTTEST).log2(), 241, base=2)
    losses = [F.cross_entropy(logits / t, labels).item() for t in candidates]
    return float(candidates[losses.index(min(losses))])
