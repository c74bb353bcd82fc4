"""What is erased leaves nothing: not in free pages, not in the write-ahead log, not in backups, not in errors."""

import asyncio
import sqlite3
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from bot.process import maintenance
from bot.store import Sealer, Store
from bot.store.change_log import read_changes
from bot.store.tables import message
from tests.conftest import said

NOW = datetime(2026, 1, 2, 12, tzinfo=UTC)
LONG = "a member's own words " * 400
"""Longer than a page, so that it has pages of its own."""


def sealed(path: Path) -> list[bytes]:
    """A piece of every sealed text that the store has, from its end, which lies in the last of its pages."""
    with sqlite3.connect(path) as connection:
        rows = connection.execute("SELECT text_sealed FROM message WHERE text_sealed IS NOT NULL").fetchall()
    connection.close()
    return [bytes(text)[-200:-100] for (text,) in rows]


def files_with(folder: Path, pieces: list[bytes]) -> list[str]:
    """The files that hold one of these, as it is, or in the log of changes."""
    found = []
    for path in folder.rglob("*"):
        if not path.is_file():
            continue
        raw = path.read_bytes()
        if path.suffix == ".log":
            raw = b"".join(
                bytes(value) if isinstance(value, bytes | bytearray) else b""
                for change in read_changes(path, 0)
                for _, parameters, many in change.statements
                for row in (parameters if many else [parameters])
                for value in (row.values() if isinstance(row, dict) else row)
            )
        if any(piece in raw for piece in pieces):
            found.append(path.name)
    return found


async def filled(store: Store, path: Path, count: int = 40) -> list[bytes]:
    for number in range(count):
        await store.record_seen(said(f"{number} {LONG}", str(number)), NOW)
    pieces = sealed(path)
    assert len(pieces) == count and files_with(path.parent, pieces)
    return pieces


@pytest.mark.parametrize("way", ["erased", "forgotten"])
async def test_free_pages_and_the_write_ahead_log_hold_nothing(way: str, sealer: Sealer, tmp_path: Path) -> None:
    """While the service runs, and after it has ended."""
    path = tmp_path / "domovoi.db"
    async with Store.open(path, sealer) as store:
        pieces = await filled(store, path)
        if way == "erased":
            assert await store.personal_data.erase(store.author(said("x")), "try-out", NOW) == len(pieces)
        else:
            assert await store.forget_texts(NOW + timedelta(days=1)) == len(pieces)
        assert not [name for name in files_with(tmp_path, pieces) if name.startswith("domovoi")]
    assert not [name for name in files_with(tmp_path, pieces) if name.startswith("domovoi")]


async def test_backups_and_their_logs_hold_nothing_after_the_next_one(sealer: Sealer, tmp_path: Path) -> None:
    """All three, and the changes that led up to them; what others wrote is still there."""
    path = tmp_path / "domovoi.db"
    async with Store.open(path, sealer) as store:
        pieces = await filled(store, path)
        await store.record_seen(said("another's", "other", author="ben"), NOW)
        for _ in range(3):
            await store.back_up()
            await store.record_seen(said(LONG, f"later {_}"), NOW)
        pieces = [piece for piece in sealed(path) if len(piece) == 100]
        assert len(files_with(path.parent / "backups", pieces)) >= 3
        await store.personal_data.erase(store.author(said("x")), "try-out", NOW)
        await store.back_up()
        assert files_with(tmp_path, pieces) == []
        assert len(list((tmp_path / "backups").glob("*.db"))) == 1
        for _ in range(4):  # and from then on three are kept again
            await store.record_seen(said("y", f"y {_}", author="ben"), NOW)
            await store.back_up()
        assert len(list((tmp_path / "backups").glob("*.db"))) == 3
    path.unlink()
    async with Store.open(path, sealer) as again:
        kept = await again.personal_data.export(again.author(said("x", author="ben")), "try-out")
        assert [one.text for one in kept][:1] == ["another's"]


@pytest.mark.parametrize("dies", [False, True])
async def test_the_service_makes_that_backup_by_itself(
    dies: bool, sealer: Sealer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Within an hour, also where the process ended in between."""
    path = tmp_path / "domovoi.db"
    monkeypatch.setattr(maintenance, "ERASED_WITHIN_S", 0.0)
    async with Store.open(path, sealer) as store:
        pieces = await filled(store, path)
        await store.back_up()
        if dies:
            await store.personal_data.erase(
                store.author(said("x")), "try-out", datetime.now(UTC) + timedelta(seconds=1)
            )
    async with Store.open(path, sealer) as store, asyncio.TaskGroup() as group:
        task = group.create_task(maintenance.keep_backups(store, lambda told: None))
        if not dies:
            await store.personal_data.erase(store.author(said("x")), "try-out", NOW)
        async with asyncio.timeout(60):
            while files_with(tmp_path, pieces):
                await asyncio.sleep(0.1)
        task.cancel()


async def test_a_store_of_an_earlier_version_is_overwritten_once(sealer: Sealer, tmp_path: Path) -> None:
    """It left forgotten texts in its free pages."""
    path = tmp_path / "domovoi.db"
    async with Store.open(path, sealer) as store:
        pieces = await filled(store, path)
    with sqlite3.connect(path) as connection:
        for pragma in ("secure_delete=OFF", "user_version=0"):
            connection.execute(f"PRAGMA {pragma}")
        connection.execute("UPDATE message SET text_sealed = NULL")
    connection.close()
    assert "domovoi.db" in files_with(tmp_path, pieces)
    async with Store.open(path, sealer) as store:
        assert "domovoi.db" not in files_with(tmp_path, pieces)
        assert await store.messages("try-out", NOW - timedelta(days=1)) == []


async def test_an_error_of_the_store_shows_no_values(store: Store) -> None:
    """SQLAlchemy prints a statement's parameters: pseudonyms, sealed texts, ids."""
    with pytest.raises(sa.exc.SQLAlchemyError) as raised:
        await store._writer.write(lambda connection: connection.execute(sa.insert(message).values(platform="secret")))
    assert "secret" not in str(raised.value) and "hidden due to hide_parameters" in str(raised.value)
