"""Which errors of the store are waited for, and when it is said that it answers again."""

import asyncio
import errno
import sqlite3

import pytest
import sqlalchemy as sa

from bot.store import retry as store_retry
from bot.store.retry import StoreRetry, is_corruption, is_transient


def error(name: str, said: str = "stub") -> sa.exc.OperationalError:
    """As SQLAlchemy passes it on."""
    cause = sqlite3.OperationalError(said)
    cause.sqlite_errorname = name
    return sa.exc.OperationalError("stub", None, cause)


def test_only_what_may_pass_is_waited_for() -> None:
    """A full disk and a lock are; a mistake of ours, a missing right and damage are not."""
    for name in ("SQLITE_FULL", "SQLITE_BUSY", "SQLITE_BUSY_SNAPSHOT", "SQLITE_IOERR_WRITE", "SQLITE_CANTOPEN"):
        assert is_transient(error(name)), name
    assert is_transient(OSError(errno.ENOSPC, "full")) and is_transient(sa.exc.TimeoutError())
    assert not is_transient(error("SQLITE_ERROR", "no such column: x"))
    assert not is_transient(PermissionError(errno.EACCES, "denied")) and not is_transient(ValueError())
    assert not is_transient(sqlite3.DatabaseError("database disk image is malformed"))
    assert is_corruption(sqlite3.DatabaseError("database disk image is malformed")) and not is_corruption(
        error("SQLITE_FULL")
    )


async def test_it_is_said_once_and_again_when_what_was_refused_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two writes are refused for a while; a read that works meanwhile is no news."""
    monkeypatch.setattr(store_retry, "RETRY_S", 0.01)
    told: list[str] = []
    patient = StoreRetry(told.append)
    free = asyncio.Event()

    async def write() -> str:
        if not free.is_set():
            raise error("SQLITE_FULL", "database or disk is full")
        return "written"

    async def read() -> str:
        return "read"

    async with asyncio.timeout(60), asyncio.TaskGroup() as group:
        writes = [group.create_task(patient(write)) for _ in range(2)]
        await asyncio.sleep(0.05)
        assert await patient(read) == "read" and told == ["database or disk is full"] and patient.trouble
        free.set()
        assert [await one for one in writes] == ["written", "written"]
    assert told == ["database or disk is full", ""] and not patient.trouble


async def test_a_mistake_of_ours_is_raised_at_once() -> None:
    """Also while it waits for something else."""

    async def wrong() -> None:
        raise error("SQLITE_ERROR", "no such column: x")

    with pytest.raises(sa.exc.OperationalError, match="no such column"):
        await StoreRetry()(wrong)
