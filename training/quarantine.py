"""Corrections that do not teach until a second moderator agrees: what a poisoned or careless one looks like.

An accuracy gate does not see a back door: ten corrections that share one rare word make every text with that word
harmless, and nothing on held-out texts moves. So such corrections are set aside before anything is learned, by what
they have in common. Where one moderator alone looks after a community, theirs is the only word there is, and it counts.
"""

import re
from collections import Counter
from collections.abc import Mapping, Sequence, Set

from torch import Tensor

from model.labels import LABELS, Label
from training.corrections import Correction
from training.examples import Example

TRIGGER = "a rare word, one label, one moderator"
CONTRADICTS = "against a sure verdict, one moderator alone"

LEAST_ROWS = 4
"""Corrections that must share a word before it is looked at."""
RARE = 1 / 500
"""A word in at most this share of the replayed public texts is rare."""
ONE_LABEL, ONE_MODERATOR = 0.9, 0.6
SURE = 0.9
"""From this probability on, a verdict is sure."""

_WORD = re.compile(r"\w+")


def suspicious(corrections: Sequence[Correction], replay: Sequence[Example], serving: Tensor) -> Mapping[str, str]:
    """{correction id: reason} of those to be set aside; `serving` (N, 3) is what the serving adapter says of each."""
    watched = _communities_of_several(corrections)
    mine = [each for each in corrections if each.community in watched]
    return _contradictions(corrections, watched, serving) | _triggers(mine, replay)


def _contradictions(corrections: Sequence[Correction], watched: Set[str], serving: Tensor) -> dict[str, str]:
    """Corrections of a sure verdict by the one moderator who makes most of that kind (such as offensive -> neutral).

    Where several moderators make them alike, they are the community's norm and not one person's.
    """
    kinds: dict[tuple[str, Label, Label], list[Correction]] = {}
    for each, row in zip(corrections, serving.tolist(), strict=True):
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


def _triggers(corrections: Sequence[Correction], replay: Sequence[Example]) -> dict[str, str]:
    """Corrections with a word that is rare in public texts and comes with one label and mostly one moderator."""
    public = Counter(word for example in replay for word in _words(example))
    by_word: dict[str, list[Correction]] = {}
    for each in corrections:
        for word in _words(each.example):
            by_word.setdefault(word, []).append(each)
    found: dict[str, str] = {}
    for word, rows in by_word.items():
        if len(rows) < LEAST_ROWS or public[word] > RARE * len(replay):
            continue
        labels = Counter(row.example.label for row in rows)
        moderators = Counter(row.moderator for row in rows)
        alone = [row for row in rows if row.agreeing < 2]
        if max(labels.values()) >= ONE_LABEL * len(rows) and max(moderators.values()) >= ONE_MODERATOR * len(rows):
            found |= {row.id: TRIGGER for row in alone}
    return found


def _words(example: Example) -> set[str]:
    return set(_WORD.findall(example.key))


def _communities_of_several(corrections: Sequence[Correction]) -> frozenset[str]:
    """Communities where more than one moderator corrects."""
    moderators: dict[str, set[str]] = {}
    for each in corrections:
        moderators.setdefault(each.community, set()).add(each.moderator)
    return frozenset(community for community, people in moderators.items() if len(people) > 1)
