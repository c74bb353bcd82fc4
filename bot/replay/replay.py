"""Runs a file through the whole pipeline in shadow mode, to see beforehand what Domovoi would do in a community.

The real journal, model, policy and queues, on a store of its own that is gone afterwards. Nothing is acted on, and
nothing grows with the file: rows are read as they are needed and only counted.
"""

import asyncio
import contextlib
import math
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from bot.config import Config
from bot.domain.action import Action
from bot.domain.decision import Band
from bot.domain.event import Author, Message, MessageKey
from bot.domain.policy import score_of
from bot.pipeline.pipeline import Judgement, Pipeline
from bot.process.models import adapters_of
from bot.process.models import worker_of as process_of
from bot.store import Sealer, Store
from model.adapters.registry import GLOBAL, scope_of
from model.classifier import TRIAL, Classifier, Item
from model.labels import HARMFUL, LABELS, Label
from model.quality import MetricsTally
from model.serving.batcher import Batcher
from model.serving.worker import ATTEMPTS
from model.table import open_rows, read_label

IN_HAND = 64
"""Messages that are in the pipeline at once."""

STEPS = 20
"""Scores are counted in steps of 1/20: the thresholds the report can speak of."""

_PLATFORM = "replay"


class Latencies:
    """A histogram of durations with buckets 5 % apart, from 0.1 ms; constant memory."""

    _BASE_S, _GROWTH = 1e-4, 1.05

    def __init__(self) -> None:
        self._counts: Counter[int] = Counter()

    def add(self, seconds: float) -> None:
        """One duration."""
        self._counts[max(0, math.ceil(math.log(max(seconds, 1e-9) / self._BASE_S, self._GROWTH)))] += 1

    def quantile(self, share: float) -> float:
        """Returns the seconds within which this share of the durations stays, rounded up by at most 5 %; 0 without
        any."""
        wanted = share * self._counts.total()
        reached = 0
        for bucket, count in sorted(self._counts.items()):
            reached += count
            if reached >= wanted:
                return self._BASE_S * self._GROWTH**bucket
        return 0.0


@dataclass(slots=True)
class Findings:
    """The counts of a replay. `alerting[label][truth][step]` counts scores of `step / STEPS` or a step above.

    `truth` is the file's label, or "" without labels. `acting` counts the conservative view alone, by which messages
    may be acted on; `alerting` takes the higher score of both views.
    """

    adapter: str
    rows: int = 0
    empty: int = 0
    failed: int = 0
    seconds: float = 0.0
    bands: Counter[Band] = field(default_factory=Counter)
    called: Counter[Label] = field(default_factory=Counter)
    removed: int = 0
    latencies: Latencies = field(default_factory=Latencies)
    tally: MetricsTally | None = None
    alerting: dict[Label, Counter[tuple[str, int]]] = field(default_factory=lambda: {n: Counter() for n in HARMFUL})
    acting: dict[Label, Counter[tuple[str, int]]] = field(default_factory=lambda: {n: Counter() for n in HARMFUL})

    def add(self, judged: Judgement, truth: Label | None, seconds: float) -> None:
        """One message that is through."""
        self.latencies.add(seconds)
        self.bands[judged.decision.band] += 1
        self.called[judged.verdict.label] += 1
        self.removed += any(action.name == "delete" for action in judged.decision.actions)
        for label in HARMFUL:
            plain = score_of(judged.verdict, label)
            worse = max(plain, score_of(judged.disguised, label) if judged.disguised is not None else 0.0)
            self.acting[label][truth or "", int(plain * STEPS)] += 1
            self.alerting[label][truth or "", int(worse * STEPS)] += 1
        if truth is not None and self.tally is not None:
            self.tally.add([judged.verdict.probabilities[label] for label in LABELS], truth)


class Nowhere:
    """The platform of a replay, which has no members to act on."""

    name = _PLATFORM

    async def perform(self, action: Action, key: MessageKey, author: Author) -> None:
        """Nothing happens."""

    async def undo(self, action: Action, key: MessageKey, author: Author) -> bool:
        """Nothing happened."""
        return False


def count_rows(source: Path, text: str, label: str | None) -> int:
    """Reads the file once without the model, so that a bad file is refused before the work begins; raises `BadData`."""
    number = 1
    with open_rows(source, (text, label) if label else (text,)) as rows:
        for number, row in enumerate(rows, start=2):
            if label:
                read_label(row[label], f"{source}: row {number}")
    return number - 1


@contextlib.asynccontextmanager
async def worker_of(config: Config, community: str = "") -> AsyncIterator[tuple[Classifier, str]]:
    """The model's process with the adapter that serves a community, behind the batcher."""
    registry = adapters_of(config)
    model = config.model
    async with (
        process_of(config, registry, ATTEMPTS) as worker,
        asyncio.TaskGroup() as group,
    ):
        batcher = Batcher(worker, max_batch_tokens=model.max_batch_tokens, max_waiting_tokens=model.max_waiting_tokens)
        task = group.create_task(batcher.run())
        try:
            adapter = registry.newest_sound(scope_of(community) if community else GLOBAL)[0]
            await batcher.classify([Item(TRIAL, adapter)])  # what follows is timed: the model is there now
            yield batcher, adapter
        finally:
            task.cancel()


async def replay(
    source: Path,
    text: str,
    label: str | None,
    classifier: Classifier,
    adapter: str,
    advance: Callable[[Findings], None] = lambda so_far: None,
    community: str = "",
) -> Findings:
    """Runs every row of the file through a pipeline of its own; rows without text are only counted.

    Verdicts follow the norm of `community`, by default the only norm that the adapter has learned.
    """
    findings = Findings(adapter, tally=MetricsTally() if label else None)
    free = asyncio.Semaphore(IN_HAND)
    in_hand: dict[str, tuple[float, Label | None]] = {}

    def settled(event: Message, judged: Judgement | None) -> None:
        began, truth = in_hand.pop(event.key.message)
        if judged is None:
            findings.failed += 1
        else:
            findings.add(judged, truth, time.monotonic() - began)
        free.release()
        advance(findings)

    with tempfile.TemporaryDirectory(prefix="domovoi-replay-") as folder:
        sealer = Sealer.from_file(Path(folder) / "sealing.key", create=True)
        async with Store.open(Path(folder) / "replay.db", sealer) as store, asyncio.TaskGroup() as group:
            pipeline = Pipeline(
                store,
                classifier,
                {_PLATFORM: Nowhere()},
                adapter_of=lambda community: adapter,
                settled=settled,
                concurrency=IN_HAND,
            )
            task, began = group.create_task(pipeline.run()), time.monotonic()
            with open_rows(source, (text, label) if label else (text,)) as rows:
                for number, row in enumerate(rows, start=2):
                    findings.rows += 1
                    if not row[text].strip():
                        findings.empty += 1
                        continue
                    await free.acquire()
                    truth = read_label(row[label], f"{source}: row {number}") if label else None
                    in_hand[str(number)] = (time.monotonic(), truth)
                    key = MessageKey(_PLATFORM, community, "file", str(number))
                    author = Author(f"row-{number}", f"row {number}")
                    await pipeline.receive(Message(key, author, row[text], datetime.now(UTC)))
            for _ in range(IN_HAND):
                await free.acquire()
            findings.seconds = time.monotonic() - began
            task.cancel()
    return findings
