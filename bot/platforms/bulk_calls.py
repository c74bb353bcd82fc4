"""Calls that a platform takes for many things at once: what waits goes together, without a timer."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

from bot.domain.platform import Unreachable

T = TypeVar("T")
Call = Callable[[list[T]], Awaitable[None]]


class BulkCalls(Generic[T]):
    """The first caller for a key sends one bulk request for everything queued under it, at most `most` at once.

    When a bulk request fails, each item is sent alone, so that an item that cannot be done fails only its own caller.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._turns: dict[str, asyncio.Lock] = {}
        self._waiting: dict[str, dict[T, asyncio.Future[None]]] = {}

    async def do(self, place: str, thing: T, call: Call[T]) -> None:
        """Returns once the item is done; raises the platform's answer, and `Unreachable` where the caller that sent the
        request gave up."""
        waiting = self._waiting.setdefault(place, {})
        answer = waiting.setdefault(thing, asyncio.get_running_loop().create_future())
        answer.add_done_callback(_heard)
        turn = self._turns.setdefault(place, asyncio.Lock())
        async with turn:
            while thing in waiting and not answer.done():
                batch = dict(list(waiting.items())[: self._most])
                for taken in batch:
                    del waiting[taken]
                await self._together(batch, call)
        if not turn.locked() and not waiting:
            self._turns.pop(place, None)
            self._waiting.pop(place, None)
        await asyncio.shield(answer)

    async def _together(self, batch: dict[T, asyncio.Future[None]], call: Call[T]) -> None:
        try:
            await call(list(batch))
        except Exception as error:
            if len(batch) == 1:
                next(iter(batch.values())).set_exception(error)
                return
            for thing, answer in batch.items():
                await self._together({thing: answer}, call)
        else:
            for answer in batch.values():
                answer.set_result(None)
        finally:  # a cancelled sender leaves no other caller waiting
            for answer in batch.values():
                if not answer.done():
                    answer.set_exception(Unreachable("the platform does not answer"))


def _heard(answer: asyncio.Future[None]) -> None:
    """A caller may have gone: an error that is never read is dropped."""
    if not answer.cancelled():
        answer.exception()
