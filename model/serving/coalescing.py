"""Identical texts are scored once: those asked at the same time share one answer, and a late one is given again."""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Mapping, Sequence

from model.classifier import Classifier, Item, Unscorable, Verdict


class Coalescing:
    """A `Classifier` in front of another, exact because verdicts are pure: an item names its adapter and community.

    At most `keep` verdicts are remembered, and `keep_characters` of texts, for `keep_s` seconds, in memory only. A
    stand-in's are not: the production base may answer by the next time. An item that is to be `alone` is asked for
    every time.
    """

    def __init__(
        self, classifier: Classifier, *, keep: int = 5000, keep_s: float = 600.0, keep_characters: int = 4_000_000
    ) -> None:
        self._classifier = classifier
        self._keep, self._keep_s, self._keep_characters = keep, keep_s, keep_characters
        self._characters = 0
        self._known: OrderedDict[Item, tuple[float, Verdict]] = OrderedDict()
        self._under_way: dict[Item, asyncio.Future[Verdict]] = {}

    async def classify(self, items: Sequence[Item]) -> list[Verdict]:
        """One verdict per item, in order; what nobody has asked for yet goes on together. An error is everybody's who
        waits for that text, but `Unscorable` for one text among others: who waits for one of these asks again."""
        found: dict[Item, Verdict] = {}
        while True:
            found |= self._remembered(items)
            wanted = [item for item in dict.fromkeys(items) if item not in found]
            if not wanted:
                return [found[item] for item in items]
            others = {item: self._under_way[item] for item in wanted if item in self._under_way and not item.alone}
            if mine := [item for item in wanted if item not in others]:
                found |= await self._ask(mine)
            for item, other in others.items():
                try:
                    found[item] = await asyncio.shield(other)
                except asyncio.CancelledError:
                    task = asyncio.current_task()
                    if not other.cancelled() or (task is not None and task.cancelling()):
                        raise  # else whoever asked has gone, and nobody has an answer

    async def embed(self, texts: Sequence[str]) -> list[list[float]]:
        """Straight through."""
        return await self._classifier.embed(texts)

    async def _ask(self, items: Sequence[Item]) -> dict[Item, Verdict]:
        loop = asyncio.get_running_loop()
        answers = {item: loop.create_future() for item in items if not item.alone}
        self._under_way |= answers
        try:
            verdicts = dict(zip(items, await self._classifier.classify(items), strict=True))
        except Exception as error:
            for answer in answers.values():
                if len(items) > 1 and isinstance(error, Unscorable):
                    answer.cancel()
                else:
                    answer.set_exception(error)
                    answer.exception()  # asked for, so that an error nobody else waits for is no complaint
            raise
        else:
            for item, answer in answers.items():
                answer.set_result(verdicts[item])
        finally:
            for item, answer in answers.items():
                answer.cancel()  # no answer came of it
                del self._under_way[item]
        self._remember({item: verdicts[item] for item in answers if not verdicts[item].stand_in})
        return verdicts

    def _remember(self, verdicts: Mapping[Item, Verdict]) -> None:
        now = time.monotonic()
        for item, verdict in verdicts.items():
            self._characters += 0 if item in self._known else len(item.text)
            self._known[item] = now + self._keep_s, verdict
        while len(self._known) > self._keep or self._characters > self._keep_characters:
            self._forget_first()
        while self._known and next(iter(self._known.values()))[0] < now:
            self._forget_first()  # a text is not kept longer than it is of use

    def _forget_first(self) -> None:
        item, _ = self._known.popitem(last=False)
        self._characters -= len(item.text)

    def _remembered(self, items: Sequence[Item]) -> dict[Item, Verdict]:
        now = time.monotonic()
        known = {item: self._known[item] for item in items if item in self._known}
        return {item: verdict for item, (until, verdict) in known.items() if until >= now}
