"""When the production base is missing or dies, the embedded one answers in its place, and its verdicts say so.

A stand-in's verdict may be shown to moderators and never punishes. The production base is started again meanwhile and
takes over by itself.
"""

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Protocol

from model.classifier import TRIAL, AdapterRejected, Classifier, Item, Unavailable, Verdict, by_place


class Production(Classifier, Protocol):
    """A classifier in a process of its own, such as `model.serving.worker.Worker` with a single attempt per request."""

    @property
    def pid(self) -> int | None:
        """Process id, None while there is none."""
        ...

    async def restart(self) -> None:
        """Ends the process; the next request starts another, which loads the base anew."""
        ...


class Fallback:
    """A `Classifier` over two. Run `run()` as a task: it starts the production base and brings it back after a loss.

    `trial_adapter` names the adapter the production base is tried with, `stand_in_adapter` the stand-in's own, which
    no adapter of the production base is called. `told` hears once of each loss and each return. A request waits at
    most `patience_s` for the first start; after a loss the base is tried at once and then every `retry_after_s`.
    """

    def __init__(
        self,
        production: Production,
        stand_in: Classifier,
        *,
        trial_adapter: Callable[[], str],
        stand_in_adapter: str,
        told: Callable[[str], None] = lambda text: None,
        patience_s: float = 20.0,
        retry_after_s: float = 30.0,
    ) -> None:
        self._production = production
        self._stand_in = stand_in
        self._trial_adapter = trial_adapter
        self._stand_in_adapter = stand_in_adapter
        self._told = told
        self._patience_s = patience_s
        self._retry_after_s = retry_after_s
        self._works = asyncio.Event()
        self._lost = asyncio.Event()
        self._tried = asyncio.Event()
        self.trouble = ""
        """Why the stand-in answers, in words for moderators; "" while the production base does."""

    async def classify(self, items: Sequence[Item]) -> list[Verdict]:
        """One verdict per item; a stand-in's carry `stand_in`. Raises `AdapterRejected`, or `Unavailable` of both."""
        if any(item.adapter != self._stand_in_adapter for item in items) and await self._ready():
            try:
                return await self._by_both(items)
            except Unavailable as error:
                self._lose(str(error))
        return await self._by_stand_in(items)

    async def embed(self, texts: Sequence[str]) -> list[list[float]]:
        """Unit vectors of whichever base answers; all of one call come from the same."""
        if await self._ready():
            try:
                return await self._production.embed(texts)
            except Unavailable as error:
                self._lose(str(error))
        return await self._stand_in.embed(texts)

    async def run(self) -> None:
        """Starts the production base, and again whenever it was lost, until cancelled."""
        while True:
            try:
                await self._production.classify([Item(TRIAL, self._trial_adapter())])
            except Unavailable as error:
                self._lose(str(error))
                await asyncio.sleep(self._retry_after_s)
                await self._production.restart()
                continue
            except AdapterRejected:
                pass  # the base answers; that this adapter is spoilt is said where adapters are chosen
            self._return()
            await self._watch()

    async def _watch(self) -> None:
        """Returns once the base is lost, noticed at the latest after a second also while nobody writes."""
        while not self._lost.is_set():
            if self._production.pid is None:
                self._lose("its process ended")
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(1.0):  # wait_for of Python 3.11 can swallow a cancellation
                    await self._lost.wait()

    async def _ready(self) -> bool:
        """Whether the production base answers; the first start is waited for."""
        if self._works.is_set() and self._production.pid is None:
            self._lose("its process ended")
        if not self._tried.is_set():
            try:
                async with asyncio.timeout(self._patience_s):
                    await self._tried.wait()
            except TimeoutError:
                self._lose("it is still being loaded")
        return self._works.is_set()

    async def _by_both(self, items: Sequence[Item]) -> list[Verdict]:
        """Verdicts of the production base, but for items that name the stand-in's adapter (an old case explained)."""
        others = [item for item in items if item.adapter == self._stand_in_adapter]
        own = [place for place, item in enumerate(items) if item.adapter != self._stand_in_adapter]
        verdicts = iter(await by_place(self._production, items, own))
        stood_in = iter(await self._by_stand_in(others) if others else [])
        return [next(stood_in if item.adapter == self._stand_in_adapter else verdicts) for item in items]

    async def _by_stand_in(self, items: Sequence[Item]) -> list[Verdict]:
        asked = [Item(item.text, self._stand_in_adapter, community=item.community) for item in items]
        verdicts = await self._stand_in.classify(asked)
        return [replace(verdict, stand_in=True) for verdict in verdicts]

    def _lose(self, why: str) -> None:
        self._tried.set()
        self._works.clear()
        self._lost.set()
        if not self.trouble:
            self.trouble = (
                f"The production model does not answer ({why}). The embedded model stands in: "
                "messages are shown to moderators and nothing is punished. It is tried again."
            )
            self._told(self.trouble)

    def _return(self) -> None:
        self._tried.set()
        self._lost.clear()
        self._works.set()
        if self.trouble:
            self.trouble = ""
            self._told("The production model answers again and has taken over from the embedded one.")
