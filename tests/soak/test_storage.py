"""A disk that is full, locked, failing or flips bytes: nothing acknowledged is lost, and soon all is well again.

The failing disk is libfiu's: the Debian package fiu-utils.
"""

import os
from pathlib import Path

import pytest

from tests.soak.storage import StorageResult, disk_full, io_errors, locked
from tests.soak.storage_flips import Content, compared, flips

LONG = bool(os.environ.get("DOMOVOI_SOAK"))
SEED = int(os.environ.get("DOMOVOI_SEED", "1"))
RECOVERED_S = 30.0


def check(result: StorageResult) -> None:
    """The promises."""
    assert not result.findings, f"seed {result.seed}: {result.findings}"
    assert result.cases and result.recovery_s <= RECOVERED_S, f"seed {result.seed}: {result}"


@pytest.mark.minds_time
async def test_a_full_disk_is_waited_for(tmp_path: Path) -> None:
    """SQLite's files, then the log of changes, then nothing at all can be written."""
    messages, hold_s = (6000, 60.0) if LONG else (400, 4.5)
    result = await disk_full(messages, hold_s, SEED, tmp_path / "soak")
    check(result)
    assert result.refused


@pytest.mark.minds_time
async def test_a_locked_store_is_waited_for(tmp_path: Path) -> None:
    """Another program writes and takes its time; the long one takes longer than SQLite waits by itself."""
    messages, hold_s = (2000, 75.0) if LONG else (300, 5.0)
    result = await locked(messages, hold_s, SEED, tmp_path / "soak")
    check(result)
    assert bool(result.refused) is LONG


@pytest.mark.minds_time
@pytest.mark.parametrize("probability", [0.005, 0.01] if LONG else [0.01])
async def test_a_disk_that_fails_now_and_then(tmp_path: Path, probability: float) -> None:
    """Reads, writes and flushes of the store's files fail at random."""
    messages, hold_s = (8000, 60.0) if LONG else (800, 5.0)
    result = await io_errors(messages, hold_s, probability, SEED, tmp_path / "soak")
    check(result)
    assert result.refused


async def test_without_libfiu_the_package_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine without it fails that test, and says what is missing."""
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(LookupError, match="install the Debian package fiu-utils"):
        await io_errors(1, 0.0, 0.01, SEED, tmp_path / "soak")


@pytest.mark.timeout(3600 if LONG else 900)
async def test_flipped_bytes(tmp_path: Path) -> None:
    """Whichever byte of whichever file: every row is there at the next start, or the start refuses with a clear line;
    a store is never begun anew. The damage to a single cell that makes another sound value of it goes unnoticed."""
    trials = 1000 if LONG else 150
    result = await flips(trials, SEED, tmp_path / "soak")
    assert not result.wrong, f"seed {SEED}: {result.wrong[:10]}"
    assert sum(result.classes.values()) == trials and result.classes["repaired"] > trials / 20
    assert result.classes["refused"] + result.classes["cell"] < trials / 10, result
    assert result.rows > 300 and result.slowest_start_s <= RECOVERED_S


BEFORE: Content = {"message": [(1, b"a", None), (2, b"b", b"c")], "case": [(1, 2)]}


@pytest.mark.parametrize(
    ("after", "kind", "named"),
    [
        (BEFORE, "whole", []),
        ({**BEFORE, "message": [(1, b"a", None), (2, b"x", b"c")]}, "cell", ["message[1]"]),
        ({**BEFORE, "message": [(1, b"a", None)]}, "lost", ["message: 1 of 2 rows"]),
        ({**BEFORE, "case": [(1, 2), (2, 1)]}, "lost", ["case: 2 rows instead of 1"]),
        ({}, "lost", ["message: 0 of 2 rows", "case: 0 of 1 rows"]),
    ],
)
def test_what_was_lost_is_named(after: Content, kind: str, named: list[str]) -> None:
    """A cell, a row, a row too many, everything."""
    assert compared(BEFORE, after) == (kind, named)
