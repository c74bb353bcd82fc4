"""The fair queue: every author gets a turn, and what does not fit stays in the journal for later."""

import asyncio
from collections import OrderedDict, deque
from typing import Generic, TypeVar

T = TypeVar("T")


class Intake(Generic[T]):
    """Round-robin over authors, in order within one author; holds at most `max_waiting` entries.

    When it is full, `put` returns the entry that is shed; the journal keeps it (its state stays `seen`).
    """

    def __init__(self, max_waiting: int = 2000) -> None:
        self._max_waiting = max_waiting
        self._authors: OrderedDict[str, deque[T]] = OrderedDict()
        self._arrived = asyncio.Condition()
        self._size = 0
        self.shed = 0

    def __len__(self) -> int:
        return self._size

    async def put(self, author: str, entry: T) -> T | None:
        """Queues the entry behind the author's own; returns (and counts in `shed`) the one there is no room for.

        When it is full, an author with nothing waiting still gets in by pushing out the newest of the longest line.
        """
        dropped: T | None = None
        async with self._arrived:
            if self._size >= self._max_waiting:
                self.shed += 1
                longest = max(self._authors.values(), key=len)
                if author in self._authors or len(longest) < 2:
                    return entry
                dropped = longest.pop()
                self._size -= 1
            self._authors.setdefault(author, deque()).append(entry)
            self._size += 1
            self._arrived.notify()
            return dropped

    async def take(self) -> T:
        """The next entry; the author then goes to the end of the line."""
        async with self._arrived:
            await self._arrived.wait_for(lambda: self._size > 0)
            author, entries = next(iter(self._authors.items()))
            entry = entries.popleft()
            if entries:
                self._authors.move_to_end(author)
            else:
                del self._authors[author]
            self._size -= 1
            return entry
