"""Which norm holds in a community: what its moderators' words say about the meaning of the labels there.

A moderator's word is explained by three things: what the model says of the text, how common each label is among the
community's cards, and the norm. The norm under which all words are most likely holds, if it is so by a clear margin,
without any single moderator, and against every card that was passed over as right. That takes a dozen different texts
where a new adapter would take hundreds, and a moderator can read it.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import replace
from itertools import combinations_with_replacement

import torch
from torch import Tensor

from model.labels import HARMFUL, LABELS, Label
from model.norms import PLAIN_NORM, Norm
from training.corrections import Correction

MISTAKES = 0.1
"""Share of the words that may be anything: moderators err, and not every text is what the model makes of it."""
BELIEVED = 20.0
"""So many words must speak before their own share of mistakes counts as much as `MISTAKES`."""
CLEAR = 10.0
"""A norm must make the words so much more likely (in nats) than the norm that held before."""
OTHERS = 3.0
"""And still so much without the words of any one moderator, where there are several."""
LEAST_WORDS = 12
"""Different texts that moderators must have spoken about."""
MOST_WORDS = 1000
"""The latest words that are looked at: they are compared with each other."""
MOST_MODERATORS = 12
"""Those with the most words, whose absence is tried: who has few can do little, and a community may make anybody a
moderator."""
ALIKE = 0.6
"""Texts that share so much of their words (Jaccard) speak once: a phrase taught over and over is no norm."""
CANDIDATES = tuple(
    Norm((*harmful, Label.NEUTRAL))
    for harmful in combinations_with_replacement(LABELS, len(HARMFUL))
    if harmful[0] is not Label.NEUTRAL
)
"""Every norm that keeps severity and neutral, but that all is allowed: who wants that needs no moderator."""


def learn_norm(
    words: Sequence[Correction], said: Tensor, before: Norm = PLAIN_NORM, passed_over: Mapping[Label, int] | None = None
) -> Norm:
    """The norm of one community; `before` where the words do not clearly speak for another.

    `said` (N, 3) is what the model makes of each text, without any norm. `passed_over` counts cards of each label that
    moderators left unanswered between answered ones: each of them stands for a word that the card was right.
    """
    words, said = words[-MOST_WORDS:], said[-MOST_WORDS:]
    weights = votes(words)
    if float(weights.sum()) < LEAST_WORDS:
        return before
    labels = torch.tensor([LABELS.index(each.example.label) for each in words])
    moderators = Counter(each.moderator for each in words)
    silent = _silent_words(said, before, passed_over or {})

    def gains(kept: Sequence[int]) -> dict[Norm, float]:
        """How much likelier each candidate makes these words, and the silent ones, than the norm before does."""
        rows = [torch.cat(pair) for pair in zip((said[kept], labels[kept], weights[kept]), silent, strict=True)]
        base = _log_likelihood(before, *rows)
        return {norm: _log_likelihood(norm, *rows) - base for norm in CANDIDATES}

    whole = gains(range(len(words)))
    near = [norm for norm in CANDIDATES if whole[norm] >= max(whole.values()) - CLEAR]
    found = min(near, key=lambda norm: (_differences(norm, before), -whole[norm]))
    if found.counts_as == before.counts_as or whole[found] < CLEAR:
        return before
    for one, _ in moderators.most_common(MOST_MODERATORS) if len(moderators) > 1 else ():
        if gains([i for i, each in enumerate(words) if each.moderator != one])[found] < OTHERS:
            return before
    return replace(found, corrections=len(words), moderators=len(moderators))


def priors(said: Tensor, labels: Tensor, norm: Norm, weights: Tensor | None = None) -> Tensor:
    """(3,) shares of the model's labels among the cards, by what the model and the (N,) words say together.

    Expectation maximisation for a shifted prior (Saerens, Latinne and Decaestecker 2002, "Adjusting the Outputs of a
    Classifier to New a Priori Probabilities"), with three texts of each label to start from.
    """
    weights = torch.ones(len(labels)) if weights is None else weights
    likely = _channel(norm)[:, labels].T
    shares = torch.full((len(LABELS),), 1 / len(LABELS))
    for _ in range(50):
        joint = said * shares * likely
        shares = 3.0 + (weights[:, None] * joint / joint.sum(1, keepdim=True)).sum(0)
        shares = shares / shares.sum()
    return shares


def mistaken(said: Tensor, labels: Tensor, norm: Norm, weights: Tensor) -> float:
    """Share of the (N,) words that neither the model's opinion nor the norm explains: mistakes, or malice.

    Expectation maximisation, beginning with `MISTAKES` and holding on to it as if `BELIEVED` words had shown it.
    """
    posterior = said * priors(said, labels, norm, weights)
    posterior = posterior / posterior.sum(1, keepdim=True)
    meant = (posterior * torch.tensor(norm.matrix)[:, labels].T).sum(1)
    share = MISTAKES
    for _ in range(50):
        anything = share / len(LABELS)
        doubt = anything / ((1 - share) * meant + anything)
        share = float(((weights * doubt).sum() + BELIEVED * MISTAKES) / (weights.sum() + BELIEVED))
    return share


def votes(words: Sequence[Correction]) -> Tensor:
    """(N,) weight of each text: texts that are nearly the same share one vote."""
    sets = [_words_of(each) for each in words]
    groups: list[Set[str]] = []
    group_of = []
    for mine in sets:
        recent = range(max(0, len(groups) - MOST_WORDS), len(groups))
        alike = (n for n in recent if len(mine & groups[n]) >= ALIKE * len(mine | groups[n]))
        if (group := next(alike, None)) is None:
            group = len(groups)
            groups.append(mine)
        group_of.append(group)
    sizes = Counter(group_of)
    return torch.tensor([1 / sizes[group] for group in group_of])


def _words_of(correction: Correction) -> frozenset[str]:
    return frozenset(correction.example.key.split())


def _channel(norm: Norm) -> Tensor:
    """(3, 3): how likely a text that has the model's label of the row gets the word of the column."""
    return (1 - MISTAKES) * torch.tensor(norm.matrix) + MISTAKES / len(LABELS)


def _log_likelihood(norm: Norm, said: Tensor, labels: Tensor, weights: Tensor) -> float:
    shares = priors(said, labels, norm, weights)
    posterior = said * shares
    posterior = posterior / posterior.sum(1, keepdim=True)
    return float((weights * (posterior * _channel(norm)[:, labels].T).sum(1).log()).sum())


def _silent_words(said: Tensor, before: Norm, passed_over: Mapping[Label, int]) -> tuple[Tensor, Tensor, Tensor]:
    """Rows, words and weights of the cards passed over: of each label a card as sure as the answered ones are."""
    rows, labels, weights = torch.zeros(0, len(LABELS)), list[int](), list[float]()
    for number, label in enumerate(LABELS):
        if cards := passed_over.get(label, 0):
            mine = said[said.argmax(1) == number]
            typical = mine.mean(0) if len(mine) else torch.tensor(PLAIN_NORM.matrix)[number]
            rows = torch.cat([rows, typical[None]])
            labels.append(LABELS.index(before.counts_as[number]))
            weights.append(float(cards))
    return rows, torch.tensor(labels, dtype=torch.long), torch.tensor(weights)


def _differences(one: Norm, other: Norm) -> int:
    return sum(a is not b for a, b in zip(one.counts_as, other.counts_as, strict=True))


def by_community(words: Iterable[Correction]) -> dict[str, list[int]]:
    """Positions of each community's words."""
    found: dict[str, list[int]] = {}
    for number, each in enumerate(words):
        found.setdefault(each.community, []).append(number)
    return found
