"""What was written while a platform was away is caught up, each message once, and what is old is not punished."""

import os
from pathlib import Path

from tests.soak.outages import outages

MESSAGES = 1200
SEED = int(os.environ.get("DOMOVOI_SEED", "1"))


async def test_an_hour_without_discord_and_a_day_without_telegram(tmp_path: Path) -> None:
    """Two hundred messages in each of six rooms, twelve pages of updates; what is older than an hour is only shown."""
    result = await outages(MESSAGES, SEED, tmp_path / "soak")
    assert not result.findings, f"seed {SEED}: {result.findings}"
    assert not result.old_punished and result.old_shown and result.young_punished, f"seed {SEED}: {result}"
