"""Restoring, rehearsed from each starting point that docs/operations.md names, with the commands as they are typed."""

import contextlib
import os
import shutil
import sqlite3
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from bot.app import service
from bot.config import Config, Service
from bot.store import Sealer, Store
from tests.conftest import said
from tests.journal import unfinished

ROOT = Path(__file__).parents[3]


def bot(tmp: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """`python -m bot`, with a data folder and a key of its own."""
    environment = os.environ | {"DOMOVOI_DATA": str(tmp / "data"), "DOMOVOI_KEY_FILE": str(tmp / "key")}
    command = [sys.executable, "-m", "bot", *arguments]
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60)


async def copied(tmp: Path) -> Path:
    """A store with five messages, and a copy of it that was taken elsewhere; two more came after it."""
    async with Store.open(tmp / "data" / "domovoi.db", Sealer.from_file(tmp / "key", create=True)) as store:
        for number in range(5):
            await store.record_seen(said(f"text {number}", str(number)), datetime.now(UTC))
        done = bot(tmp, "backup", str(tmp / "elsewhere.db"))
        assert done.returncode == 0, done.stderr
        for number in range(5, 7):
            await store.record_seen(said(f"text {number}", str(number)), datetime.now(UTC))
    return tmp / "elsewhere.db"


async def starts_with(tmp: Path, messages: int) -> None:
    """The whole service comes up on it, has the messages, and takes another."""
    settings = Service(port=0, data_folder=str(tmp / "data"), key_file=str(tmp / "key"))
    async with service(Config(service=settings)) as running:
        store = running.parts.store
        assert len(await unfinished(store, "webchat")) == messages or messages == await rows(tmp)
        assert await store.record_seen(said("after it", "after"), datetime.now(UTC)) is not None
    async with service(Config(service=settings)) as running:
        assert await rows(tmp) == messages + 1


async def rows(tmp: Path) -> int:
    with contextlib.closing(sqlite3.connect(tmp / "data" / "domovoi.db")) as connection:
        return int(connection.execute("SELECT COUNT(*) FROM message").fetchone()[0])


@pytest.mark.parametrize("way", ["restore FILE", "copy the file"])
@pytest.mark.parametrize("folder", ["gone", "empty"])
async def test_after_a_lost_disk_the_copy_and_the_key_are_enough(tmp_path: Path, way: str, folder: str) -> None:
    """By the command, or by putting the copy where the store was."""
    copy = await copied(tmp_path)
    shutil.rmtree(tmp_path / "data")
    if folder == "empty" or way == "copy the file":
        (tmp_path / "data").mkdir()
    if way == "restore FILE":
        done = bot(tmp_path, "restore", str(copy))
        assert done.returncode == 0 and "restored by hand" in done.stdout, done.stderr
    else:
        shutil.copy(copy, tmp_path / "data" / "domovoi.db")
    await starts_with(tmp_path, 5)


@pytest.mark.parametrize("way", ["start", "restore", "restore FILE"])
@pytest.mark.parametrize("store", ["gone", "damaged"])
async def test_a_lost_or_damaged_file_comes_back_to_its_last_change(tmp_path: Path, way: str, store: str) -> None:
    """From the folder's own backups at the next start, by hand, or from a copy and the changes that are there."""
    copy, path = await copied(tmp_path), tmp_path / "data" / "domovoi.db"
    for suffix in ("", "-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)
    if store == "damaged":
        path.write_bytes(b"no database" * 500)
    if way != "start":
        done = bot(tmp_path, *(way.replace("FILE", str(copy)).split()))
        assert done.returncode == 0, done.stderr
    await starts_with(tmp_path, 7)


@pytest.mark.parametrize("there", ["nothing", "the folder"])
async def test_where_there_is_nothing_to_restore_from_one_line_says_so(tmp_path: Path, there: str) -> None:
    """Nothing is made, and nothing is begun anew."""
    if there == "the folder":
        (tmp_path / "data").mkdir()
    done = bot(tmp_path, "restore")
    assert done.returncode == 2 and "no sound backup" in done.stderr and done.stderr.count("\n") == 1
    missing = bot(tmp_path, "restore", str(tmp_path / "none.db"))
    assert missing.returncode == 2 and "is no file" in missing.stderr and missing.stderr.count("\n") == 1


async def test_a_copy_of_an_older_history_is_taken_as_it_is(tmp_path: Path) -> None:
    """The folder was begun anew since: the copy's messages are there, and those of the other history are kept apart."""
    copy = await copied(tmp_path)
    shutil.rmtree(tmp_path / "data")
    async with Store.open(tmp_path / "data" / "domovoi.db", Sealer.from_file(tmp_path / "key", create=False)) as store:
        await store.record_seen(said("of another history", "x"), datetime.now(UTC))
    done = bot(tmp_path, "restore", str(copy))
    assert done.returncode == 0, done.stderr
    await starts_with(tmp_path, await rows(tmp_path))
    assert list((tmp_path / "data").glob("domovoi.db.damaged-*"))
