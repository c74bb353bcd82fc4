"""Whether a store's file is sound, seen from outside, without the service."""

import contextlib
import errno
import json
import sqlite3
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

TEXTS = ("VARCHAR", "JSON", "DATETIME")
LEGIBLE: dict[str, tuple[str, Callable[[str], object]]] = {
    "JSON": ('json_valid("{0}")', json.loads),
    "DATETIME": ("""julianday("{0}") IS NOT NULL AND "{0}" GLOB '????-??-??*'""", datetime.fromisoformat),
}
"""The types by which SQLite and Python hold a column's values."""
LOOKS, MOST_LOOKS = 3, 30
"""A file counts as damaged when so many checks in a row find the same; a disk that fails now and then does not."""
WAIT_S = 10.0
"""Another program should not use the store; one that does for longer is named in an error."""
EMPTY = "is empty"


@contextlib.contextmanager
def open_plain(path: Path) -> Iterator[sqlite3.Connection]:
    """Opens a plain connection; raises the library's errors."""
    connection = sqlite3.connect(path, timeout=WAIT_S, isolation_level=None)
    try:
        for pragma in ("foreign_keys=ON", "synchronous=FULL", "secure_delete=ON"):
            connection.execute(f"PRAGMA {pragma}")
        yield connection
    finally:
        connection.close()


OVERWRITES = 1
"""`user_version` of a store whose free pages were overwritten, and are whenever one becomes free."""


def overwrite_freed(path: Path) -> bool:
    """Once for each store: versions before this one left what was forgotten in pages that were free. True where there
    were some. Takes a second or two for each 100 MB. Raises the library's errors."""
    if not path.exists():
        return False
    with open_plain(path) as store:
        if store.execute("PRAGMA user_version").fetchone()[0] >= OVERWRITES:
            return False
        freed = store.execute("PRAGMA freelist_count").fetchone()[0]
        if freed:
            store.execute("VACUUM")
            store.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        store.execute(f"PRAGMA user_version={OVERWRITES}")
        return bool(freed)


def check(path: Path) -> str:
    """Returns what is wrong with a store's file, as the rest of a sentence; "" where nothing is.

    Every check must find it: SQLite also calls a file malformed when the disk failed to read a page once. Raises the
    library's errors, and OSError where the checks find different things.
    """
    before: list[str] = []
    same = 0
    for _ in range(MOST_LOOKS):
        if not (damage := _look(path)):
            return ""
        same = same + 1 if damage == before else 1
        if same == LOOKS:
            return EMPTY if damage == [EMPTY] else f"is damaged ({damage[0]:.80})"
        before = damage
    raise OSError(errno.EIO, "every look at the file finds something else: the disk fails", str(path))


def _look(path: Path) -> list[str]:
    """Everything that seems to be wrong, [] for nothing."""
    try:
        with open_plain(path) as store:
            if not store.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
                return [EMPTY]
            rows = [row[0] for row in store.execute("PRAGMA integrity_check(3)")]
            damage = [] if rows == ["ok"] else [line for row in rows for line in row.splitlines() if line[:3] != "***"]
            damage = damage or _illegible(store)
            store.execute("SELECT number FROM change_log").fetchone()
    except sqlite3.OperationalError as error:
        if "no such table" in str(error):  # of a version before there were backups
            return []
        if "decode" in str(error):
            return str(error).splitlines()[:1]
        raise
    except (sqlite3.DatabaseError, UnicodeDecodeError) as error:  # the latter where SQLite quotes what is damaged
        return [str(error)]
    return damage


def _illegible(store: sqlite3.Connection) -> list[str]:
    """Returns the first text, JSON or date that cannot be read: SQLite's own check does not look into cells.

    SQLite's functions find the suspects, because they are quick; Python's functions, which read the values later,
    decide.
    """
    for (table,) in store.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
        columns = [(row[1], row[2]) for row in store.execute(f'PRAGMA table_info("{table}")')]
        texts = [f"coalesce(\"{name}\", '')" for name, kind in columns if kind.startswith(TEXTS)]
        if texts:
            for _ in store.execute(f'SELECT {" || ".join(texts)} FROM "{table}"'):  # noqa: S608
                pass
        for name, kind in columns:
            if kind not in LEGIBLE:
                continue
            is_so, read = LEGIBLE[kind]
            doubtful = f'"{name}" IS NOT NULL AND ({is_so.format(name)}) IS NOT TRUE'
            for (value,) in store.execute(f'SELECT "{name}" FROM "{table}" WHERE {doubtful}'):  # noqa: S608
                try:
                    read(value)
                except (ValueError, TypeError):
                    return [f"{table}.{name} holds what is no {kind}"]
    return []


def is_sound(path: Path) -> bool:
    """Also False where it cannot be read: another one may be."""
    try:
        return not check(path)
    except (sqlite3.Error, OSError):
        return False


def version_of(store: sqlite3.Connection) -> str:
    try:
        return str(store.execute("SELECT version_num FROM alembic_version").fetchone()[0])
    except (sqlite3.Error, TypeError, UnicodeDecodeError):
        return ""


def schema_of(store: sqlite3.Connection) -> tuple[list[Any], list[Any]]:
    """Returns (version, every object of the schema); bytes, because a damaged text cannot be decoded."""
    store.text_factory = bytes
    version = store.execute("SELECT version_num FROM alembic_version").fetchall()
    return version, store.execute("SELECT type, name, tbl_name, sql FROM sqlite_master ORDER BY type, name").fetchall()
