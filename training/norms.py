"""Learns a community's norm from its moderators' corrections.

Three things explain a correction: the model's probabilities for the text, how common each label is among the
community's cards, and the norm. The norm under which the corrections are most likely holds, if its margin is clear,
also without any single moderator, and also against the unanswered cards, which count as correct. This takes a dozen
different texts where a new adapter takes hundreds, and moderators can read the result.

Where the kinds of the texts are known, a norm may be about kinds ("swearing counts as neutral"). Of norms that explain
the corrections about as well, the one that changes least is learned. What is learned about a kind needs corrections of
that kind.

Probabilities of N texts are rows (N, 3) in the order of `LABELS`, or (N, 9) with those of the kinds after them, in the
order of `KINDS` (all 0 where they are unknown).
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import replace
from itertools import combinations, combinations_with_replacement

import torch
from torch import Tensor

from model.kinds import KINDS, Kind
from model.labels import HARMFUL, LABELS, Label
from model.norms import MAY_BE_NEUTRAL, PLAIN_NORM, Norm
from training.corrections import Correction

MISTAKE_SHARE = 0.1
"""Prior share of corrections that may have any label: moderators and the model make mistakes."""
PRIOR_CORRECTIONS = 20.0
"""Weight of that prior: with this many corrections their own share counts as much as `MISTAKE_SHARE`."""
CLEAR_MARGIN = 10.0
"""A new norm must make the corrections this much more likely (in nats) than the norm before."""
KIND_MARGIN = 6.0
"""The same for a norm that differs only in the kinds that count as neutral: it changes less, and never hate."""
MARGIN_WITHOUT_ONE = 3.0
"""The same margin without the corrections of any one of several moderators."""
MIN_CORRECTIONS = 12
"""Different texts that must be corrected before a norm is learned."""
MAX_CORRECTIONS = 1000
"""Only the latest corrections are used, because all pairs are compared."""
MAX_MODERATORS = 12
"""Only the moderators with the most corrections are left out in turn: others have little influence, and a community may
appoint any number of moderators."""
ALIKE_SHARE = 0.6
"""Texts that share this part of their words (Jaccard) count once: one phrase, repeated, is not a norm."""
CANDIDATES = tuple(
    Norm((*harmful, Label.NEUTRAL))
    for harmful in combinations_with_replacement(LABELS, len(HARMFUL))
    if harmful[0] is not Label.NEUTRAL
)
"""Every norm of labels that keeps severity and neutral, except the one that allows everything."""
KIND_CANDIDATES = tuple(
    replace(norm, neutral_kinds=frozenset(kinds))
    for norm in CANDIDATES
    if norm.counts_as[1] is not Label.NEUTRAL
    for size in range(1, len(MAY_BE_NEUTRAL) + 1)
    for kinds in combinations(MAY_BE_NEUTRAL, size)
)
"""Every norm with kinds that count as neutral."""
MIN_OF_KIND = 5.0
"""Different texts of a kind that must be corrected to neutral before that kind counts as neutral."""
MIN_OF_OTHERS = 3.0
"""Different texts of the kinds that may not count as neutral, corrected to neutral, before offensive as a whole does:
else only swearing or insults are allowed."""
_OFFENSIVE, _NEUTRAL = LABELS.index(Label.OFFENSIVE), LABELS.index(Label.NEUTRAL)


def learn_norm(
    corrections: Sequence[Correction],
    probabilities: Tensor,
    before: Norm = PLAIN_NORM,
    passed_over: Mapping[Label, int] | None = None,
) -> Norm:
    """Learns the norm of one community; returns `before` if the corrections do not clearly support another.

    `probabilities` (N, 3 or 9) are the model's for the texts, without a norm. `passed_over` counts the unanswered cards
    of each label between answered ones; each counts as a confirmation of its label.
    """
    corrections, probabilities = corrections[-MAX_CORRECTIONS:], probabilities[-MAX_CORRECTIONS:]
    weights = vote_weights(corrections)
    if float(weights.sum()) < MIN_CORRECTIONS:
        return before
    labels = torch.tensor([LABELS.index(each.example.label) for each in corrections])
    moderators = Counter(each.moderator for each in corrections)
    passed_over_rows = _passed_over_rows(probabilities, before, passed_over or {})
    candidates = _candidates(probabilities, labels, weights, before)

    def gains(kept: Sequence[int]) -> dict[Norm, float]:
        """The gain in log-likelihood of each candidate over the norm before, for these and the passed-over cards."""
        rows = [
            torch.cat(pair)
            for pair in zip((probabilities[kept], labels[kept], weights[kept]), passed_over_rows, strict=True)
        ]
        base = _log_likelihood(before, *rows)
        return {norm: _log_likelihood(norm, *rows) - base for norm in candidates}

    gain_of = gains(range(len(corrections)))
    learned = before
    for norm in sorted(candidates, key=lambda norm: (_differences(norm, before), -gain_of[norm])):
        margin = KIND_MARGIN if norm.counts_as == learned.counts_as else CLEAR_MARGIN
        if gain_of[norm] >= gain_of.get(learned, 0.0) + margin:
            learned = norm
    if learned.says_the_same_as(before):
        return before
    for moderator, _ in moderators.most_common(MAX_MODERATORS) if len(moderators) > 1 else ():
        if (
            gains([i for i, each in enumerate(corrections) if each.moderator != moderator])[learned]
            < MARGIN_WITHOUT_ONE
        ):
            return before
    return replace(learned, corrections=len(corrections), moderators=len(moderators))


def labels_of(rows: Tensor) -> Tensor:
    """(N, 3) the probabilities of the labels."""
    return rows[:, : len(LABELS)]


def kinds_of(rows: Tensor) -> Tensor:
    """(N, 6) the probabilities of the kinds; all 0 where they are unknown."""
    return rows[:, len(LABELS) :] if rows.shape[1] > len(LABELS) else torch.zeros(len(rows), len(KINDS))


def counting_matrices(norm: Norm, rows: Tensor) -> Tensor:
    """(N, 3, 3): how a community counts the model's label of the row, for each text: `Norm.apply` as matrices."""
    neutral_kinds = torch.tensor([float(kind in norm.neutral_kinds) for kind in KINDS])
    matrices = torch.tensor(norm.matrix).repeat(len(rows), 1, 1)
    allowed = (kinds_of(rows) @ neutral_kinds).clamp(max=1.0)
    matrices[:, _OFFENSIVE] *= 1 - allowed[:, None]
    matrices[:, _OFFENSIVE, _NEUTRAL] += allowed
    return matrices


def counted(norm: Norm, rows: Tensor) -> Tensor:
    """(N, 3) the community's probabilities of the labels."""
    return torch.einsum("nl,nlc->nc", labels_of(rows), counting_matrices(norm, rows))


def called(norm: Norm, rows: Tensor, labels: Tensor) -> Tensor:
    """(N, 3): the share of the model's label of the column that the community calls the text's (N,) label."""
    return counting_matrices(norm, rows)[torch.arange(len(rows)), :, labels]


def label_priors(probabilities: Tensor, labels: Tensor, norm: Norm, weights: Tensor | None = None) -> Tensor:
    """(3,) shares of the model's labels among the cards, estimated from the model and the (N,) corrections.

    Expectation maximisation for a shifted prior (Saerens, Latinne and Decaestecker 2002, "Adjusting the Outputs of a
    Classifier to New a Priori Probabilities"), with three prior texts of each label.
    """
    weights = torch.ones(len(labels)) if weights is None else weights
    likely = _with_mistakes(called(norm, probabilities, labels))
    shares = torch.full((len(LABELS),), 1 / len(LABELS))
    for _ in range(50):
        joint = labels_of(probabilities) * shares * likely
        shares = 3.0 + (weights[:, None] * joint / joint.sum(1, keepdim=True)).sum(0)
        shares = shares / shares.sum()
    return shares


def mistake_share(probabilities: Tensor, labels: Tensor, norm: Norm, weights: Tensor) -> float:
    """Share of the (N,) corrections that neither the model nor the norm explains: mistakes, or malice.

    Expectation maximisation with the prior `MISTAKE_SHARE`, which weighs as much as `PRIOR_CORRECTIONS` corrections.
    """
    posterior = labels_of(probabilities) * label_priors(probabilities, labels, norm, weights)
    posterior = posterior / posterior.sum(1, keepdim=True)
    meant = (posterior * called(norm, probabilities, labels)).sum(1)
    share = MISTAKE_SHARE
    for _ in range(50):
        anything = share / len(LABELS)
        doubt = anything / ((1 - share) * meant + anything)
        share = float(
            ((weights * doubt).sum() + PRIOR_CORRECTIONS * MISTAKE_SHARE) / (weights.sum() + PRIOR_CORRECTIONS)
        )
    return share


def vote_weights(corrections: Sequence[Correction]) -> Tensor:
    """(N,) weight of each correction: texts that are nearly the same share one vote."""
    word_sets = [_words_of(each) for each in corrections]
    groups: list[Set[str]] = []
    group_of = []
    for words in word_sets:
        recent = range(max(0, len(groups) - MAX_CORRECTIONS), len(groups))
        similar = (n for n in recent if len(words & groups[n]) >= ALIKE_SHARE * len(words | groups[n]))
        if (group := next(similar, None)) is None:
            group = len(groups)
            groups.append(words)
        group_of.append(group)
    sizes = Counter(group_of)
    return torch.tensor([1 / sizes[group] for group in group_of])


def _words_of(correction: Correction) -> frozenset[str]:
    return frozenset(correction.example.key.split())


def _with_mistakes(called: Tensor) -> Tensor:
    """The same shares, if some corrections are mistakes and have any label."""
    return (1 - MISTAKE_SHARE) * called + MISTAKE_SHARE / len(LABELS)


def _log_likelihood(norm: Norm, probabilities: Tensor, labels: Tensor, weights: Tensor) -> float:
    posterior = labels_of(probabilities) * label_priors(probabilities, labels, norm, weights)
    posterior = posterior / posterior.sum(1, keepdim=True)
    likely = _with_mistakes(called(norm, probabilities, labels))
    return float((weights * (posterior * likely).sum(1).log()).sum())


def _candidates(probabilities: Tensor, labels: Tensor, weights: Tensor, before: Norm) -> list[Norm]:
    """The norms that the corrections may speak for. Where kinds are known, a kind may become neutral only if enough
    texts of it are corrected to neutral, and offensive as a whole only if texts of the other kinds are, too."""
    kinds = kinds_of(probabilities)
    if not bool(kinds.any()):
        return list(CANDIDATES)
    is_neutral = (labels == _NEUTRAL) & kinds.any(dim=1)
    votes = torch.bincount(kinds.argmax(1)[is_neutral], weights[is_neutral], minlength=len(KINDS)).tolist()
    votes_of = dict(zip(KINDS, votes, strict=True))
    allowed = {kind for kind in MAY_BE_NEUTRAL if votes_of[kind] >= MIN_OF_KIND} | before.neutral_kinds
    others = sum(votes_of[kind] for kind in KINDS if kind not in MAY_BE_NEUTRAL)
    may_be_wide = others >= MIN_OF_OTHERS or before.counts_as[_OFFENSIVE] is Label.NEUTRAL
    wide = [norm for norm in CANDIDATES if may_be_wide or norm.counts_as[_OFFENSIVE] is not Label.NEUTRAL]
    return [*wide, *(norm for norm in KIND_CANDIDATES if norm.neutral_kinds <= allowed)]


def _passed_over_rows(
    probabilities: Tensor, before: Norm, passed_over: Mapping[Label, int]
) -> tuple[Tensor, Tensor, Tensor]:
    """(rows, labels, weights) of the passed-over cards: each with the mean probabilities of the answered cards of its
    label."""
    rows, labels, weights = probabilities[:0], list[int](), list[float]()
    for number, label in enumerate(LABELS):
        if cards := passed_over.get(label, 0):
            answered = probabilities[labels_of(probabilities).argmax(1) == number]
            typical = answered.mean(0) if len(answered) else torch.eye(len(LABELS), probabilities.shape[1])[number]
            rows = torch.cat([rows, typical[None]])
            labels.append(LABELS.index(before.counts_as[number]))
            weights.append(float(cards))
    return rows, torch.tensor(labels, dtype=torch.long), torch.tensor(weights)


def _differences(a: Norm, b: Norm) -> int:
    """For how many pairs of harmful label and kind two norms differ: "swearing counts as neutral" changes one, and
    "offensive counts as neutral" changes six."""
    return sum(_counts_as(a, label, kind) is not _counts_as(b, label, kind) for label in HARMFUL for kind in KINDS)


def _counts_as(norm: Norm, label: Label, kind: Kind) -> Label:
    is_allowed = label is Label.OFFENSIVE and kind in norm.neutral_kinds
    return Label.NEUTRAL if is_allowed else norm.counts_as[LABELS.index(label)]


def group_by_community(corrections: Iterable[Correction]) -> dict[str, list[int]]:
    """The positions of each community's corrections."""
    positions: dict[str, list[int]] = {}
    for number, each in enumerate(corrections):
        positions.setdefault(each.community, []).append(number)
    return positions
