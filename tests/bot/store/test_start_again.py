"""The service in a process of its own: its store locked or damaged at the start, backed up, and restored by command."""

import asyncio
import contextlib
import os
import re
import signal
import sqlite3
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from yarl import URL

from tests.bot.signed_in import by_link

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


async def test_a_backup_is_made_once_a_day(tmp_path: Path) -> None:
    """The last one is a day old: a start makes another at once; the next start does not."""
    async with service(tmp_path) as process:
        await told(process, "Domovoi is at")
        assert await ended(process) == 0
    folder = tmp_path / "data" / "backups"
    (old,) = folder.glob("backup-*.db")
    yesterday = time.time() - 25 * 3600
    os.utime(old, (yesterday, yesterday))
    async with service(tmp_path) as process:
        await told(process, "backed up")
        assert await ended(process) == 0
    assert max(file.stat().st_mtime for file in folder.glob("backup-*.db")) > yesterday + 3600
    async with service(tmp_path) as process:
        await told(process, "Domovoi is at")
        with pytest.raises(AssertionError, match="nothing said"):
            await told(process, "backed up", timeout_s=3)


async def run(folder: Path, *arguments: str) -> tuple[int, str]:
    """A command of the bot on this folder's configuration: its exit status, and what it said."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "bot", *arguments, "--config", str(folder / "config.toml")),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said, _ = await process.communicate()
    assert process.returncode is not None
    return process.returncode, said.decode()


async def says(link: str, text: str) -> None:
    """Somebody writes in the try-out chat, who came by a link from the terminal."""
    async with by_link(link) as session, session.post("/api/messages", json={"person": "ann", "text": text}) as answer:
        assert answer.status == 201, await answer.text()


def texts(database: Path) -> int:
    """How many messages the store has."""
    with contextlib.closing(sqlite3.connect(database)) as other:
        return int(other.execute("SELECT COUNT(*) FROM message").fetchone()[0])


async def test_backup_and_restore_as_a_person_types_them(tmp_path: Path) -> None:
    """A copy is made while the service runs; a restore waits for it to stand still, and does what came after the copy
    as well. What cannot be done is one line, and changes nothing."""
    copy, database = tmp_path / "copy.db", tmp_path / "data" / "domovoi.db"
    async with service(tmp_path) as process:
        address = re.search(r"http://\S+token=\S+", await told(process, "to sign in"))
        assert address is not None
        await says(address[0], "hello")
        status, said = await run(tmp_path, "backup", str(copy))
        assert status == 0 and "sealing.key" in said and texts(copy) == 1
        status, said = await run(tmp_path, "link")
        assert status == 0 and said.count("\n") == 1
        link = URL(address[0]).with_query(URL(said.strip()).query)  # this service has a port of its own choice
        await says(str(link), "good morning")
        status, said = await run(tmp_path, "restore", str(copy))
        assert status == 2 and "stop it first" in said and said.count("\n") == 1
        assert await ended(process) == 0
    for arguments, expected in (
        (("backup", str(copy)), "is there already"),
        (("backup", str(tmp_path / "nowhere" / "copy.db")), "a folder there is"),
        (("restore", str(tmp_path / "config.toml")), "nothing was changed"),
        (("restore", str(tmp_path / "nowhere.db")), "is no file"),
    ):
        status, said = await run(tmp_path, *arguments)
        assert status == 2 and expected in said and said.count("\n") == 1, said
    database.unlink()
    status, said = await run(tmp_path, "restore", str(copy))
    assert status == 0 and "copy.db" in said and texts(database) == 2
    async with service(tmp_path) as process:
        await told(process, "Domovoi is at")
        assert await ended(process) == 0
