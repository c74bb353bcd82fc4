"""Asyncio micro-batching: when the device becomes free, all waiting items form the next batch, up to a token budget.

It needs no torch and no timer: an idle device starts at once, and items gather while the device is busy.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from model.classifier import Classifier, Item, Overloaded, Unavailable, Unscorable, Verdict

MAX_TEXT_TOKENS = 8192
"""Tokens of one text at most: the model reads only the start and the end of a longer text."""


def estimate_tokens(text: str) -> int:
    """Estimates a text's tokens from its size in bytes."""
    return min(MAX_TEXT_TOKENS, 2 + len(text.encode("utf-8", "replace")) // 3)


@dataclass(slots=True)
class _Waiting:
    item: Item
    tokens: int
    answer: asyncio.Future[Verdict]


class Batcher:
    """A `Classifier` that batches calls to another one. Run `run()` as a task; it answers the calls of `classify`.

    `max_batch_tokens` bounds one batch, `max_waiting_tokens` the whole queue: a call beyond it raises `Overloaded` at
    once.
    """

    def __init__(
        self,
        classifier: Classifier,
        *,
        max_batch_tokens: int = 4096,
        max_waiting_tokens: int = 200_000,
        count_tokens: Callable[[str], int] = estimate_tokens,
    ) -> None:
        self._classifier = classifier
        self._max_batch_tokens = max_batch_tokens
        self._max_waiting_tokens = max_waiting_tokens
        self._count_tokens = count_tokens
        self._queue: deque[_Waiting] = deque()
        self._has_entries = asyncio.Event()
        self.waiting_tokens = 0

    async def classify(self, items: Sequence[Item]) -> list[Verdict]:
        """One verdict per item, in order. The items of a cancelled caller are dropped before they reach the device."""
        entries = [_Waiting(i, self._count_tokens(i.text), asyncio.get_running_loop().create_future()) for i in items]
        tokens = sum(entry.tokens for entry in entries)
        if self._queue and self.waiting_tokens + tokens > self._max_waiting_tokens:
            raise Overloaded(f"{self.waiting_tokens} tokens already wait; the limit is {self._max_waiting_tokens}")
        self._queue.extend(entries)
        self.waiting_tokens += tokens
        self._has_entries.set()
        try:
            return list(await asyncio.gather(*(entry.answer for entry in entries)))
        finally:
            for entry in entries:
                entry.answer.cancel()

    async def embed(self, texts: Sequence[str]) -> list[list[float]]:
        """Passes the call on: such calls are rare, and people make them."""
        return await self._classifier.embed(texts)

    async def run(self) -> None:
        """Serves until it is cancelled; waiting calls then raise `Unavailable`."""
        try:
            while True:
                await self._has_entries.wait()
                if not (batch := self._next_batch()):
                    self._has_entries.clear()
                    continue
                await self._answer(batch)
        finally:
            for entry in self._queue:
                _fail(entry, Unavailable("the batcher stopped"))
            self._queue.clear()
            self.waiting_tokens = 0

    def _next_batch(self) -> list[_Waiting]:
        """The oldest entries without a cancelled caller, up to the budget but at least one."""
        batch: list[_Waiting] = []
        tokens = 0
        while self._queue and (not batch or tokens + self._queue[0].tokens <= self._max_batch_tokens):
            if batch and self._queue[0].item.alone:
                break
            entry = self._queue.popleft()
            self.waiting_tokens -= entry.tokens
            if entry.answer.done():
                continue
            batch.append(entry)
            tokens += entry.tokens
            if entry.item.alone:
                break
        return batch

    async def _answer(self, batch: list[_Waiting]) -> None:
        try:
            verdicts = await self._classifier.classify([entry.item for entry in batch])
        except Unscorable as error:
            if not error.places:
                for entry in batch:
                    _fail(entry, error)
                return
            for place in error.places:
                _fail(batch[place], Unscorable(str(error), frozenset()))
            if rest := [entry for place, entry in enumerate(batch) if place not in error.places]:
                await self._answer(rest)
            return
        except Exception as error:
            for entry in batch:
                _fail(entry, error)
            return
        except asyncio.CancelledError:
            for entry in batch:
                _fail(entry, Unavailable("the batcher stopped"))
            raise
        for entry, verdict in zip(batch, verdicts, strict=True):
            if not entry.answer.done():
                entry.answer.set_result(verdict)


def _fail(entry: _Waiting, error: Exception) -> None:
    if not entry.answer.done():
        entry.answer.set_exception(error)
