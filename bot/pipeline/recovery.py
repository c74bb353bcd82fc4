"""What the journal still has to be done: all of it after a crash, and later what a flood has shed."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence, Set

import structlog

from bot.domain.case import Journalled
from bot.domain.event import Message
from bot.domain.row_state import DECIDED, UNDECIDED, RowState
from bot.pipeline.fair_queue import FairQueue
from bot.store import Store
from bot.store.message_queries import UnfinishedMessage
from bot.store.retry import StoreRetry, is_corruption

PAGE = 200
"""So many rows of the journal are read at once at most."""
MOST_DEATHS = 8
"""So many of the service's processes may end with a message in hand before it is laid to the message: most end for
another reason."""
LOOK_EVERY_S, ORPHANS_EVERY_S = 1.0, 30.0
log = structlog.get_logger()


class Recovery:
    """Reads what waits, in fair turns, a page at a time and only as far as `fair_queue` has room.

    `in_hand` are the rows that are in the line or being handled. `queue` puts a row into the line, `finish` carries out
    what was decided before; `caught_up` hears that nothing shed waits any more.
    """

    def __init__(
        self,
        store: Store,
        store_retry: StoreRetry,
        platforms: Iterable[str],
        fair_queue: FairQueue[tuple[int, Message]],
        in_hand: Set[int],
        queue: Callable[[int, Message, int | None, bool], Awaitable[None]],
        finish: Callable[[Journalled, Message], Awaitable[None]],
        caught_up: Callable[[], None],
    ) -> None:
        self._store = store
        self._store_retry = store_retry
        self._platforms = platforms
        self._fair_queue = fair_queue
        self._in_hand = in_hand
        self._queue = queue
        self._finish = finish
        self._caught_up = caught_up
        self._unowned: set[int] = set()
        self.has_shed = False
        """Whether rows wait in the journal for which the line had no room."""

    async def former(self) -> None:
        """What a former process left: rows that stood there when the store was opened.

        What was decided before does not wait for a model, nor what was not for a platform that does not answer.
        """
        if not self._store.newest_at_open:
            return
        async with asyncio.TaskGroup() as group:
            for states in (DECIDED, UNDECIDED):
                for name in self._platforms:
                    group.create_task(self._former(name, states))

    async def _former(self, platform: str, states: Sequence[RowState]) -> None:
        """The least tried first: one that is begun first by every process is there at every early end."""
        for tries in (None,) if states == DECIDED else (*range(MOST_DEATHS), None):
            await self._former_tried(platform, states, tries)

    async def _former_tried(self, platform: str, states: Sequence[RowState], tries: int | None) -> None:
        async for old in self._pages(platform, states, tries, self._store.newest_at_open):
            row = old.row
            if old.event is None:
                await self._store_retry(lambda: self._store.record_state(row.id, RowState.FAILED))  # noqa: B023
            elif row.state in DECIDED:
                await self._finished(row, old.event)
            else:
                await self._queue(row.id, old.event, row.tries, old.revises)

    async def _finished(self, row: Journalled, event: Message) -> None:
        """One row that cannot be finished is not in the others' way."""
        try:
            await self._finish(row, event)
        except Exception as error:
            if is_corruption(error):
                raise
            log.exception("could not be finished", row=row.id)
            await self._store_retry(lambda: self._store.record_state(row.id, RowState.FAILED))

    async def run(self) -> None:
        """Takes up what was shed, once there is room again, and what a commit left that nobody believed in; until
        cancelled."""
        looked = time.monotonic()
        while True:
            await asyncio.sleep(LOOK_EVERY_S)
            if time.monotonic() - looked > ORPHANS_EVERY_S:
                await self._orphans()
                looked = time.monotonic()
            if not self.has_shed or not self._fair_queue.roomy.is_set():
                continue
            self.has_shed = False  # before the look: what is shed meanwhile is looked for again
            for name in self._platforms:
                async for old in self._pages(name, (RowState.SHED,)):
                    if old.event is not None:
                        await self._queue(old.row.id, old.event, None, old.revises)
            if not self.has_shed:
                self._caught_up()

    async def _orphans(self) -> None:
        """Rows that wait and that nobody has in hand, now and at the look before: no longer just being received."""
        before, self._unowned = self._unowned, set()
        for name in self._platforms:
            async for old in self._pages(name, (RowState.SEEN,)):
                if old.row.id not in before:
                    self._unowned.add(old.row.id)
                elif old.event is not None:
                    await self._queue(old.row.id, old.event, None, old.revises)

    async def _pages(
        self, platform: str, states: Sequence[RowState], tries: int | None = None, upto: int | None = None
    ) -> AsyncIterator[UnfinishedMessage]:
        """Rows in these states that nobody has in hand: communities in turn, in them authors, each from their oldest
        on. What comes meanwhile is looked for the next time."""
        numbers, at = await self._store_retry(lambda: self._store.in_turn(platform, states, tries, upto)), 0
        while at < len(numbers):
            limit = PAGE
            if states != DECIDED:
                while not self._fair_queue.roomy.is_set():
                    await self._fair_queue.roomy.wait()
                limit = max(1, min(PAGE, self._fair_queue.max_waiting - len(self._fair_queue)))
            already = set(self._in_hand)  # may be through by the time the journal has answered
            some = [number for number in numbers[at : at + limit] if number not in already]
            at += limit
            for old in await self._store_retry(lambda: self._store.left(some, states)):  # noqa: B023
                yield old
