"""The store's disk in trouble under the running service: full (`disk_full`), locked by another process (`locked`),
failing at random (`io_errors`). Each says what was lost, and how long it took until everything was through.

`io_errors` needs `fiu-run` and `fiu-ctrl`, of the Debian package fiu-utils.
"""

import asyncio
import contextlib
import errno
import os
import re
import resource
import shutil
import sqlite3
import sys
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.soak.crash import CALM_S, begin, judged
from tests.soak.oracle import Findings, compare, read_journal
from tests.soak.processes import ROOT, Soak, soaking
from tests.soak.record import Record

SAID_BEFORE_S = 1.0
"""So long people write before the trouble begins."""
GIVEN_UP_S = 90.0
REFUSED = re.compile(r"disk I/O error|disk is full|database is locked|malformed|\[Errno \d+\]")
REPAIRED, STARTED = "the store was repaired", "started  "
"""How the service's log tells of it: what the store refused, a file that was made again, a start."""
POINTS = ("posix/io/rw/pwrite", "posix/io/rw/pread", "posix/io/sync/fdatasync", "posix/io/sync/fsync")
"""What SQLite and the log of changes call, as libfiu names it."""
FIU = ("fiu-run", "fiu-ctrl")


@dataclass(frozen=True, slots=True)
class StorageResult:
    """What came of it; times in seconds. `refused` counts what the service told that the store refused, `starts`
    how often it started, in one process, and `repairs` how often it made the store again."""

    seed: int
    messages: int
    findings: Findings
    cases: int
    refused: int
    starts: int
    repairs: int
    held_s: float
    recovery_s: float
    wall_s: float


async def disk_full(messages: int, hold_s: float, seed: int, folder: Path) -> StorageResult:
    """No file of the service may grow beyond what its write-ahead log has, then beyond what its log of changes has,
    then none may be written at all: a third of the time each."""

    async def trouble(soak: Soak) -> None:
        for limit_of in (_wal_bytes, _log_bytes, lambda soak: 0):
            with _limited(soak.service.pid, limit_of(soak)):
                await asyncio.sleep(hold_s / 3)

    return await _under(trouble, messages, hold_s, seed, folder)


async def locked(messages: int, hold_s: float, seed: int, folder: Path) -> StorageResult:
    """Another program keeps a transaction open, in which it could write."""

    async def trouble(soak: Soak) -> None:
        with contextlib.closing(sqlite3.connect(soak.database, timeout=60.0, isolation_level=None)) as other:
            other.execute("BEGIN EXCLUSIVE")
            rows = other.execute("SELECT COUNT(*) FROM message").fetchone()
            await asyncio.sleep(hold_s)
            assert other.execute("SELECT COUNT(*) FROM message").fetchone() == rows
            other.execute("ROLLBACK")

    return await _under(trouble, messages, hold_s, seed, folder)


async def io_errors(messages: int, hold_s: float, probability: float, seed: int, folder: Path) -> StorageResult:
    """Each read, write and flush of a file fails with this probability. Raises `LookupError` without fiu-utils."""
    if missing := [name for name in FIU if shutil.which(name) is None]:
        raise LookupError(f"{' and '.join(missing)} not found: install the Debian package fiu-utils")

    async def trouble(soak: Soak) -> None:
        await _control(
            soak, *(f"enable_random name={point},probability={probability},failinfo={errno.EIO}" for point in POINTS)
        )
        await asyncio.sleep(hold_s)
        await _control(soak, *(f"disable name={point}" for point in POINTS))

    return await _under(trouble, messages, hold_s, seed, folder, ("fiu-run", "-x", "-f", str(folder / "fiu")))


@dataclass(slots=True)
class _Served:
    """A service that was forked from nobody, and its log, which is no file: the disk's trouble is not the log's."""

    process: asyncio.subprocess.Process
    told: str = ""

    async def listen(self) -> None:
        """Until it ends."""
        assert self.process.stdout is not None
        while said := await self.process.stdout.read(2**16):
            self.told += said.decode(errors="replace")


@contextlib.asynccontextmanager
async def _served(soak: Soak, *before: str) -> AsyncIterator[_Served]:
    """The service, by this command before its own; stopped in good order at the end."""
    where, environment = soak.simulators.where, {**os.environ, "OMP_NUM_THREADS": "1"}
    environment |= zip(("DOMOVOI_DISCORD_TOKEN", "DOMOVOI_TELEGRAM_TOKEN"), where["tokens"], strict=True)
    addresses = [where[name] for name in ("discord", "gateway", "telegram")]
    process = await asyncio.create_subprocess_exec(
        *(*before, sys.executable, "-m", "tests.soak.storage_service", str(soak.folder), *addresses),
        cwd=ROOT,
        env=environment,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    served = _Served(process)
    soak.service.pid = process.pid
    await soak.simulators.ask("life", pid=process.pid)
    async with asyncio.TaskGroup() as group:
        group.create_task(served.listen())
        try:
            async with asyncio.timeout(60):
                while '"up"' not in served.told:
                    await asyncio.sleep(0.05)
            yield served
            assert process.returncode is None, "the service ended by itself: see faulty.log"
        finally:
            with contextlib.suppress(ProcessLookupError):
                process.terminate()
            try:
                async with asyncio.timeout(10):
                    await process.wait()
            except TimeoutError:
                process.kill()
                await process.wait()
            (soak.folder / "faulty.log").write_text(served.told, encoding="utf-8")
    process._transport.close()  # type: ignore[attr-defined]


async def _under(
    trouble: Callable[[Soak], Coroutine[Any, Any, None]],
    messages: int,
    hold_s: float,
    seed: int,
    folder: Path,
    before: tuple[str, ...] = (),
) -> StorageResult:
    """People write before and during the trouble; then everything gets time to come through."""
    began = time.monotonic()
    async with soaking(folder, seed) as soak:
        await begin(soak)
        await soak.service.kill()
        async with _served(soak, *before) as served:
            async with asyncio.TaskGroup() as group:
                group.create_task(soak.simulators.ask("say", count=messages, over_s=SAID_BEFORE_S + hold_s))
                await asyncio.sleep(SAID_BEFORE_S)
                await trouble(soak)
                lifted = time.monotonic()
            await soak.simulators.ask("settle")
            recovery_s = await through(soak) - lifted
        findings, cases = await judged(soak)
    told = served.told
    counts = (len(REFUSED.findall(told)), told.count(STARTED), told.count(REPAIRED))
    return StorageResult(seed, messages, findings, cases, *counts, hold_s, recovery_s, time.monotonic() - began)


async def through(soak: Soak) -> float:
    """Returns the moment (of the monotonic clock) from which nothing was under way or missing; or gives up when that
    takes long, and then the oracle has something to say."""
    asked = last = time.monotonic()
    calls = -1
    while (now := time.monotonic()) - last < CALM_S and now - asked < GIVEN_UP_S:
        state = await soak.simulators.ask("state")
        if state["calls"] != calls or state["waiting"] or not await _settled(soak):
            calls, last = state["calls"], time.monotonic()
        await asyncio.sleep(0.3)
    return last


async def _settled(soak: Soak) -> bool:
    path = soak.folder / "so-far.json"
    await soak.simulators.ask("record", path=str(path))

    def look() -> bool:
        try:
            journal = read_journal(soak.database, soak.key)
        except sqlite3.Error:  # while it is made again
            return False
        return journal.settled and not compare(Record.read(path), journal)

    return await asyncio.to_thread(look)


@contextlib.contextmanager
def _limited(pid: int, limit_bytes: int) -> Iterator[None]:
    """No file of the process may grow beyond this; a write that would fails with EFBIG, as one on a full disk with
    ENOSPC."""
    before = resource.prlimit(pid, resource.RLIMIT_FSIZE)
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (limit_bytes, before[1]))
    try:
        yield
    finally:
        with contextlib.suppress(ProcessLookupError):
            resource.prlimit(pid, resource.RLIMIT_FSIZE, before)


async def _control(soak: Soak, *commands: str) -> None:
    options = [part for command in commands for part in ("-c", command)]
    process = await asyncio.create_subprocess_exec(
        "fiu-ctrl", "-f", str(soak.folder / "fiu"), *options, str(soak.service.pid), stdout=asyncio.subprocess.PIPE
    )
    said, _ = await process.communicate()
    assert not said, said.decode()


def _wal_bytes(soak: Soak) -> int:
    return soak.database.with_name("domovoi.db-wal").stat().st_size


def _log_bytes(soak: Soak) -> int:
    return max(path.stat().st_size for path in (soak.database.parent / "backups").glob("changes-*.log"))
