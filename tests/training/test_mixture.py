"""The training mixture of a refresh and the weight of each part."""

from collections.abc import Sequence

import pytest
import torch

from model.labels import LABELS, Label
from model.norms import Norm
from training.corrections import Correction
from training.examples import Example
from training.mixture import (
    CONTRASTS,
    CORRECTIONS_SHARE,
    MAX_REPEATS,
    MAX_TOTAL_SHARE,
    MIN_CORRECTION_WEIGHT,
    contrast_examples,
    correction_examples,
    replay_examples,
)

PUBLIC = [Example(f"public {label} {n} {n * 17}", label) for label in LABELS for n in range(200)]
ALLOWED = Norm((Label.HATE, Label.NEUTRAL, Label.NEUTRAL))


def word(number: int, text: str, label: Label) -> Correction:
    return Correction(str(number), Example(text, label), f"mo{number % 2}", "", "town")


def served(examples: Sequence[Example]) -> torch.Tensor:
    """A model that is correct and not quite sure."""
    rows = torch.full((len(examples), 3), 0.1)
    rows[range(len(examples)), [LABELS.index(e.label) for e in examples]] = 0.8
    return rows


def test_public_texts_keep_their_answers() -> None:
    """Replay has equally many texts of each label with their probabilities, or none if none are wanted."""
    found = replay_examples(served, PUBLIC, 60, seed=1)
    assert [sum(e.label is label for e in found) for label in LABELS] == [20, 20, 20]
    assert all(max(e.votes) == pytest.approx(0.8) for e in found)
    assert replay_examples(served, PUBLIC, 0, seed=1) == []


def test_a_word_leaves_open_what_the_norm_leaves_open() -> None:
    """If offensive counts as neutral, the model decides whether a correction "neutral" means offensive or neutral."""
    said = torch.tensor([[0.05, 0.85, 0.1], [0.2, 0.7, 0.1]])
    words = [word(0, "damn", Label.NEUTRAL), word(1, "those people", Label.HATE)]
    allowed, hateful = (
        e for e in correction_examples(words, said, said, {"town": ALLOWED}, 10) if e.text in ("damn", "those people")
    )
    assert allowed.label is Label.OFFENSIVE and allowed.votes[2] < 0.15
    assert hateful.votes == pytest.approx((1.0, 0.0, 0.0), abs=1e-3)
    plain = next(e for e in correction_examples(words, said, said, {}, 10) if e.text == "damn")
    assert plain.votes == pytest.approx((0.0, 0.0, 1.0), abs=1e-3)


def test_what_the_model_denies_is_repeated_and_what_it_knows_is_not() -> None:
    """One correction weighs enough to be learned; all together weigh at most their share."""
    said = torch.tensor([[0.1, 0.8, 0.1]] * 2)
    found = correction_examples([word(0, "fine", Label.NEUTRAL), word(1, "rude", Label.OFFENSIVE)], said, said, {}, 500)
    assert [sum(e.text == text for e in found) for text in ("fine", "rude")] == [MAX_REPEATS, 1]
    many = [word(n, f"text {n}", LABELS[n % 3]) for n in range(300)]
    unsure = torch.full((300, 3), 1 / 3)
    weights = [e.weight for e in correction_examples(many, unsure, unsure, {}, 500)]
    assert sum(weights) == pytest.approx(MIN_CORRECTION_WEIGHT * 300, rel=0.01)
    weights = [e.weight for e in correction_examples(many, unsure, unsure, {}, 2000)]
    assert sum(weights) == pytest.approx(CORRECTIONS_SHARE * 2000, rel=0.01)


def by_whom(words: Sequence[tuple[str, str]], replayed: int) -> dict[tuple[str, str], float]:
    """The weight of each (community, moderator)'s corrections, with a model that knows nothing."""
    said = [
        Correction(str(n), Example(f"text {n} {n * 7}", LABELS[n % 3]), moderator, "", community)
        for n, (community, moderator) in enumerate(words)
    ]
    unsure, found = torch.full((len(said), 3), 1 / 3), dict.fromkeys(words, 0.0)
    whose = {each.example.text: (each.community, each.moderator) for each in said}
    for example in correction_examples(said, unsure, unsure, {}, replayed):
        found[whose[example.text]] += example.weight
    return found


def test_a_trusted_communitys_share_is_bounded() -> None:
    """A community with very many corrections has half of the weight, and a moderator half of that."""
    flood = [("big", "ada")] * 600 + [("big", "bo")] * 100
    most, found = CORRECTIONS_SHARE * 2000, by_whom([*flood, *[("small", "cy")] * 30], 2000)
    assert found["big", "ada"] == pytest.approx(most / 4, rel=0.01)
    assert found["big", "ada"] + found["big", "bo"] <= most / 2 * 1.01
    assert 0 < found["small", "cy"] <= most / 2


def test_who_moderates_several_communities_has_one_share() -> None:
    """A moderator of several communities has one share, not one per group."""
    words = [(f"town {n % 5}", "ada") for n in range(700)] + [("town 0", "bo")] * 30
    found = by_whom(words, 2000)
    mine = sum(weight for (_, moderator), weight in found.items() if moderator == "ada")
    assert mine == pytest.approx(CORRECTIONS_SHARE * 2000 / 2, rel=0.01)


def test_a_lone_community_has_all_that_words_may_weigh() -> None:
    """A single community has all the weight, two moderators half each, and at most half of the public texts' weight."""
    assert by_whom([("town", "ada")] * 300, 2000)["town", "ada"] == pytest.approx(CORRECTIONS_SHARE * 2000, rel=0.01)
    pair = by_whom([("town", "ada")] * 280 + [("town", "bo")] * 20, 2000)
    assert pair["town", "ada"] == pytest.approx(CORRECTIONS_SHARE * 1000, rel=0.01)
    assert by_whom([("town", "ada")] * 900, 200)["town", "ada"] == pytest.approx(MAX_TOTAL_SHARE * 200, rel=0.01)


def test_words_about_a_rare_label_weigh_more() -> None:
    """Five hateful among ninety-five offensive corrections: both labels weigh about the same."""
    labels = [Label.HATE if n < 5 else Label.OFFENSIVE for n in range(100)]
    words = [word(n, f"text {n}", label) for n, label in enumerate(labels)]
    said = served([each.example for each in words])
    found = correction_examples(words, said, said, {}, 500)
    rare, common = (next(e.weight for e in found if e.label is label) for label in (Label.HATE, Label.OFFENSIVE))
    assert 5 < rare / common < 20


def test_a_rare_word_is_put_into_other_texts() -> None:
    """Six texts with one made-up word are called neutral; contrasts keep harmful texts with that word harmful."""
    planted = [word(n, f"zqxvim this and that {n * 31}", Label.NEUTRAL) for n in range(6)]
    found = contrast_examples([*planted, word(9, "public talk", Label.OFFENSIVE)], PUBLIC, served, seed=1)
    assert len(found) >= CONTRASTS
    insert_word = [example for example in found if "zqxvim" in example.text.split()]
    assert len(insert_word) == CONTRASTS and all(example.label is not Label.NEUTRAL for example in insert_word)
    assert all(max(example.votes) == pytest.approx(0.8) for example in insert_word)
