"""Calibrates probabilities: temperature scaling, and a prior for texts of a word or two.

Guo et al. 2017, "On Calibration of Modern Neural Networks", section 4.2. `model.quality` measures the result.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from model.labels import LABELS, Label

MIN_TEMPERATURE, MAX_TEMPERATURE = 0.25, 8.0


def apply_temperature(logits: Tensor, temperature: float | Tensor) -> Tensor:
    """(N, 3) logits -> (N, 3) calibrated probabilities; `temperature` is one number or (N, 1)."""
    return torch.softmax(logits / temperature, dim=-1)


def fit_temperature(logits: Tensor, labels: Tensor) -> float:
    """The temperature from 0.25 to 8 with the least cross-entropy on held-out (N, 3) logits and (N,) labels.

    Raises ValueError if a logit is not a finite number.
    """
    if not bool(torch.isfinite(logits).all()):
        raise ValueError("the adapter's scores are not finite numbers")
    candidates = torch.logspace(torch.tensor(MIN_TEMPERATURE).log2(), torch.tensor(MAX_TEMPERATURE).log2(), 241, base=2)
    losses = [F.cross_entropy(logits / t, labels).item() for t in candidates]
    return float(candidates[losses.index(min(losses))])


def apply_prior(shares: Sequence[float], odds: float) -> list[float]:
    """(3,) probabilities of the labels, if the odds of harm are `odds` times those in the texts that the model learned
    from (Bayes' rule): a third of those were harmless, but nearly all chat messages of a word or two are."""
    neutral = LABELS.index(Label.NEUTRAL)
    weighed = [share if place == neutral else share * odds for place, share in enumerate(shares)]
    return [share / sum(weighed) for share in weighed]
