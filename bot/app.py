"""The only wiring: builds the parts, gives every background task its owner, starts and stops in order."""

import asyncio
import contextlib
import signal
import sqlite3
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import sqlalchemy as sa
import structlog
from aiohttp import web

from bot.cases.service import CaseService
from bot.config import Config
from bot.console import json_shapes as shapes
from bot.console import routes as server
from bot.console.access import Access
from bot.console.components import Components
from bot.console.event_feed import Feed
from bot.console.feed_events import follow
from bot.console.one_time_links import Links, shown_host
from bot.console.provider import Provider
from bot.console.sign_in import SignIn
from bot.console.sign_in_options import sign_in_providers
from bot.conversation.conversation import Conversation
from bot.domain.case import Case
from bot.domain.notice import Notice
from bot.domain.platform import Platform
from bot.learning.refresh import Learning, Refresh, RejectionReporter, refresh_command
from bot.pipeline.pipeline import Pipeline
from bot.platforms.configured import remotes, tell
from bot.platforms.webchat import COMMUNITY, WebChat
from bot.platforms.webchat.commands import ChatCommands
from bot.process import logs
from bot.process.data_folder import ADAPTERS, DATABASE, lock_data_folder
from bot.process.events import (
    AdapterSwapped,
    CaseChanged,
    NoticeGiven,
    OperatorNoticeGiven,
    RefreshProgressed,
    ServiceEvents,
)
from bot.process.garbage_collection import tune_garbage_collector
from bot.process.http_listener import Connections, listening_for_pages, most_connections
from bot.process.maintenance import keep_backups, keep_retention, log_recovery, watch_for_damage
from bot.process.models import RunningModels, adapters_of, running_models
from bot.store import Sealer, Store
from bot.store.backups import Backups
from bot.store.private_folder import close_to_others
from bot.store.retry import is_corruption, is_transient, leaves
from model.adapters.registry import Registry
from model.choice import E5
from model.classifier import TRIAL, Item
from model.languages import ACTING
from model.normalize import load_tables
from model.serving.batcher import Batcher
from model.serving.coalescing import Coalescer
from model.serving.worker import Worker

START_AGAIN_S = 2.0
log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Built:
    """The parts, wired and not yet running: `work` is what each of the service's tasks does."""

    parts: Components
    worker: Worker
    links: Links
    page: web.Application
    connections: Connections
    work: tuple[Coroutine[Any, Any, None], ...]


@dataclass(frozen=True, slots=True)
class Running:
    """A started service; `port` is where the page is."""

    port: int
    parts: Components
    worker: Worker
    links: Links


@contextlib.asynccontextmanager
async def service(config: Config) -> AsyncIterator[Running]:
    """Starts everything, yields, and stops everything. May raise `PortInUse`, `AlreadyRuns` and the store's.

    Damage to the store's file that is found while it runs ends it: a start repairs what can be repaired.
    """
    console = config.console
    logs.configure([config.discord.token, config.telegram.token, console.discord_secret, console.telegram_secret])
    providers = sign_in_providers(config)  # before anything is written: it may refuse the configuration
    with lock_data_folder(config.service.data):
        if open_to_others := await asyncio.to_thread(close_to_others, config.service.data):
            log.warning(
                "others may be able to read these, and their rights cannot be changed", first=str(open_to_others[0])
            )
        async with build_service(config, providers) as built:
            tasks = [built.parts.group.create_task(work) for work in built.work]
            try:
                host, port = config.service.host, config.service.port
                async with listening_for_pages(built.page, built.connections, host, port) as own_port:
                    yield Running(own_port, built.parts, built.worker, built.links)
            finally:
                for task in tasks:
                    task.cancel()


@contextlib.asynccontextmanager
async def build_service(config: Config, providers: Sequence[Provider]) -> AsyncIterator[Built]:
    """Opens the store, starts the model's processes, and puts every part over them. The tasks' group waits for what
    runs in it before the model and the store are closed."""
    database, registry = config.service.data / DATABASE, adapters_of(config)
    sealer = Sealer.from_file(config.service.key, create=not (database.exists() or Backups(database).exist))
    events = ServiceEvents()
    async with (
        Store.open(database, sealer) as store,
        running_models(config, registry, lambda: registry.newest_sound()[0], partial(_model_changed, events)) as model,
        asyncio.TaskGroup() as group,
    ):
        log_recovery(store)
        group.create_task(asyncio.to_thread(load_tables))
        yield _wired(config, providers, store, registry, model, events, group)


def _wired(
    config: Config,
    providers: Sequence[Provider],
    store: Store,
    registry: Registry,
    model: RunningModels,
    events: ServiceEvents,
    group: asyncio.TaskGroup,
) -> Built:
    """Each part gets what it needs and nothing else; what concerns several goes through `events`."""
    max_batch_tokens, max_waiting_tokens = config.model.max_batch_tokens, config.model.max_waiting_tokens
    batcher = Batcher(model.classifier, max_batch_tokens=max_batch_tokens, max_waiting_tokens=max_waiting_tokens)
    learning, feed = _learning(config, store, registry, events, model.worker), Feed()
    classifier = RejectionReporter(Coalescer(batcher), learning.doubt)
    chat = WebChat(lambda posted: feed.publish("message", COMMUNITY, message=shapes.posted_json(posted)))
    away = remotes(config, store)
    platforms: dict[str, Platform] = {chat.name: chat, **{platform.name: platform for platform in away}}

    def case_changed(case: Case) -> None:
        events.publish(CaseChanged(case))

    def notice_given(notice: Notice) -> None:
        events.publish(NoticeGiven(notice))

    pipeline = Pipeline(
        store, classifier, platforms, adapter_of=learning.adapter_of, changed=case_changed, notice=notice_given
    )
    case_service = CaseService(store, pipeline, classifier, changed=case_changed)
    case_service.basis_of[chat.name] = chat.basis_of
    conversation = Conversation(store, case_service, pipeline, ACTING if config.model.has_two_bases else frozenset())
    follow(feed, events, pipeline.cap.is_paused)
    for platform in away:
        tell(platform, events)
        platform.serve(pipeline, case_service, conversation)
    parts = Components(
        store,
        pipeline,
        case_service,
        chat,
        ChatCommands(chat, store, conversation, config.service.retention_days),
        classifier,
        registry,
        learning,
        feed,
        group,
        Access(away, config.console.operators),
        model_trouble=model.trouble,
        tally=model.tally,
        own_categories=not config.model.choice.embedded,
        platforms=[platform.overview for platform in away],
    )
    links, connections = Links(config.service.data), Connections(most_connections())
    door = SignIn(store, links, providers, config.console.origin, config.console.session_days)
    page = server.build(parts, door, config.console.origin, connections.middleware())
    schedule = config.learning.refresh_after, config.learning.refresh_hour
    work = (
        model.run(),
        batcher.run(),
        pipeline.run(),
        learning.watch(lambda adapter, problem: events.publish(AdapterSwapped(adapter, problem))),
        learning.keep_schedule(group, *schedule),
        keep_retention(store, config.service.retention_days),
        keep_backups(store, lambda notice: events.publish(OperatorNoticeGiven(notice))),
        watch_for_damage(store),
        *(platform.run() for platform in away),
    )
    return Built(parts, model.worker, links, page, connections, work)


def _learning(config: Config, store: Store, registry: Registry, events: ServiceEvents, worker: Worker) -> Learning:
    """What serves, and how it learns."""
    model, two_bases = config.model, config.model.has_two_bases
    command, other_command = (
        refresh_command(
            config.service.data / DATABASE,
            config.service.key,
            config.service.data / ADAPTERS,
            config.learning.replay_rows,
            config.learning.keep_adapters,
            choice,
            trusted=config.learning.trusted,
            tries_adapters=model.try_adapters,
            english=two_bases and choice is model.choice,
        )
        for choice in (model.choice, replace(model.choice, base=E5, device="cpu"))
    )

    def progressed(refresh: Refresh) -> None:
        events.publish(RefreshProgressed(refresh))

    async def trial(adapter: str) -> None:
        """The base's own process takes an adapter and scores a text with it."""
        await worker.classify([Item(TRIAL, adapter, alone=True)])

    trusted = config.learning.trusted
    return Learning(store, registry, command, progressed, trial, trusted, other_command if two_bases else ())


def _model_changed(events: ServiceEvents, text: str) -> None:
    """Another base answers for the configured one, or no longer does."""
    log.warning("the model that answers changed", told=text)
    events.publish(NoticeGiven(Notice("notice-plain", {"text": text})))


async def run(config: Config, announce: Callable[[str, str], None]) -> None:
    """The service until SIGTERM or SIGINT; `announce` gets the page's address and a link that signs in to it, once.

    A fault of the store that nobody could wait out ends it and starts it again: damage is repaired then, a lock or a
    full disk is waited for.
    """
    stop = asyncio.Event()
    logs.watch(asyncio.get_running_loop())
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    while not stop.is_set():
        try:
            async with service(config) as running:
                tune_garbage_collector()
                page = f"http://{shown_host(config.service.host)}:{running.port}/"
                announce(page, f"{page}?token={running.links.issue()}")
                log.info("started", adapter=running.parts.learning.serving)
                await stop.wait()
                log.info("stopping")
        except* (sa.exc.DBAPIError, sa.exc.TimeoutError, sqlite3.Error, OSError) as group:
            error = next((error for error in leaves(group) if is_corruption(error) or is_transient(error)), None)
            if error is None:
                raise
            log.error("the store does not answer; starting again", error=str(getattr(error, "orig", None) or error))
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(START_AGAIN_S):
                    await stop.wait()
