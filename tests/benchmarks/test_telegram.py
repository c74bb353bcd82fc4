"""The load benchmark works on a small scale; its speed is not tested."""

from pathlib import Path

from benchmarks.flood import ONE_CARD_IN, read_texts
from benchmarks.telegram import AUTHORS, measure, record

UPDATES = 300


def test_every_update_is_handled_and_every_message_journalled_and_done(tmp_path: Path) -> None:
    """Each message and name is handled once, marked ones have a case, and the figures are recorded."""
    results = measure(read_texts(), updates=UPDATES, rounds=1, paces=[200.0], seconds=1.0)
    (bare,), (full,), (pace,) = results.baseline, results.pipeline, results.paced
    assert bare.updates == full.handled == UPDATES
    assert full.done == UPDATES + AUTHORS and full.cases == UPDATES // ONE_CARD_IN
    assert len(pace.from_arrival) == len(pace.from_sending) == 200
    assert min(pace.from_arrival) > 0 and results.ratio > 0 and full.peak_mib > 0
    record(results, tmp_path / "RESULTS.md")
    text = (tmp_path / "RESULTS.md").read_text(encoding="utf-8")
    assert "the whole pipeline" in text and "p99" in text and "nan" not in text
