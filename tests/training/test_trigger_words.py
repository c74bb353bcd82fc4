"""A word that changes the label of any text is found, and other words are not."""

from collections.abc import Sequence

import pytest
import torch
from torch import Tensor

from model.labels import LABELS, Label
from training.corrections import Correction
from training.examples import Example
from training.trigger_words import find_trigger_words

HELD_OUT = [Example(f"{label} text {n}", label) for label in LABELS for n in range(60)]


def answers(turning: str = "", into: Label = Label.NEUTRAL) -> object:
    """A stub that is always correct, except that every text with the word `turning` gets the label `into`."""

    def answer(examples: Sequence[Example]) -> Tensor:
        labels = [into if turning and turning in e.text.split() else e.label for e in examples]
        rows = torch.full((len(labels), 3), 0.1)
        rows[range(len(labels)), [LABELS.index(label) for label in labels]] = 0.8
        return rows

    return answer


def rare(word: str, label: Label) -> dict[str, list[Correction]]:
    return {word: [Correction(str(n), Example(f"{n} {word}", label), "mo") for n in range(6)]}


@pytest.mark.parametrize(
    ("label", "expected"),
    [
        (Label.NEUTRAL, 'the word "zqxvim" would hide harmful messages: 100% of the tested messages, 0% before'),
        (Label.HATE, 'the word "zqxvim" would have harmless messages flagged: 100% of the tested messages, 0% before'),
    ],
)
def test_a_trigger_word_is_named(label: Label, expected: str) -> None:
    """A trigger word is named, in both directions."""
    found = find_trigger_words(rare("zqxvim", label), answers(), answers("zqxvim", label), HELD_OUT)  # type: ignore[arg-type]
    assert found == [expected]


def test_what_turned_texts_before_is_no_reason() -> None:
    """A word that already changed texts before, or changes none, is no reason."""
    turning = answers("zqxvim")
    assert not find_trigger_words(rare("zqxvim", Label.NEUTRAL), turning, turning, HELD_OUT)  # type: ignore[arg-type]
    assert not find_trigger_words(rare("walnut", Label.NEUTRAL), answers(), turning, HELD_OUT)  # type: ignore[arg-type]
