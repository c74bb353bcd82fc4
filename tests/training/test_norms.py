"""Norms are learned from a community's corrections only if the evidence is clear."""

import random
from collections.abc import Mapping

import pytest
import torch

from model.kinds import KINDS, Kind
from model.labels import LABELS, Label
from model.norms import PLAIN_NORM, Norm, norm_of
from training.corrections import Correction
from training.examples import Example
from training.norms import CANDIDATES, counted, learn_norm, mistake_share, vote_weights

ALLOWED = Norm((Label.HATE, Label.NEUTRAL, Label.NEUTRAL))


def words_in(
    norm: Norm, count: int, *, seed: int = 1, moderators: int = 3, mistakes: float = 0.1, hateful: float = 0.1
) -> tuple[list[Correction], torch.Tensor]:
    """A community's words by this norm, on texts of which the model is right in four of five cases."""
    dice = random.Random(seed)
    words, rows = [], []
    for n in range(count):
        true = Label.HATE if dice.random() < hateful else Label.OFFENSIVE if dice.random() < 0.8 else Label.NEUTRAL
        called = true if dice.random() < 0.8 else dice.choice(LABELS)
        rows.append([0.8 if label is called else 0.1 for label in LABELS])
        meant = norm.counts_as[LABELS.index(true)]
        label = dice.choice(LABELS) if dice.random() < mistakes else meant
        text = f"{n} {n * 7} {n * 13}"
        words.append(Correction(str(n), Example(text, label), f"mo{n % moderators}", f"a{n}", "town"))
    return words, torch.tensor(rows)


@pytest.mark.parametrize("norm", CANDIDATES)
@pytest.mark.parametrize("seed", [1, 2])
def test_each_norm_is_found_from_two_hundred_words(norm: Norm, seed: int) -> None:
    """Each norm is found, with a tenth of the corrections random."""
    words, said = words_in(norm, 200, seed=seed, hateful=0.3)
    assert learn_norm(words, said).counts_as == norm.counts_as


def test_rare_hate_is_not_taken_for_a_norm() -> None:
    """If most of the model's hate is wrong because hate is rare, that is a prior and not a norm."""
    words, said = words_in(PLAIN_NORM, 400, hateful=0.04)
    assert learn_norm(words, said) is PLAIN_NORM


def test_thirty_words_are_enough_and_ten_are_not() -> None:
    """Thirty corrections are enough, and the norm has the numbers of corrections and moderators."""
    words, said = words_in(ALLOWED, 30)
    found = learn_norm(words, said)
    assert found.counts_as == ALLOWED.counts_as and (found.corrections, found.moderators) == (30, 3)
    assert learn_norm(words[:10], said[:10]) is PLAIN_NORM


def test_one_moderator_among_several_makes_no_norm() -> None:
    """Forty corrections of one moderator do not make a norm against two others who agree with the model."""
    allowed, said = words_in(ALLOWED, 40, moderators=1, mistakes=0.0)
    plain, agreed = words_in(PLAIN_NORM, 10, moderators=1, mistakes=0.0, seed=5)
    others = [
        Correction(f"x{n}", Example(f"other {n} {n * 3}", word.example.label), f"other{n % 2}", "", "town")
        for n, word in enumerate(plain)
    ]
    assert learn_norm([*allowed, *others], torch.cat([said, agreed])) is PLAIN_NORM
    assert learn_norm(allowed, said).counts_as == ALLOWED.counts_as  # alone, theirs is the only word there is


def test_a_phrase_said_over_and_over_is_no_norm() -> None:
    """Fifty nearly equal texts count once."""
    words = [
        Correction(str(n), Example(f"you absolute walnut what an idiot move {n}", Label.NEUTRAL), "mo", "a", "town")
        for n in range(50)
    ]
    said = torch.tensor([[0.05, 0.9, 0.05]] * 50)
    assert float(vote_weights(words).sum()) == pytest.approx(1.0)
    assert learn_norm(words, said) is PLAIN_NORM


@pytest.mark.parametrize(("passed_over", "learned"), [({Label.OFFENSIVE: 10}, True), ({Label.OFFENSIVE: 60}, False)])
def test_cards_passed_over_speak_for_the_model(passed_over: Mapping[Label, int], learned: bool) -> None:
    """Unanswered cards between corrected ones count as correct."""
    words, said = words_in(ALLOWED, 90)
    assert (learn_norm(words, said, PLAIN_NORM, passed_over) is not PLAIN_NORM) is learned


def test_a_norm_stays_without_words_against_it_and_goes_with_them() -> None:
    """Few corrections keep a norm, and many that agree with the model remove it."""
    few, said_few = words_in(PLAIN_NORM, 8)
    assert learn_norm(few, said_few, ALLOWED) is ALLOWED
    many, said = words_in(PLAIN_NORM, 100)
    assert learn_norm(many, said, ALLOWED).counts_as == PLAIN_NORM.counts_as


def test_a_norm_can_be_written_and_read() -> None:
    """A norm is written and read again, and an impossible norm is refused."""
    norm = Norm(ALLOWED.counts_as, 40, 3)
    assert Norm.from_json(norm.to_json()) == norm and norm.sentence == "offensive counts as neutral"
    assert norm.apply([0.1, 0.7, 0.2]) == pytest.approx([0.1, 0.0, 0.9])
    assert (torch.tensor([[0.1, 0.7, 0.2]]) @ torch.tensor(norm.matrix)).tolist()[0] == pytest.approx([0.1, 0.0, 0.9])
    for changes in ({"neutral": "hate"}, {"hate": "neutral"}, {"spam": "hate"}):
        with pytest.raises(ValueError, match=r"not a norm|not a valid"):
            Norm.from_json({"counts_as": changes, "words": 1, "moderators": 1})


def test_whose_norm_answers() -> None:
    """The community's own norm applies; without a name the only one; with two norms none."""
    assert norm_of({"town": ALLOWED}, "town") is norm_of({"town": ALLOWED}, "") is ALLOWED
    assert (
        norm_of({"town": ALLOWED}, "other")
        is norm_of({"town": ALLOWED, "b": ALLOWED}, "")
        is norm_of({}, "")
        is PLAIN_NORM
    )


def test_the_share_of_mistakes_is_seen() -> None:
    """More mistakes give a higher share, but a few corrections change it little."""
    shares = []
    for mistakes in (0.0, 0.3, 0.6):
        words, said = words_in(ALLOWED, 200, mistakes=mistakes)
        labels = torch.tensor([LABELS.index(word.example.label) for word in words])
        sure = said.square() / said.square().sum(1, keepdim=True)
        shares.append(mistake_share(sure, labels, ALLOWED, vote_weights(words)))
        few = mistake_share(sure[:3], labels[:3], ALLOWED, vote_weights(words[:3]))
        assert 0.05 < few < 5 / 23 + 1e-3  # at most three more than two of twenty
    assert shares[0] < shares[1] < shares[2] and shares[2] - shares[0] > 0.15


SWEARING = Norm(neutral_kinds=frozenset({Kind.SWEARING}))


def said_of(kind: Kind, count: int, label: Label, text: str) -> list[tuple[Correction, list[float]]]:
    """Corrections of offensive texts of one kind, with the model's probabilities."""
    kinds = [0.9 if one is kind else 0.02 for one in KINDS]
    return [
        (
            Correction(f"{text}{n}", Example(f"{text} {n} {n * 7}", label), f"mo{n % 2}", "a", "town"),
            [0.1, 0.8, 0.1, *kinds],
        )
        for n in range(count)
    ]


def learn(*groups: list[tuple[Correction, list[float]]], before: Norm = PLAIN_NORM) -> Norm:
    pairs = [pair for group in groups for pair in group]
    return learn_norm([word for word, _ in pairs], torch.tensor([row for _, row in pairs]), before)


def test_swearing_alone_becomes_neutral() -> None:
    """Insults and threats keep what they had, whether or not anybody spoke about them."""
    swearing = said_of(Kind.SWEARING, 14, Label.NEUTRAL, "swears")
    assert learn(swearing).sentence == "swearing counts as neutral"
    insults = said_of(Kind.INSULT, 14, Label.OFFENSIVE, "insults")
    found = learn(swearing, insults)
    assert found.neutral_kinds == {Kind.SWEARING} and not found.changes and found.corrections == 28


def test_too_few_texts_of_a_kind_teach_nothing_about_it() -> None:
    few = said_of(Kind.SWEARING, 4, Label.NEUTRAL, "swears")
    assert learn(few, said_of(Kind.INSULT, 20, Label.OFFENSIVE, "insults")) is PLAIN_NORM


def test_every_kind_together_still_makes_offensive_neutral() -> None:
    """The wide norm needs corrections of the kinds that cannot be allowed one by one."""
    groups = [said_of(kind, 8, Label.NEUTRAL, str(kind)) for kind in KINDS]
    assert learn(*groups).counts_as == ALLOWED.counts_as and not learn(*groups).neutral_kinds
    narrow = learn(*groups[:2])
    assert narrow.neutral_kinds == {Kind.SWEARING, Kind.INSULT} and not narrow.changes


def test_a_kind_is_taken_back() -> None:
    """A community that changed its mind says so about texts of that kind."""
    assert learn(said_of(Kind.SWEARING, 20, Label.OFFENSIVE, "swears"), before=SWEARING).is_plain


def test_a_norm_of_kinds_in_a_manifest() -> None:
    """It comes back; an older manifest has no kinds; threats, slurs and dehumanising texts may not be allowed."""
    norm = Norm(corrections=38, moderators=2, neutral_kinds=frozenset({Kind.SWEARING, Kind.INSULT}))
    assert Norm.from_json(norm.to_json()) == norm and "neutral_kinds" not in ALLOWED.to_json()
    assert norm.sentence == "swearing counts as neutral, insult counts as neutral"
    for kinds in (["threat"], ["slur"], ["dehumanising"], ["spam"], "swearing"):
        with pytest.raises((ValueError, TypeError)):
            Norm.from_json({**norm.to_json(), "neutral_kinds": kinds})


@pytest.mark.parametrize("counts_as", [PLAIN_NORM.counts_as, (Label.HATE, Label.HATE, Label.NEUTRAL)])
def test_a_norm_of_kinds_moves_offensive_only(counts_as: tuple[Label, ...]) -> None:
    """By the probability of the kinds, the same by rows and by matrices; hate stays, and unknown kinds move nothing."""
    norm, kinds = Norm(counts_as, neutral_kinds=frozenset({Kind.SWEARING})), [0.75, 0.25, 0.0, 0.0, 0.0, 0.0]
    row = norm.apply([0.1, 0.8, 0.1], dict(zip(KINDS, kinds, strict=True)))
    assert row[-1] == pytest.approx(0.7) and row[0] >= 0.1 and sum(row) == pytest.approx(1)
    assert counted(norm, torch.tensor([[0.1, 0.8, 0.1, *kinds]])).tolist()[0] == pytest.approx(row)
    assert norm.apply([0.1, 0.8, 0.1]) == Norm(counts_as).apply([0.1, 0.8, 0.1])
