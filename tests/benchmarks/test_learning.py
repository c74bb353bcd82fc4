"""The simulated moderators make the wanted corrections, and a back door works only without defences."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch

from benchmarks.community import COMMUNITY, accuracy_and_recall, apply_allowing_norm, simulate_corrections
from benchmarks.learning import TRIGGER, main, without_defences
from model.labels import Label
from training import refresh_run
from training.corrections import Correction, Snapshot
from training.examples import Example

SHOWN = [Example(f"text {n}", Label.HATE if n % 2 else Label.NEUTRAL) for n in range(400)]


def test_moderators_are_wrong_as_often_as_asked() -> None:
    """The shares of mistakes and of malicious corrections are as given, and a seed repeats them."""
    for mistakes, malicious, low, high in ((0.0, 0.0, 0, 0), (0.05, 0.0, 8, 36), (0.0, 0.3, 90, 150)):
        said = simulate_corrections(SHOWN, 400, mistakes, malicious, seed=3)
        wrong = [word for word, card in zip(said, SHOWN, strict=True) if word.example.label is not card.label]
        assert low <= len(wrong) <= high
        assert (set(Counter(word.moderator for word in wrong)) == {"mallory"}) is (malicious > 0)
        assert said == simulate_corrections(SHOWN, 400, mistakes, malicious, seed=3)


def test_profanity_is_allowed_there() -> None:
    """Only hate stays harmful."""
    labels = [example.label for example in apply_allowing_norm([Example("x", label) for label in Label])]
    assert labels == [Label.HATE, Label.NEUTRAL, Label.NEUTRAL]


def test_without_the_defences_nothing_is_set_aside() -> None:
    """Without defences nothing is set aside, and afterwards the defences are back."""
    planted = [
        Correction(str(n), Example(f"text {n} {TRIGGER}", Label.NEUTRAL), "mallory", str(n), COMMUNITY)
        for n in range(9)
    ]
    rows = Snapshot([*planted, Correction("9", Example("text", Label.NEUTRAL), "bo", "9", COMMUNITY)])
    unsure = torch.full((10, 3), 1 / 3)

    def said(words: Sequence[Correction]) -> torch.Tensor:
        return unsure[: len(words)]

    with without_defences():
        assert len(refresh_run.quarantine_all(rows, SHOWN, said, {}).snapshot.corrections) == 10  # type: ignore[attr-defined]
        assert refresh_run.contrast_examples(planted, SHOWN, None, seed=1) == []  # type: ignore[attr-defined]
    assert len(refresh_run.quarantine_all(rows, SHOWN, said, {}).snapshot.corrections) == 1  # type: ignore[attr-defined]


def test_an_adapter_is_judged_by_the_communitys_norm() -> None:
    """Accuracy counts all texts, and the mean over labels counts a rare label equally."""
    assert accuracy_and_recall([True, False, True, True], [*SHOWN[:2], *SHOWN[2:4]]) == (0.75, 0.75)
    examples = [SHOWN[1], *[SHOWN[0]] * 9]
    assert accuracy_and_recall([False, *[True] * 9], examples) == (0.9, 0.5)


def test_a_missing_file_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A missing file gives status 2 and one line."""
    assert main(["--data", str(tmp_path / "nowhere.csv")]) == 2 and "nowhere.csv" in capsys.readouterr().err
