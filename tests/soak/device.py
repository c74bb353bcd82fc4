"""The model's real process, killed again and again: how long until it answers as before."""

import os
import signal
import time
from dataclasses import dataclass

from model.adapters.registry import SHIPPED
from model.classifier import Died, Item
from model.serving.worker import Worker

ADAPTER = "global/shipped"
TEXT = "you are such a moron"


@dataclass(frozen=True, slots=True)
class DeathsResult:
    """`same` answers were as before, of `deaths`; the slowest was back after so many seconds."""

    deaths: int
    same: int
    slowest_back_s: float


async def deaths(count: int) -> DeathsResult:
    """Kills the embedded base's process and asks it at once."""
    slowest, same = 0.0, 0
    async with Worker("minilm", lambda _: SHIPPED, threads=1, attempts=1) as worker:
        (first,) = await worker.classify([Item(TEXT, ADAPTER)])
        for _ in range(count):
            pid = worker.pid
            assert pid is not None
            os.kill(pid, signal.SIGKILL)
            began = time.monotonic()
            try:
                (again,) = await worker.classify([Item(TEXT, ADAPTER)])
            except Died:  # it was in its hands: its caller asks again
                (again,) = await worker.classify([Item(TEXT, ADAPTER)])
            slowest = max(slowest, time.monotonic() - began)
            same += abs(again.harm - first.harm) < 1e-6
    return DeathsResult(count, same, slowest)
