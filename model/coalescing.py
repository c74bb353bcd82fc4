"""Identical texts are scored once: those asked at the same time share one answer, and a late one is given again."""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Sequence

from model.classifier import Classifier, Item, Verdict


class Coalescing:
    """A `Classifier` in front of another, exact because verdicts are pure: an item names its adapter and community.

    At most `keep` verdicts are remembered, for `keep_s` seconds, in memory only. A stand-in's are not: the production
    base may answer by the next time. An item that is to be `alone` goes straight through.
    """

    def __init__(self, classifier: Classifier, *, keep: int = 5000, keep_s: float = 600.0) -> None:
        self._classifier = classifier
        self._keep, self._keep_s = keep, keep_s
        self._known: OrderedDict[Item, tuple[float, Verdict]] = OrderedDict()
        self._under_way: dict[Item, asyncio.Future[Verdict]] = {}
        self.spared = 0
        """How many items needed no scoring of their own."""

    async def classify(self, items: Sequence[Item]) -> list[Verdict]:
        """One verdict per item, in order. An error is everybody's who waits for that text."""
        if len(items) == 1:
            return [await self._one(items[0])]
        return list(await asyncio.gather(*(self._one(item) for item in items)))

    async def embed(self, texts: Sequence[str]) -> list[list[float]]:
        """Straight through."""
        return await self._classifier.embed(texts)

    async def _one(self, item: Item) -> Verdict:
        if item.alone:  # whoever asks for that wants to know whether it can be scored now
            return (await self._classifier.classify([item]))[0]
        while True:
            if (verdict := self._remembered(item)) is not None:
                self.spared += 1
                return verdict
            if (other := self._under_way.get(item)) is None:
                return await self._ask(item)
            try:
                verdict = await asyncio.shield(other)
            except asyncio.CancelledError:
                task = asyncio.current_task()
                if not other.cancelled() or (task is not None and task.cancelling()):
                    raise
                continue  # whoever asked has gone, and nobody has an answer
            self.spared += 1
            return verdict

    async def _ask(self, item: Item) -> Verdict:
        answer = self._under_way[item] = asyncio.get_running_loop().create_future()
        try:
            (verdict,) = await self._classifier.classify([item])
        except asyncio.CancelledError:
            answer.cancel()
            raise
        except Exception as error:
            answer.set_exception(error)
            answer.exception()  # asked for, so that an error nobody else waits for is no complaint
            raise
        else:
            answer.set_result(verdict)
        finally:
            del self._under_way[item]
        if not verdict.stand_in:
            self._known[item] = time.monotonic() + self._keep_s, verdict
            while len(self._known) > self._keep:
                self._known.popitem(last=False)
            while self._known and next(iter(self._known.values()))[0] < time.monotonic():
                self._known.popitem(last=False)  # a text is not kept longer than it is of use
        return verdict

    def _remembered(self, item: Item) -> Verdict | None:
        until, verdict = self._known.get(item, (0.0, None))
        if verdict is not None and until < time.monotonic():
            del self._known[item]
            return None
        return verdict
