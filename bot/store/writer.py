"""Group commit: one transaction at a time, and what is asked for meanwhile goes into the next one together."""

import asyncio
import contextlib
import inspect
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import groupby
from typing import Any, TypeVar

import sqlalchemy as sa

from bot.store import tables as t
from bot.store.backups import COUNTED
from bot.store.change_log import Change, ChangeLog, Statement
from bot.store.retry import is_corruption

R = TypeVar("R")
T = TypeVar("T")
Work = Callable[[sa.Connection], T]
"""Statements of one domain event. They touch nothing but the connection, so running them again is safe."""
Many = Callable[[sa.Connection, Sequence[R]], Sequence[T]]
"""Runs the same statements for many rows at once; returns one answer for each row, in order."""

MOST_AT_ONCE = 1000
"""Works in one transaction. Beyond that the first callers would wait for the last ones' statements."""


@dataclass(eq=False, slots=True)
class _Entry:
    """`many` and its row, or None and a work."""

    many: Many[Any, Any] | None
    what: Any
    answer: asyncio.Future[Any]


@dataclass(frozen=True, slots=True)
class _Failed:
    error: Exception


class Writer:
    """The store's only way to write.

    A thread of its own commits all waiting writes as soon as the commit before is on disk. So a lone write is committed
    at once, and a flood shares commits without a timer; a batch costs one change of threads, whatever its size. When a
    batch fails, each write is tried again in a transaction of its own: a bad write fails only its own caller.
    """

    def __init__(self, engine: sa.Engine, log: ChangeLog | None = None) -> None:
        self._engine = engine
        self._log = log
        self._statements: list[Statement] = []
        self._in_doubt: int | None = None  # rows whose commit succeeded although its caller saw an error
        if log is not None:
            sa.event.listen(engine, "before_cursor_execute", self._note)
        self._thread = ThreadPoolExecutor(1, "store-writer")
        self._waiting: list[_Entry] = []
        self._busy = self._closed = False
        self.on_damage: Callable[[], object] = lambda: None
        """Called in the writer's thread when the file turns out to be damaged."""

    async def write(self, work: Work[T]) -> T:
        """Returns the write's answer once it is on disk; raises what the write raised, and then nothing of it is kept.

        A write whose caller was cancelled before its turn leaves nothing behind; one cancelled during the commit may
        have been written.
        """
        if inspect.iscoroutinefunction(work):
            raise TypeError("a work is a plain function of a Connection: it runs in the writer's own thread")
        answer: T = await self._put(None, work)
        return answer

    async def write_row(self, many: Many[R, T], row: R) -> T:
        """Like `write`, for what comes in floods: neighbours with the same `many` are handed to it together."""
        answer: T = await self._put(many, row)
        return answer

    async def between(self, work: Callable[[], ChangeLog]) -> None:
        """Runs in the writer's thread, so between two commits; changes go into the log it returns from then on."""

        def turn() -> None:
            if self._in_doubt is not None:
                self._settle(self._last())  # while the log it would be taken out of is open
            log_file = work()
            if self._log is not None:
                self._log.close()
            self._log = log_file

        await asyncio.get_running_loop().run_in_executor(self._thread, turn)

    async def empty_wal(self) -> None:
        """Empties the write-ahead log, which still holds overwritten texts, unless a reader needs it."""

        def turn() -> None:
            with self._engine.connect() as connection:
                connection.connection.dbapi_connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")  # type: ignore[union-attr]

        await asyncio.get_running_loop().run_in_executor(self._thread, turn)

    def close(self) -> None:
        """Waits for the commit that is under way; later writes are refused."""
        self._closed = True
        self._thread.shutdown()
        self._engine.dispose()
        if self._log is not None:
            self._log.close()

    def _put(self, many: Many[Any, Any] | None, what: Any) -> asyncio.Future[Any]:
        if self._closed:
            raise RuntimeError("the store is closed")
        loop = asyncio.get_running_loop()
        entry = _Entry(many, what, loop.create_future())
        self._waiting.append(entry)
        if not self._busy:
            self._busy = True
            loop.call_soon(self._begin, loop)  # not at once: who writes in the same turn of the loop comes along
        return entry.answer

    def _begin(self, loop: asyncio.AbstractEventLoop) -> None:
        wanted = [entry for entry in self._waiting if not entry.answer.done()]  # the others' callers were cancelled
        batch, self._waiting = wanted[:MOST_AT_ONCE], wanted[MOST_AT_ONCE:]
        self._busy = bool(batch)
        if batch:
            self._thread.submit(self._run, batch, loop)

    def _run(self, batch: list[_Entry], loop: asyncio.AbstractEventLoop) -> None:
        answers = self._commit(batch)
        with contextlib.suppress(RuntimeError):  # the loop was closed: no caller waits
            loop.call_soon_threadsafe(self._committed, batch, answers, loop)

    def _commit(self, batch: list[_Entry]) -> list[Any]:
        try:
            answers = self._transaction(batch)
        except Exception as error:
            if is_corruption(error):
                self.on_damage()
            if len(batch) == 1:
                return [_Failed(error)]
            return [answer for entry in batch for answer in self._commit([entry])]
        return answers

    def _transaction(self, batch: list[_Entry]) -> list[Any]:
        """Returns the batch's answers. Its changes are in the log before they are committed; after a crash in between
        the next start applies them again."""
        self._statements = []
        with self._engine.connect() as connection, connection.begin() as transaction:
            answers = list(_answers(connection, batch))
            if self._log is None or not self._statements:
                transaction.commit()
                return answers
            number: int = connection.execute(sa.select(t.change_log.c.number)).scalar_one() + 1
            connection.exec_driver_sql(COUNTED, (number,))
            self._settle(number - 1)
            self._log.append(Change(number, self._statements))
            self._in_doubt = number
            try:
                transaction.commit()
            except sa.exc.DBAPIError:
                if self._settle(self._last()):
                    raise
        self._in_doubt = None
        return answers

    def _settle(self, last: int) -> bool:
        """A commit may have come to the store although an error says otherwise: `last`, the store's last change, tells.
        True when it has not, and then it is out of the log."""
        missed = self._in_doubt is not None and last < self._in_doubt
        if missed and self._log is not None:
            self._log.take_back()
        self._in_doubt = None
        return missed

    def _last(self) -> int:
        """Returns the store's last change; raises the store's errors, and then the commit stays in doubt."""
        with self._engine.connect() as connection:
            number: int = connection.execute(sa.select(t.change_log.c.number)).scalar_one()
        return number

    def _note(self, _c: Any, _u: Any, sql: str, parameters: Any, _x: Any, many: bool) -> None:
        if sql != COUNTED and not sql.lstrip().startswith(("SELECT", "PRAGMA", "BEGIN")):
            self._statements.append((sql, parameters, many))

    def _committed(self, batch: list[_Entry], answers: list[Any], loop: asyncio.AbstractEventLoop) -> None:
        self._begin(loop)
        for entry, answer in zip(batch, answers, strict=True):
            if entry.answer.done():
                continue  # cancelled: no caller is left to read it
            if isinstance(answer, _Failed):
                entry.answer.set_exception(answer.error)
            else:
                entry.answer.set_result(answer)


def _answers(connection: sa.Connection, batch: list[_Entry]) -> Iterator[Any]:
    """Keeps the order in which the writes were asked for."""
    for many, entries in groupby(batch, key=lambda entry: entry.many):
        if many is None:
            for entry in entries:
                yield entry.what(connection)
        else:
            yield from many(connection, [entry.what for entry in entries])
