"""The training mixture of a refresh: corrections, public texts with the answers they had before, and contrasts.

Four rules keep a few hundred corrections from changing everything else. Public texts keep their answers (Li and Hoiem
2016, "Learning without Forgetting"). All corrections together have a bounded weight. No community and no moderator
among several has more than half of it. Corrections about common labels weigh less, so that a community's many offensive
messages do not make rare hate harder to detect.
"""

import random
from collections import Counter
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from model.labels import LABELS, Label
from model.norms import PLAIN_NORM, Norm
from training.corrections import Correction
from training.examples import Example, draw_balanced
from training.norms import called, group_by_community, label_priors, labels_of, mistake_share, vote_weights
from training.quarantine import find_rare_words

CORRECTIONS_SHARE, MIN_CORRECTION_WEIGHT = 0.12, 0.25
"""All corrections together weigh this share of the public texts, but each at least this part of one text."""
MAX_TOTAL_SHARE = 0.5
"""Upper bound of that share, for any number of corrections."""
COMMUNITY_SHARE, MODERATOR_SHARE = 0.5, 0.5
"""Largest share of a community in the weight of all, and of a moderator in their community's weight, if there are
several. A moderator of several communities has at most one community's share."""
MAX_REPEATS = 8
MAX_WEIGHT = 6.0
"""Largest weight of a correction about a rare label; with equally common labels the weight is 1."""
CONFIRMED = 0.5
"""A correction that agrees with the model moves its answer this far towards certainty."""
CONTRASTS, MAX_CONTRASTS = 12, 240
"""Public texts into which each rare word is inserted, and in total."""

Served = Callable[[Sequence[Example]], Tensor]
"""Returns (N, 3) probabilities of the adapter from which a refresh starts, before any norm, at temperature 1."""


def replay_examples(served: Served, public: Sequence[Example], rows: int, seed: int) -> list[Example]:
    """About `rows` public texts, balanced by label, with the answers of the adapter from which the refresh starts."""
    return with_served_answers(served, draw_balanced(public, -(-rows // len(LABELS)), seed=seed)) if rows else []


def with_served_answers(served: Served, examples: Sequence[Example]) -> list[Example]:
    """The examples with the answers of the adapter as their votes."""
    return [replace(e, votes=tuple(row)) for e, row in zip(examples, served(examples).tolist(), strict=True)]


def correction_examples(
    corrections: Sequence[Correction],
    probabilities: Tensor,
    uncalibrated: Tensor,
    norms: Mapping[str, Norm],
    replayed: int,
) -> list[Example]:
    """The corrections as examples with the model's labels, weighted and repeated.

    `probabilities` (N, 3 or 9, see `training.norms`) are the model's, calibrated and before any norm, `uncalibrated`
    (N, 3) those of the labels at temperature 1. If a community counts several of the model's labels as one, the model's
    probabilities decide which of them a correction means. A correction weighs less if its label is common among the
    cards, and if it is likely a mistake: that is, if the model is sure of another label and many of the community's
    corrections look like mistakes. Corrections that
    contradict the model are repeated, those that confirm it are learned once.
    """
    targets, weights = torch.zeros(len(corrections), len(LABELS)), torch.ones(len(corrections))
    labels = torch.tensor([LABELS.index(correction.example.label) for correction in corrections])
    confirmed = set[int]()
    for community, rows in group_by_community(corrections).items():
        norm = norms.get(community, PLAIN_NORM)
        shares = label_priors(probabilities[rows], labels[rows], norm)
        of_labels = labels_of(probabilities[rows])
        meant = called(norm, probabilities[rows], labels[rows]).clamp(min=1e-6) * of_labels.clamp(min=1e-6)
        doubt = mistake_share(probabilities[rows], labels[rows], norm, vote_weights([corrections[i] for i in rows]))
        likely = (1 - doubt) * meant.sum(1)
        meant = meant / meant.sum(1, keepdim=True)
        posterior = meant * shares
        posterior = posterior / posterior.sum(1, keepdim=True)
        rarity = (posterior / (len(LABELS) * shares)).sum(1).clamp(max=MAX_WEIGHT)
        weights[rows] = rarity * likely / (likely + doubt / len(LABELS))
        agrees = meant.argmax(1) == of_labels.argmax(1)
        confirmed |= {i for i, agreed in zip(rows, agrees.tolist(), strict=True) if agreed}
        targets[rows] = torch.where(agrees[:, None], CONFIRMED * meant + (1 - CONFIRMED) * uncalibrated[rows], meant)
    weights = weights / weights.mean()
    contradicted = len(corrections) - len(confirmed)
    repeats = max(1, min(MAX_REPEATS, round(CORRECTIONS_SHARE * replayed / max(1, contradicted))))
    shown = len(corrections) + (repeats - 1) * contradicted
    total = max_corrections_weight(len(corrections), replayed)
    unit = min(1.0, total / shown)
    unbounded = [unit * weight * (1 if n in confirmed else repeats) for n, weight in enumerate(weights.tolist())]
    learned = [
        replace(
            correction.example,
            label=LABELS[target.index(max(target))],
            votes=tuple(target),
            weight=unit * weight * factor,
        )
        for correction, target, weight, factor in zip(
            corrections, targets.tolist(), weights.tolist(), weight_factors(corrections, unbounded, total), strict=True
        )
    ]
    return [example for n, example in enumerate(learned) for _ in range(1 if n in confirmed else repeats)]


def max_corrections_weight(count: int, replayed: int) -> float:
    """The weight of all corrections together; a public text weighs 1."""
    minimum = (
        min(MIN_CORRECTION_WEIGHT * count, MAX_TOTAL_SHARE * replayed) if replayed else MIN_CORRECTION_WEIGHT * count
    )
    return max(CORRECTIONS_SHARE * replayed, minimum, 1.0)


def weight_factors(corrections: Sequence[Correction], weights: Sequence[float], total: float) -> list[float]:
    """(N,) factors for the corrections' weights, so that no community or moderator exceeds its share of `total`.

    `weights` (N,) are the corrections' weights without the factors. Cut weight is not given to other corrections.
    """
    factors = [1.0] * len(corrections)
    pairs = {(correction.community, correction.moderator) for correction in corrections}
    moderators_of = Counter(community for community, _ in pairs)
    community_limit = COMMUNITY_SHARE * total if len(moderators_of) > 1 else total

    def cut(groups: Mapping[Hashable, list[int]], limit: Callable[[Hashable], float]) -> None:
        for group, rows in groups.items():
            if (weight := sum(weights[n] * factors[n] for n in rows)) > limit(group):
                for n in rows:
                    factors[n] *= limit(group) / weight

    cut(
        _grouped([(correction.community, correction.moderator) for correction in corrections]),
        lambda key: (
            community_limit * (MODERATOR_SHARE if isinstance(key, tuple) and moderators_of[key[0]] > 1 else 1.0)
        ),
    )
    cut(_grouped([correction.moderator for correction in corrections]), lambda _: community_limit)
    cut(_grouped([correction.community for correction in corrections]), lambda _: community_limit)
    return factors


def _grouped(keys: Sequence[Hashable]) -> dict[Hashable, list[int]]:
    groups: dict[Hashable, list[int]] = {}
    for number, key in enumerate(keys):
        groups.setdefault(key, []).append(number)
    return groups


def contrast_examples(
    corrections: Sequence[Correction], public: Sequence[Example], served: Served, seed: int
) -> list[Example]:
    """Public texts with a rare word of the corrections inserted, with their answers without that word.

    Without these contrasts, ten corrections that share one rare word make it a trigger word: every text with it gets
    their label. With them, the model must learn the word together with its context, or not at all.
    """
    chance = random.Random(seed)  # noqa: S311 - a reproducible choice, not a secret
    examples: list[Example] = []
    for word, rows in sorted(find_rare_words(corrections, public).items()):
        label_of_word = max(LABELS, key=lambda label: sum(row.example.label is label for row in rows))
        opposite = [
            example for example in public if (example.label is Label.NEUTRAL) != (label_of_word is Label.NEUTRAL)
        ]
        unchanged = with_served_answers(served, chance.sample(opposite, min(CONTRASTS, len(opposite))))
        examples += [replace(example, text=insert_word(word, example.text, chance)) for example in unchanged]
        if len(examples) >= MAX_CONTRASTS:
            break
    return examples


def insert_word(word: str, text: str, chance: random.Random) -> str:
    """The text with the word inserted at its start, at its end, or between two words."""
    pieces = text.split()
    pieces.insert(chance.choice((0, len(pieces), chance.randint(0, len(pieces)))), word)
    return " ".join(pieces)
