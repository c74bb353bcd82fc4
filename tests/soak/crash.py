"""The service killed again and again while people write: `crash` says what was lost and what was done twice."""

import asyncio
import random
import signal
import sqlite3
import time
from dataclasses import dataclass
from pathlib import Path

from tests.soak.oracle import Findings, compare, read_journal
from tests.soak.processes import Soak, soaking
from tests.soak.record import Record

LONGEST_LIFE_S = 1.0
STARTING_S = 0.35
"""About how long a start takes until everything is caught up; every fourth process dies within it."""
SAID_BEFORE = 0.3
"""The share of a life's messages that is written before it begins."""
CALLED_WITHIN_S = 5.0
"""So long a busy machine may take to come to the call at which a process is killed."""
CALM_S, STUCK_S = 1.5, 30.0
"""Nothing is called for so long when everything is through; and when nothing more will happen."""


@dataclass(frozen=True, slots=True)
class Kill:
    """When a process is killed: at the n-th call that people see (`call`) or that nobody sees (`read`), and at the
    latest `CALLED_WITHIN_S` seconds after it was forked; without such a call, `after_s` seconds after it was forked."""

    after_s: float
    call: int = 0
    read: int = 0


@dataclass(frozen=True, slots=True)
class CrashResult:
    """What came of it; times in seconds. `at_calls` kills hit a call that had taken effect and was not yet answered."""

    seed: int
    messages: int
    kills: int
    at_calls: int
    findings: Findings
    cases: int
    wall_s: float
    drain_s: float
    slowest_start_s: float


def kills_of(seed: int, count: int) -> list[Kill]:
    """A quarter at the start, two in five at a call that people see, the others at another call or at any moment."""
    dice = random.Random(seed)
    found = []
    for _ in range(count):
        kind, latest_s = dice.random(), dice.uniform(STARTING_S, LONGEST_LIFE_S)
        if kind < 0.25:
            found.append(Kill(dice.uniform(0.0, STARTING_S)))
        elif kind < 0.4:
            found.append(Kill(LONGEST_LIFE_S, read=dice.randint(1, 15)))
        elif kind < 0.8:
            found.append(Kill(LONGEST_LIFE_S, call=dice.randint(1, 6)))
        else:
            found.append(Kill(latest_s))
    return found


async def crash(messages: int, kills: int, seed: int, folder: Path) -> CrashResult:
    """So many messages on both platforms together, and so many kills, all by this seed."""
    began, slowest_s = time.monotonic(), 0.0
    async with soaking(folder, seed) as soak:
        await begin(soak)
        await soak.service.kill()
        told = 0
        for number, kill in enumerate(kills_of(seed, kills), 1):
            slice_ = messages * number // kills - told
            told += slice_
            slowest_s = max(slowest_s, await _life(soak, kill, slice_))
        await soak.simulators.ask("settle")
        at_calls = (await soak.simulators.ask("state"))["kills"]
        drain_began = time.monotonic()
        findings, cases = await drained(soak)
        ended = time.monotonic()
    return CrashResult(seed, messages, kills, at_calls, findings, cases, ended - began, ended - drain_began, slowest_s)


async def begin(soak: Soak) -> None:
    """A first start, after which every room is read from: what was written before it is nobody's business."""
    await start(soak)
    async with asyncio.timeout(60):
        await soak.service.up.wait()
        while _rooms(soak) < soak.simulators.where["rooms"]:
            await asyncio.sleep(0.05)


async def start(soak: Soak, **kill: int) -> None:
    """The service, and who is meant by the next kill."""
    pid = await soak.service.start()
    await soak.simulators.ask("life", pid=pid, **kill)


async def drained(soak: Soak) -> tuple[Findings, int]:
    """One more start, time to settle, a stop; then the oracle's word, and how many cases there were."""
    await start(soak)
    await settled(soak)
    soak.service.signal(signal.SIGTERM)
    if not await soak.service.ended(10.0):
        await soak.service.kill()
    return await judged(soak)


async def settled(soak: Soak) -> None:
    """Returns when nothing is under way and nothing has been called for a while; or when nothing has been called for
    long, and then the oracle has something to say."""
    calls, calm_since, looked_at = -1, time.monotonic(), 0.0
    while (now := time.monotonic()) - calm_since < STUCK_S:
        state = await soak.simulators.ask("state")
        if state["calls"] != calls or state["waiting"]:
            calls, calm_since, looked_at = state["calls"], now, 0.0
        elif now - max(calm_since, looked_at) > CALM_S:
            if (await asyncio.to_thread(read_journal, soak.database, soak.key)).settled:
                return
            looked_at = time.monotonic()
        await asyncio.sleep(0.1)


async def judged(soak: Soak) -> tuple[Findings, int]:
    """The oracle's word, and how many cases there were."""
    path = soak.folder / "record.json"
    strange = await soak.simulators.ask("record", path=str(path))
    assert not strange["unknown"] and not strange["errors"], strange
    journal = read_journal(soak.database, soak.key)
    return compare(Record.read(path), journal), len(journal.cases)


async def _life(soak: Soak, kill: Kill, messages: int) -> float:
    """Returns how long the start took, 0 where it came to no end."""
    simulators, service = soak.simulators, soak.service
    before = int(messages * SAID_BEFORE)
    await simulators.ask("say", count=before)
    began, took_s = time.monotonic(), 0.0
    await start(soak, call=kill.call, read=kill.read)
    async with asyncio.TaskGroup() as group:
        group.create_task(simulators.ask("say", count=messages - before, over_s=kill.after_s))

        async def up() -> None:
            nonlocal took_s
            await service.up.wait()
            took_s = time.monotonic() - began

        waiting = group.create_task(up())
        latest_s = CALLED_WITHIN_S if kill.call or kill.read else kill.after_s
        await service.ended(max(0.0, began + latest_s - time.monotonic()))
        await service.kill()
        waiting.cancel()
    assert service.code == -signal.SIGKILL, f"ended by itself with {service.code}: see service.log"
    return took_s


def _rooms(soak: Soak) -> int:
    with sqlite3.connect(f"file:{soak.database}?mode=ro", uri=True) as connection:
        found: int = connection.execute("SELECT COUNT(*) FROM watermark").fetchone()[0]
    return found
