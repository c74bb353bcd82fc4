"""Three authors write ten times what the model can read, and others go on writing as they do.

In a process of its own, so that its memory is its own: the real store, pipeline, queue, batcher and coalescing; only
the model is a stub, which takes its time for every text it is asked for.
"""

import argparse
import asyncio
import json
import math
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bot.domain.action import Action
from bot.domain.event import Author, Message, MessageKey
from bot.domain.notice import Notice
from bot.pipeline.pipeline import Judgement, Pipeline
from bot.process.garbage_collection import tune_garbage_collector
from bot.store import Sealer, Store
from bot.store.journal import Seen
from model.classifier import Item, Verdict
from model.serving.batcher import Batcher
from model.serving.coalescing import Coalescer
from tests.conftest import verdict
from tests.journal import unfinished

CAPACITY, ORDINARY, FLOOD = 40.0, 20.0, 400.0
"""Messages a second: what the model reads, what ordinary authors write, what the three write."""
PLATFORM, FLOODERS, AUTHORS = "stub", 3, 200
DRAIN_S = 120.0


@dataclass(frozen=True, slots=True)
class FloodResult:
    """Of one flood. Seconds are from the message's arrival until it is through, for ordinary authors."""

    seconds: float
    written: int
    ordinary: int
    p50_s: float
    p99_s: float
    slowest_s: float
    ordinary_shed: int
    shed: int
    waiting_as_shed: int
    """Rows the journal had as shed at the flood's end."""
    scored: int
    """Texts the model was asked for during the flood."""
    grown_mb: float
    left: int
    """Rows that were not through when there was time for all."""
    handled: int
    notices: tuple[str, ...]


class SlowModel:
    """Takes `pause_s` for every text; nothing is hate."""

    def __init__(self, pause_s: float) -> None:
        self.pause_s, self.asked = pause_s, 0

    async def classify(self, items: Sequence[Item]) -> list[Verdict]:
        self.asked += len(items)
        await asyncio.sleep(self.pause_s * len(items))
        return [verdict(0.01, 0.02) for _ in items]

    async def embed(self, texts: Sequence[str]) -> list[list[float]]:
        return [[1.0, 0.0] for _ in texts]


class Nowhere:
    """A platform on which nothing needs to be done."""

    name = PLATFORM

    async def perform(self, action: Action, key: MessageKey, author: Author) -> None:
        pass

    async def undo(self, action: Action, key: MessageKey, author: Author) -> bool:
        return False


async def _flood(folder: Path, seconds: float, *, identical: bool) -> FloodResult:
    dice = random.Random(5)
    model = SlowModel(1 / CAPACITY)
    arrived: dict[str, float] = {}
    took: dict[str, float] = {}
    handled: Counter[str] = Counter()
    shed: set[str] = set()
    notices: list[str] = []

    def settled(event: Message, judged: Judgement | None) -> None:
        handled[event.key.message] += 1
        took[event.key.message] = time.monotonic() - arrived[event.key.message]

    def told(notice: Notice) -> None:
        notices.append(notice.name)

    async with Store.open(folder / "domovoi.db", Sealer(bytes(range(32)))) as store:
        names: dict[int, str] = {}
        seen, state = store.record_seen, store.record_state

        async def record_seen(event: Message, now: datetime) -> Seen | None:
            if (new := await seen(event, now)) is not None:
                names[new.row] = event.key.message
            return new

        async def record_state(row: int, to: str) -> None:
            if to == "shed":
                shed.add(names[row])
            await state(row, to)

        store.record_seen, store.record_state = record_seen, record_state  # type: ignore[method-assign]
        batcher = Batcher(model)
        pipeline = Pipeline(
            store,
            Coalescer(batcher),
            {PLATFORM: Nowhere()},
            adapter_of=lambda community: "global/stub",
            settled=settled,
            notice=told,
        )
        tune_garbage_collector()
        before = _resident_mb()
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(batcher.run()), group.create_task(pipeline.run())]
            began, written = time.monotonic(), 0
            while (now := time.monotonic() - began) < seconds:
                for number in range(written, math.floor(now * (ORDINARY + FLOOD))):
                    ordinary = dice.random() < ORDINARY / (ORDINARY + FLOOD)
                    author = f"author {dice.randrange(AUTHORS)}" if ordinary else f"flooder {dice.randrange(FLOODERS)}"
                    text = f"good morning {number}" if ordinary or not identical else f"BUY NOW from {author}"
                    name = f"{'o' if ordinary else 'f'}{number}"
                    key = MessageKey(PLATFORM, "friends", "lounge", name)
                    arrived[name] = time.monotonic()
                    group.create_task(pipeline.receive(Message(key, Author(author, author), text, datetime.now(UTC))))
                    written = number + 1
                await asyncio.sleep(0.01)
            scored, grown = model.asked, _resident_mb() - before
            waiting = sum(row.state == "shed" for row in await unfinished(store, PLATFORM))
            model.pause_s = 0.0  # what waits is worked off
            until = time.monotonic() + DRAIN_S
            while await unfinished(store, PLATFORM) and time.monotonic() < until:
                await asyncio.sleep(0.2)
            left = len(await unfinished(store, PLATFORM))
            for task in tasks:
                task.cancel()
    mine = sorted(seconds for name, seconds in took.items() if name[0] == "o")
    return FloodResult(
        seconds,
        written,
        sum(name[0] == "o" for name in arrived),
        mine[len(mine) // 2],
        mine[math.ceil(0.99 * len(mine)) - 1],
        mine[-1],
        sum(name[0] == "o" for name in shed),
        len(shed),
        waiting,
        scored,
        grown,
        left,
        sum(handled.values()) if set(handled.values()) == {1} else -1,
        tuple(dict.fromkeys(notices)),
    )


def _resident_mb() -> float:
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * 4096 / 1e6


async def flood(seconds: float, *, identical: bool) -> FloodResult:
    """Runs it in a process of its own; `identical`: each of the three repeats one text."""
    command = [sys.executable, "-m", "tests.soak.flood", "--seconds", str(seconds)]
    process = await asyncio.create_subprocess_exec(
        *command, *(["--identical"] if identical else []), stdout=asyncio.subprocess.PIPE
    )
    out, _ = await process.communicate()
    if process.returncode:
        raise RuntimeError(f"the flood ended with status {process.returncode}")
    data: dict[str, Any] = json.loads(out.splitlines()[-1])
    return FloodResult(**data | {"notices": tuple(data["notices"])})


def main() -> None:
    """Prints the result as one line of JSON, last."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--identical", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        result = asyncio.run(_flood(Path(folder), options.seconds, identical=options.identical))
    print(json.dumps(asdict(result)))  # noqa: T201


if __name__ == "__main__":
    main()
