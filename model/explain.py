"""Why a text got its label: the words that carried it, found by leaving each out (batched occlusion).

Zeiler and Fergus 2014, "Visualizing and Understanding Convolutional Networks", section 4.2, applied to words.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from model.classifier import Classifier, Item, Verdict
from model.labels import Label

MAX_WORDS = 80
"""Texts with more words are explained in as many groups of neighbouring words."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """A piece of the text and how much the label's probability falls without it (-1 to 1)."""

    word: str
    weight: float


async def evidence(
    classifier: Classifier, text: str, verdict: Verdict, label: Label, community: str = ""
) -> list[Evidence]:
    """One entry per word (or group of words), in text order; together they are the whole text, split at spaces."""
    words = re.findall(r"\S+", text)
    if not words:
        return []
    size = -(-len(words) // MAX_WORDS)
    groups = [words[start : start + size] for start in range(0, len(words), size)]
    without = [" ".join(w for group in groups[:n] + groups[n + 1 :] for w in group) for n in range(len(groups))]
    verdicts = await classifier.classify([Item(text, verdict.adapter, community=community) for text in without])
    whole = verdict.probabilities[label]
    return [
        Evidence(" ".join(group), round(whole - left.probabilities[label], 4))
        for group, left in zip(groups, verdicts, strict=True)
    ]


def nearest(vector: Sequence[float], others: Sequence[Sequence[float]], count: int = 3) -> list[tuple[int, float]]:
    """(index, cosine similarity) of the unit vectors most like `vector`, best first."""
    likeness = [(i, sum(a * b for a, b in zip(vector, other, strict=True))) for i, other in enumerate(others)]
    return sorted(likeness, key=lambda pair: -pair[1])[:count]
