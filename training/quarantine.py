"""Corrections that do not teach until a second moderator agrees: what a poisoned or careless one looks like.

An accuracy gate does not see a back door: ten corrections that share one rare word make every text with that word
harmless, and nothing on held-out texts moves. So such corrections are set aside before anything is learned, by what
they have in common. Where one moderator alone looks after a community, theirs is the only word there is, and it counts.
"""

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from model.labels import LABELS, Label
from model.norms import PLAIN, Norm
from model.quality import wilson
from training.corrections import Correction, Snapshot
from training.examples import Example
from training.norms import MOST_WORDS, by_community, learn_norm, priors, votes

TRIGGER = "a rare word, one label, one moderator"
OUTVOTED = "of a moderator whom the others contradict"
CONTRADICTS = "against a sure verdict, one moderator alone"

LEAST_ROWS = 4
"""Corrections that must share a word before it is looked at."""
RARE = 1 / 500
"""A word in at most this share of the replayed public texts is rare."""
ONE_LABEL, ONE_MODERATOR = 0.9, 0.6
SURE = 0.9
"""From this probability on, a verdict is sure."""
ODD = 0.4
"""A moderator is outvoted when more than this share of their words surprises, and twice as many as of the others'."""

_WORD = re.compile(r"\w+")


@dataclass(frozen=True, slots=True)
class Sifted:
    """The snapshot without what is set aside, and the norm of each community by what is left."""

    snapshot: Snapshot
    norms: Mapping[str, Norm]


def sift(snapshot: Snapshot, public: Sequence[Example], said: Tensor, norms: Mapping[str, Norm]) -> Sifted:
    """Sets aside what looks poisoned or careless; learns the communities' norms in between.

    `said` (N, 3) is what the serving adapter makes of each correction's text, before any norm; `norms` are those it
    serves with. A word that only follows a norm newly learned is no contradiction.
    """
    aside = dict(triggers(snapshot.corrections, public))
    aside |= _of(snapshot, aside, said, lambda words, rows: outvoted(words, rows, norms))
    left = [i for i, each in enumerate(snapshot.corrections) if each.id not in aside]
    words = [snapshot.corrections[i] for i in left]
    found = dict(norms)
    for community, mine in by_community(words).items():
        rows = said[[left[i] for i in mine]]
        before, passed_over = norms.get(community, PLAIN), snapshot.passed_over.get(community)
        found[community] = learn_norm([words[i] for i in mine], rows, before, passed_over)
    aside |= _of(snapshot, aside, said, lambda words, rows: contradictions(words, normed(words, rows, found)))
    kept = {community: norm for community, norm in found.items() if norm.changes}
    return Sifted(snapshot.without(aside), kept)


def normed(corrections: Sequence[Correction], said: Tensor, norms: Mapping[str, Norm]) -> Tensor:
    """(N, 3): what the model says of each text, by the norm of the community it is from."""
    rows = [norms.get(each.community, PLAIN).apply(row) for each, row in zip(corrections, said.tolist(), strict=True)]
    return torch.tensor(rows).view(-1, len(LABELS))


def _of(
    snapshot: Snapshot,
    aside: Mapping[str, str],
    said: Tensor,
    found: Callable[[Sequence[Correction], Tensor], Mapping[str, str]],
) -> Mapping[str, str]:
    """What `found` says of those not set aside yet."""
    left = [i for i, each in enumerate(snapshot.corrections) if each.id not in aside]
    return found([snapshot.corrections[i] for i in left], said[left])


def outvoted(corrections: Sequence[Correction], said: Tensor, norms: Mapping[str, Norm]) -> dict[str, str]:
    """Corrections of a moderator most of whose words are not what the others' words let one expect.

    The expectation is the model's verdict by the norm, and with the prior, that the others' words speak for, so a
    community may differ from the model as it likes, but nobody alone from the community (after Dawid and Skene 1979,
    "Maximum Likelihood Estimation of Observer Error-Rates"). It takes three moderators to say who is the odd one.
    """
    found: dict[str, str] = {}
    for community, mine in by_community(corrections).items():
        moderators = Counter(corrections[i].moderator for i in mine)
        for one in moderators if len(moderators) > 2 else ():
            others = [i for i in mine if corrections[i].moderator != one][-MOST_WORDS:]
            own = [i for i in mine if corrections[i].moderator == one]
            words = [corrections[i] for i in others]
            labels = torch.tensor([LABELS.index(each.example.label) for each in words])
            norm = learn_norm(words, said[others], norms.get(community, PLAIN))
            shares = priors(said[others], labels, norm, votes(words))
            expected = ((said * shares) @ torch.tensor(norm.matrix)).argmax(-1).tolist()
            wrong, theirs = (
                sum(LABELS[expected[i]] is not corrections[i].example.label for i in rows) for rows in (own, others)
            )
            if wilson(wrong, len(own))[0] > max(ODD, 2 * theirs / len(others)):
                found |= {corrections[i].id: OUTVOTED for i in own if corrections[i].agreeing < 2}
    return found


def triggers(corrections: Sequence[Correction], public: Sequence[Example]) -> dict[str, str]:
    """Corrections with a word that is rare in public texts and comes with one label and mostly one moderator."""
    watched = _communities_of_several(corrections)
    mine = [each for each in corrections if each.community in watched]
    found: dict[str, str] = {}
    for rows in rare_words(mine, public).values():
        if max(Counter(row.moderator for row in rows).values()) >= ONE_MODERATOR * len(rows):
            found |= {row.id: TRIGGER for row in rows if row.agreeing < 2}
    return found


def rare_words(corrections: Sequence[Correction], public: Sequence[Example]) -> dict[str, list[Correction]]:
    """Words that are rare in public texts and stand in several corrections, nearly all of one label, with these."""
    common = Counter(word for example in public for word in _words(example))
    by_word: dict[str, list[Correction]] = {}
    for each in corrections:
        for word in _words(each.example):
            by_word.setdefault(word, []).append(each)
    return {
        word: rows
        for word, rows in by_word.items()
        if len(rows) >= LEAST_ROWS
        and common[word] <= RARE * len(public)
        and max(Counter(row.example.label for row in rows).values()) >= ONE_LABEL * len(rows)
    }


def contradictions(corrections: Sequence[Correction], verdicts: Tensor) -> dict[str, str]:
    """Corrections of a sure verdict by the one moderator who makes most of that kind (such as offensive -> neutral).

    Where several moderators make them alike, they are the community's norm and not one person's. `verdicts` (N, 3) are
    by the norms.
    """
    watched = _communities_of_several(corrections)
    kinds: dict[tuple[str, Label, Label], list[Correction]] = {}
    for each, row in zip(corrections, verdicts.tolist(), strict=True):
        called = LABELS[row.index(max(row))]
        if each.community in watched and max(row) >= SURE and called is not each.example.label:
            kinds.setdefault((each.community, called, each.example.label), []).append(each)
    found: dict[str, str] = {}
    for rows in kinds.values():
        moderators = Counter(row.moderator for row in rows)
        found |= {
            row.id: CONTRADICTS
            for row in rows
            if row.agreeing < 2 and moderators[row.moderator] >= ONE_MODERATOR * len(rows)
        }
    return found


def _words(example: Example) -> set[str]:
    return set(_WORD.findall(example.key))


def _communities_of_several(corrections: Sequence[Correction]) -> frozenset[str]:
    """Communities where more than one moderator corrects."""
    moderators: dict[str, set[str]] = {}
    for each in corrections:
        moderators.setdefault(each.community, set()).add(each.moderator)
    return frozenset(community for community, people in moderators.items() if len(people) > 1)
