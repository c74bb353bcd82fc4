"""The fair queue: every author gets a turn, and what does not fit stays in the journal for later."""

import asyncio
from collections import OrderedDict, deque
from typing import Generic, TypeVar

T = TypeVar("T")


class Throttle:
    """How many messages are with the classifier at once: as many as it answers within `aim_s` seconds each.

    More would stand in its line, where nobody overtakes a flooder. Between `least` and `most`; one less after an answer
    that took longer, one more after one that did not. It begins with `first`.
    """

    def __init__(self, most: int, aim_s: float = 0.5, least: int = 4, first: int = 16) -> None:
        self._most, self._aim_s, self._least = most, aim_s, min(least, most)
        self._changed = asyncio.Event()
        self.limit = min(first, most)

    async def turn(self, number: int) -> None:
        """Returns once server `number` (from 0) may take a message."""
        while number >= self.limit:
            self._changed.clear()
            await self._changed.wait()

    def took(self, seconds: float) -> None:
        """An answer took so long."""
        before, step = self.limit, -1 if seconds > self._aim_s else 1
        self.limit = min(self._most, max(self._least, before + step))
        if self.limit > before:
            self._changed.set()


NEW_IN_A_ROW = 3


class Intake(Generic[T]):
    """Round-robin over authors, in order within one author; holds at most `max_waiting` entries.

    An author with nothing waiting goes before those who have had a turn and still wait, who get every fourth turn at
    least (as in FQ-CoDel, RFC 8290: new flows before old ones). When it is full, `put` returns the entry that is shed:
    the journal keeps it. `roomy` is set while at least half of it is free.
    """

    def __init__(self, max_waiting: int = 2000) -> None:
        self.max_waiting = max_waiting
        self._new: OrderedDict[str, deque[T]] = OrderedDict()
        self._old: OrderedDict[str, deque[T]] = OrderedDict()
        self._new_in_a_row = 0
        self._takers: deque[asyncio.Future[None]] = deque()
        self._size = 0
        self.roomy = asyncio.Event()
        self.roomy.set()
        self.shed = 0

    def __len__(self) -> int:
        return self._size

    async def put(self, author: str, entry: T) -> T | None:
        """Queues the entry behind the author's own; returns (and counts in `shed`) the one there is no room for.

        When it is full, whoever has the longest line loses the newest of it, so nobody is shed for what others write.
        """
        dropped: T | None = None
        if self._size >= self.max_waiting:
            self.shed += 1
            longest = max((*self._new.values(), *self._old.values()), key=len)
            if len(longest) <= len(self._line(author)) + 1:
                return entry
            dropped = longest.pop()
            self._size -= 1
        if not (line := self._line(author)):
            self._new[author] = line
        line.append(entry)
        self._size += 1
        if self._size > self.max_waiting // 2:
            self.roomy.clear()
        self._wake()
        return dropped

    async def take(self) -> T:
        """The next entry; the author then goes to the end of the line."""
        while not self._size:
            self._takers.append(turn := asyncio.get_running_loop().create_future())
            try:
                await turn
            except asyncio.CancelledError:
                if turn.done() and not turn.cancelled() and self._size:
                    self._wake()  # it was this one's turn: somebody else takes it
                raise
        new = bool(self._new) and not (self._old and self._new_in_a_row >= NEW_IN_A_ROW)
        self._new_in_a_row = self._new_in_a_row + 1 if new else 0
        author, entries = (self._new if new else self._old).popitem(last=False)
        entry = entries.popleft()
        if entries:
            self._old[author] = entries
        self._size -= 1
        if self._size <= self.max_waiting // 2:
            self.roomy.set()
        return entry

    def _line(self, author: str) -> deque[T]:
        """What waits of an author; a new line where nothing does."""
        return self._new.get(author) or self._old.get(author) or deque()

    def _wake(self) -> None:
        while self._takers:
            turn = self._takers.popleft()
            if not turn.done():
                turn.set_result(None)
                return
