"""When a refresh starts by itself."""

import asyncio
import json
import os
import resource
import shutil
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from bot.learning import Learning
from bot.store import Store
from model.adapters import SHIPPED, Registry
from model.classifier import Died, Overloaded, Unavailable
from tests.bot.test_store import seen_case

REFUSED = "import json; print(json.dumps({'stage': 'finished', 'share': 1.0, 'result': 'refused: no'}))"


class StubClock:
    """Says what the test says."""

    def __init__(self, hour: int) -> None:
        self.now = datetime(2026, 5, 1, hour, 10)  # noqa: DTZ001 - the local clock

    def __call__(self) -> datetime:
        return self.now


async def starts(store: Store, folder: Path, after: int, hour: int | None, clock: StubClock, expected: int) -> int:
    """How many refreshes the schedule started, once as many as expected are over and a little later.

    Each one says at once that it was refused.
    """
    finished: list[str] = []
    learning = Learning(
        store,
        Registry(folder / "adapters", SHIPPED),
        [sys.executable, "-c", REFUSED],
        lambda told: finished.append(told.result) if told.result else None,
    )
    async with asyncio.TaskGroup() as group:
        task = group.create_task(learning.keep_schedule(group, after, hour, every_s=0.02, clock=clock))
        async with asyncio.timeout(30):
            while len(finished) < expected:
                await asyncio.sleep(0.02)
        await asyncio.sleep(0.3)
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
    assert await starts(store, tmp_path, 3, None, clock, 0) == 0
    await teach(store, 3)
    assert await starts(store, tmp_path, 3, None, clock, 1) == 1
    assert (await store.lessons.since_refresh()).total() == 0


async def test_its_hour_starts_it_once_a_day(store: Store, tmp_path: Path) -> None:
    """Not before, not without anything new, not twice."""
    await teach(store, 1)
    assert await starts(store, tmp_path, 0, 4, StubClock(3), 0) == 0
    assert await starts(store, tmp_path, 0, 4, StubClock(4), 1) == 1
    assert await starts(store, tmp_path, 0, 4, StubClock(4), 0) == 0


async def test_without_a_schedule_nothing_starts(store: Store, tmp_path: Path) -> None:
    """The button and the command are the only ways."""
    await teach(store, 1)
    assert await starts(store, tmp_path, 0, None, StubClock(4), 0) == 0


async def test_a_community_may_have_an_adapter_of_its_own(store: Store, tmp_path: Path) -> None:
    """Promoted for one: it serves there and nowhere else; a spoilt one does not; rolled back, the one for all does."""
    registry = Registry(tmp_path / "adapters", SHIPPED)
    learning = Learning(store, registry, [], lambda told: None)
    common = learning.serving
    assert learning.adapter_of("town") == learning.adapter_of("../strange") == common
    for version in ("v1", "v2"):
        folder = tmp_path / "adapters" / "c-town" / version
        shutil.copytree(SHIPPED, folder)
        manifest = json.loads((folder / "manifest.json").read_text())
        (folder / "manifest.json").write_text(json.dumps({**manifest, "version": version}))
    async with asyncio.TaskGroup() as group:
        task = group.create_task(learning.watch(lambda adapter, problem: None, every_s=0.02))
        for change, serving in (
            (lambda: registry.promote("c-town/v1"), "c-town/v1"),
            (lambda: registry.promote("c-town/v2"), "c-town/v2"),
            (lambda: registry.rollback("c-town"), "c-town/v1"),
            (lambda: registry.rollback("c-town"), common),
        ):
            change()
            async with asyncio.timeout(30):
                while learning.adapter_of("town") != serving:
                    await asyncio.sleep(0.02)
            assert learning.adapter_of("village") == common
        registry.promote("c-town/v1")
        task.cancel()
    (tmp_path / "adapters" / "c-town" / "v1" / "adapter_model.safetensors").write_bytes(b"spoilt")
    assert Learning(store, registry, [], lambda told: None).adapter_of("town") == common


async def test_with_too_many_open_files_no_other_adapter_judges(store: Store, tmp_path: Path) -> None:
    """A community's messages wait: the adapter for all may punish what its own allows."""
    registry = Registry(tmp_path / "adapters", SHIPPED)
    shutil.copytree(SHIPPED, tmp_path / "adapters" / "c-town" / "v1")
    registry.promote("c-town/v1")
    learning = Learning(store, registry, [], lambda told: None)
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (len(os.listdir("/proc/self/fd")) - 1, before[1]))
    try:
        with pytest.raises(Unavailable, match="Too many open files"):
            learning.adapter_of("town")
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
    assert learning.adapter_of("town") == "c-town/v1"


async def test_an_adapter_that_ends_the_models_process_is_given_up(store: Store, tmp_path: Path) -> None:
    """Tried three times, not for ever: each try takes the model from everybody. One that cannot be tried yet waits."""
    registry = Registry(tmp_path / "adapters", SHIPPED)
    answers: list[Exception] = [Unavailable("loading"), Overloaded("later"), *[Died("killed")] * 3]
    tried: list[str] = []

    async def trial(adapter: str) -> None:
        tried.append(adapter)
        if adapter == "global/v1" and answers:
            raise answers.pop(0)

    learning = Learning(store, registry, [], lambda told: None, trial)
    shipped, told = learning.serving, list[tuple[str, str]]()
    shutil.copytree(SHIPPED, tmp_path / "adapters" / "global" / "v1")
    registry.promote("global/v1")
    async with asyncio.TaskGroup() as group:
        task = group.create_task(learning.watch(lambda *one: told.append(one), every_s=0.02))
        async with asyncio.timeout(30):
            while not told:
                await asyncio.sleep(0.02)
        assert learning.serving == shipped and told == [(shipped, f"killed. {shipped} serves instead.")]
        assert tried.count("global/v1") == 5
        registry.promote("global/v1")  # mended, and promoted again
        async with asyncio.timeout(30):
            while learning.serving != "global/v1":
                await asyncio.sleep(0.02)
        assert learning.problem == "" and len(told) == 2
        task.cancel()
