"""The service in a process of its own, and a store that cannot be used when it starts, or later turns out damaged."""

import asyncio
import contextlib
import os
import signal
import sqlite3
import sys
from collections.abc import AsyncIterator
from pathlib import Path

CONFIG = """
[service]
port = 0
data_folder = "{folder}/data"
key_file = "{folder}/sealing.key"
"""


@contextlib.asynccontextmanager
async def service(folder: Path) -> AsyncIterator[asyncio.subprocess.Process]:
    """`python -m bot run` on this folder; killed at the end, if it still runs."""
    config = folder / "config.toml"
    config.write_text(CONFIG.format(folder=folder), encoding="utf-8")
    environment = {name: value for name, value in os.environ.items() if not name.startswith("DOMOVOI_")}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "bot", "run", "--config", str(config)),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env=environment,
    )
    try:
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()


async def told(process: asyncio.subprocess.Process, words: str, timeout_s: float = 60.0) -> str:
    """The first line with these words; fails with everything said so far if none comes."""
    said: list[str] = []
    assert process.stdout is not None
    try:
        async with asyncio.timeout(timeout_s):
            while line := (await process.stdout.readline()).decode():
                said.append(line)
                if words in line:
                    return line
    except TimeoutError:
        pass
    raise AssertionError(f"nothing said {words!r}:\n{''.join(said)}")


async def ended(process: asyncio.subprocess.Process) -> int:
    """Stopped by SIGTERM; its exit status."""
    process.send_signal(signal.SIGTERM)
    async with asyncio.timeout(10):
        return await process.wait()


async def test_a_locked_store_is_waited_for(tmp_path: Path) -> None:
    """Another program has it to itself when the service starts: it says so, and starts once it is free."""
    async with service(tmp_path) as process:
        await told(process, "Domovoi is at")
        assert await ended(process) == 0
    database = tmp_path / "data" / "domovoi.db"
    with contextlib.closing(sqlite3.connect(database, isolation_level=None)) as other:
        other.execute("PRAGMA locking_mode=EXCLUSIVE")
        other.execute("BEGIN EXCLUSIVE")
        other.execute("INSERT INTO refresh VALUES (NULL, '2026-01-01', NULL, 'test')")
        async with service(tmp_path) as process:
            await told(process, "the store does not answer; starting again", 90)
            other.execute("ROLLBACK")
            other.close()
            await told(process, "Domovoi is at")
            assert await ended(process) == 0


async def test_a_damaged_store_is_repaired_at_the_start_and_it_is_said(tmp_path: Path) -> None:
    """Half of the file is gone: it is made again, the damaged one is kept, and the log has the sentence."""
    async with service(tmp_path) as process:
        await told(process, "Domovoi is at")
        assert await ended(process) == 0
    database = tmp_path / "data" / "domovoi.db"
    raw = database.read_bytes()
    database.write_bytes(raw[: len(raw) // 2])
    async with service(tmp_path) as process:
        line = await told(process, "the store was repaired")
        assert "made again from backup-" in line
        await told(process, "Domovoi is at")
        assert await ended(process) == 0
    assert list(database.parent.glob("domovoi.db.damaged-*"))
