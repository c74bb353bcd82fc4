"""One warning for an author in five minutes, which names how many messages it is for."""

import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from bot.domain.action import Warn
from bot.domain.event import Message
from bot.domain.platform import RateLimited
from bot.store import Store

GATHER_S, LONGEST_GATHER_S = 2.0, 10.0
"""How long a warning waits for other messages to name, and how long all warnings of a burst take."""
EVERY_S = 300.0
AUTHORS_KEPT = 10_000


@dataclass(slots=True)
class _Author:
    """The messages to be warned for, since when and until when others are waited for, and when the last warning was;
    moments of the process's clock."""

    waiting: set[str] = field(default_factory=set)
    began: float = 0.0
    due: float = 0.0
    warned: float | None = None


class WarningPace:
    """Remembers who was warned; for an earlier process it asks the store."""

    def __init__(self, store: Store, clock: Callable[[], float] = time.monotonic) -> None:
        self._store = store
        self._clock = clock
        self._authors: OrderedDict[tuple[str, str, str], _Author] = OrderedDict()

    async def next(self, event: Message, *, at_once: bool) -> Warn | None:
        """Returns the warning as it is to be given now; None where a recent one covers this message.

        `at_once`: the author is about to be removed and could not be told later. Raises `RateLimited` while more
        messages may come that it should name as well.
        """
        author, now = await self._author(event), self._clock()
        if event.key.message not in author.waiting:
            author.began = author.began if author.waiting else now
            author.due = min(author.began + LONGEST_GATHER_S, now + GATHER_S)
        author.waiting.add(event.key.message)
        if author.warned is not None and now - author.warned < EVERY_S:
            author.waiting.clear()
            return None
        if not at_once and now < author.due:
            raise RateLimited(author.due - now)
        warning = Warn(len(author.waiting))
        author.waiting.clear()
        author.warned = now
        return warning

    def not_given(self, event: Message, warning: Warn) -> None:
        """The platform did not take it: the next one is for these messages, too."""
        author = self._authors.get(_who(event))
        if author is not None:
            later_messages = (f"{event.key.message} {number}" for number in range(1, warning.messages))
            author.waiting |= {event.key.message, *later_messages}
            author.began = author.due = self._clock()
            author.warned = None

    async def _author(self, event: Message) -> _Author:
        author = _who(event)
        if author not in self._authors:
            since = datetime.now(UTC) - timedelta(seconds=EVERY_S)
            was_warned = await self._store.standings.was_warned(event, since)
            self._authors.setdefault(author, _Author(warned=self._clock() if was_warned else None))
        self._authors.move_to_end(author)
        while len(self._authors) > AUTHORS_KEPT:
            self._authors.popitem(last=False)
        return self._authors[author]


def _who(event: Message) -> tuple[str, str, str]:
    return event.key.platform, event.key.community, event.author.id
