"""Corrections that do not teach until a second moderator agrees: what a poisoned or careless one looks like.

An accuracy gate does not see a back door: ten corrections that share one rare word make every text with that word
harmless, and nothing on held-out texts moves. So such corrections are set aside before anything is learned, by what
they have in common. Where one moderator alone looks after a community, theirs is the only word there is, and it counts;
unless neither the model nor a norm explains so much of it that malice cannot be ruled out.
"""

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from model.labels import LABELS, Label
from model.norms import PLAIN_NORM, Norm
from model.quality import wilson_interval
from training.corrections import Correction, Snapshot
from training.examples import Example
from training.norms import (
    BELIEVED,
    MISTAKES,
    MOST_MODERATORS,
    MOST_WORDS,
    by_community,
    learn_norm,
    mistaken,
    priors,
    votes,
)
from training.trust import insiders, outsiders

TRIGGER = "a rare word, one label, one moderator"
OUTVOTED = "of a moderator whom the others contradict"
CONTRADICTS = "against a sure verdict, one moderator alone"
UNEXPLAINED = "of one moderator alone, too many of whose words nothing explains"

LEAST_ROWS = 4
"""Corrections that must share a word before it is looked at."""
RARE = 1 / 500
"""A word in at most this share of the replayed public texts is rare."""
ONE_LABEL, ONE_MODERATOR = 0.9, 0.6
SURE = 0.9
"""From this probability on, a verdict is sure."""
ODD = 0.4
"""A moderator is outvoted when more than this share of their words surprises, and twice as many as of the others'."""

MALICIOUS, RULED_OUT = 0.3, 1.28
"""Words of a lone moderator teach when this share of words that nothing explains is ruled out, with this many standard
errors (nine times in ten). Such are 5 to 9 % where 5 % are mistakes, and 24 to 44 % where 30 % are malicious."""
ONLY_THE_WRONG = 0.3
"""Who agrees with the model in fewer of their words than that marks what is wrong and passes over the rest: how many
of such words contradict the model says nothing."""

_WORD = re.compile(r"\w+")


@dataclass(frozen=True, slots=True)
class Sifted:
    """The snapshot without what is set aside, and the norm of each community by what is left.

    `refused` says, in a sentence for each community where a lone moderator's words do not teach, why and what to do.
    """

    snapshot: Snapshot
    norms: Mapping[str, Norm]
    refused: Sequence[str] = ()


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
        before, passed_over = norms.get(community, PLAIN_NORM), snapshot.passed_over.get(community)
        found[community] = learn_norm([words[i] for i in mine], rows, before, passed_over)
    alone = unexplained(words, said[left], found)
    aside |= {id: UNEXPLAINED for each in alone.values() for id in each.ids}
    aside |= _of(snapshot, aside, said, lambda words, rows: contradictions(words, normed(words, rows, found)))
    kept = {community: norm for community, norm in found.items() if norm.changes}
    return Sifted(snapshot.without(aside), kept, [each.sentence for each in alone.values()])


def sift_all(
    snapshot: Snapshot,
    public: Sequence[Example],
    said: Callable[[Sequence[Correction]], Tensor],
    norms: Mapping[str, Norm],
) -> Sifted:
    """`sift`, where the words of communities that are not trusted teach each its own norm, and nothing else.

    Each of these is looked at by itself, so that nothing it says changes what another community's words come to.
    """
    inside = insiders(snapshot)
    sifted = sift(inside, public, said(inside.corrections), norms)
    found = dict(sifted.norms)
    for community, words in outsiders(snapshot):
        alone = replace(snapshot.of(community), corrections=words)
        learned = sift(alone, public, said(words), norms).norms.get(community, PLAIN_NORM)
        found.pop(community, None)
        if learned.changes:
            found[community] = learned
    return Sifted(sifted.snapshot, found, sifted.refused)


def normed(corrections: Sequence[Correction], said: Tensor, norms: Mapping[str, Norm]) -> Tensor:
    """(N, 3): what the model says of each text, by the norm of the community it is from."""
    rows = [
        norms.get(each.community, PLAIN_NORM).apply(row) for each, row in zip(corrections, said.tolist(), strict=True)
    ]
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
        for one, _ in moderators.most_common(MOST_MODERATORS) if len(moderators) > 2 else ():
            others = [i for i in mine if corrections[i].moderator != one][-MOST_WORDS:]
            own = [i for i in mine if corrections[i].moderator == one]
            words = [corrections[i] for i in others]
            labels = torch.tensor([LABELS.index(each.example.label) for each in words])
            norm = learn_norm(words, said[others], norms.get(community, PLAIN_NORM))
            shares = priors(said[others], labels, norm, votes(words))
            expected = ((said * shares) @ torch.tensor(norm.matrix)).argmax(-1).tolist()
            wrong, theirs = (
                sum(LABELS[expected[i]] is not corrections[i].example.label for i in rows) for rows in (own, others)
            )
            if wilson_interval(wrong, len(own))[0] > max(ODD, 2 * theirs / len(others)):
                found |= {corrections[i].id: OUTVOTED for i in own if corrections[i].agreeing < 2}
    return found


@dataclass(frozen=True, slots=True)
class Unexplained:
    """The words of a community's lone moderator that do not teach, and what moderators must know of them."""

    ids: frozenset[str]
    sentence: str


def unexplained(corrections: Sequence[Correction], said: Tensor, norms: Mapping[str, Norm]) -> dict[str, Unexplained]:
    """By community, the words of a moderator who has most of them, where too many are explained by nothing.

    It is so where 30 % are malicious, and with honest words in a place that the model does not know: which of the two,
    the words alone do not say. What a second moderator agreed with teaches. `norms` are those by these words.
    """
    found = {}
    for community, mine in by_community(corrections).items():
        one, count = Counter(corrections[i].moderator for i in mine).most_common(1)[0]
        rows = [i for i in mine if corrections[i].moderator == one and corrections[i].agreeing < 2]
        recent = rows[-MOST_WORDS:]
        words = [corrections[i] for i in recent]
        weights = votes(words)
        of = float(weights.sum())
        if count < ONE_MODERATOR * len(mine) or of < BELIEVED:
            continue
        norm = norms.get(community, PLAIN_NORM)
        labels = torch.tensor([LABELS.index(each.example.label) for each in words])
        called = (said[recent] @ torch.tensor(norm.matrix)).argmax(-1)
        agreed = float((weights * (called == labels)).sum())
        # Without what `mistaken` believes beforehand.
        odd = mistaken(said[recent], labels, norm, weights) * (of + BELIEVED) - BELIEVED * MISTAKES
        if wilson_interval(odd, of, RULED_OUT)[1] < MALICIOUS or agreed < ONLY_THE_WRONG * of:
            continue
        where = f" in {community}" if community else ""
        found[community] = Unexplained(
            frozenset(corrections[i].id for i in rows),
            f"one moderator has {count} of {len(mine)} words{where}, and about {odd / of:.0%} of them fit neither the"
            " model nor a norm; alone they do not teach, because nobody can tell mistakes from meaning: let a second"
            " moderator answer some of the same cards",
        )
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
