"""Which processes answer, as config.toml says: the base, and the embedded one beside it when the base is another."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Coroutine
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import structlog

from bot.config import Config
from model.adapters.registry import GLOBAL, Registry, open_registry
from model.choice import E5, EMBEDDED
from model.classifier import AdapterRejected, Classifier
from model.serving.by_language import ByLanguage
from model.serving.fallback import Fallback
from model.serving.two_stages import StageTally, TwoStages
from model.serving.worker import Worker

LOAD_TIMEOUT_S = 900.0
"""A large base is read from a slow disk; meanwhile the embedded one answers."""

RETRY_AFTER_S = 30.0
WATCHED_EVERY_S = 5.0
log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class RunningModels:
    """`classifier` is what to ask, `worker` the configured base's process. `run` is to be run as a task.

    `trouble` says in words for moderators why another base answers, "" while all is well. `tally` is what two stages
    did so far, None where there is one.
    """

    classifier: Classifier
    worker: Worker
    run: Callable[[], Coroutine[Any, Any, None]]
    trouble: Callable[[], str]
    tally: StageTally | None = None


def adapters_of(config: Config) -> Registry:
    """Returns the adapters of the configured base; raises `AdapterRejected` where there is none yet."""
    return open_registry(config.model.base, config.service.data / "adapters")


def worker_of(config: Config, registry: Registry, attempts: int = 1) -> Worker:
    """The configured base's process, not yet started. One try a request serves a service: its moderator counts the
    tries of each message, and the stand-in does not wait."""
    model = config.model
    load_timeout_s = 60.0 if model.choice.embedded else LOAD_TIMEOUT_S
    return Worker(
        model.choice,
        registry.folder,
        threads=model.threads,
        load_timeout_s=load_timeout_s,
        attempts=attempts,
        tries_adapters=model.try_adapters,
    )


@contextlib.asynccontextmanager
async def running_models(
    config: Config, registry: Registry, adapter: Callable[[], str], told: Callable[[str], None]
) -> AsyncIterator[RunningModels]:
    """Starts the processes and ends them. `adapter` returns the one that serves, `told` hears of losses and returns."""
    model = config.model
    if model.has_two_bases:
        others = WatchedAdapter(open_registry(E5, config.service.data / "adapters"), E5)
        async with worker_of(config, registry) as worker, _other_languages(config, worker, others) as by_language:
            yield RunningModels(by_language, worker, others.watch, lambda: by_language.trouble)
        return
    if model.choice.embedded or not (model.stand_in or model.first_stage_below):
        async with worker_of(config, registry) as worker:
            yield RunningModels(worker, worker, _nothing, lambda: "")
        return
    embedded = open_registry(EMBEDDED, config.service.data / "adapters")
    own = embedded.newest_sound()[0]
    named = f"{EMBEDDED}/{own.partition('/')[2]}"
    async with (
        worker_of(config, registry) as worker,
        Worker(
            EMBEDDED,
            lambda _: embedded.folder(own),
            threads=model.threads,
            attempts=1,
            tries_adapters=model.try_adapters,
        ) as quick,
    ):
        answers = RunningModels(worker, worker, _nothing, lambda: "")
        if model.stand_in:
            fallback = Fallback(
                worker,
                quick,
                trial_adapter=adapter,
                stand_in_adapter=named,
                on_notice=told,
                retry_after_s=RETRY_AFTER_S,
            )
            answers = RunningModels(fallback, worker, fallback.run, lambda: fallback.trouble)
        if model.first_stage_below:
            stages = TwoStages(
                quick,
                answers.classifier,
                first_adapter=named,
                skip_below=model.first_stage_below,
                audit_share=model.audit_share,
            )
            answers = replace(answers, classifier=stages, tally=stages.tally)
        yield answers


class WatchedAdapter:
    """The newest sound adapter of a registry that no page shows, under a scope of its own; looked for anew after each
    promotion and rollback."""

    def __init__(self, registry: Registry, scope: str) -> None:
        self.registry, self._scope = registry, scope
        self._mark = registry.promotion_state()
        self._newest = registry.newest_sound()[0]

    @property
    def name(self) -> str:
        """Its `scope/version`."""
        return f"{self._scope}/{self._newest.partition('/')[2]}"

    def folder(self, name: str) -> Path:
        """The folder of an adapter by its name here; raises `AdapterRejected`."""
        return self.registry.folder(f"{GLOBAL}/{name.partition('/')[2]}")

    async def watch(self, every_s: float = WATCHED_EVERY_S) -> None:
        """Looks until it is cancelled."""
        while True:
            try:
                await asyncio.to_thread(self._look)
            except (OSError, AdapterRejected) as error:  # what served goes on serving
                log.warning("the adapters for other languages cannot be read", error=str(error))
            await asyncio.sleep(every_s)

    def _look(self) -> None:
        if (mark := self.registry.promotion_state()) == self._mark:
            return
        newest, problem = self.registry.newest_sound()
        if problem:
            log.error("adapter rejected", problem=problem)
        self._newest, self._mark = newest, mark
        log.info("adapter for other languages", adapter=self.name)


@contextlib.asynccontextmanager
async def _other_languages(config: Config, english: Classifier, adapters: WatchedAdapter) -> AsyncIterator[ByLanguage]:
    """The base for other languages beside the one for English. Its process starts with the first such message."""
    model = config.model
    worker = Worker(
        replace(model.choice, base=E5, device="cpu"),
        adapters.folder,
        threads=model.threads,
        attempts=1,
        tries_adapters=model.try_adapters,
        lazy=True,
    )
    async with worker:
        yield ByLanguage(english, worker, other_adapter=lambda: adapters.name)


async def _nothing() -> None:
    """The embedded base alone needs no stand-in: its worker restarts it."""
