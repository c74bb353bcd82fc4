"""What a refresh learns: the moderators' words, public texts as they were answered before, and contrasts to both.

A few hundred words must not drag the rest along, in four ways: public texts keep their answers (Li and Hoiem 2016,
"Learning without Forgetting"), all words together have a bounded weight, no community and no moderator among several
has more than half of that, and words about common labels weigh less, so that a community's many offensive messages do
not make rare hate harder to see.
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
from training.examples import Example, balanced
from training.norms import by_community, mistaken, priors, votes
from training.quarantine import rare_words

WORDS_SHARE, LEAST_WEIGHT = 0.12, 0.25
"""All words together weigh at most so much of what the public texts weigh; yet each at least so much of one text."""
MOST_WEIGHT = 0.5
"""However many they are, all words together weigh at most so much of what the public texts weigh."""
COMMUNITY_SHARE, MODERATOR_SHARE = 0.5, 0.5
"""Of that a community has at most so much, where there are several, and a moderator so much of what their community
has, where there are several. Who moderates several communities has no more than one of them."""
MAX_REPEATS = 8
MAX_WEIGHT = 6.0
"""Of a word about a rare label, against one about a label as common as the others."""
CONFIRMED = 0.5
"""A word that agrees with the model moves its answer so far towards certainty."""
CONTRASTS, MOST_CONTRASTS = 12, 240
"""Public texts into which a rare word is put, and of all such words together."""

Served = Callable[[Sequence[Example]], Tensor]
"""(N, 3) probabilities of the adapter a refresh starts from, before any norm, at temperature 1."""


def gather(served: Served, public: Sequence[Example], rows: int, seed: int) -> list[Example]:
    """About `rows` public texts, balanced by label, to be answered as the adapter it starts from answers them."""
    return as_before(served, balanced(public, -(-rows // len(LABELS)), seed=seed)) if rows else []


def as_before(served: Served, examples: Sequence[Example]) -> list[Example]:
    """The examples with the answers they had."""
    return [replace(e, votes=tuple(row)) for e, row in zip(examples, served(examples).tolist(), strict=True)]


def taught(
    words: Sequence[Correction], said: Tensor, raw: Tensor, norms: Mapping[str, Norm], replayed: int
) -> list[Example]:
    """The words as the model's own labels, weighted and repeated.

    `said` (N, 3) is what the model makes of each, before any norm, and `raw` the same at temperature 1. Where a
    community counts several of the model's labels as one, a word leaves open which of them is meant; the model's own
    opinion then decides. A word about a common label weighs less, by the share the label has among the cards, and so
    does one that is likely a mistake: the surer the model is of another label, and the more of the community's words
    look like mistakes. Words that the model contradicts are repeated, those that confirm it are learned once.
    """
    targets, weights = torch.zeros(len(words), len(LABELS)), torch.ones(len(words))
    labels = torch.tensor([LABELS.index(word.example.label) for word in words])
    confirmed = set[int]()
    for community, mine in by_community(words).items():
        norm = norms.get(community, PLAIN_NORM)
        shares = priors(said[mine], labels[mine], norm)
        meant = torch.tensor(norm.matrix)[:, labels[mine]].T.clamp(min=1e-6) * said[mine].clamp(min=1e-6)
        doubt = mistaken(said[mine], labels[mine], norm, votes([words[i] for i in mine]))
        likely = (1 - doubt) * meant.sum(1)
        meant = meant / meant.sum(1, keepdim=True)
        posterior = meant * shares
        posterior = posterior / posterior.sum(1, keepdim=True)
        rarity = (posterior / (len(LABELS) * shares)).sum(1).clamp(max=MAX_WEIGHT)
        weights[mine] = rarity * likely / (likely + doubt / len(LABELS))
        agrees = meant.argmax(1) == said[mine].argmax(1)
        confirmed |= {i for i, agreed in zip(mine, agrees.tolist(), strict=True) if agreed}
        targets[mine] = torch.where(agrees[:, None], CONFIRMED * meant + (1 - CONFIRMED) * raw[mine], meant)
    weights = weights / weights.mean()
    denied = len(words) - len(confirmed)
    repeats = max(1, min(MAX_REPEATS, round(WORDS_SHARE * replayed / max(1, denied))))
    shown = len(words) + (repeats - 1) * denied
    most = weight_of_all(len(words), replayed)
    each = min(1.0, most / shown)
    totals = [each * weight * (1 if n in confirmed else repeats) for n, weight in enumerate(weights.tolist())]
    learned = [
        replace(word.example, label=LABELS[row.index(max(row))], votes=tuple(row), weight=each * weight * factor)
        for word, row, weight, factor in zip(
            words, targets.tolist(), weights.tolist(), bounded(words, totals, most), strict=True
        )
    ]
    return [example for n, example in enumerate(learned) for _ in range(1 if n in confirmed else repeats)]


def weight_of_all(words: int, replayed: int) -> float:
    """What all words together may weigh, in public texts."""
    least = min(LEAST_WEIGHT * words, MOST_WEIGHT * replayed) if replayed else LEAST_WEIGHT * words
    return max(WORDS_SHARE * replayed, least, 1.0)


def bounded(words: Sequence[Correction], totals: Sequence[float], most: float) -> list[float]:
    """(N,) by what each word's weight is multiplied, so that nobody has more than their share of `most`.

    `totals` (N,) is what each word would weigh. What is cut from one is not given to others.
    """
    factors = [1.0] * len(words)
    pairs = {(word.community, word.moderator) for word in words}
    moderators_of = Counter(community for community, _ in pairs)
    of_one = COMMUNITY_SHARE * most if len(moderators_of) > 1 else most

    def cut(groups: Mapping[Hashable, list[int]], limit: Callable[[Hashable], float]) -> None:
        for group, mine in groups.items():
            if (weight := sum(totals[n] * factors[n] for n in mine)) > limit(group):
                for n in mine:
                    factors[n] *= limit(group) / weight

    cut(
        _grouped([(word.community, word.moderator) for word in words]),
        lambda who: of_one * (MODERATOR_SHARE if isinstance(who, tuple) and moderators_of[who[0]] > 1 else 1.0),
    )
    cut(_grouped([word.moderator for word in words]), lambda _: of_one)
    cut(_grouped([word.community for word in words]), lambda _: of_one)
    return factors


def _grouped(keys: Sequence[Hashable]) -> dict[Hashable, list[int]]:
    found: dict[Hashable, list[int]] = {}
    for number, key in enumerate(keys):
        found.setdefault(key, []).append(number)
    return found


def contrasts(words: Sequence[Correction], public: Sequence[Example], served: Served, seed: int) -> list[Example]:
    """Public texts with a rare word of the corrections put in, to be answered as if it were not there.

    Ten corrections that share one rare word otherwise make it a password: every text with it gets their label. So the
    word must be learned with what stands around it, or not at all.
    """
    chance = random.Random(seed)  # noqa: S311 - a reproducible choice, not a secret
    found: list[Example] = []
    for word, rows in sorted(rare_words(words, public).items()):
        taught_label = max(LABELS, key=lambda label: sum(row.example.label is label for row in rows))
        others = [example for example in public if (example.label is Label.NEUTRAL) != (taught_label is Label.NEUTRAL)]
        plain = as_before(served, chance.sample(others, min(CONTRASTS, len(others))))
        found += [replace(example, text=put_in(word, example.text, chance)) for example in plain]
        if len(found) >= MOST_CONTRASTS:
            break
    return found


def put_in(word: str, text: str, chance: random.Random) -> str:
    """The text with the word at its start, at its end, or between."""
    pieces = text.split()
    pieces.insert(chance.choice((0, len(pieces), chance.randint(0, len(pieces)))), word)
    return " ".join(pieces)
