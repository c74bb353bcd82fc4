"""Asked to stop at any moment, the service ends within ten seconds and loses nothing."""

import os
from pathlib import Path

import pytest

from tests.soak.stops import PROMISED_S, stops

LONG = bool(os.environ.get("DOMOVOI_SOAK"))
MESSAGES, STOPS = (20_000, 1000) if LONG else (900, 25)
SEED = int(os.environ.get("DOMOVOI_SEED", "1"))


@pytest.mark.minds_time
@pytest.mark.timeout(3600 if LONG else 900)
async def test_stopped_again_and_again(tmp_path: Path) -> None:
    """SIGTERM while it starts, while it catches up and at any moment: exit code 0 in time, and the next start finishes
    what was begun, once."""
    result = await stops(MESSAGES, STOPS, SEED, tmp_path / "soak")
    assert not result.findings, f"seed {SEED}: {result.findings}"
    assert not result.codes, f"seed {SEED}: exit codes {result.codes}"
    assert result.slowest_stop_s <= PROMISED_S, f"seed {SEED}"
