"""The data folder: one process at a time uses it, and what an operator does with its store by hand."""

import contextlib
import fcntl
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from bot.config import BadConfig, Config
from bot.store import Damaged
from bot.store.backups import BY_HAND, Backups, copy_store
from bot.store.retry import is_transient

DATABASE, ADAPTERS = "domovoi.db", "adapters"


class AlreadyRuns(Exception):
    """Another Domovoi uses this data folder; stop it first."""


@contextlib.contextmanager
def lock_data_folder(folder: Path) -> Iterator[None]:
    """Makes the folder if need be and holds its lock. Raises `AlreadyRuns`, and `BadConfig` where it cannot be
    written."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock_file = (folder / "running.lock").open("w")
    except OSError as error:
        if is_transient(error):
            raise
        raise BadConfig(
            f'data_folder = "{folder}" under [service] cannot be written ({error.strerror}); '
            f"give the service's user the right to write there, or name another folder"
        ) from error
    with lock_file as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise AlreadyRuns(f"another Domovoi uses the data folder {folder}; stop it first") from None
        yield


def back_up(config: Config, target: Path) -> str:
    """Copies the store to a file, also while the service runs; says what it did. Raises `Damaged`."""
    database = config.service.data / DATABASE
    if not database.exists():
        raise Damaged(f"there is no store {database} to back up; `data_folder` in config.toml names its folder")
    if target.exists():
        raise Damaged(f"{target} is there already; name a file that is not")
    try:
        copy_store(database, target)
    except (OSError, sqlite3.Error) as error:
        target.unlink(missing_ok=True)
        raise Damaged(
            f"{target} cannot be written ({error}); make room, or name a file in a folder there is"
        ) from error
    return f"the store is copied to {target}; keep the sealing key {config.service.key} apart from it"


def restore(config: Config, source: Path | None) -> str:
    """Makes the store again from a file or its newest backup; says what it did. Raises `Damaged`, `AlreadyRuns`."""
    with lock_data_folder(config.service.data):
        backups = Backups(config.service.data / DATABASE)
        try:
            return str(backups.restore(BY_HAND, source))
        except (OSError, sqlite3.Error) as error:
            raise Damaged(f"the store cannot be restored ({error}); make room, and look at the disk") from error
