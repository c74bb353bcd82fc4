"""Measures how long honest communities' messages wait while another one is flooded, against a queue by author only.

    python -m benchmarks.fairness [--seconds 20] [--rounds 2] [--out benchmarks/RESULTS.md]

The pipeline and the store are wired as in the service (SQLite on disk, `synchronous=FULL`); a stub for the model reads
a fixed number of tokens a second. One community writes 600 messages a second, more than the stub reads, by 2,000 or
20,000 authors; ten others write one message a second each, by three authors. A latency counts from the moment a message
is due until its decision is in the journal. Shed messages count as well: the run continues until each honest message is
decided, or for one minute.

Baseline "by author alone": the earlier queue, round-robin over authors of all communities, each message one turn, new
authors first; the author with the longest line sheds. Each round runs both queues in turn.
"""

import argparse
import asyncio
import random
import statistics
import tempfile
import time
from collections import OrderedDict, deque
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from unittest import mock

from rich.console import Console

from benchmarks.flood import append_section, describe_machine, read_texts, service_garbage_collection, show_table
from bot.domain.event import Author, Message, MessageKey
from bot.pipeline import waiting_messages
from bot.pipeline.fair_queue import NEW_IN_A_ROW, FairQueue
from bot.pipeline.pipeline import Judgement, Pipeline
from bot.platforms.webchat import WebChat
from bot.store import Sealer, Store
from model.classifier import Item, Verdict
from model.labels import Label
from model.serving.batcher import Batcher, estimate_tokens

PER_SECOND, TOKENS_PER_SECOND = 600, 10_000
HONEST, HONEST_AUTHORS = 10, 3
AFTERWARDS_S = 60.0
SHED = "Honest messages that are shed wait in the journal and are in these figures."


class AuthorQueue(FairQueue[Any]):
    """The baseline queue: it knows authors but no communities, and counts messages instead of tokens."""

    def __init__(self, max_waiting: int = 2000) -> None:
        super().__init__(max_waiting)
        self._new: OrderedDict[str, deque[Any]] = OrderedDict()
        self._old: OrderedDict[str, deque[Any]] = OrderedDict()
        self._in_a_row = 0

    def put_now(self, author: str, entry: Any, *, community: str = "", tokens: int = 0) -> Any | None:
        """As in the earlier queue."""
        dropped = None
        if self._size >= self.max_waiting:
            self.shed += 1
            longest = max((*self._new.values(), *self._old.values()), key=len)
            if len(longest) <= len(self._line(author)) + 1:
                return entry
            dropped = longest.pop()
            self._size -= 1
        if not (line := self._line(author)):
            self._new[author] = line
        line.append(entry)
        self._size += 1
        if self._size > self.max_waiting // 2:
            self.roomy.clear()
        self._wake()
        return dropped

    def take_now(self) -> Any:
        """As in the earlier queue."""
        is_new = bool(self._new) and not (self._old and self._in_a_row >= NEW_IN_A_ROW)
        self._in_a_row = self._in_a_row + 1 if is_new else 0
        author, entries = (self._new if is_new else self._old).popitem(last=False)
        entry = entries.popleft()
        if entries:
            self._old[author] = entries
        self._size -= 1
        if self._size <= self.max_waiting // 2:
            self.roomy.set()
        return entry

    def _line(self, author: str) -> deque[Any]:
        return self._new.get(author) or self._old.get(author) or deque()


class SlowClassifier:
    """A stub that reads `TOKENS_PER_SECOND` tokens a second, about as the embedded model on one core."""

    async def classify(self, items: Sequence[Item]) -> list[Verdict]:
        await asyncio.sleep(sum(estimate_tokens(item.text) for item in items) / TOKENS_PER_SECOND)
        shares = dict(zip((Label.HATE, Label.OFFENSIVE, Label.NEUTRAL), (0.01, 0.02, 0.97), strict=True))
        return [Verdict(shares, "stub", item.adapter) for item in items]

    async def embed(self, texts: Sequence[str]) -> list[list[float]]:
        return [[1.0, 0.0] for _ in texts]


@dataclass(frozen=True, slots=True)
class WaitTimes:
    """The seconds of each honest message (for undecided ones until the end of the run), the number of undecided ones,
    and the number of the flood's messages that were read."""

    seconds: Sequence[float]
    unread: int
    flood: int


async def run(authors: int, seconds: float, seed: int) -> WaitTimes:
    """Runs the flood with the queue that `bot.pipeline.pipeline` has now."""
    dice, texts = random.Random(seed), read_texts()
    wanted, took, flood = dict[str, float](), list[float](), 0

    def through(event: Message, judged: Judgement | None) -> None:
        nonlocal flood
        if event.key.community == "flood":
            flood += 1
        elif (began := wanted.pop(event.key.message, None)) is not None:
            took.append(time.monotonic() - began)

    def message(community: str, author: int, number: int) -> Message:
        key = MessageKey("webchat", community, "room", f"{community}-{number}")
        return Message(key, Author(str(author), ""), f"{dice.choice(texts)[:200]} {number}", datetime.now(UTC))

    with tempfile.TemporaryDirectory() as folder, service_garbage_collection():
        async with Store.open(Path(folder) / "domovoi.db", Sealer(bytes(32))) as store, asyncio.TaskGroup() as group:
            batcher = Batcher(SlowClassifier())
            pipeline = Pipeline(
                store, batcher, {"webchat": WebChat(lambda _: None)}, adapter_of=lambda _: "stub", settled=through
            )
            tasks = [group.create_task(batcher.run()), group.create_task(pipeline.run())]
            began, sent = time.monotonic(), 0
            updates = set[asyncio.Task[bool]]()
            while (now := time.monotonic() - began) < seconds:
                while sent < now * PER_SECOND:
                    events = [message("flood", dice.randrange(authors), sent)]
                    if sent % (PER_SECOND // HONEST) == 0:
                        which = sent // (PER_SECOND // HONEST)
                        events.append(message(f"honest {which % HONEST}", dice.randrange(HONEST_AUTHORS), which))
                        wanted[events[-1].key.message] = began + sent / PER_SECOND
                    for event in events:
                        task = group.create_task(pipeline.receive(event))
                        updates.add(task)
                        task.add_done_callback(updates.discard)
                    sent += 1
                await asyncio.sleep(0.005)
            until = time.monotonic() + AFTERWARDS_S
            while wanted and time.monotonic() < until:  # noqa: ASYNC110  # the bot offers no event for it
                await asyncio.sleep(0.05)
            read = flood
            for one in (*tasks, *updates):
                one.cancel()
    left = [time.monotonic() - at for at in wanted.values()]
    return WaitTimes([*took, *left], len(left), read)


def main() -> None:
    """Runs the benchmark; see the module."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.fairness", description=__doc__)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    found: dict[tuple[str, int], list[WaitTimes]] = {}
    for number in range(options.rounds):
        for authors in (2_000, 20_000):
            for name, queue in (("by author alone", AuthorQueue), ("by community, then author", FairQueue)):
                with mock.patch.object(waiting_messages, "FairQueue", queue):
                    wait = asyncio.run(run(authors, options.seconds, number))
                found.setdefault((name, authors), []).append(wait)
    rows = [_row(name, authors, waits) for (name, authors), waits in found.items()]
    columns = ("queue", "authors flooding", "p50", "p99", "longest", "honest messages", "not read at all")
    show_table("Honest communities in a flood", columns, rows, Console())
    if options.out:
        caption = (
            f"`python -m benchmarks.fairness`. {describe_machine()}. One community writes {PER_SECOND} messages/s for "
            f"{options.seconds:.0f} s, {HONEST} others one each; the model (a stub) reads {TOKENS_PER_SECOND:,} "
            f"tokens/s, fewer than come. {options.rounds} interleaved rounds, all their messages together: from "
            f"writing to the decision in the journal."
        )
        append_section(options.out, "An honest community while another is flooded", caption, columns, rows, [SHED])


def _row(name: str, authors: int, waits: Sequence[WaitTimes]) -> tuple[str, ...]:
    seconds = [second for wait in waits for second in wait.seconds]
    p50, p99 = (statistics.quantiles(seconds, n=100)[index] for index in (49, 98))
    figures = (f"{p50:.2f} s", f"{p99:.2f} s", f"{max(seconds):.2f} s")
    return (name, f"{authors:,}", *figures, f"{len(seconds):,}", str(sum(wait.unread for wait in waits)))


if __name__ == "__main__":
    main()
