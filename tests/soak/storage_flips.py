"""Bytes of the store's files flipped while nobody has it open: `flips` says what the next start made of it.

The store is one that the service itself wrote and was killed over, so there is a write-ahead log, and messages are
half-way; moderators' words, consents and a second backup come in between.
"""

import contextlib
import random
import shutil
import signal
import sqlite3
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bot.platforms.telegram.events import community_of
from bot.store import Damaged, KeyMissing, NewerStore, Sealer, Store
from tests.conftest import said
from tests.journal import unfinished
from tests.soak.crash import begin, settled, start
from tests.soak.processes import files_of, soaking

CLEAR = (Damaged, KeyMissing, NewerStore)
"""A start that refuses says so with one of these."""
HEADER_BYTES, SCHEMA_PAGES, PAGE = 100, 4, 4096
Content = Mapping[str, Sequence[tuple[Any, ...]]]
"""Every row of every table, by its rowid."""


@dataclass(frozen=True, slots=True)
class Flip:
    """Where: a file in the store's folder, a byte of it, and which of its bits."""

    file: str
    offset: int
    bits: int


@dataclass(frozen=True, slots=True)
class FlipResult:
    """What came of it. `classes` counts starts by what they made of the flip: "whole" (nothing was lost and nothing had
    to be done), "repaired" (made again, with all its content), "refused" (with one clear line), "cell" (every row is
    there, and one cell of one differs unnoticed; `cells` counts by column), "lost" and "failed". `wrong` are sentences
    about what must not be: rows lost, an empty start, a start that failed otherwise."""

    seed: int
    trials: int
    rows: int
    classes: Mapping[str, int]
    cells: Mapping[str, int]
    wrong: tuple[str, ...]
    slowest_start_s: float
    wall_s: float
    many: str = ""
    """The class of a thousand flips at once."""


@dataclass(slots=True)
class Trials:
    """The same store again and again, each time with something else flipped."""

    store: Path
    key: Path
    work: Path
    sealer: Sealer = field(init=False)
    before: Content = field(default_factory=dict)
    acknowledged: Content = field(default_factory=dict)
    """The process may have been killed between a change that is in the log and its commit, on which nobody counts: a
    start does it again (`redone`, and `before` is with it), but for one that finds the log damaged."""
    redone: int = 0

    async def begin(self) -> None:
        """What a start finds where nothing was flipped."""
        self.sealer = Sealer.from_file(self.key, create=False)
        self._copy()
        self.acknowledged = content(self.work / "domovoi.db")
        self._copy()
        async with Store.open(self.work / "domovoi.db", self.sealer) as store:
            self.redone = store.recovery.changes if store.recovery else 0
            self.before = content(self.work / "domovoi.db")

    async def start(self, flips: Sequence[Flip]) -> tuple[str, list[str], float]:
        """(class, cells that differ or the sentence that tells what is wrong, seconds until it was open)."""
        self._copy()
        for flip in flips:
            with (self.work / flip.file).open("r+b") as file:
                file.seek(flip.offset)
                byte = file.read(1)[0]
                file.seek(flip.offset)
                file.write(bytes([byte ^ flip.bits]))
        began = time.monotonic()
        try:
            async with Store.open(self.work / "domovoi.db", self.sealer) as store:
                took_s = time.monotonic() - began
                kind, found = self._compared(content(self.work / "domovoi.db"))
                if kind == "whole" and (recovery := store.recovery) is not None:
                    kind = "repaired" if recovery.backup or recovery.changes > self.redone else kind
                await self._used(store)
        except CLEAR as error:
            return "refused", [str(error)] if "\n" in str(error) else [], time.monotonic() - began
        except Exception as error:
            return "failed", [repr(error)], time.monotonic() - began
        return kind, found, took_s

    def _compared(self, after: Content) -> tuple[str, list[str]]:
        redone = compared(self.before, after)
        acknowledged = compared(self.acknowledged, after)
        return acknowledged if acknowledged[0] == "whole" else redone

    async def _used(self, store: Store) -> None:
        """What is there can be read, and something new written."""
        for platform in ("discord", "telegram"):
            await unfinished(store, platform)
            await store.inbox.waiting(platform)
        for community in {row[0].decode() for row in self.before["policy"]}:
            await store.cases(community, 10_000)
            await store.messages(community, datetime(2020, 1, 1, tzinfo=UTC))
            await store.policy(community)
        assert await store.record_seen(said("after it", "after it"), datetime.now(UTC)) is not None

    def _copy(self) -> None:
        shutil.rmtree(self.work, ignore_errors=True)
        shutil.copytree(self.store, self.work, ignore=shutil.ignore_patterns("*-shm", "adapters", "*.lock"))


def compared(before: Content, after: Content) -> tuple[str, list[str]]:
    """("whole", "cell" or "lost", columns or sentences)."""
    if lost := [name for name, rows in before.items() if len(after.get(name, ())) < len(rows)]:
        return "lost", [f"{name}: {len(after.get(name, ()))} of {len(before[name])} rows" for name in lost]
    cells = []
    for name, rows in before.items():
        if len(after[name]) > len(rows):
            return "lost", [f"{name}: {len(after[name])} rows instead of {len(rows)}"]
        for old, new in zip(rows, after[name], strict=True):
            cells += [f"{name}[{place}]" for place, (a, b) in enumerate(zip(old, new, strict=True)) if a != b]
    return ("cell", cells) if cells else ("whole", [])


def content(path: Path) -> Content:
    """Read as anybody could; a text that is none comes as bytes."""
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.text_factory = bytes
        names = [n.decode() for (n,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        return {name: connection.execute(f'SELECT * FROM "{name}" ORDER BY rowid').fetchall() for name in names}  # noqa: S608


def columns(path: Path, cells: Sequence[str]) -> list[str]:
    """Their names."""
    with contextlib.closing(sqlite3.connect(path)) as connection:
        found = []
        for cell in cells:
            table, _, place = cell.rstrip("]").partition("[")
            names = [row[1] for row in connection.execute(f'PRAGMA table_info("{table}")')]
            found.append(f"{table}.{names[int(place)]}")
        return found


def flips_of(seed: int, count: int, folder: Path) -> Iterator[Flip]:
    """Half of them in the store, and of these every fourth in its header or schema, where most depends on a byte; the
    others in the write-ahead log, the logs of changes and the backups, each file as often as the others."""
    dice = random.Random(seed)
    others = sorted(str(path.relative_to(folder)) for path in (folder / "backups").iterdir())
    others = [name for name in ("domovoi.db-wal", *others) if (folder / name).stat().st_size]
    for number in range(count):
        file = "domovoi.db" if number % 2 == 0 else others[number // 2 % len(others)]
        size = (folder / file).stat().st_size
        if number % 16 == 0:
            size = HEADER_BYTES
        elif number % 16 == 8:
            size = min(size, SCHEMA_PAGES * PAGE)
        yield Flip(file, dice.randrange(size), dice.randint(1, 255))


async def flips(trials: int, seed: int, folder: Path, messages: int = 300) -> FlipResult:
    """So many starts with one flipped byte each, and one with a thousand."""
    began = time.monotonic()
    await lived(folder, messages, seed)
    database, key = files_of(folder)
    tried = Trials(database.parent, key, folder / "flipped")
    await tried.begin()
    classes, cells, wrong, slowest_s = Counter[str](), Counter[str](), list[str](), 0.0
    for flip in flips_of(seed, trials, database.parent):
        kind, found, took_s = await tried.start([flip])
        classes[kind] += 1
        slowest_s = max(slowest_s, took_s)
        if kind == "cell":
            cells.update(columns(tried.work / database.name, found))
        elif found:
            wrong.append(f"{flip}: {kind}: {'; '.join(found)}")
    dice, size = random.Random(seed), database.stat().st_size
    thousand = [Flip("domovoi.db", dice.randrange(size), dice.randint(1, 255)) for _ in range(1000)]
    many, found, took_s = await tried.start(thousand)
    if many not in ("repaired", "refused"):
        wrong.append(f"a thousand flips: {many}: {'; '.join(found)}")
    rows = sum(len(found) for found in tried.before.values())
    wall_s = time.monotonic() - began
    return FlipResult(seed, trials, rows, classes, cells, tuple(wrong), max(slowest_s, took_s), wall_s, many)


async def lived(folder: Path, messages: int, seed: int) -> None:
    """A store with a past: two backups, moderators' words, and the service killed in the middle of something."""
    async with soaking(folder, seed) as soak:
        await begin(soak)
        await soak.simulators.ask("say", count=messages)
        await settled(soak)
        soak.service.signal(signal.SIGTERM)
        assert await soak.service.ended(10.0)
        now, where = datetime.now(UTC), soak.simulators.where
        async with Store.open(soak.database, Sealer.from_file(soak.key, create=False)) as store:
            for group in where["groups"]:
                for case in await store.cases(community_of(group)):
                    await store.record_correction(case.id, "dana", "neutral", "authored", now, confirms=False)
                await store.consents.give(community_of(group), "somebody", now)
            await store.back_up()
        await start(soak)
        await soak.service.up.wait()
        await soak.simulators.ask("say", count=messages // 2, over_s=0.5)
        await soak.service.kill()
