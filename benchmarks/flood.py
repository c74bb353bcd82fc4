"""Shared parts of the load benchmarks of platforms: texts, a stub for the model, commit times, waiting, tables."""

import asyncio
import contextlib
import datetime
import gc
import os
import platform
import random
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from bot.domain.event import Message
from bot.process.garbage_collection import tune_garbage_collector
from bot.store import Store
from bot.store.journal import Seen
from model.classifier import Item, Verdict
from model.labels import Label
from model.table import open_rows

TEXTS = Path(__file__).parents[1] / "training" / "data" / "heldout.csv.gz"
ONE_CARD_IN = 100


class StubClassifier:
    """A stub for the model: a text with "HATE" is hate."""

    async def classify(self, items: Sequence[Item]) -> list[Verdict]:
        return [_verdict("HATE" in item.text) for item in items]

    async def embed(self, texts: Sequence[str]) -> list[list[float]]:
        return [[1.0, 0.0] for _ in texts]


def _verdict(hate: bool) -> Verdict:
    shares = (0.95, 0.04, 0.01) if hate else (0.01, 0.02, 0.97)
    return Verdict(dict(zip((Label.HATE, Label.OFFENSIVE, Label.NEUTRAL), shares, strict=True)), "stub", "global/stub")


class TimedStore(Store):
    """A store that records when each row was committed."""

    def __init__(self, *parts: Any) -> None:
        super().__init__(*parts)
        self.committed: dict[str, float] = {}

    async def record_seen(self, event: Message, now: datetime.datetime) -> Seen | None:
        seen = await super().record_seen(event, now)
        self.committed.setdefault(event.key.message, time.monotonic())
        return seen


async def until(condition: Callable[[], bool], timeout_s: float = 120.0) -> None:
    """Waits for the condition, checked every 20 ms; raises TimeoutError."""
    async with asyncio.timeout(timeout_s):
        while not condition():  # noqa: ASYNC110  # the bot offers no event for it
            await asyncio.sleep(0.02)


@contextlib.contextmanager
def service_garbage_collection() -> Iterator[None]:
    """Sets the garbage collector as the service does, also for the baseline."""
    before = gc.get_threshold()
    tune_garbage_collector()
    try:
        yield
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()


def read_texts(source: Path = TEXTS, count: int = 5000) -> list[str]:
    """A seeded sample of texts, one in a hundred marked as hate for the stub; raises `BadData`."""
    with open_rows(source, ("text",)) as rows:
        texts = [row["text"].replace("HATE", "hate")[:2000] for row in rows]
    dice = random.Random(3)
    texts = dice.sample([text for text in texts if text.strip()], min(count, len(texts)))
    return [f"{text[:1900]} HATE" if number % ONE_CARD_IN == 50 else text for number, text in enumerate(texts)]


def describe_quantiles(seconds: Sequence[float]) -> str:
    """Median, 99th percentile and maximum, in milliseconds."""
    p50, p99 = (1000 * statistics.quantiles(seconds, n=100)[index] for index in (49, 98))
    return f"p50 {p50:.1f} ms, p99 {p99:.1f} ms, longest {1000 * max(seconds):.0f} ms"


def show_table(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]], console: Console) -> None:
    """Prints a table: the first column has names, the others figures."""
    table = Table(title=title)
    for index, column in enumerate(columns):
        table.add_column(column, justify="right" if index else "left", no_wrap=True)
    for row in rows:
        table.add_row(*row)
    console.print(table)


def append_section(
    path: Path, title: str, caption: str, columns: Sequence[str], rows: Sequence[Sequence[str]], lines: Sequence[str]
) -> None:
    """Appends a dated section with a table, and a paragraph for each line."""
    when = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d")
    head = f"| {' | '.join(columns)} |\n|---|{'--:|' * (len(columns) - 1)}\n"
    body = "".join(f"| {' | '.join(row)} |\n" for row in rows)
    text = f"\n## {title}, {when}\n\n{caption}\n\n{head}{body}\n" + "\n\n".join(lines) + "\n"
    old = path.read_text(encoding="utf-8") if path.exists() else "# Results\n\nMade by the commands in each file.\n"
    path.write_text(old + text, encoding="utf-8")


def describe_machine() -> str:
    """The machine and the Python version, for a caption."""
    return f"{os.cpu_count()} cores ({platform.machine()}), Python {platform.python_version()}"
