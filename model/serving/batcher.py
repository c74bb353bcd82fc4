"""Asyncio micro-batching: what waits when the device gets free goes out together, up to a token budget.

No torch, and no timer: an idle device starts at once, a busy one gathers by itself what arrives meanwhile.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from model.classifier import Classifier, Item, Overloaded, Unavailable, Unscorable, Verdict

MOST_TOKENS = 8192
"""Of a longer text the model reads the start and the end."""


def estimated_tokens(text: str) -> int:
    """What a text costs the model, about; without reading it."""
    return min(MOST_TOKENS, 2 + len(text.encode("utf-8", "replace")) // 3)


@dataclass(slots=True)
class _Waiting:
    item: Item
    tokens: int
    answer: asyncio.Future[Verdict]


class Batcher:
    """A `Classifier` in front of another. Run `run()` as a task; `classify` then waits for its turn.

    `max_batch_tokens` bounds one batch, `max_waiting_tokens` all that waits: beyond it `Overloaded` is raised at once.
    """

    def __init__(
        self,
        classifier: Classifier,
        *,
        max_batch_tokens: int = 4096,
        max_waiting_tokens: int = 200_000,
        count_tokens: Callable[[str], int] = estimated_tokens,
    ) -> None:
        self._classifier = classifier
        self._max_batch_tokens = max_batch_tokens
        self._max_waiting_tokens = max_waiting_tokens
        self._count_tokens = count_tokens
        self._queue: deque[_Waiting] = deque()
        self._arrived = asyncio.Event()
        self.waiting_tokens = 0

    async def classify(self, items: Sequence[Item]) -> list[Verdict]:
        """One verdict per item, in order. A cancelled caller's items are dropped before they reach the device."""
        entries = [_Waiting(i, self._count_tokens(i.text), asyncio.get_running_loop().create_future()) for i in items]
        tokens = sum(entry.tokens for entry in entries)
        if self._queue and self.waiting_tokens + tokens > self._max_waiting_tokens:
            raise Overloaded(f"{self.waiting_tokens} tokens wait already, at most {self._max_waiting_tokens} may")
        self._queue.extend(entries)
        self.waiting_tokens += tokens
        self._arrived.set()
        try:
            return list(await asyncio.gather(*(entry.answer for entry in entries)))
        finally:
            for entry in entries:
                entry.answer.cancel()

    async def embed(self, texts: Sequence[str]) -> list[list[float]]:
        """Straight through: rare, and asked for by people."""
        return await self._classifier.embed(texts)

    async def run(self) -> None:
        """Serves until cancelled; whoever still waits then gets `Unavailable`."""
        try:
            while True:
                await self._arrived.wait()
                if not (batch := self._next_batch()):
                    self._arrived.clear()
                    continue
                await self._answer(batch)
        finally:
            for entry in self._queue:
                _fail(entry, Unavailable("the batcher stopped"))
            self._queue.clear()
            self.waiting_tokens = 0

    def _next_batch(self) -> list[_Waiting]:
        """The longest-waiting entries whose callers are still there, up to the budget, at least one."""
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
