"""The service asked to stop again and again while people write: `stops` says how long that took and what was lost."""

import asyncio
import random
import signal
import time
from dataclasses import dataclass
from pathlib import Path

from tests.soak.crash import LONGEST_LIFE_S, SAID_BEFORE, STARTING_S, begin, drained, start
from tests.soak.oracle import Findings
from tests.soak.processes import Soak, soaking

PROMISED_S = 10.0
GIVEN_UP_S = 30.0


@dataclass(frozen=True, slots=True)
class StopResult:
    """What came of it. `late` counts stops that took longer than promised, `codes` those with another exit code than
    0; times in seconds."""

    seed: int
    messages: int
    stops: int
    findings: Findings
    late: int
    codes: tuple[int, ...]
    slowest_stop_s: float
    wall_s: float


def moments_of(seed: int, count: int) -> list[float]:
    """When each process is asked to stop, in seconds after it can hear it: every other one while it starts."""
    dice = random.Random(seed)
    return [
        dice.uniform(0.0, STARTING_S) if dice.random() < 0.5 else dice.uniform(STARTING_S, LONGEST_LIFE_S / 2)
        for _ in range(count)
    ]


async def stops(messages: int, count: int, seed: int, folder: Path) -> StopResult:
    """So many messages on both platforms together, and so many stops, all by this seed."""
    began = time.monotonic()
    took: list[float] = []
    codes: list[int] = []
    async with soaking(folder, seed) as soak:
        await begin(soak)
        await soak.service.kill()
        told = 0
        for number, after_s in enumerate(moments_of(seed, count), 1):
            slice_ = messages * number // count - told
            told += slice_
            took.append(await _life(soak, after_s, slice_))
            codes.append(soak.service.code)
        await soak.simulators.ask("settle")
        findings, _ = await drained(soak)
    late = sum(one > PROMISED_S for one in took)
    wrong = tuple(code for code in codes if code)
    return StopResult(seed, messages, count, findings, late, wrong, max(took), time.monotonic() - began)


async def _life(soak: Soak, after_s: float, messages: int) -> float:
    """Returns how long the stop took."""
    simulators, service = soak.simulators, soak.service
    before = int(messages * SAID_BEFORE)
    await simulators.ask("say", count=before)
    await start(soak)
    await service.begun.wait()
    async with asyncio.TaskGroup() as group:
        group.create_task(simulators.ask("say", count=messages - before, over_s=after_s))
        await asyncio.sleep(after_s)
        asked = time.monotonic()
        service.signal(signal.SIGTERM)
        if not await service.ended(GIVEN_UP_S):
            await service.kill()
        return time.monotonic() - asked
