"""The store's answer, however long it takes: a full disk or a locked file is waited for, never worked around."""

import asyncio
import errno
import sqlite3
from collections.abc import Awaitable, Callable, Iterator
from typing import TypeVar

import sqlalchemy as sa
import structlog

T = TypeVar("T")
RETRY_S = 1.0
log = structlog.get_logger()


_ERRNOS = {getattr(errno, name) for name in ("ENOSPC", "EDQUOT", "EIO", "EFBIG", "ENOMEM", "EMFILE", "ENFILE", "EBUSY")}
_PASSING = ("BUSY", "LOCKED", "FULL", "IOERR", "CANTOPEN", "NOMEM", "READONLY", "PROTOCOL", "INTERRUPT")


def is_transient(error: BaseException) -> bool:
    """Whether the store may answer again by itself: disk full, I/O error, locked. Damage to the file is not passing,
    and a statement that breaks a rule of the schema is a mistake of ours."""
    if isinstance(error, OSError):  # of the log of changes
        return error.errno in _ERRNOS
    if isinstance(error, sa.exc.TimeoutError):  # all connections are in use, and have been for long
        return True
    cause = error.orig if isinstance(error, sa.exc.OperationalError) else error
    name: str = getattr(cause, "sqlite_errorname", "")
    return isinstance(cause, sqlite3.OperationalError) and name.removeprefix("SQLITE_").startswith(_PASSING)


def is_corruption(error: BaseException) -> bool:
    """Whether the store's file is damaged: waiting does not help, a new start does."""
    lowered = str(error).lower()
    return isinstance(error, sa.exc.DatabaseError | sqlite3.DatabaseError) and (
        "malformed" in lowered or "not a database" in lowered
    )


def leaves(error: BaseException) -> Iterator[BaseException]:
    """Yields the errors that a group of errors holds, at any depth; an error that is no group is the only one."""
    if isinstance(error, BaseExceptionGroup):
        for one in error.exceptions:
            yield from leaves(one)
    else:
        yield error


class StoreRetry:
    """Repeats a call until the store answers. `told` is called once when it does not answer, and once, with "", when it
    does again.

    The call must be safe to repeat, as every method of the store is.
    """

    def __init__(self, told: Callable[[str], None] = lambda error: None) -> None:
        self._told = told
        self._waiting = 0
        self.trouble = ""
        """The store's last error; "" while all is well."""

    async def __call__(self, ask: Callable[[], Awaitable[T]]) -> T:
        refused = False
        try:
            while True:
                try:
                    answer = await ask()
                except Exception as error:
                    if not is_transient(error):
                        raise
                    self._waiting += not refused
                    refused = True
                    self._fails(error)
                    await asyncio.sleep(RETRY_S)
                else:
                    break
        finally:
            self._waiting -= refused
        if not self._waiting and self.trouble:  # what was refused is done: not merely something else
            self.trouble = ""
            self._told("")
        return answer

    def _fails(self, error: Exception) -> None:
        text = str(getattr(error, "orig", None) or error)
        if not self.trouble:
            log.error("the store does not answer", error=text)
            self.trouble = text
            self._told(text)
