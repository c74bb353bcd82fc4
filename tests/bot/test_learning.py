"""When a refresh starts by itself."""

import asyncio
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

from bot.learning import Learning
from bot.store import Store
from model.adapters import SHIPPED, Registry
from tests.bot.test_store import seen_case

REFUSED = "import json; print(json.dumps({'stage': 'finished', 'share': 1.0, 'result': 'refused: no'}))"


class StubClock:
    """Says what the test says."""

    def __init__(self, hour: int) -> None:
        self.now = datetime(2026, 5, 1, hour, 10)  # noqa: DTZ001 - the local clock

    def __call__(self) -> datetime:
        return self.now


async def starts(store: Store, folder: Path, after: int, hour: int | None, clock: StubClock, wait_s: float) -> int:
    """How many refreshes the schedule started within this time; each one says at once that it was refused."""
    finished: list[str] = []
    learning = Learning(
        store,
        Registry(folder / "adapters", SHIPPED),
        [sys.executable, "-c", REFUSED],
        lambda told: finished.append(told.result) if told.result else None,
    )
    async with asyncio.TaskGroup() as group:
        task = group.create_task(learning.keep_schedule(group, after, hour, every_s=0.02, clock=clock))
        await asyncio.sleep(wait_s)
        task.cancel()
    assert set(finished) <= {"refused: no"}
    return len(finished)


async def teach(store: Store, number: int) -> None:
    case = await seen_case(store, number=str(number))
    moment = datetime.now(UTC) + timedelta(milliseconds=number)
    await store.record_correction(case, "dana", "neutral", "authored", moment, confirms=False)


async def test_enough_corrections_start_one_refresh(store: Store, tmp_path: Path) -> None:
    """Two are too few for three; the third starts it, once, though it was refused."""
    clock = StubClock(12)
    await teach(store, 1)
    await teach(store, 2)
    assert await starts(store, tmp_path, 3, None, clock, 0.3) == 0
    await teach(store, 3)
    assert await starts(store, tmp_path, 3, None, clock, 1.5) == 1
    assert await store.lessons.since_refresh() == 0


async def test_its_hour_starts_it_once_a_day(store: Store, tmp_path: Path) -> None:
    """Not before, not without anything new, not twice."""
    await teach(store, 1)
    assert await starts(store, tmp_path, 0, 4, StubClock(3), 0.3) == 0
    assert await starts(store, tmp_path, 0, 4, StubClock(4), 1.5) == 1
    assert await starts(store, tmp_path, 0, 4, StubClock(4), 0.3) == 0


async def test_without_a_schedule_nothing_starts(store: Store, tmp_path: Path) -> None:
    """The button and the command are the only ways."""
    await teach(store, 1)
    assert await starts(store, tmp_path, 0, None, StubClock(4), 0.3) == 0
