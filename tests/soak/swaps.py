"""Adapters swapped again and again while many ask for scores: `swaps` says whether each score is of one version.

The model's process is the real one, with the embedded base. Three versions of its adapter differ in which label an
output row stands for, so each text has three verdicts that cannot be taken for one another.
"""

import asyncio
import random
import shutil
import sys
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from safetensors.torch import load, save

from bot.learning.refresh import Learning
from bot.store import Sealer, Store
from model.adapters.registry import GLOBAL, SHIPPED, Registry, read_manifest, read_weights, write_adapter
from model.classifier import Item, Verdict
from model.labels import LABELS
from model.serving.batcher import Batcher
from model.serving.worker import Worker
from tests.soak.processes import ROOT

TURNED = {"v1": 1, "v2": 2}
"""By how many rows the outputs are turned; the shipped version by none."""
TEXTS = tuple(
    f"{start} {rest}"
    for start in ("you are", "they are", "this is", "what a", "I love")
    for rest in ("great", "an idiot", "the worst", "my friend", "a dog", "so dumb", "good news", "vile", "late", "ok")
)
CALLERS, PAUSE_S, BATCH_TOKENS = 100, 0.02, 150
"""Each pauses for up to so long between two questions, and about every fourth fits into a batch: so batches begin
before a swap and end behind it."""
NOTICED_S = 0.01
"""How often a new adapter is looked for while swaps are many; a bot looks every second."""
SAME, OTHER = 1e-3, 0.05
"""A verdict may differ this little from the one computed alone, since other texts share its batch; and those of two
versions must differ this much."""

Shares = tuple[float, ...]
Known = Mapping[tuple[str, str], Shares]
"""The verdict on each (text, version)."""


@dataclass(frozen=True, slots=True)
class Asked:
    """One score: which adapter was to answer, which one says it did, and what."""

    text: str
    adapter: str
    answered: str
    shares: Shares


@dataclass(frozen=True, slots=True)
class SwapResult:
    """What came of it. `wrong` are sentences; `by_version` counts scores, `mixed` batches with more than one version;
    `rollback_s` runs from the command's start until another version has answered."""

    seed: int
    scores: int
    answers: int
    swaps: int
    by_version: Mapping[str, int]
    mixed: int
    wrong: tuple[str, ...]
    rollback_s: float
    slowest_notice_s: float
    wall_s: float


@dataclass(slots=True)
class Watched:
    """Passes on to the worker, and counts batches in which versions meet."""

    worker: Worker
    mixed: int = 0

    async def classify(self, items: Sequence[Item]) -> list[Verdict]:
        """The worker's."""
        self.mixed += len({item.adapter for item in items}) > 1
        return await self.worker.classify(items)

    async def embed(self, texts: Sequence[str]) -> list[list[float]]:
        """The worker's."""
        return await self.worker.embed(texts)


@dataclass(slots=True)
class Load:
    """People who ask all the time, each for the adapter that serves at that moment."""

    learning: Learning
    batcher: Batcher
    dice: random.Random
    asked: list[Asked] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    left: int = 0

    async def ask(self) -> None:
        """Until enough was asked."""
        while self.left > 0:
            self.left -= 1
            item = Item(self.dice.choice(TEXTS), self.learning.adapter_of("town"))
            try:
                verdict = (await self.batcher.classify([item]))[0]
            except Exception as error:
                self.failed.append(f"{item.text!r} by {item.adapter}: {error!r}")
            else:
                self.asked.append(Asked(item.text, item.adapter, verdict.adapter, shares_of(verdict)))
            await asyncio.sleep(self.dice.uniform(0.0, PAUSE_S))

    @property
    def done(self) -> int:
        """Scores and failures so far."""
        return len(self.asked) + len(self.failed)


def shares_of(verdict: Verdict) -> Shares:
    """In the labels' order."""
    return tuple(verdict.probabilities[label] for label in LABELS)


def inconsistent(asked: Sequence[Asked], known: Known) -> list[str]:
    """What is not exactly one version's word, and the version's that was to answer."""
    versions = sorted({version for _, version in known})
    found = []
    for one in asked:
        said = [version for version in versions if _apart(one.shares, known[one.text, version]) < SAME]
        if not said == [one.answered] == [one.adapter]:
            wanted = f"was to be {one.adapter}'s, is said to be {one.answered}'s"
            found.append(f"{one.text!r}: {wanted}, and is {' and '.join(said) or 'nobody'}'s")
    return found


def indistinct(known: Known) -> list[str]:
    """Texts on which two versions agree: they could be taken for one another."""
    versions = sorted({version for _, version in known})
    return [
        f"{text!r}: {one} and {other} agree"
        for text in {text for text, _ in known}
        for place, one in enumerate(versions)
        for other in versions[:place]
        if _apart(known[text, one], known[text, other]) < OTHER
    ]


def _apart(one: Shares, other: Shares) -> float:
    return max(abs(a - b) for a, b in zip(one, other, strict=True))


def versions_in(root: Path) -> list[str]:
    """Writes the turned versions; names all three, the shipped one first."""
    manifest = read_manifest(SHIPPED)
    weights = load(read_weights(SHIPPED, manifest))
    for version, rows in TURNED.items():
        (root / GLOBAL / version).mkdir(parents=True)
        turned = {f"head.out.{part}": weights[f"head.out.{part}"].roll(rows, 0) for part in ("weight", "bias")}
        changed = replace(manifest, version=version, created_at=f"2026-01-0{rows}")
        write_adapter(root / GLOBAL / version, changed, save({**weights, **turned}))
    return [f"{GLOBAL}/{version}" for version in (manifest.version, *TURNED)]


async def swaps(scores: int, count: int, seed: int, folder: Path) -> SwapResult:
    """So many scores, and so many promotions and rollbacks spread over them; then one more rollback, by command."""
    began = time.monotonic()
    root = folder / "adapters"
    names = versions_in(root)
    registry = Registry(root, SHIPPED)
    slowest_s = 0.0
    async with Store.open(folder / "domovoi.db", Sealer(bytes(range(32)))) as store:
        learning = Learning(store, registry, [], lambda told: None)
        async with (
            Worker("minilm", registry.folder, threads=1, tries_adapters=False) as worker,
            asyncio.TaskGroup() as group,
        ):
            known = await _known(worker, names)
            watched = Watched(worker)
            batcher = Batcher(watched, max_batch_tokens=BATCH_TOKENS)
            load_ = Load(learning, batcher, random.Random(seed), left=scores)
            serving = group.create_task(batcher.run())
            watching = group.create_task(learning.watch(lambda adapter, problem: None, every_s=NOTICED_S))
            callers = [group.create_task(load_.ask()) for _ in range(CALLERS)]
            dice = random.Random(seed)
            for number in range(1, count + 1):
                while load_.done < scores * number // (count + 1):
                    await asyncio.sleep(0.001)
                slowest_s = max(slowest_s, await _swap(registry, learning, dice))
            await asyncio.gather(*callers)
            while not registry.promoted():
                await _swap(registry, learning, dice)
            watching.cancel()
            watching = group.create_task(learning.watch(lambda adapter, problem: None))
            rollback_s = await _rolled_back(registry, load_, group, root)
            for task in (watching, serving):
                task.cancel()
    shutil.rmtree(root, ignore_errors=True)
    wrong = (*indistinct(known), *inconsistent(load_.asked, known), *load_.failed)
    by_version = Counter(one.answered for one in load_.asked[:scores])
    answers = min(len(load_.asked), scores)
    wall_s = time.monotonic() - began
    return SwapResult(seed, scores, answers, count, by_version, watched.mixed, wrong, rollback_s, slowest_s, wall_s)


async def _known(worker: Worker, names: Sequence[str]) -> Known:
    """Each text alone by each version."""
    found = {}
    for name in names:
        for text in TEXTS:
            found[text, name] = shares_of((await worker.classify([Item(text, name)]))[0])
    return found


async def _swap(registry: Registry, learning: Learning, dice: random.Random) -> float:
    """Another version serves, by a promotion or back by a rollback; returns how long that took to be noticed."""
    before, began = registry.current(), time.monotonic()
    if registry.promoted() and dice.random() < 0.5:
        registry.rollback()
    else:
        registry.promote(f"{GLOBAL}/{dice.choice([v for v in TURNED if f'{GLOBAL}/{v}' != before])}")
    async with asyncio.timeout(10):
        while learning.serving != registry.current():
            await asyncio.sleep(0.001)
    assert learning.serving != before
    return time.monotonic() - began


async def _rolled_back(registry: Registry, load_: Load, group: asyncio.TaskGroup, root: Path) -> float:
    """The operator's command, while people still ask and a bot looks as often as in life."""
    before = registry.current()
    load_.left, first = 10**9, len(load_.asked)
    asking = [group.create_task(load_.ask()) for _ in range(4)]
    began = time.monotonic()
    command = (sys.executable, "-m", "training.promote", "--rollback", "--adapters", str(root))
    pipe = asyncio.subprocess.DEVNULL
    process = await asyncio.create_subprocess_exec(*command, cwd=ROOT, stdout=pipe, stderr=pipe)
    assert await process.wait() == 0
    process._transport.close()  # type: ignore[attr-defined]
    async with asyncio.timeout(30):
        while all(one.answered == before for one in load_.asked[first:]):
            await asyncio.sleep(0.01)
    took_s = time.monotonic() - began
    load_.left = 0
    await asyncio.gather(*asking)
    return took_s
