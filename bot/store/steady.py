"""The store's answer, however long it takes: a full disk or a locked file is waited for, never worked around."""

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable
from typing import TypeVar

import sqlalchemy as sa
import structlog

T = TypeVar("T")
RETRY_S = 1.0
log = structlog.get_logger()


def passing(error: BaseException) -> bool:
    """Whether the store may answer again by itself: disk full, I/O error, locked. Damage to the file is not passing,
    and a statement that breaks a rule of the schema is a mistake of ours."""
    return isinstance(error, sa.exc.OperationalError | sqlite3.OperationalError | OSError)


def damage(error: BaseException) -> bool:
    """Whether the store's file is damaged: waiting does not help, a new start does."""
    said = str(error).lower()
    return isinstance(error, sa.exc.DatabaseError | sqlite3.DatabaseError) and (
        "malformed" in said or "not a database" in said
    )


class Steady:
    """Asks again until the store answers. `told` hears once when it does not, and once when it does again ("").

    Whatever is asked must be safe to repeat, as every method of the store is.
    """

    def __init__(self, told: Callable[[str], None] = lambda error: None) -> None:
        self._told = told
        self.trouble = ""
        """What the store said last; "" while all is well."""

    async def __call__(self, ask: Callable[[], Awaitable[T]]) -> T:
        while True:
            try:
                answer = await ask()
            except Exception as error:
                if not passing(error):
                    raise
                self._fails(error)
                await asyncio.sleep(RETRY_S)
            else:
                if self.trouble:
                    self.trouble = ""
                    self._told("")
                return answer

    def _fails(self, error: Exception) -> None:
        said = str(getattr(error, "orig", None) or error)
        if not self.trouble:
            log.error("the store does not answer", error=said)
            self.trouble = said
            self._told(said)
