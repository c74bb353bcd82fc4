"""Backups of the store, and the store again from them: nothing that was acknowledged depends on one file.

In the folder: `backup-NUMBER.db`, a copy of the store up to that change, `backup-NUMBER.sha256`, its digest, and
`changes-NUMBER.log`, what came after it.
"""

import hashlib
import os
import shutil
import sqlite3
import time
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path

import structlog

from bot.store.change_log import ChangeLog, numbers_in, read_changes
from bot.store.integrity import EMPTY, check, is_sound, open_plain, schema_of, version_of
from bot.store.retry import is_corruption, is_transient

log = structlog.get_logger()

KEEP = 3
"""So many backups are kept, each with the changes after it."""
KEPT_APART_S = 3 * 24 * 3600.0
BY_HAND = "is restored by hand"


class Damaged(Exception):
    """The store cannot be read, and there is no sound backup; the message says where both are and what can be done."""


@dataclass(frozen=True, slots=True)
class Restored:
    """The outcome of a start: why the store was not sound, the backup it was made from ("" where its own file served),
    how many changes were applied again, where the damaged file is now, and how many later changes are `lost` behind
    damage in the log."""

    why: str
    backup: str
    changes: int
    set_aside: str = ""
    lost: int = 0

    @property
    def is_repair(self) -> bool:
        """Whether the operator should know; after any kill one commit may have to be applied again."""
        return bool(self.backup or self.lost)

    def __str__(self) -> str:
        source = f"made again from {self.backup} and" if self.backup else "brought up to date with"
        which = "one before" if self.why == BY_HAND else "damaged file"
        kept = f"; the {which} is kept as {self.set_aside}" if self.set_aside else ""
        why = self.why.replace("is ", "was ", 1)
        lost = f"; {self.lost} still later ones are lost, for the log is damaged before them" if self.lost else ""
        return f"the store {why}: it was {source} {self.changes} later changes{lost}{kept}"


class Backups:
    """The folder beside the store at `path`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.folder = path.parent / "backups"

    def open_log(self) -> ChangeLog:
        """Returns the newest log of changes; raises LookupError where there is no backup yet."""
        return ChangeLog(self._log(self._logs()[-1]))

    @property
    def exist(self) -> bool:
        """Whether there is any: then there has been a store."""
        return bool(self._numbers())

    @property
    def newest_age_s(self) -> float | None:
        """Seconds since the newest backup; None where there is none."""
        numbers = self._numbers()
        return time.time() - self._backup(numbers[-1]).stat().st_mtime if numbers else None

    def copy(self) -> ChangeLog:
        """Copies the store while it is in use; returns the log for the changes that follow, so call it between two
        commits. The copy becomes a backup once `finish` has checked it."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self._partial.unlink(missing_ok=True)
        copy_store(self.path, self._partial)
        with open_plain(self._partial) as copy:
            number = _number(copy)
        self._log(number).unlink(missing_ok=True)  # nothing in it can be newer than the copy
        fresh = ChangeLog(self._log(number))
        _sync(self.folder)
        return fresh

    def finish(self, keep: int = KEEP) -> None:
        """Checks the copy and lets older backups than `keep` go, with the changes that led up to the oldest that stays.

        Raises `Damaged` where the copy is not sound: then the older ones stay.
        """
        if problem := check(self._partial):
            self._partial.unlink(missing_ok=True)
            raise Damaged(f"the store {self.path} {problem}; start the service again, and it is repaired")
        with open_plain(self._partial) as copy:
            number = _number(copy)
        with self._partial.open("rb") as file:
            os.fsync(file.fileno())
        self._write_digest(number, _digest(self._partial))
        os.replace(self._partial, self._backup(number))
        _sync(self.folder)
        numbers = self._numbers()
        for old in numbers[:-keep]:
            self._backup(old).unlink(missing_ok=True)
            self._digest_of(old).unlink(missing_ok=True)
        for old in self._logs():
            if old < numbers[-keep:][0]:
                self._log(old).unlink(missing_ok=True)
        for apart in self.folder.glob("before-*"):
            if time.time() - apart.stat().st_mtime > KEPT_APART_S:
                shutil.rmtree(apart, ignore_errors=True)

    def is_up_to_date(self, version: str) -> bool:
        """Whether the newest backup and the logs make the store as it is now: they have its schema's version, no
        damage, and end with its last change. Else they belong to another history, of which `begin_anew` makes an end.
        """
        if not (numbers := self._numbers()):
            return False
        try:
            with open_plain(self._backup(numbers[-1])) as backup:
                if version_of(backup) != version:
                    return False
        except (sqlite3.DatabaseError, UnicodeDecodeError):
            return False
        with open_plain(self.path) as store:
            number = _number(store)
        last = numbers[-1]
        for log_number in self._logs():
            for change in numbers_in(self._log(log_number)):
                if change is None or change > last + 1:
                    return False
                last = max(last, change)
        return last == number

    def begin_anew(self) -> None:
        """Makes a first backup of the store as it is; files in the folder are kept apart for three days. Raises the
        library's errors, also where the copy is damaged: a new start checks again."""
        copy_to = self.folder / f"before-{time.strftime('%Y%m%dT%H%M%S')}-{os.getpid()}"
        old = [path for path in self.folder.glob("*") if path.suffix in (".db", ".log", ".sha256")]
        if old:
            copy_to.mkdir()
            for path in old:
                os.replace(path, copy_to / path.name)
        self.copy().close()
        try:
            self.finish()
        except Damaged as error:
            raise sqlite3.DatabaseError(f"the copy is malformed: {error}") from error

    def recover(self) -> Restored | None:
        """Before the store is opened: makes it again if it is damaged or gone, and does what is only in the log.

        None where all is as it should be, also where there has never been a store. Raises `Damaged`.
        """
        if not self._anything and self.path.exists() and check(self.path) == EMPTY:
            return None  # a first start that was killed before there was a schema
        problem = (check(self.path) or self._strange()) if self.path.exists() else "is gone" if self.exist else ""
        if problem:
            return self.restore(problem)
        if not self.path.exists():
            return None
        with open_plain(self.path) as store:
            before = _number(store)
            count, lost = self._redo(store, before)
        return Restored("had lost its last commits", "", count, lost=lost) if count or lost else None

    def restore(self, why: str, source: Path | None = None) -> Restored:
        """Replaces the store by the newest sound backup, or `source`, with every later change; keeps the file that was
        there.

        The store must not be open. Raises `Damaged`, and the library's errors while the disk fails; then nothing was
        changed.
        """
        if source is not None and (problem := check(source) if source.is_file() else "is no file"):
            raise Damaged(f"{source} {problem}; nothing was changed")
        own = sorted(((self._intact(number), number) for number in self._numbers()), reverse=True)
        for intact, backup in [(True, source)] if source else [(whole, self._backup(number)) for whole, number in own]:
            if not intact and not is_sound(backup):  # an intact one was found sound when it was made
                continue
            partial = self.path.with_name(f"{self.path.name}.partial")
            for suffix in ("", "-wal", "-shm", "-journal"):
                partial.with_name(partial.name + suffix).unlink(missing_ok=True)
            shutil.copyfile(backup, partial)
            try:
                with open_plain(partial) as store:
                    count, lost = self._redo(store, _number(store))
                    store.execute("PRAGMA journal_mode=DELETE")
            except sqlite3.Error as error:  # such as changes of a later schema
                if is_transient(error) or (intact and is_corruption(error)):  # the disk's fault, not the backup's
                    raise
                log.error("a backup does not take the changes after it", backup=backup.name, error=str(error))
                continue
            with partial.open("rb") as file:
                os.fsync(file.fileno())
            aside = self._set_aside()
            os.replace(partial, self.path)
            _sync(self.path.parent)
            return Restored(why, backup.name, count, aside, lost)
        raise Damaged(
            f"the store {self.path} {why}, and {self.folder} has no sound backup; nothing was changed. "
            f"Put a copy of your own in the place of {self.path.name}, or move both away to start anew"
        )

    def _redo(self, store: sqlite3.Connection, after: int) -> tuple[int, int]:
        """Every change behind number `after` that the logs have without a hole, in one transaction: (how many, how many
        there are behind a hole that damage has made)."""
        count, hole = 0, False
        store.execute("BEGIN IMMEDIATE")
        logs = self._logs()
        for number, following in zip_longest(logs, logs[1:]):
            if following is not None and following <= after:
                continue  # what it has is in the store
            for change in read_changes(self._log(number), after):
                if change.number != after + 1:
                    hole = True
                    break
                for sql, parameters, many in change.statements:
                    (store.executemany if many else store.execute)(sql, parameters)
                after, count = change.number, count + 1
        if count:
            store.execute(COUNTED, (after,))
        store.execute("COMMIT")
        numbers = [number for log in logs for number in numbers_in(self._log(log))] if hole else []
        if None not in numbers:  # logs of another history, or too late ones
            return count, 0
        return count, max(0, max(number for number in numbers if number is not None) - after)

    def _strange(self) -> str:
        """Returns what is wrong with the store's schema; "" where it equals that of the newest unchanged backup."""
        for number in reversed(self._numbers()):
            try:
                with open_plain(self._backup(number)) as backup, open_plain(self.path) as store:
                    schema_then, schema_now = schema_of(backup), schema_of(store)
            except sqlite3.DatabaseError:
                continue
            if schema_then == schema_now:
                return ""
            if self._intact(number):  # only now: it takes a while
                return "is damaged (its schema is not the one it had)" if schema_then[0] == schema_now[0] else ""
        return ""

    def _intact(self, number: int) -> bool:
        """Whether a backup is byte for byte as it was written. One of a version that kept no digest is not known to be,
        and comes last."""
        try:
            return self._digest_of(number).read_text(encoding="ascii") == _digest(self._backup(number))
        except (FileNotFoundError, UnicodeDecodeError):
            return False

    def _write_digest(self, number: int, digest: str) -> None:
        with self._digest_of(number).open("w", encoding="ascii") as file:
            file.write(digest)
            file.flush()
            os.fsync(file.fileno())

    def _digest_of(self, number: int) -> Path:
        return self.folder / f"backup-{number}.sha256"

    def _set_aside(self) -> str:
        """Moves the store's file and the files that belong to it out of the way; returns the new name."""
        if not self.path.exists():
            return ""
        aside = self.path.with_name(f"{self.path.name}.damaged-{time.strftime('%Y%m%dT%H%M%S')}")
        for suffix in ("-wal", "-shm", ""):
            old = self.path.with_name(self.path.name + suffix)
            if old.exists():
                os.replace(old, aside.with_name(aside.name + suffix))
        return aside.name

    def _backup(self, number: int) -> Path:
        return self.folder / f"backup-{number}.db"

    def _log(self, number: int) -> Path:
        return self.folder / f"changes-{number}.log"

    @property
    def _partial(self) -> Path:
        return self.folder / "partial.db"

    @property
    def _anything(self) -> bool:
        return self.folder.is_dir() and any(self.folder.iterdir())

    def _numbers(self) -> list[int]:
        return self._named("backup-", ".db")

    def _logs(self) -> list[int]:
        return self._named("changes-", ".log")

    def _named(self, start: str, end: str) -> list[int]:
        names = [path.name.removeprefix(start).removesuffix(end) for path in self.folder.glob(f"{start}*{end}")]
        return sorted(int(name) for name in names if name.isdecimal())


def copy_store(path: Path, target: Path) -> None:
    """SQLite's backup API: a whole copy in one file, also of a store that is in use."""
    with open_plain(path) as source, open_plain(target) as copy:
        source.backup(copy)
        copy.execute("PRAGMA journal_mode=DELETE")


COUNTED = "UPDATE change_log SET number = ?"
"""Each commit records the number of its change."""


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _number(store: sqlite3.Connection) -> int:
    """Returns the store's last change; 0 in a store of a version that counted none."""
    try:
        return int(store.execute("SELECT number FROM change_log").fetchone()[0])
    except (sqlite3.OperationalError, TypeError):
        return 0


def _sync(folder: Path) -> None:
    """A renamed file is there after a power loss only once its folder is on disk."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
