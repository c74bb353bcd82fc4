"""Messages with which the model's process died: tried alone, counted on disk before each try, and then not any more."""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable

from bot.domain.event import Message
from bot.pipeline.reader import Read, Reader
from bot.pipeline.recovery import MOST_DEATHS
from model.classifier import Died, NotAnswering, Unavailable, Unscorable

MOST_TRIES = 3
"""A message with which so many of the model's processes died is not tried again; moderators are shown it."""
MOST_TEXTS = 1000
"""So many texts that ended the model's process are remembered, so that the same ones do no more harm."""


class PoisonMessages:
    """The suspects among the messages in hand, by journal row, and the texts that were found guilty.

    A process that ends has many messages in hand, so each of them is only suspected. `record_tried` writes to disk how
    often a row was tried.
    """

    def __init__(self, reader: Reader, record_tried: Callable[[int, int], Awaitable[None]]) -> None:
        self._reader = reader
        self._record_tried = record_tried
        self._tries: dict[int, int] = {}
        self._former_tries: dict[int, int] = {}
        """Tries of former processes, of which most ended for another reason."""
        self._texts: OrderedDict[str, None] = OrderedDict()
        self._has_answered = False
        self._one_at_a_time = asyncio.Lock()

    def is_suspect(self, row: int) -> bool:
        """Whether a process died with it, or may have."""
        return row in self._tries

    def suspect_former(self, row: int, tries: int) -> None:
        """A former process left this row, and may have died of it: it was tried so often."""
        self._tries[row] = min(tries, 1)
        self._former_tries[row] = tries - self._tries[row]

    def suspect(self, row: int) -> None:
        """The model's process died with it: from now on it is tried alone."""
        self._tries[row] = max(1, self._tries.get(row, 0))

    def forget(self, row: int) -> None:
        """The row is through."""
        self._tries.pop(row, None)
        self._former_tries.pop(row, None)

    def check(self, event: Message) -> None:
        """Raises `Unscorable` where a process died with the same text before."""
        if _text_of(event) in self._texts:
            raise Unscorable("the model's process died with the same text before", frozenset())

    async def read(self, row: int, event: Message, read: Callable[[bool], Awaitable[Read]]) -> Read:
        """What the model says of a suspect; `read` asks it, alone or among others.

        Each try is counted on disk before it begins; from the second on the message is tried alone. Raises `Unscorable`
        when that was often enough, and what the classifier raises.
        """
        await self._require_loaded(event)
        if self._tries[row] == 0:  # left by a former process, which need not have come to it
            await self._count(row, 1)
            return await read(False)
        async with self._one_at_a_time:
            tries = self._tries[row]
            deaths = tries + self._former_tries.get(row, 0)
            if tries >= MOST_TRIES or deaths >= MOST_DEATHS:
                raise Unscorable(f"a process died with it {deaths} times", frozenset())
            await self._count(row, tries + 1)
            try:
                return await read(True)
            except Died as error:
                if tries + 1 < MOST_TRIES:
                    raise
                if not await self._reader.answers(event.key.community):
                    await self._count(row, 1)
                    raise Unavailable(str(error)) from error  # so it is not this message's doing
                self._remember(event)
                raise Unscorable(f"the model's process died with it {MOST_TRIES} times", frozenset()) from None
            except NotAnswering:  # it was not tried
                await self._count(row, tries)
                raise

    async def _require_loaded(self, event: Message) -> None:
        """Returns once the model has answered at all: a process that ends before that has not died of a message."""
        async with self._one_at_a_time:
            if not self._has_answered and not await self._reader.answers(event.key.community):
                raise Unavailable("the model does not answer yet")
            self._has_answered = True

    async def _count(self, row: int, tries: int) -> None:
        await self._record_tried(row, tries + self._former_tries.get(row, 0))
        self._tries[row] = tries

    def _remember(self, event: Message) -> None:
        self._texts[_text_of(event)] = None
        while len(self._texts) > MOST_TEXTS:
            self._texts.popitem(last=False)


def _text_of(event: Message) -> str:
    """All that the model reads of it."""
    return f"{event.text}\n{event.quoted}" if event.quoted else event.text
