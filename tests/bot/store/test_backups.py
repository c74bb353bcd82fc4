"""The store again from a backup and the log of changes: whatever became of its file, nothing acknowledged is lost."""

import contextlib
import random
import shutil
import sqlite3
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from bot.domain.decision import Band, Decision
from bot.domain.row_state import RowState
from bot.store import Damaged, Sealer, Store, journal
from bot.store import integrity as soundness
from bot.store.backups import KEEP, Backups, copy_store
from bot.store.change_log import Change, ChangeLog, numbers_in, read_changes
from bot.store.retry import is_transient
from model.labels import Label
from tests.conftest import said, verdict
from tests.journal import unfinished

NOW = datetime(2026, 1, 2, 12, tzinfo=UTC)


@contextlib.contextmanager
def plain(path: Path) -> Iterator[sqlite3.Connection]:
    """The store's file, read as anybody could."""
    connection = sqlite3.connect(path)
    try:
        yield connection
    finally:
        connection.close()


def content(path: Path) -> dict[str, list[Any]]:
    """Every row of every table."""
    with plain(path) as connection:
        names = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        rows = {name: connection.execute(f'SELECT * FROM "{name}"').fetchall() for name in names}  # noqa: S608
        return {name: sorted(found, key=repr) for name, found in rows.items()}


async def live(store: Store, first: int, count: int) -> None:
    """Messages come, are decided, some become cases, corrections and consents."""
    for number in range(first, first + count):
        row = (await store.record_seen(said(f"HATE {number}", str(number), author=f"author {number % 5}"), NOW)).row
        assert row is not None
        decision = Decision(Band.ALERT, Label.HATE, 0.9, 0.5)
        case = await store.record_decision(row, verdict(0.9), decision, RowState.DONE, NOW, case=number % 3 == 0)
        if case is not None:
            await store.record_correction(case, "dana", "neutral", "authored", NOW, confirms=False)
    await store.consents.give("try-out", f"author {first}", NOW)


async def made_again(path: Path, sealer: Sealer) -> None:
    """The store's file is lost, and the next start has all of it."""
    before = content(path)
    remove(path)
    async with Store.open(path, sealer) as store:
        assert store.recovery is not None
    assert content(path) == before


def remove(path: Path) -> None:
    for suffix in ("", "-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)


@pytest.mark.parametrize("backed_up_after", [0, 1])
async def test_a_store_that_is_gone_is_made_again(tmp_path: Path, sealer: Sealer, backed_up_after: int) -> None:
    """From the empty backup of the first start, or a later one: every row of every table, and the service goes on."""
    path = tmp_path / "domovoi.db"
    async with Store.open(path, sealer) as store:
        await live(store, 0, 20)
        if backed_up_after:
            await store.back_up()
        await live(store, 20, 20)
    before = content(path)
    remove(path)
    async with Store.open(path, sealer) as store:
        assert store.recovery is not None and "was gone" in str(store.recovery)
        assert content(path) == before
        await live(store, 40, 1)
    async with Store.open(path, sealer) as store:
        assert store.recovery is None and len(await store.cases("try-out")) == 14


async def test_lost_last_commits_are_done_again(tmp_path: Path, sealer: Sealer) -> None:
    """The write-ahead log of SQLite is cut off: what was committed since is in the log of changes."""
    path = tmp_path / "domovoi.db"
    async with Store.open(path, sealer) as store:
        await live(store, 0, 5)
        saved = tmp_path / "saved.db"
        with plain(path) as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        shutil.copyfile(path, saved)
        await live(store, 5, 20)
    before = content(path)
    remove(path)
    shutil.copyfile(saved, path)
    async with Store.open(path, sealer) as store:
        assert store.recovery is not None and "last commits" in str(store.recovery) and not store.recovery.set_aside
    assert content(path) == before


@pytest.mark.parametrize("damage", ["header", "middle", "cut", "empty", "text"])
async def test_a_damaged_file_is_replaced_and_kept(tmp_path: Path, sealer: Sealer, damage: str) -> None:
    """Overwritten, cut or emptied: the start makes it again, says so, and keeps the damaged file."""
    path = tmp_path / "domovoi.db"
    async with Store.open(path, sealer) as store:
        await live(store, 0, 60)
    before, raw = content(path), bytearray(path.read_bytes())
    if damage == "header":
        raw[:64] = bytes(64)
    elif damage == "middle":
        for page in range(2, len(raw) // 4096):
            raw[page * 4096 : page * 4096 + 200] = random.Random(page).randbytes(200)
    elif damage == "cut":
        del raw[len(raw) // 2 :]
    elif damage == "empty":
        raw.clear()
    else:
        raw = bytearray(b"these are not the pages you are looking for\n" * 100)
    path.write_bytes(raw)
    async with Store.open(path, sealer) as store:
        assert store.recovery is not None and store.recovery.set_aside
        assert (tmp_path / store.recovery.set_aside).read_bytes() == bytes(raw)
        assert len(await store.cases("try-out")) == 20
    assert content(path) == before


async def test_without_a_sound_backup_nothing_is_begun_anew(tmp_path: Path, sealer: Sealer) -> None:
    """Damaged, and so are the backups: one line that names both, and the files stay as they are."""
    path = tmp_path / "domovoi.db"
    async with Store.open(path, sealer) as store:
        await live(store, 0, 5)
    for file in (path, *(tmp_path / "backups").glob("*.db")):
        file.write_bytes(b"nothing" * 1000)
    with pytest.raises(Damaged, match="no sound backup"):
        async with Store.open(path, sealer):
            pass
    assert path.read_bytes() == b"nothing" * 1000


async def test_an_erased_text_does_not_come_back_with_an_older_backup(tmp_path: Path, sealer: Sealer) -> None:
    """Erased and forgotten after the backup was made: after a restore they are erased and forgotten as well."""
    path, copy = tmp_path / "domovoi.db", tmp_path / "elsewhere.db"
    async with Store.open(path, sealer) as store:
        await live(store, 0, 10)
        await store.back_up()
        copy_store(path, copy)
        author = store.sealer.author("webchat", "try-out", "author 1")
        assert await store.personal_data.erase(author, "try-out", NOW) > 0
        await store.consents.withdraw("try-out", "author 0", NOW)
    before = content(path)
    for source in (None, copy):
        recovery = Backups(path).restore("is restored by hand", source)
        assert recovery.changes > 0 and content(path) == before
    with plain(copy) as connection:
        assert connection.execute("SELECT count(text_sealed) FROM message").fetchone() == (10,)
    with plain(path) as connection:
        assert connection.execute("SELECT count(text_sealed) FROM message").fetchone() == (8,)
    async with Store.open(path, sealer) as store:
        assert await store.forget_texts(NOW + timedelta(days=1)) == 8
    assert Backups(path).restore("is restored by hand").changes > 0
    with plain(path) as connection:
        assert connection.execute("SELECT count(text_sealed) FROM message").fetchone() == (0,)


async def test_old_backups_and_what_led_up_to_them_go(tmp_path: Path, sealer: Sealer) -> None:
    """After many days there are three, and the store can still be made from the oldest of them."""
    path = tmp_path / "domovoi.db"
    async with Store.open(path, sealer) as store:
        for day in range(6):
            await live(store, 10 * day, 10)
            await store.back_up()
        await live(store, 60, 3)
    before, folder = content(path), tmp_path / "backups"
    backups, logs = sorted(folder.glob("*.db")), sorted(folder.glob("*.log"))
    assert len(backups) == KEEP and len(logs) == KEEP
    for newer in sorted(backups, key=lambda file: int(file.stem[7:]))[1:]:
        newer.write_bytes(b"spoilt" * 1000)
    remove(path)
    async with Store.open(path, sealer) as store:
        assert store.recovery is not None
    assert content(path) == before


async def test_a_commit_that_fails_leaves_nothing_in_the_log(tmp_path: Path, sealer: Sealer) -> None:
    """A statement that breaks a rule and one for which there is no room: neither comes back by a restore."""
    path = tmp_path / "domovoi.db"
    async with Store.open(path, sealer) as store:
        await live(store, 0, 3)
        with pytest.raises(sa.exc.IntegrityError):
            await store._execute(sa.text("INSERT INTO correction (case_id, moderator, label) VALUES (1, 'x', 'y')"))

        def full(connection: sa.Connection) -> None:
            pages = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
            connection.exec_driver_sql(f"PRAGMA max_page_count = {pages}")

        await store._writer.write(full)
        with pytest.raises(sa.exc.OperationalError, match="full"):
            for number in range(100, 400):
                await store.record_seen(said("x" * 3000, str(number)), NOW)
        await store._writer.write(lambda c: c.exec_driver_sql("PRAGMA max_page_count = 1000000") and None)
        await live(store, 500, 3)
    await made_again(path, sealer)


def test_the_log_reads_what_it_wrote_but_for_the_damage(tmp_path: Path) -> None:
    """Every kind of parameter comes back; a line that was cut or changed is left out."""
    path = tmp_path / "changes.log"
    changes = [
        Change(1, [("INSERT INTO a VALUES (?, ?)", ("é\n", b"\x00\xff"), False)]),
        Change(2, [("INSERT INTO b VALUES (:x)", [{"x": None}, {"x": 1.5}], True), ("DELETE FROM b", (), False)]),
        Change(3, [("UPDATE c SET d = ?", [(True,), (7,)], True)]),
    ]
    with ChangeLog(path) as log:
        for change in changes:
            log.append(change)
    assert list(read_changes(path)) == changes and list(read_changes(path, 2)) == changes[2:]
    with ChangeLog(path) as log:
        log.append(Change(4, [("x", (), False)]))
        log.take_back()
        log.append(Change(4, [("y", (), False)]))
    assert [change.number for change in read_changes(path)] == [1, 2, 3, 4]
    raw = path.read_bytes()
    path.write_bytes(raw[:-5])
    assert [change.number for change in read_changes(path)] == [1, 2, 3] == list(numbers_in(path))
    path.write_bytes(raw[:40] + bytes([raw[40] ^ 1]) + raw[41:])
    assert [change.number for change in read_changes(path)] == [2, 3, 4] and next(numbers_in(path)) is None


async def test_a_damaged_log_is_replaced_by_a_backup(tmp_path: Path, sealer: Sealer) -> None:
    """The store itself is sound: the next start backs it up, and what follows can be done again."""
    path = tmp_path / "domovoi.db"
    async with Store.open(path, sealer) as store:
        await live(store, 0, 5)
    (log,) = (tmp_path / "backups").glob("*.log")
    raw = bytearray(log.read_bytes())
    raw[100] ^= 1
    log.write_bytes(raw)
    async with Store.open(path, sealer) as store:
        await live(store, 5, 5)
    await made_again(path, sealer)


async def test_a_store_and_its_log_both_damaged_say_what_is_lost(tmp_path: Path, sealer: Sealer) -> None:
    """What stands behind the damaged line cannot be done again, and nobody is left to think that it was."""
    path = tmp_path / "domovoi.db"
    async with Store.open(path, sealer) as store:
        await live(store, 0, 10)
    (log,) = (tmp_path / "backups").glob("*.log")
    lines = log.read_bytes().splitlines(keepends=True)
    spoilt = lines[7][:30] + b"?" + lines[7][31:]
    log.write_bytes(b"".join([*lines[:7], spoilt, *lines[8:]]))
    raw = path.read_bytes()
    path.write_bytes(bytes(100) + raw[100:])
    async with Store.open(path, sealer) as store:
        assert store.recovery is not None and (store.recovery.changes, store.recovery.lost) == (7, len(lines) - 7)
        assert f"{len(lines) - 7} still later ones are lost" in str(store.recovery)
        await live(store, 20, 10)
    await made_again(path, sealer)


async def test_a_torn_line_at_the_logs_end_hides_nothing_that_comes_after(tmp_path: Path, sealer: Sealer) -> None:
    """A process was killed while it wrote there: the half line goes, later changes can be done again."""
    path = tmp_path / "domovoi.db"
    async with Store.open(path, sealer) as store:
        await live(store, 0, 3)
    (log,) = (tmp_path / "backups").glob("*.log")
    log.write_bytes(log.read_bytes() + b'12345678 [99,[["INSERT INTO')
    async with Store.open(path, sealer) as store:
        await live(store, 3, 7)
    await made_again(path, sealer)


@pytest.mark.parametrize("by", ["restore", "hand"])
async def test_an_older_copy_begins_a_history_of_its_own(tmp_path: Path, sealer: Sealer, by: str) -> None:
    """The logs that are kept begin later than the copy: what they have is not done to what comes after it."""
    path, copy = tmp_path / "domovoi.db", tmp_path / "old.db"
    async with Store.open(path, sealer) as store:
        await live(store, 0, 2)
        copy_store(path, copy)
        for day in range(1, 6):
            await live(store, 10 * day, 6)
            await store.back_up()
        await live(store, 100, 3)
    if by == "restore":
        assert Backups(path).restore("is restored by hand", copy).changes == 0
    else:
        remove(path)
        shutil.copyfile(copy, path)
    for start in range(4):
        async with Store.open(path, sealer) as store:
            assert store.recovery is None
            await live(store, 200 + 20 * start, 12)
    before = content(path)
    assert len(before["message"]) == 2 + 4 * 12
    remove(path)
    async with Store.open(path, sealer):
        pass
    assert content(path) == before
    assert list((tmp_path / "backups").glob("before-*/backup-*.db"))


async def test_a_first_start_that_was_killed_is_begun_again(tmp_path: Path, sealer: Sealer) -> None:
    """An empty file and nothing else: there has been no store. With a backup beside it there has."""
    path = tmp_path / "domovoi.db"
    path.touch()
    async with Store.open(path, sealer) as store:
        await live(store, 0, 3)
    before = content(path)
    remove(path)
    path.touch()
    async with Store.open(path, sealer) as store:
        assert store.recovery is not None and content(path) == before


async def test_a_migration_that_is_killed_leaves_the_schema_before(
    tmp_path: Path, sealer: Sealer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It ends after its first statements: the next start does all of it."""
    path = tmp_path / "domovoi.db"

    class Killed(BaseException):
        pass

    def insert(connection: sa.Connection, clause: Any, *more: Any, **others: Any) -> Any:
        if "INSERT INTO change_log" in str(clause):
            raise Killed
        return execute(connection, clause, *more, **others)

    execute = sa.Connection.execute
    with monkeypatch.context() as patch:
        patch.setattr(sa.Connection, "execute", insert)
        with pytest.raises(Killed):
            async with Store.open(path, sealer):
                pass
    async with Store.open(path, sealer) as store:
        await live(store, 0, 3)


async def test_one_that_fails_leaves_nothing_of_a_batch(tmp_path: Path, sealer: Sealer) -> None:
    """Verdicts are written with WITH, before which Python's driver begins no transaction by itself."""
    async with Store.open(tmp_path / "domovoi.db", sealer) as store:
        row = (await store.record_seen(said("hello", "1"), NOW)).row
        assert row is not None

        def work(connection: sa.Connection) -> None:
            scored = journal.Scored(
                row, RowState.DONE, "a", {}, {"band": "clear"}, enforced=False, opens=False, now=NOW
            )
            journal.score(connection, [scored])
            raise ValueError("stub")

        with pytest.raises(ValueError, match="stub"):
            await store._writer.write(work)
        assert [old.state for old in await unfinished(store, "webchat")] == ["seen"]


async def test_other_files_in_the_folder_are_nobodys_business(tmp_path: Path, sealer: Sealer) -> None:
    """A copy with a name of its own beside the backups."""
    path = tmp_path / "domovoi.db"
    async with Store.open(path, sealer) as store:
        await live(store, 0, 3)
    (tmp_path / "backups" / "backup-mine.db").write_bytes(b"mine")
    async with Store.open(path, sealer) as store:
        assert store.recovery is None


def test_a_disk_that_fails_now_and_then_is_not_a_damaged_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What three looks in a row find alike is damage; what each look finds elsewhere is the disk's."""

    def finding(*looks: str) -> None:
        said = iter(looks)
        monkeypatch.setattr(soundness, "_look", lambda path: [found for found in [next(said)] if found])

    finding("page 7", "page 7", "page 7")
    assert soundness.check(tmp_path) == "is damaged (page 7)"
    finding("page 7", "page 7", "page 3", "page 7", "")
    assert soundness.check(tmp_path) == ""
    finding(*(f"page {number}" for number in range(soundness.MOST_LOOKS)))
    with pytest.raises(OSError, match="every look") as failed:
        soundness.check(tmp_path)
    assert is_transient(failed.value)
