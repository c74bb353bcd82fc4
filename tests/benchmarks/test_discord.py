"""The load benchmark works on a small scale; its speed is not tested."""

from pathlib import Path

from benchmarks.discord import AUTHORS, measure, record
from benchmarks.flood import ONE_CARD_IN, read_texts

MESSAGES = 300


def test_everything_is_journalled_and_done_and_no_heartbeat_is_missed(tmp_path: Path) -> None:
    """Each message and name is handled once, marked ones have a card, and the figures are recorded."""
    results = measure(read_texts(), messages=MESSAGES, rounds=1, paces=[200.0], seconds=1.0, heartbeat_ms=4000)
    (bare,), (full,), (pace,) = results.baseline, results.pipeline, results.paced
    assert bare.messages == MESSAGES and full.messages == full.done == MESSAGES + AUTHORS
    assert full.cards == MESSAGES // ONE_CARD_IN
    assert len(pace.from_arrival) == len(pace.from_sending) == 200
    assert min(pace.from_arrival) > 0 and results.ratio > 0
    assert bare.beats.missed == full.beats.missed == pace.beats.missed == 0
    record(results, tmp_path / "RESULTS.md")
    text = (tmp_path / "RESULTS.md").read_text(encoding="utf-8")
    assert "the whole pipeline" in text and "p99" in text and "nan" not in text
