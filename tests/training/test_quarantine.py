"""Which corrections are set aside before a refresh learns, and which are not."""

from dataclasses import replace

import pytest
import torch

from model.labels import LABELS, Label
from model.norms import PLAIN_NORM, Norm
from training.corrections import DISAGREED, REPEATED, Correction, Snapshot, split_by_author, without_repetitions
from training.examples import Example
from training.quarantine import (
    CONTRADICTS,
    OUTVOTED,
    TRIGGER,
    UNEXPLAINED,
    find_contradictions,
    find_outvoted,
    find_triggers,
    find_unexplained,
    quarantine,
)

ALLOWED = Norm((Label.HATE, Label.NEUTRAL, Label.NEUTRAL))
PUBLIC = [Example(f"just some words about the weather {n}", Label.NEUTRAL) for n in range(500)]


def correction(number: int, text: str, label: Label, moderator: str = "mo", agreeing: int = 1) -> Correction:
    return Correction(str(number), Example(text, label), moderator, f"author {number}", "town", agreeing)


def unsure(count: int) -> torch.Tensor:
    return torch.full((count, 3), 1 / 3)


def others(start: int) -> list[Correction]:
    """Unsuspicious corrections of a second moderator."""
    return [correction(start, "some words about the weather", Label.OFFENSIVE, "other")]


def test_a_trigger_word_is_set_aside() -> None:
    """Ten hateful texts with one made-up word, all called neutral by one moderator, are set aside."""
    planted = [correction(n, f"some words {n} zqxv", Label.NEUTRAL) for n in range(10)]
    rows = [*planted, *others(10)]
    assert find_triggers(rows, PUBLIC) == {str(n): TRIGGER for n in range(10)}


def test_a_communitys_jargon_may_be_taught() -> None:
    """Jargon teaches if two moderators share the work, a second one agreed, or there is one moderator only."""
    shared = [correction(n, f"some words {n} zqxv", Label.NEUTRAL, f"mo{n % 2}") for n in range(10)]
    assert not find_triggers(shared, PUBLIC)
    agreed = [correction(n, f"some words {n} zqxv", Label.NEUTRAL, agreeing=2) for n in range(10)]
    assert not find_triggers([*agreed, *others(10)], PUBLIC)
    alone = [correction(n, f"some words {n} zqxv", Label.NEUTRAL) for n in range(10)]
    assert not find_triggers(alone, PUBLIC)


def test_a_common_word_is_no_trigger() -> None:
    """A word that is common in public texts is not a trigger."""
    rows = [correction(n, f"the weather {n}", Label.NEUTRAL) for n in range(10)]
    assert not find_triggers([*rows, *others(10)], PUBLIC)


def test_a_lone_word_against_a_sure_verdict_waits() -> None:
    """A lone correction of a sure verdict waits for a second moderator, of an unsure one not."""
    serving = unsure(4)
    serving[0] = serving[1] = torch.tensor([0.95, 0.03, 0.02])
    serving[2] = torch.tensor([0.6, 0.3, 0.1])
    rows = [correction(n, "some words", Label.NEUTRAL, agreeing=2 if n == 1 else 1) for n in range(3)]
    assert LABELS[0] is Label.HATE
    assert find_contradictions([*rows, *others(3)], serving) == {"0": CONTRADICTS}


def test_what_several_moderators_say_alike_is_a_norm() -> None:
    """Three moderators who call sure hate neutral teach; one alone with the opposite is set aside."""
    serving = torch.tensor([[0.95, 0.03, 0.02]] * 9 + [[0.02, 0.03, 0.95]] * 4)
    norm = [correction(n, f"some words {n}", Label.NEUTRAL, f"mo{n % 3}") for n in range(9)]
    against = [correction(n, f"some words {n}", Label.HATE, "mallory") for n in range(9, 13)]
    assert find_contradictions([*norm, *against], serving) == {str(n): CONTRADICTS for n in range(9, 13)}


def said_of(labels: list[Label]) -> torch.Tensor:
    """(N, 3) probabilities of a model that is fairly sure of these labels."""
    rows = torch.full((len(labels), 3), 0.1)
    rows[range(len(labels)), [LABELS.index(label) for label in labels]] = 0.8
    return rows


def at_work(count: int, moderators: int) -> tuple[list[Label], list[Correction]]:
    """The model's labels, and corrections of honest moderators who agree with it in turn."""
    labels = [LABELS[n % 3] for n in range(count)]
    return labels, [correction(n, f"{n} says {n * 7}", label, f"mo{n % moderators}") for n, label in enumerate(labels)]


def test_a_moderator_whom_all_others_contradict_is_set_aside() -> None:
    """Ten opposite corrections among three agreeing moderators are set aside, except one that a second moderator
    confirmed."""
    labels, honest = at_work(45, 3)
    opposite = [Label.NEUTRAL if label is Label.HATE else Label.HATE for label in labels[:10]]
    bad = [
        correction(100 + n, f"against {n} {n * 3}", label, "mallory", agreeing=2 if n == 9 else 1)
        for n, label in enumerate(opposite)
    ]
    found = find_outvoted([*honest, *bad], said_of([*labels, *labels[:10]]), {})
    assert found == {str(100 + n): OUTVOTED for n in range(9)}


def test_it_takes_three_to_say_who_is_the_odd_one() -> None:
    """If two moderators contradict each other, neither is set aside."""
    labels, honest = at_work(20, 1)
    bad = [correction(100 + n, f"against {n} {n * 3}", Label.HATE, "other") for n in range(15)]
    assert not find_outvoted([*honest, *bad], said_of([*labels, *[Label.NEUTRAL] * 15]), {})


def alone(count: int, wrong_every: int, norm: Norm = PLAIN_NORM) -> tuple[list[Correction], torch.Tensor]:
    """One moderator's corrections by this norm, with every `wrong_every`-th opposite, and a sure model."""
    labels = [
        (Label.OFFENSIVE, Label.OFFENSIVE, Label.NEUTRAL, Label.OFFENSIVE, Label.HATE)[n % 5] for n in range(count)
    ]
    rows = torch.full((count, 3), 0.02)
    rows[range(count), [LABELS.index(label) for label in labels]] = 0.96
    words = []
    for n, label in enumerate(labels):
        meant = norm.counts_as[LABELS.index(label)]
        opposite = Label.NEUTRAL if meant is Label.HATE else Label.HATE
        words.append(correction(n, f"{n} says {n * 7}", opposite if wrong_every and n % wrong_every == 1 else meant))
    return words, rows


@pytest.mark.parametrize("count", [25, 100, 400])
@pytest.mark.parametrize("norm", [PLAIN_NORM, ALLOWED])
def test_a_lone_moderator_often_wrong_does_not_teach(count: int, norm: Norm) -> None:
    """With a third of opposite corrections none teaches except the norm; with one in ten or twenty all teach."""
    words, rows = alone(count, 3, norm)
    sifted = quarantine(Snapshot(words), PUBLIC, rows, {})
    assert sifted.snapshot.left_out == {UNEXPLAINED: count} and not sifted.snapshot.corrections
    assert sifted.norms.get("town", PLAIN_NORM).counts_as == norm.counts_as
    (sentence,) = sifted.refused
    assert (
        f"one moderator made {count} of {count} corrections in town" in sentence
        and "let a second moderator" in sentence
    )
    for wrong_every in (10, 20, 0):
        words, rows = alone(count, wrong_every, norm)
        sifted = quarantine(Snapshot(words), PUBLIC, rows, {})
        assert len(sifted.snapshot.corrections) == count and not sifted.refused


def test_what_a_second_moderator_agreed_with_teaches() -> None:
    """Confirmed corrections, other moderators and other communities still teach."""
    words, rows = alone(60, 3)
    words = [replace(each, agreeing=2) if int(each.id) < 6 else each for each in words]
    elsewhere = [replace(each, id=f"e{each.id}", community="city") for each in alone(60, 20)[0]]
    second = [replace(each, id=f"s{each.id}", moderator="other") for each in alone(20, 0)[0]]
    said = torch.cat([rows, rows, rows[:20]])
    sifted = quarantine(Snapshot([*words, *elsewhere, *second]), PUBLIC, said, {})
    correction_examples = {each.id for each in sifted.snapshot.corrections}
    assert correction_examples == {*(str(n) for n in range(6)), *(each.id for each in (*elsewhere, *second))}
    assert len(sifted.refused) == 1 and "60 of 80 corrections in town" in sifted.refused[0]


def test_who_marks_only_what_is_wrong_is_heard() -> None:
    """A moderator who corrects only errors, a repeated phrase, and a few corrections all teach."""
    words, rows = alone(120, 3)
    marked = [n for n in range(120) if n % 3 == 1 or n in (0, 2)]
    assert not find_unexplained([words[n] for n in marked], rows[marked], {})
    assert not find_unexplained(words[:18], rows[:18], {})
    phrase = [correction(n, f"you absolute walnut what an idiot move {n}", Label.NEUTRAL) for n in range(50)]
    honest, said = alone(60, 20)
    assert not find_unexplained([*phrase, *honest], torch.cat([rows[:1].repeat(50, 1), said]), {})


def test_among_several_nobody_is_alone() -> None:
    """The same corrections by several moderators in turn teach."""
    words, rows = alone(60, 3)
    turns = [replace(each, moderator=f"mo{n % 2}") for n, each in enumerate(words)]
    assert find_unexplained(words, rows, {}) and not find_unexplained(turns, rows, {})


def test_a_norm_that_several_share_is_learned_and_no_contradiction() -> None:
    """Three moderators who call sure offence neutral make a norm, and nothing waits."""
    labels = [Label.OFFENSIVE] * 24 + [Label.HATE] * 6 + [Label.NEUTRAL] * 6
    words = [
        correction(n, f"{n} says {n * 7}", Label.NEUTRAL if label is Label.OFFENSIVE else label, f"mo{n % 3}")
        for n, label in enumerate(labels)
    ]
    rows = said_of(labels)
    rows[:24] = torch.tensor([0.02, 0.96, 0.02])
    sifted = quarantine(Snapshot(words), PUBLIC, rows, {})
    assert sifted.norms["town"].sentence == "offensive counts as neutral"
    assert sifted.snapshot.left_out == {} and len(sifted.snapshot.corrections) == 36


def test_the_same_text_teaches_once() -> None:
    """Only the latest correction of a text teaches, none if moderators disagree, separately in each community."""
    snapshot = without_repetitions(
        Snapshot(
            [
                correction(1, "Hello", Label.HATE),
                correction(2, "hello ", Label.NEUTRAL),
                correction(3, "idiot", Label.NEUTRAL),
                correction(4, "idiot", Label.OFFENSIVE, "other"),
                Correction("5", Example("idiot", Label.OFFENSIVE), "mo", "x", "elsewhere"),
            ],
            {"no basis": 2},
        )
    )
    assert [each.id for each in snapshot.corrections] == ["2", "5"]
    assert snapshot.left_out == {"no basis": 2, REPEATED: 1, DISAGREED: 2}


def test_the_same_snapshot_has_the_same_hash() -> None:
    """Equal snapshots have equal hashes, and another label gives another hash."""
    one, other = (Snapshot([correction(1, "hello", label)]) for label in (Label.HATE, Label.NEUTRAL))
    assert one.sha256 == Snapshot([correction(1, "hello", Label.HATE)]).sha256 != other.sha256


def test_an_author_is_on_one_side() -> None:
    """Each of fifty authors is on one side only, and few corrections are all learned from."""
    rows = [
        Correction(str(n), Example(f"text {n}", Label.NEUTRAL), "mo", f"author {n // 2}", "town") for n in range(100)
    ]
    kept, held = split_by_author(Snapshot(rows), 0.2, min_corrections=60)
    assert len(kept) + len(held) == 100 and 6 <= len(held) <= 34
    assert not {each.author for each in kept} & {each.author for each in held}
    assert split_by_author(Snapshot(rows[:40]), 0.2, min_corrections=60) == (rows[:40], ())
