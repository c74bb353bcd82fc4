"""Group commit: one transaction at a time, and what is asked for meanwhile goes into the next one together."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from typing import Any, TypeVar

from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

T = TypeVar("T")
Work = Callable[[AsyncConnection], Awaitable[T]]
"""Statements of one domain event. They touch nothing but the connection, so running them again is safe."""


@dataclass(eq=False, slots=True)
class _Entry:
    work: Work[Any]
    answer: asyncio.Future[Any]


class Writer:
    """The store's only way to write.

    Whoever finds no commit under way commits everything that waits; the others find their work done. So a lone
    write is committed at once, and a flood shares commits without a timer. When a batch fails, each of its works is
    tried again in a transaction of its own: one bad work fails only its own caller.
    """

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        self._turn = asyncio.Lock()
        self._waiting: list[_Entry] = []
        self.commits = 0

    async def write(self, work: Work[T]) -> T:
        """The work's answer, once it is on disk; raises what the work raised, and then nothing of it is kept.

        A caller cancelled before its turn leaves nothing behind; one cancelled during the commit may have been written.
        """
        entry = _Entry(work, asyncio.get_running_loop().create_future())
        self._waiting.append(entry)
        try:
            async with self._turn:
                if entry in self._waiting:
                    batch, self._waiting = self._waiting, []
                    await _to_the_end(self._commit(batch))
        except asyncio.CancelledError:
            if entry in self._waiting:
                self._waiting.remove(entry)
            if entry.answer.done() and not entry.answer.cancelled():
                entry.answer.exception()  # nobody is left to read it
            raise
        answer: T = entry.answer.result()
        return answer

    async def _commit(self, batch: list[_Entry]) -> None:
        try:
            async with self._engine.begin() as connection:
                answers = [await entry.work(connection) for entry in batch]
        except asyncio.CancelledError:
            for entry in batch:
                entry.answer.cancel()
            raise
        except Exception as error:
            if len(batch) == 1:
                batch[0].answer.set_exception(error)
            else:
                for entry in batch:
                    await self._commit([entry])
        else:
            self.commits += 1
            for entry, answer in zip(batch, answers, strict=True):
                entry.answer.set_result(answer)


async def _to_the_end(commit: Coroutine[Any, Any, None]) -> None:
    """Others wait for this commit too: a caller cancelled meanwhile sees it through, then leaves."""
    task = asyncio.get_running_loop().create_task(commit)
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is not None:
        raise cancelled
    task.result()
