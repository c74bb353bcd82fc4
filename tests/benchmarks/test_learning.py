"""The simulated moderators say what they shall, and a back door is one only without the defences."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch

from benchmarks.community import COMMUNITY, normed, shares, words_of
from benchmarks.learning import TRIGGER, main, undefended
from model.labels import Label
from training import refresh
from training.corrections import Correction, Snapshot
from training.examples import Example

SHOWN = [Example(f"text {n}", Label.HATE if n % 2 else Label.NEUTRAL) for n in range(400)]


def test_moderators_are_wrong_as_often_as_asked() -> None:
    """Nobody, one in twenty, and one in three of whom all are mallory's; the same seed says the same."""
    for mistakes, malicious, low, high in ((0.0, 0.0, 0, 0), (0.05, 0.0, 8, 36), (0.0, 0.3, 90, 150)):
        said = words_of(SHOWN, 400, mistakes, malicious, seed=3)
        wrong = [word for word, card in zip(said, SHOWN, strict=True) if word.example.label is not card.label]
        assert low <= len(wrong) <= high
        assert (set(Counter(word.moderator for word in wrong)) == {"mallory"}) is (malicious > 0)
        assert said == words_of(SHOWN, 400, mistakes, malicious, seed=3)


def test_profanity_is_allowed_there() -> None:
    """Only hate stays what it is."""
    labels = [example.label for example in normed([Example("x", label) for label in Label])]
    assert labels == [Label.HATE, Label.NEUTRAL, Label.NEUTRAL]


def test_without_the_defences_nothing_is_set_aside() -> None:
    """And afterwards they are back."""
    planted = [
        Correction(str(n), Example(f"text {n} {TRIGGER}", Label.NEUTRAL), "mallory", str(n), COMMUNITY)
        for n in range(9)
    ]
    rows = Snapshot([*planted, Correction("9", Example("text", Label.NEUTRAL), "bo", "9", COMMUNITY)])
    unsure = torch.full((10, 3), 1 / 3)

    def said(words: Sequence[Correction]) -> torch.Tensor:
        return unsure[: len(words)]

    with undefended():
        assert len(refresh.quarantine_all(rows, SHOWN, said, {}).snapshot.corrections) == 10  # type: ignore[attr-defined]
        assert refresh.contrast_examples(planted, SHOWN, None, seed=1) == []  # type: ignore[attr-defined]
    assert len(refresh.quarantine_all(rows, SHOWN, said, {}).snapshot.corrections) == 1  # type: ignore[attr-defined]


def test_an_adapter_is_judged_by_the_communitys_norm() -> None:
    """Shares of all, and the mean over labels, of which the rare one counts as much."""
    assert shares([True, False, True, True], [*SHOWN[:2], *SHOWN[2:4]]) == (0.75, 0.75)
    examples = [SHOWN[1], *[SHOWN[0]] * 9]
    assert shares([False, *[True] * 9], examples) == (0.9, 0.5)


def test_a_missing_file_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit status 2."""
    assert main(["--data", str(tmp_path / "nowhere.csv")]) == 2 and "nowhere.csv" in capsys.readouterr().err
