"""When the production base is missing or dies, the embedded base answers instead and marks its verdicts.

A stand-in's verdict may be shown to moderators and never punishes. Meanwhile the production base is started again and
takes over automatically.
"""

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Protocol

from model.classifier import TRIAL, AdapterRejected, Classifier, Item, Unavailable, Verdict, classify_places


class ProductionClassifier(Classifier, Protocol):
    """A classifier in a process of its own, such as `model.serving.worker.Worker` with one attempt per request."""

    @property
    def pid(self) -> int | None:
        """Process id, None while no process runs."""
        ...

    async def restart(self) -> None:
        """Ends the process; the next request starts a new one, which loads the base again."""
        ...


class Fallback:
    """A `Classifier` over two. Run `run()` as a task: it starts the production base, and restarts it after a loss.

    `trial_adapter` names the adapter with which the production base is tried, `stand_in_adapter` the stand-in's own;
    no adapter of the production base may have that name. `on_notice` is called once for each loss and each return. A
    request waits at most `first_start_wait_s` for the first start; after a loss the base is tried at once and then
    every `retry_after_s`.
    """

    def __init__(
        self,
        production: ProductionClassifier,
        stand_in: Classifier,
        *,
        trial_adapter: Callable[[], str],
        stand_in_adapter: str,
        on_notice: Callable[[str], None] = lambda text: None,
        first_start_wait_s: float = 20.0,
        retry_after_s: float = 30.0,
    ) -> None:
        self._production = production
        self._stand_in = stand_in
        self._trial_adapter = trial_adapter
        self._stand_in_adapter = stand_in_adapter
        self._on_notice = on_notice
        self._first_start_wait_s = first_start_wait_s
        self._retry_after_s = retry_after_s
        self._answers = asyncio.Event()
        self._lost = asyncio.Event()
        self._tried = asyncio.Event()
        self.trouble = ""
        """A sentence for moderators on why the stand-in answers; "" while the production base answers."""

    async def classify(self, items: Sequence[Item]) -> list[Verdict]:
        """One verdict per item; a stand-in's has `stand_in`. Raises `AdapterRejected`, or `Unavailable` if both bases
        fail."""
        if any(item.adapter != self._stand_in_adapter for item in items) and await self._ready():
            try:
                return await self._classify_by_adapter(items)
            except Unavailable as error:
                self._record_loss(str(error))
        return await self._classify_by_stand_in(items)

    async def embed(self, texts: Sequence[str]) -> list[list[float]]:
        """Unit vectors of the base that answers; one base computes all vectors of a call."""
        if await self._ready():
            try:
                return await self._production.embed(texts)
            except Unavailable as error:
                self._record_loss(str(error))
        return await self._stand_in.embed(texts)

    async def run(self) -> None:
        """Starts the production base, and again after each loss, until cancelled."""
        while True:
            try:
                await self._production.classify([Item(TRIAL, self._trial_adapter())])
            except Unavailable as error:
                self._record_loss(str(error))
                await asyncio.sleep(self._retry_after_s)
                await self._production.restart()
                continue
            except AdapterRejected:
                pass  # the base answers; the code that chooses adapters reports a broken one
            self._record_return()
            await self._watch()

    async def _watch(self) -> None:
        """Returns when the base is lost. Without messages it notices a loss within one second."""
        while not self._lost.is_set():
            if self._production.pid is None:
                self._record_loss("its process ended")
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(1.0):  # wait_for of Python 3.11 can swallow a cancellation
                    await self._lost.wait()

    async def _ready(self) -> bool:
        """Whether the production base answers; waits for the first start."""
        if self._answers.is_set() and self._production.pid is None:
            self._record_loss("its process ended")
        if not self._tried.is_set():
            try:
                async with asyncio.timeout(self._first_start_wait_s):
                    await self._tried.wait()
            except TimeoutError:
                self._record_loss("it is still being loaded")
        return self._answers.is_set()

    async def _classify_by_adapter(self, items: Sequence[Item]) -> list[Verdict]:
        """Verdicts of the production base; items that name the stand-in's adapter (an old case is explained) go to
        it."""
        stand_in_items = [item for item in items if item.adapter == self._stand_in_adapter]
        production_places = [place for place, item in enumerate(items) if item.adapter != self._stand_in_adapter]
        verdicts = iter(await classify_places(self._production, items, production_places))
        stand_in_verdicts = iter(await self._classify_by_stand_in(stand_in_items) if stand_in_items else [])
        return [next(stand_in_verdicts if item.adapter == self._stand_in_adapter else verdicts) for item in items]

    async def _classify_by_stand_in(self, items: Sequence[Item]) -> list[Verdict]:
        own_items = [Item(item.text, self._stand_in_adapter, community=item.community) for item in items]
        verdicts = await self._stand_in.classify(own_items)
        return [replace(verdict, stand_in=True) for verdict in verdicts]

    def _record_loss(self, why: str) -> None:
        self._tried.set()
        self._answers.clear()
        self._lost.set()
        if not self.trouble:
            self.trouble = (
                f"The production model does not answer ({why}). The embedded model stands in: "
                "messages are shown to moderators and nothing is punished. The production model will be tried again."
            )
            self._on_notice(self.trouble)

    def _record_return(self) -> None:
        self._tried.set()
        self._lost.clear()
        self._answers.set()
        if self.trouble:
            self.trouble = ""
            self._on_notice("The production model answers again and has taken over from the embedded one.")
