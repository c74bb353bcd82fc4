"""The benchmark of disguises works on a small scale."""

import random
from pathlib import Path

import pytest

from benchmarks.disguise_kinds import KINDS, Kind, is_damaged, mixed, words_read
from benchmarks.disguises import STANDING, Alerts, choose_texts, judge_bars, main

SENTENCE = "you are a stupid idiot, see https://a.b/c and @ann"


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_every_kind_disguises(kind: Kind) -> None:
    """The text changes; what is only respelled may happen to stay."""
    disguises = {kind.disguise(random.Random(seed), SENTENCE) for seed in range(30)}
    assert disguises - {SENTENCE} and (SENTENCE not in disguises or not kind.reversible)
    assert mixed(random.Random(1), SENTENCE) != SENTENCE


def test_texts_are_drawn_from_the_held_out_ones() -> None:
    """As many flagged as neutral ones, and the same for the same seed."""
    flagged, neutral = choose_texts(20, 1)
    assert len(flagged) == len(neutral) == 20 and not set(flagged) & set(neutral)
    assert (flagged, neutral) == choose_texts(20, 1) != choose_texts(20, 2)


def test_words_are_counted() -> None:
    """Links and mentions are no words; a harmless text that keeps less than three quarters is damaged."""
    assert words_read(["you are an idiot @ann"], ["You idiot, idiot"]) == 0.5
    assert is_damaged("a b c d", "a b x y") and not is_damaged("a b c d", "A b c e")


def test_a_missed_bar_is_named() -> None:
    """Too few alerts, false ones that undoing adds, time; or false alerts on what is not undone yet."""
    kind = next(kind for kind in KINDS if kind.reversible)
    good = Alerts(flagged=0.7, neutral=0.06, neutral_plain=0.02, read=0.9, times=1.0)
    assert judge_bars(kind, good, 0.95, 0.02) == "passed"
    assert judge_bars(kind, good, 0.85, 0.02) == "missed: kept"
    assert judge_bars(kind, Alerts(0.7, 0.2, 0.05, 0.9, 9.0), 0.95, 0.02) == "missed: false, time"
    assert judge_bars(kind, Alerts(0.7, 0.2, 0.15, 0.9, 1.0), 0.95, 0.02) == STANDING


def test_a_run_shows_its_seed_and_records_its_table(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With the embedded model, on a few texts."""
    out = tmp_path / "RESULTS.md"
    assert main(["--texts", "8", "--seed", "3", "--only", "braille", "--only", "two at once", "--out", str(out)]) in (
        0,
        1,
    )
    assert "seed 3" in capsys.readouterr().out
    text = out.read_text(encoding="utf-8")
    assert "| braille | " in text and "| two at once | " in text and "nan" not in text
    assert main(["--texts", "4", "--seed", "3", "--only", "braille", "--compare"]) == 0
    assert "decancer_py" in capsys.readouterr().out
