"""Scores identical texts once: simultaneous calls share one answer, and later calls get it from memory."""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Mapping, Sequence

from model.classifier import Classifier, Item, Unscorable, Verdict


class Coalescer:
    """A `Classifier` that shares the verdicts of another one. A verdict depends only on the item, so sharing is exact.

    It remembers at most `max_verdicts` verdicts and `max_characters` of texts, for `max_age_s` seconds, in memory only.
    It does not remember a stand-in's verdicts, because the production base may answer the next call. An item that must
    be scored `alone` is sent on every time.
    """

    def __init__(
        self,
        classifier: Classifier,
        *,
        max_verdicts: int = 5000,
        max_age_s: float = 600.0,
        max_characters: int = 4_000_000,
    ) -> None:
        self._classifier = classifier
        self._max_verdicts, self._max_age_s, self._max_characters = max_verdicts, max_age_s, max_characters
        self._characters = 0
        self._remembered_verdicts: OrderedDict[Item, tuple[float, Verdict]] = OrderedDict()
        self._under_way: dict[Item, asyncio.Future[Verdict]] = {}

    async def classify(self, items: Sequence[Item]) -> list[Verdict]:
        """One verdict per item, in order. Items without an answer go on in one call. An error reaches every caller that
        waits for the text, except `Unscorable` for a call of several texts: the waiting callers then ask again."""
        verdicts: dict[Item, Verdict] = {}
        while True:
            verdicts |= self._remembered(items)
            missing = [item for item in dict.fromkeys(items) if item not in verdicts]
            if not missing:
                return [verdicts[item] for item in items]
            under_way = {item: self._under_way[item] for item in missing if item in self._under_way and not item.alone}
            if unasked := [item for item in missing if item not in under_way]:
                verdicts |= await self._ask(unasked)
            for item, answer in under_way.items():
                try:
                    verdicts[item] = await asyncio.shield(answer)
                except asyncio.CancelledError:
                    task = asyncio.current_task()
                    if not answer.cancelled() or (task is not None and task.cancelling()):
                        raise  # else the other caller was cancelled, and the loop asks again

    async def embed(self, texts: Sequence[str]) -> list[list[float]]:
        """Passes the call on."""
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
                    answer.exception()  # marks the error as retrieved, so asyncio does not log it
            raise
        else:
            for item, answer in answers.items():
                answer.set_result(verdicts[item])
        finally:
            for item, answer in answers.items():
                answer.cancel()  # does nothing if there is an answer
                del self._under_way[item]
        self._remember({item: verdicts[item] for item in answers if not verdicts[item].stand_in})
        return verdicts

    def _remember(self, verdicts: Mapping[Item, Verdict]) -> None:
        now = time.monotonic()
        for item, verdict in verdicts.items():
            self._characters += 0 if item in self._remembered_verdicts else len(item.text)
            self._remembered_verdicts[item] = now + self._max_age_s, verdict
        while len(self._remembered_verdicts) > self._max_verdicts or self._characters > self._max_characters:
            self._forget_first()
        while self._remembered_verdicts and next(iter(self._remembered_verdicts.values()))[0] < now:
            self._forget_first()  # texts are not kept after their time

    def _forget_first(self) -> None:
        item, _ = self._remembered_verdicts.popitem(last=False)
        self._characters -= len(item.text)

    def _remembered(self, items: Sequence[Item]) -> dict[Item, Verdict]:
        now = time.monotonic()
        known = {item: self._remembered_verdicts[item] for item in items if item in self._remembered_verdicts}
        return {item: verdict for item, (until, verdict) in known.items() if until >= now}
