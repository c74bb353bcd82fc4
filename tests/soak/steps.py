"""One small day of a community, in which the n-th step at one boundary fails: SQLite's way of testing for faults.

The store, the log of changes, the adapters' folder, the pipeline, the case service, the batcher and the cards' pace are
the real ones. Stubs stand where the outside begins: a platform and a board that note what reached them, and a
classifier that answers by a word in the text. `run` lives the day with one fault and lets everything come to rest; a
crash is an exception nobody catches, after which nothing reaches disk or platform any more, and a start from what is on
the disk.
"""

import asyncio
import contextlib
import itertools
import shutil
import sqlite3
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from bot.cases.delivery import CardDelivery, Pace
from bot.cases.service import CaseService
from bot.domain.case import Case
from bot.domain.event import Author, Message, MessageKey
from bot.domain.policy import LabelPolicy, Mode, Policy, Strikes
from bot.learning.refresh import Learning
from bot.pipeline.pipeline import Pipeline
from bot.store import Sealer, Store
from model.adapters.registry import SHIPPED, WEIGHTS_FILE, Registry, read_manifest, write_adapter
from model.labels import Label
from model.serving.batcher import Batcher
from model.serving.coalescing import Coalescer
from tests.journal import unfinished
from tests.soak.faults import EXCUSED, KINDS, Crash, Fault, hook
from tests.soak.oracle import compare, read_journal
from tests.soak.outside import COMMUNITY, PLATFORM, StubBoard, StubModel, StubPlatform, World

SEALER = Sealer(bytes(range(32)))
DAY = ("hello", "HATE one", "RUDE one", "good morning", "HATE two", "RUDE two", "see you", "ODD one")
EDITED = "good morning HATE"
POLICY = Policy(
    mode=Mode.ENFORCE,
    hate=LabelPolicy(alert_at=0.5, act_at=0.85, actions=("delete", "warn", "timeout")),
    offensive=LabelPolicy(alert_at=0.7, act_at=0.75, actions=("warn", "ban")),
    strikes=Strikes(timeout_at=None),
    max_actions_per_hour=1000,
)
REST_S = 10.0
"""So long everything may take to come to rest after the fault: thousands of times what it takes."""


MOST_REFUSALS, MOST_BROKEN = 20, 3


@dataclass
class Service:
    """The parts of one process."""

    store: Store
    pipeline: Pipeline
    case_service: CaseService
    delivery: CardDelivery
    learning: Learning


@asynccontextmanager
async def process(folder: Path, world: World, fault: Fault) -> AsyncIterator[Service]:
    """Starts from what is on the disk and ends when the block does, or when the fault is a crash."""
    registry = Registry(folder / "adapters", SHIPPED)
    platform = StubPlatform(world, fault)
    async with Store.open(folder / "domovoi.db", SEALER) as store:
        delivery = CardDelivery(store, StubBoard(world, fault), Pace(burst=2, redraw_s=0.01))
        batcher = Batcher(StubModel(fault))
        classifier = Coalescer(batcher)
        learning = Learning(store, registry, [], lambda told: None)
        pipeline = Pipeline(
            store,
            classifier,
            {PLATFORM: platform},
            adapter_of=learning.adapter_of,
            changed=lambda case: delivery.show(case.id),
            notice=delivery.notify,
        )
        case_service = CaseService(store, pipeline, classifier, changed=lambda case: delivery.show(case.id))
        await delivery.resume()
        works = [batcher.run(), pipeline.run(), delivery.run(), learning.watch(lambda *told: None, every_s=0.01)]
        loop = asyncio.get_running_loop()  # no TaskGroup: a crash is to end them all without a word
        tasks = [loop.create_task(work) for work in works]
        try:
            yield Service(store, pipeline, case_service, delivery, learning)
            ended = [task for task in tasks if task.done() and not fault.dead]
            assert not ended, f"a part of the service has ended: {ended[0]}"
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


def said(name: str, text: str, revision: int = 0) -> Message:
    """As a platform's event."""
    key = MessageKey(PLATFORM, COMMUNITY, "lounge", name, revision)
    return Message(key, Author(name, name.title()), text, datetime.now(UTC))


class Day:
    """What people and moderators do, in order. Whatever was not acknowledged is done again, as a platform and a person
    whose click came to nothing do."""

    def __init__(self, folder: Path, world: World) -> None:
        self.registry = Registry(folder / "adapters", SHIPPED)
        self.world = world
        self.done = 0
        self.words: dict[int, str] = {}
        """Moderators' words that were acknowledged, by case."""
        self.undone: set[int] = set()
        """Cases of which a moderator was told that they are undone."""

    async def live(self, service: Service, fault: Fault) -> None:
        """From where the day has come to, to its end or to a crash."""
        steps: list[Callable[[Service], Any]] = [lambda s: s.pipeline.set_policy(COMMUNITY, POLICY)]
        for number, text in enumerate(DAY):
            steps.append(lambda s, n=number, t=text: self._says(s, f"m{n}", t, 0))  # type: ignore[misc]
        said_last = steps[6]
        steps.insert(4, lambda s: self._swap("v1"))
        steps.append(lambda s: self._says(s, "m3", EDITED, 1))
        steps.append(lambda s: self._swap("v2"))
        steps += [lambda s: self._word(s, "m7", "offensive"), lambda s: self._word(s, "m1", "hate")]
        steps.append(lambda s: self._undo(s, "m2"))
        steps.insert(steps.index(said_last) + 1, lambda s: self._undo(s, "m5"))  # while it is being done
        refused = 0
        while self.done < len(steps) and not fault.dead:
            try:
                await steps[self.done](service)
            except (Crash, asyncio.CancelledError):
                raise
            except Exception:
                if (refused := refused + 1) > MOST_REFUSALS:
                    raise
                await asyncio.sleep(0.01)
            else:
                self.done, refused = self.done + 1, 0

    async def _says(self, service: Service, name: str, text: str, revision: int) -> None:
        texts = self.world.said.setdefault(name, [])
        if len(texts) == revision:
            texts.append(text)
        await service.pipeline.receive(said(name, text, revision))

    async def _swap(self, version: str) -> None:
        self.registry.promote(f"global/{version}")

    async def _case(self, service: Service, name: str) -> Case:
        async with asyncio.timeout(REST_S):
            while (case := await service.store.case_of(PLATFORM, COMMUNITY, name)) is None:
                await asyncio.sleep(0.01)
        return case

    async def _undo(self, service: Service, name: str) -> None:
        case = await self._case(service, name)
        await service.case_service.undo(case, "dana")
        self.undone.add(case.id)

    async def _word(self, service: Service, name: str, label: str) -> None:
        case = await self._case(service, name)
        if str(case.decision.label) == label:
            await service.case_service.confirm(case, "dana")
        else:
            await service.case_service.correct(case, "dana", Label(label))
        self.words[case.id] = label


async def at_rest(service: Service, world: World) -> None:
    """Waits until nothing is under way and every case is shown; raises TimeoutError where that does not come."""
    until = time.monotonic() + REST_S
    while await _is_under_way(service, world):
        if time.monotonic() > until:
            left = [(row.text, row.state) for row in await unfinished(service.store, PLATFORM)]
            raise TimeoutError(f"still under way: {left}; digests show {world.digests}")
        await asyncio.sleep(0.02)
    await asyncio.sleep(0.06)  # time for whatever is done once too often


async def _is_under_way(service: Service, world: World) -> bool:
    if await unfinished(service.store, PLATFORM):
        return True
    if await service.store.cards.unposted(PLATFORM, datetime.now(UTC) - timedelta(days=9)):
        return True
    for name, shown in world.digests.items():  # a digest is redrawn later than its cases are recorded
        if shown < len(await service.store.cards.cases_of(PLATFORM, "board", name)):
            return True
    return False


async def run(template: Path, folder: Path, fault: Fault, monkeypatch: pytest.MonkeyPatch) -> tuple[World, Day]:
    """The day with its fault, and the starts after a crash, until everything is at rest."""
    shutil.copytree(template, folder)
    world = World()
    day = Day(folder, world)
    with monkeypatch.context() as patch:
        hook(patch, fault)
        try:
            async with process(folder, world, fault) as service:
                loop = asyncio.get_running_loop()
                living, dying = loop.create_task(_lives(day, service, fault)), loop.create_task(fault.crashed.wait())
                await asyncio.wait({living, dying}, return_when=asyncio.FIRST_COMPLETED)
                dying.cancel()
                living.cancel()
                await asyncio.gather(living, dying, return_exceptions=True)
                if not fault.dead:
                    living.result()
        except BaseExceptionGroup as group:
            if not fault.dead:
                raise
            assert group.subgroup(Crash) is not None
        except Crash:
            pass
        if fault.dead:
            sound = Fault("", "", 0)
            hook(patch, sound)
            async with process(folder, world, sound) as service:
                await _lives(day, service, sound)
    return world, day


@dataclass(frozen=True, slots=True)
class StepResult:
    """So many days with one fault each, and the first broken invariant of each that had one."""

    combinations: int
    broken: tuple[str, ...]
    wall_s: float


async def every_step(
    template: Path, folder: Path, boundary: str, kind: str, first: int = 1, stride: int = 1
) -> tuple[int, list[str]]:
    """Fails one step at a boundary, then a later one, until a day has none left: (steps of the last day, what broke).

    `first` is the number of the first step that fails, and every `stride`-th step fails after it.
    """
    broken: list[str] = []
    for number in itertools.count(first, stride):
        fault, here = Fault(boundary, kind, number), folder / str(number)
        try:
            with pytest.MonkeyPatch.context() as patch:
                world, day = await run(template, here, fault, patch)
            broken += broken_by(world, day, here, fault)[:1]
        except TimeoutError as error:
            broken.append(f"{boundary}: {kind}, step {number}: {error}")
        shutil.rmtree(here)
        if not fault.fired or len(broken) > MOST_BROKEN:
            return number - 1, broken
    raise AssertionError  # for the type checker: the days do not end


async def every_fault(folder: Path) -> StepResult:
    """Every step of every kind at every boundary."""
    began, days, broken = time.monotonic(), 0, list[str]()
    template = await made(folder / "template")
    for boundary, kinds in KINDS.items():
        for kind in kinds:
            count, found = await every_step(template, folder / "days", boundary, kind)
            days, broken = days + count, broken + found
    return StepResult(days, tuple(broken), time.monotonic() - began)


def broken_by(world: World, day: Day, folder: Path, fault: Fault) -> list[str]:
    """Every invariant that does not hold after the day; those about messages are in `oracle.py`.

    A fault that excuses something excuses one message. What moderators were told is done is on disk, every verdict
    names an adapter there is, and the adapter promoted last serves.
    """
    told = f"{fault.boundary}: {fault.kind}, step {fault.number}"
    found = compare(world.record(), read_journal(folder / "domovoi.db", SEALER))
    broken = [*found.lost, *found.doubled, *found.unjournalled]
    not_done = {sentence.split(":")[0] for sentence in found.not_done}
    if len(not_done) > (fault.fired and fault.kind in EXCUSED):
        broken += found.not_done
    if found.maybe_sent and fault.kind.removesuffix(" after") not in ("crash", "unreachable", "unreadable"):
        broken.append("a warning may have been sent, though nothing left that open")
    with contextlib.closing(sqlite3.connect(folder / "domovoi.db")) as connection:
        words = dict(connection.execute("SELECT case_id, label FROM correction").fetchall())
        undone = {case for (case,) in connection.execute('SELECT id FROM "case" WHERE undone')}
        adapters = {name for (name,) in connection.execute("SELECT DISTINCT adapter FROM message")}
    if not day.words.items() <= words.items():
        broken.append(f"moderators said {day.words}, the store has {words}")
    if not day.undone <= undone:
        broken.append(f"moderators undid {day.undone}, the store has {undone}")
    known = {None, *(f"global/{manifest.version}" for manifest in day.registry.versions())}
    if not adapters <= known or day.registry.current() != "global/v2":
        broken.append(f"adapters {adapters} of {known}; {day.registry.current()} serves")
    return [f"{told}: {sentence}" for sentence in broken]


async def made(folder: Path) -> Path:
    """A data folder of a community that has just begun, with two adapters to choose from."""
    async with Store.open(folder / "domovoi.db", SEALER):
        pass
    for version in ("v1", "v2"):
        copy = folder / "adapters" / "global" / version
        shutil.copytree(SHIPPED, copy)
        manifest = read_manifest(copy)
        write_adapter(copy, replace(manifest, version=version), (copy / WEIGHTS_FILE).read_bytes())
    return folder


async def _lives(day: Day, service: Service, fault: Fault) -> None:
    await day.live(service, fault)
    await at_rest(service, day.world)
