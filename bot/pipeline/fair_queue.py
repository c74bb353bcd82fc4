"""The fair queue: communities take turns, and within one its authors; an entry without room waits in the journal."""

import asyncio
from collections import OrderedDict, deque
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Throttle:
    """Limits how many messages are with the classifier at once: as many as it answers within `aim_s` seconds each.

    A longer line at the classifier could not be reordered, so a flooder's messages would hold up others. The limit lies
    between `least` and `most`: one less after a slower answer, one more after a quicker one. It begins with `first`.
    """

    def __init__(self, most: int, aim_s: float = 0.5, least: int = 4, first: int = 16) -> None:
        self.most, self._aim_s, self._least = most, aim_s, min(least, most)
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
        self.limit = min(self.most, max(self._least, before + step))
        if self.limit > before:
            self._changed.set()


NEW_IN_A_ROW = 3
TURN_TOKENS = 256
"""A turn is one entry, or so many tokens of a longer one: who has had more sits out so many turns later."""
MOST_CHARGED = 32 * TURN_TOKENS


class Turns:
    """Chooses whose turn it is: deficit round-robin with new flows before old ones (FQ-CoDel, RFC 8290, section 4.2).

    A newcomer goes before those who have had a turn and still wait; these get every fourth turn at least. A flow that
    leaves keeps its place, and its debt, until a round has gone by, so that coming back at once makes no newcomer. Each
    step takes constant time, however many flows there are.
    """

    def __init__(self) -> None:
        self._new: OrderedDict[str, None] = OrderedDict()
        self._old: OrderedDict[str, None] = OrderedDict()
        self._credit: dict[str, int] = {}
        self._new_in_a_row = 0

    def join(self, key: str) -> None:
        """Adds a flow to the waiting ones, in its old place or as a newcomer."""
        if key not in self._credit:
            self._credit[key] = TURN_TOKENS
            self._new[key] = None

    def next(self, waits: Callable[[str], bool], forget: Callable[[str], object]) -> str:
        """Returns the next waiting flow; there must be one. `forget` is called with each flow whose place is gone."""
        old_left = len(self._old)
        while True:
            is_new = bool(self._new) and (self._new_in_a_row < NEW_IN_A_ROW or not self._old or old_left <= 0)
            key, _ = (self._new if is_new else self._old).popitem(last=False)
            old_left -= not is_new
            is_there = waits(key)
            if self._credit[key] <= 0:
                self._credit[key] += TURN_TOKENS
                self._old[key] = None
                self._new_in_a_row = 0 if is_there or old_left <= 0 else self._new_in_a_row  # that was its turn
            elif is_there:
                self._new_in_a_row = self._new_in_a_row + 1 if is_new else 0
                self._old[key] = None
                return key
            else:
                del self._credit[key]
                forget(key)

    def charge(self, key: str, tokens: int) -> None:
        """Charges the flow for its turn."""
        self._credit[key] = TURN_TOKENS - min(tokens, MOST_CHARGED)

    def clear(self) -> None:
        """Forgets all places and debts, because no flow waits."""
        self._new.clear()
        self._old.clear()
        self._credit.clear()


class Lengths:
    """Counts the waiting entries of each flow and knows the largest; each step takes constant time."""

    def __init__(self) -> None:
        self._of: dict[str, int] = {}
        self._having: dict[int, OrderedDict[str, None]] = {}
        self.most = 0

    def of(self, key: str) -> int:
        """Counts the waiting entries of this flow."""
        return self._of.get(key, 0)

    @property
    def longest(self) -> str:
        """Returns the flow with the most waiting entries; there must be one."""
        return next(iter(self._having[self.most]))

    def add(self, key: str, by: int) -> None:
        """One more, or one less (-1)."""
        before = self._of.get(key, 0)
        now = before + by
        if before:
            self._having[before].pop(key)
            if not self._having[before]:
                del self._having[before]
        if now:
            self._of[key] = now
            self._having.setdefault(now, OrderedDict())[key] = None
        else:
            del self._of[key]
        self.most = max(self.most, now)
        if self.most not in self._having:
            self.most = now


class _Community(Generic[T]):
    """The waiting entries of one community, by author."""

    def __init__(self) -> None:
        self.lines: dict[str, deque[tuple[int, T]]] = {}
        self.turns = Turns()
        self.lengths = Lengths()
        self.size = 0

    def put(self, author: str, tokens: int, entry: T) -> None:
        self.lines.setdefault(author, deque()).append((tokens, entry))
        self.turns.join(author)
        self.lengths.add(author, 1)
        self.size += 1

    def take(self) -> tuple[int, T]:
        author = self.turns.next(lambda author: bool(self.lines[author]), self.lines.pop)
        tokens, entry = self.lines[author].popleft()
        self.turns.charge(author, tokens)
        self._one_less(author)
        return tokens, entry

    def shed(self) -> T:
        """Returns the newest entry of the author with the most waiting."""
        author = self.lengths.longest
        _, entry = self.lines[author].pop()
        self._one_less(author)
        return entry

    def _one_less(self, author: str) -> None:
        self.lengths.add(author, -1)
        self.size -= 1


class FairQueue(Generic[T]):
    """Round-robin over communities, within one over its authors, in order within one author (`Turns`, by tokens); holds
    at most `max_waiting` entries.

    When it is full, `put` returns the entry that is shed: the journal keeps it. `roomy` is set while at least half of
    it is free.
    """

    def __init__(self, max_waiting: int = 2000) -> None:
        self.max_waiting = max_waiting
        self._communities: dict[str, _Community[T]] = {}
        self._turns = Turns()
        self._lengths = Lengths()
        self._takers: deque[asyncio.Future[None]] = deque()
        self._size = 0
        self.roomy = asyncio.Event()
        self.roomy.set()
        self.shed = 0

    def __len__(self) -> int:
        return self._size

    async def put(self, author: str, entry: T, *, community: str = "", tokens: int = 0) -> T | None:
        """See `put_now`."""
        return self.put_now(author, entry, community=community, tokens=tokens)

    def put_now(self, author: str, entry: T, *, community: str = "", tokens: int = 0) -> T | None:
        """Queues the entry behind the author's own; returns, and counts in `shed`, the entry that does not fit.

        When it is full, the busiest author of the busiest community loses their newest entry, so that no author loses
        one for what another writes, and no community for what another does.
        """
        dropped: T | None = None
        if self._size >= self.max_waiting:
            self.shed += 1
            own_length = self._lengths.of(community)
            busiest = community if self._lengths.most <= own_length + 1 else self._lengths.longest
            queue = self._communities.get(busiest)
            own = queue.lengths.of(author) if queue is not None and busiest == community else None
            if queue is None or not queue.size or (own is not None and queue.lengths.most <= own + 1):
                return entry
            dropped = queue.shed()
            self._one_less(busiest)
        if community not in self._communities:
            self._communities[community] = _Community()
        self._communities[community].put(author, tokens, entry)
        self._turns.join(community)
        self._lengths.add(community, 1)
        self._size += 1
        if self._size > self.max_waiting // 2:
            self.roomy.clear()
        self._wake()
        return dropped

    async def take(self) -> T:
        """The next entry, as soon as there is one."""
        while not self._size:
            self._takers.append(turn := asyncio.get_running_loop().create_future())
            try:
                await turn
            except asyncio.CancelledError:
                if turn.done() and not turn.cancelled() and self._size:
                    self._wake()  # the cancelled caller's turn goes to another
                raise
        return self.take_now()

    def take_now(self) -> T:
        """Returns the next entry; there must be one."""
        community = self._turns.next(lambda community: self._communities[community].size > 0, self._communities.pop)
        tokens, entry = self._communities[community].take()
        self._turns.charge(community, tokens)
        self._one_less(community)
        if not self._size:
            self._turns.clear()
            self._communities.clear()
        return entry

    def _one_less(self, community: str) -> None:
        self._lengths.add(community, -1)
        self._size -= 1
        if self._size <= self.max_waiting // 2:
            self.roomy.set()

    def _wake(self) -> None:
        while self._takers:
            turn = self._takers.popleft()
            if not turn.done():
                turn.set_result(None)
                return
