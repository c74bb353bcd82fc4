"""The quarantine: sets aside corrections that look poisoned or careless until a second moderator agrees.

An accuracy gate does not notice a back door: ten corrections that share one rare word make every text with that word
harmless, and no figure on held-out texts changes. So such corrections are set aside before training, by their common
features. If a community has a single moderator, their corrections count, unless the model and a norm leave so many of
them unexplained that malice cannot be ruled out.
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
    MAX_CORRECTIONS,
    MAX_MODERATORS,
    MISTAKE_SHARE,
    PRIOR_CORRECTIONS,
    counted,
    group_by_community,
    kinds_of,
    label_priors,
    labels_of,
    learn_norm,
    mistake_share,
    vote_weights,
)
from training.trust import trusted_snapshot, untrusted_corrections

TRIGGER = "a rare word, one label, one moderator"
OUTVOTED = "of a moderator whom the others contradict"
CONTRADICTS = "against a sure verdict, one moderator alone"
UNEXPLAINED = "of one moderator alone, with too many unexplained corrections"

MIN_SHARING = 4
"""A word is checked if at least so many corrections share it."""
RARE_SHARE = 1 / 500
"""A word in at most this share of the replayed public texts is rare."""
ONE_LABEL, ONE_MODERATOR = 0.9, 0.6
SURE_PROBABILITY = 0.9
"""From this probability on, a verdict is sure."""
OUTVOTED_SHARE = 0.4
"""A moderator is outvoted if more than this share of their corrections is unexpected, and twice the others' share."""

MALICIOUS_SHARE, RULED_OUT_STANDARD_ERRORS = 0.3, 1.28
"""A lone moderator's corrections teach if a share of `MALICIOUS_SHARE` unexplained ones is ruled out, with so many
standard errors (nine times in ten). Unexplained are 5 to 9 % of the corrections if 5 % are mistakes, and 24 to 44 % if
30 % are malicious."""
MIN_AGREEING_SHARE = 0.3
"""A moderator who agrees with the model in a smaller share corrects only errors and skips the rest; then the share of
contradictions says nothing about malice."""

_WORD = re.compile(r"\w+")


@dataclass(frozen=True, slots=True)
class QuarantineResult:
    """The snapshot without the quarantined corrections, and each community's norm by the remaining ones.

    `refused` has a sentence for each community whose lone moderator's corrections do not teach: why, and what to do.
    """

    snapshot: Snapshot
    norms: Mapping[str, Norm]
    refused: Sequence[str] = ()


def quarantine(
    snapshot: Snapshot, public: Sequence[Example], probabilities: Tensor, norms: Mapping[str, Norm]
) -> QuarantineResult:
    """Sets aside corrections that look poisoned or careless, and learns the communities' norms from the others.

    `probabilities` (N, 3 or 9, see `training.norms`) are the serving adapter's for the corrections' texts, before any
    norm; `norms` are the serving ones. A correction that follows a newly learned norm is not a contradiction.
    """
    quarantined = dict(find_triggers(snapshot.corrections, public))
    quarantined |= _apply_to_rest(
        snapshot, quarantined, probabilities, lambda corrections, rows: find_outvoted(corrections, rows, norms)
    )
    kept_rows = [i for i, each in enumerate(snapshot.corrections) if each.id not in quarantined]
    corrections = [snapshot.corrections[i] for i in kept_rows]
    learned = dict(norms)
    for community, rows_of in group_by_community(corrections).items():
        rows = probabilities[[kept_rows[i] for i in rows_of]]
        before, passed_over = norms.get(community, PLAIN_NORM), snapshot.passed_over.get(community)
        learned[community] = learn_norm([corrections[i] for i in rows_of], rows, before, passed_over)
    unexplained = find_unexplained(corrections, probabilities[kept_rows], learned)
    quarantined |= {id: UNEXPLAINED for each in unexplained.values() for id in each.ids}
    quarantined |= _apply_to_rest(
        snapshot,
        quarantined,
        probabilities,
        lambda corrections, rows: find_contradictions(corrections, normed(corrections, rows, learned)),
    )
    changing = {community: norm for community, norm in learned.items() if not norm.is_plain}
    return QuarantineResult(snapshot.without(quarantined), changing, [each.sentence for each in unexplained.values()])


def quarantine_all(
    snapshot: Snapshot,
    public: Sequence[Example],
    probabilities_of: Callable[[Sequence[Correction]], Tensor],
    norms: Mapping[str, Norm],
) -> QuarantineResult:
    """`quarantine` for trusted and other communities. Corrections of the others teach only their own norms.

    Each of the others is handled alone, so its corrections do not affect another community.
    """
    trusted = trusted_snapshot(snapshot)
    result = quarantine(trusted, public, probabilities_of(trusted.corrections), norms)
    learned = dict(result.norms)
    for community, corrections in untrusted_corrections(snapshot):
        community_snapshot = replace(snapshot.for_community(community), corrections=corrections)
        norm = quarantine(community_snapshot, public, probabilities_of(corrections), norms).norms.get(
            community, PLAIN_NORM
        )
        learned.pop(community, None)
        if not norm.is_plain:
            learned[community] = norm
    return QuarantineResult(result.snapshot, learned, result.refused)


def normed(corrections: Sequence[Correction], probabilities: Tensor, norms: Mapping[str, Norm]) -> Tensor:
    """(N, 3) probabilities of each correction's text by its community's norm."""
    rows = torch.zeros(len(corrections), len(LABELS))
    for community, numbers in group_by_community(corrections).items():
        rows[numbers] = counted(norms.get(community, PLAIN_NORM), probabilities[numbers])
    return rows


def _apply_to_rest(
    snapshot: Snapshot,
    quarantined: Mapping[str, str],
    probabilities: Tensor,
    find: Callable[[Sequence[Correction], Tensor], Mapping[str, str]],
) -> Mapping[str, str]:
    """Applies `find` to the corrections that are not yet quarantined."""
    kept_rows = [i for i, each in enumerate(snapshot.corrections) if each.id not in quarantined]
    return find([snapshot.corrections[i] for i in kept_rows], probabilities[kept_rows])


def find_outvoted(
    corrections: Sequence[Correction], probabilities: Tensor, norms: Mapping[str, Norm]
) -> dict[str, str]:
    """Finds the corrections of a moderator whose labels mostly differ from those expected by the others' corrections.

    The expected label is the model's verdict with the norm and prior learned from the others' corrections. So a
    community may differ from the model, but one moderator may not differ from the community (after Dawid and Skene
    1979, "Maximum Likelihood Estimation of Observer Error-Rates"). This needs at least three moderators.
    """
    outvoted: dict[str, str] = {}
    for community, community_rows in group_by_community(corrections).items():
        moderators = Counter(corrections[i].moderator for i in community_rows)
        for moderator, _ in moderators.most_common(MAX_MODERATORS) if len(moderators) > 2 else ():
            other_rows = [i for i in community_rows if corrections[i].moderator != moderator][-MAX_CORRECTIONS:]
            own_rows = [i for i in community_rows if corrections[i].moderator == moderator]
            other_corrections = [corrections[i] for i in other_rows]
            labels = torch.tensor([LABELS.index(each.example.label) for each in other_corrections])
            norm = learn_norm(other_corrections, probabilities[other_rows], norms.get(community, PLAIN_NORM))
            shares = label_priors(probabilities[other_rows], labels, norm, vote_weights(other_corrections))
            rows = torch.cat([labels_of(probabilities) * shares, kinds_of(probabilities)], dim=1)
            expected = counted(norm, rows).argmax(-1).tolist()
            unexpected, others_unexpected = (
                sum(LABELS[expected[i]] is not corrections[i].example.label for i in rows)
                for rows in (own_rows, other_rows)
            )
            if wilson_interval(unexpected, len(own_rows))[0] > max(
                OUTVOTED_SHARE, 2 * others_unexpected / len(other_rows)
            ):
                outvoted |= {corrections[i].id: OUTVOTED for i in own_rows if corrections[i].agreeing < 2}
    return outvoted


@dataclass(frozen=True, slots=True)
class Unexplained:
    """The corrections of a community's lone moderator that do not teach, and the sentence for moderators."""

    ids: frozenset[str]
    sentence: str


def find_unexplained(
    corrections: Sequence[Correction], probabilities: Tensor, norms: Mapping[str, Norm]
) -> dict[str, Unexplained]:
    """Finds, by community, the corrections of a moderator with most of them, if too many are unexplained.

    That happens if 30 % are malicious, but also if honest corrections are about language that the model does not know;
    the corrections alone cannot tell. Corrections that a second moderator confirmed still teach. `norms` are learned
    from these corrections.
    """
    unexplained = {}
    for community, community_rows in group_by_community(corrections).items():
        moderator, count = Counter(corrections[i].moderator for i in community_rows).most_common(1)[0]
        rows = [i for i in community_rows if corrections[i].moderator == moderator and corrections[i].agreeing < 2]
        recent = rows[-MAX_CORRECTIONS:]
        recent_corrections = [corrections[i] for i in recent]
        weights = vote_weights(recent_corrections)
        total = float(weights.sum())
        if count < ONE_MODERATOR * len(community_rows) or total < PRIOR_CORRECTIONS:
            continue
        norm = norms.get(community, PLAIN_NORM)
        labels = torch.tensor([LABELS.index(each.example.label) for each in recent_corrections])
        predicted = counted(norm, probabilities[recent]).argmax(-1)
        agreed = float((weights * (predicted == labels)).sum())
        # Removes the prior corrections of `mistake_share`.
        odd_weight = (
            mistake_share(probabilities[recent], labels, norm, weights) * (total + PRIOR_CORRECTIONS)
            - PRIOR_CORRECTIONS * MISTAKE_SHARE
        )
        if (
            wilson_interval(odd_weight, total, RULED_OUT_STANDARD_ERRORS)[1] < MALICIOUS_SHARE
            or agreed < MIN_AGREEING_SHARE * total
        ):
            continue
        place = f" in {community}" if community else ""
        unexplained[community] = Unexplained(
            frozenset(corrections[i].id for i in rows),
            f"one moderator made {count} of {len(community_rows)} corrections{place}, and about "
            f"{odd_weight / total:.0%} of them fit neither the model nor a norm; alone they do not"
            " teach, because mistakes and honest corrections look alike: let a second"
            " moderator answer some of the same cards",
        )
    return unexplained


def find_triggers(corrections: Sequence[Correction], public: Sequence[Example]) -> dict[str, str]:
    """Finds corrections with a word that is rare in public texts and has one label and mostly one moderator."""
    communities = _communities_of_several(corrections)
    considered = [each for each in corrections if each.community in communities]
    triggers: dict[str, str] = {}
    for rows in find_rare_words(considered, public).values():
        if max(Counter(row.moderator for row in rows).values()) >= ONE_MODERATOR * len(rows):
            triggers |= {row.id: TRIGGER for row in rows if row.agreeing < 2}
    return triggers


def find_rare_words(corrections: Sequence[Correction], public: Sequence[Example]) -> dict[str, list[Correction]]:
    """Finds words that are rare in public texts but in several corrections of nearly one label, with these
    corrections."""
    common = Counter(word for example in public for word in _words(example))
    by_word: dict[str, list[Correction]] = {}
    for each in corrections:
        for word in _words(each.example):
            by_word.setdefault(word, []).append(each)
    return {
        word: rows
        for word, rows in by_word.items()
        if len(rows) >= MIN_SHARING
        and common[word] <= RARE_SHARE * len(public)
        and max(Counter(row.example.label for row in rows).values()) >= ONE_LABEL * len(rows)
    }


def find_contradictions(corrections: Sequence[Correction], verdicts: Tensor) -> dict[str, str]:
    """Finds corrections of a sure verdict by the one moderator with most of that kind (such as offensive -> neutral).

    If several moderators make them, they are the community's norm and not one person's. `verdicts` (N, 3) are
    probabilities by the norms.
    """
    communities = _communities_of_several(corrections)
    kinds: dict[tuple[str, Label, Label], list[Correction]] = {}
    for each, row in zip(corrections, verdicts.tolist(), strict=True):
        predicted = LABELS[row.index(max(row))]
        if each.community in communities and max(row) >= SURE_PROBABILITY and predicted is not each.example.label:
            kinds.setdefault((each.community, predicted, each.example.label), []).append(each)
    contradictions: dict[str, str] = {}
    for rows in kinds.values():
        moderators = Counter(row.moderator for row in rows)
        contradictions |= {
            row.id: CONTRADICTS
            for row in rows
            if row.agreeing < 2 and moderators[row.moderator] >= ONE_MODERATOR * len(rows)
        }
    return contradictions


def _words(example: Example) -> set[str]:
    return set(_WORD.findall(example.key))


def _communities_of_several(corrections: Sequence[Correction]) -> frozenset[str]:
    """Communities with corrections of more than one moderator."""
    moderators: dict[str, set[str]] = {}
    for each in corrections:
        moderators.setdefault(each.community, set()).add(each.moderator)
    return frozenset(community for community, people in moderators.items() if len(people) > 1)
