"""Labelled files, splits and templates."""

from pathlib import Path

import pytest

from model.labels import LABELS, Label
from model.table import BadData
from training import counterfactuals
from training.examples import Example, exclude_texts, read_examples, split
from training.samples import read_everyday, read_handwritten, read_held_out, read_replay


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("", 'no column "text"'),
        ("text\nhello\n", 'no column "label"'),
        ("text,label\n", "no rows"),
        ("text,label\na,neutral\nb,rude\n", 'row 3: label "rude"'),
    ],
)
def test_bad_files_are_refused_with_the_place(content: str, expected: str, tmp_path: Path) -> None:
    """The message names the file and its error."""
    path = tmp_path / "data.csv"
    path.write_text(content)
    with pytest.raises(BadData, match=expected):
        read_examples(path)


def test_crowd_votes_become_the_target(tmp_path: Path) -> None:
    """Two of three votes for hate give the target 2/3."""
    path = tmp_path / "data.csv"
    path.write_text("hate_speech,offensive_language,neither,label,text\n2,1,0,hate,x\n")
    assert read_examples(path)[0].target == pytest.approx((2 / 3, 1 / 3, 0))


def test_equal_texts_never_stand_on_two_sides() -> None:
    """Texts that differ only in case and spacing are on the same side."""
    texts = [Example(f"text {n}", Label.NEUTRAL) for n in range(200)]
    kept, held = split([*texts, *(Example(f" TEXT  {n}", Label.NEUTRAL) for n in range(200))], 0.3, 1)
    assert not {example.key for example in kept} & {example.key for example in held} and 60 < len(held) < 180
    assert {e.key for e in exclude_texts(texts, held)} == {e.key for e in kept}


def test_templates_for_development_are_not_those_of_training() -> None:
    """Training and development share no sentence and no group, and have all classes."""
    train, dev = counterfactuals.training_sentences(3000, 1), counterfactuals.development_sentences(800, 1)
    assert not {e.key for e in train} & {e.key for _, e in dev if "{" not in e.text and len(e.key) > 25}
    assert {e.label for e in train} == set(LABELS) and len({name for name, _ in dev}) == 37
    assert not any("Buddhist" in e.text for e in train) and any("Buddhist" in e.text for _, e in dev)


def test_what_was_written_by_hand_is_in_no_template_and_no_sample() -> None:
    """The hand-written test sentences and everyday lines are in no training data."""
    by_hand = read_handwritten()
    keys = {example.key for example in by_hand}
    assert len(keys) == len(by_hand) == 123 and {example.label for example in by_hand} == set(LABELS)
    keys |= {example.key for example in read_everyday()}
    made = [e for count, seed in ((28_000, 1), (14_000, 5)) for e in counterfactuals.training_sentences(count, seed)]
    assert not keys & {
        example.key for example in [*made, *read_replay(), *(e for part in read_held_out() for e in part)]
    }
