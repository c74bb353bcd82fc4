"""The only wiring: builds the parts, gives every background task its owner, starts and stops in order."""

import asyncio
import contextlib
import fcntl
import signal
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import sqlalchemy as sa
import structlog
from aiohttp import web

from bot.cases.service import CaseService
from bot.config import BadConfig, Config
from bot.console import json_shapes as shapes
from bot.console import routes as server
from bot.console.access import Access
from bot.console.components import Components
from bot.console.event_feed import Feed
from bot.console.one_time_links import Links
from bot.console.sign_in import SignIn
from bot.console.sign_in_options import ways_in
from bot.conversation.conversation import Conversation
from bot.domain.case import Case
from bot.domain.notice import Notice
from bot.domain.platform import Platform
from bot.learning.refresh import Doubting, Learning, refresh_command
from bot.pipeline.pipeline import Pipeline
from bot.platforms.configured import remotes
from bot.platforms.protocol import Remote
from bot.platforms.webchat import COMMUNITY, WebChat
from bot.platforms.webchat.commands import ChatCommands
from bot.process import logs
from bot.process.garbage_collection import settle
from bot.process.http_listener import Connections, listening, most_connections
from bot.process.models import adapters_of, answering
from bot.store import Damaged, Sealer, Store
from bot.store.backups import BY_HAND, Backups, copy_store
from bot.store.private_folder import close_to_others
from bot.store.retry import StoreRetry, is_corruption, is_transient
from model.classifier import TRIAL, Item
from model.serving.batcher import Batcher
from model.serving.coalescing import Coalescer
from model.serving.worker import Worker

BACKUP_EVERY_S, BACKUP_AGAIN_S = 24 * 3600.0, 600.0
ERASED_WITHIN_S = 3600.0
"""What somebody had erased is out of the backups after so long."""
START_AGAIN_S = 2.0
log = structlog.get_logger()


class PortInUse(Exception):
    """Another program listens there; stop it, or set another [service] port in config.toml."""


class AlreadyRuns(Exception):
    """Another Domovoi uses this data folder; stop it first."""


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
    ways = ways_in(config)
    data = config.service.data
    database, registry = data / "domovoi.db", adapters_of(config)
    with _only_one(data):
        if left := await asyncio.to_thread(close_to_others, data):
            log.warning("others may be able to read these, and their rights cannot be changed", first=str(left[0]))
        sealer = Sealer.from_file(config.service.key, create=not (database.exists() or Backups(database).exist))
        feed = Feed()
        chat = WebChat(lambda posted: feed.publish("message", COMMUNITY, message=shapes.posted_json(posted)))

        def case_changed(case: Case) -> None:
            feed.publish_case(shapes.case_json(case), case.message.key)
            for platform in away:
                platform.show(case)

        def swapped(adapter: str, problem: str) -> None:
            feed.publish("adapter", adapter=adapter)
            if problem:
                log.error("adapter rejected", problem=problem)
                feed.publish("notice", is_operators=True, text=problem)

        def notice(told: Notice) -> None:
            feed.publish("notice", told.community, text=told.text())
            if told.community:
                feed.publish("paused", told.community, paused=pipeline.cap.is_paused(told.community))
            for platform in away:
                platform.notify(told)

        def told_on_the_page(told: Notice) -> None:
            feed.publish("notice", is_operators=True, text=told.text())  # with names of files

        def stood_in(text: str) -> None:
            log.warning("the model that answers changed", told=text)
            notice(Notice("notice-plain", {"text": text}))

        away: list[Remote] = []

        async with (
            Store.open(database, sealer) as store,
            answering(config, registry, lambda: registry.newest_sound()[0], stood_in) as model,
            asyncio.TaskGroup() as group,
        ):
            batcher = Batcher(
                model.classifier,
                max_batch_tokens=config.model.max_batch_tokens,
                max_waiting_tokens=config.model.max_waiting_tokens,
            )
            classifier = Doubting(Coalescer(batcher), lambda: learning.doubt())
            command = refresh_command(
                database,
                config.service.key,
                data / "adapters",
                config.learning.replay_rows,
                config.learning.keep_adapters,
                config.model.choice,
                trusted=config.learning.trusted,
                tries_adapters=config.model.try_adapters,
            )
            away += remotes(config, store)
            platforms: dict[str, Platform] = {chat.name: chat, **{platform.name: platform for platform in away}}
            learning = Learning(
                store,
                registry,
                command,
                lambda told: server.refresh_event(feed, told),
                _trial(model.worker),
                config.learning.trusted,
            )
            if learning.problem:
                log.error("adapter rejected", problem=learning.problem)  # and the page says so
            pipeline = Pipeline(
                store,
                classifier,
                platforms,
                adapter_of=learning.adapter_of,
                changed=case_changed,
                notice=notice,
            )
            case_service = CaseService(store, pipeline, classifier, changed=case_changed)
            case_service.basis_of[chat.name] = chat.basis_of
            conversation = Conversation(store, case_service, pipeline)
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
            tasks = [
                group.create_task(model.run()),
                group.create_task(batcher.run()),
                group.create_task(pipeline.run()),
                group.create_task(learning.watch(swapped)),
                group.create_task(
                    learning.keep_schedule(group, config.learning.refresh_after, config.learning.refresh_hour)
                ),
                group.create_task(_retention(store, config.service.retention_days)),
                group.create_task(_backups(store, told_on_the_page)),
                group.create_task(_watch_for_damage(store)),
            ]
            if store.recovery is not None and not store.recovery.is_repair:  # as after any kill
                log.info("the store is complete again", found=str(store.recovery))
            elif store.recovery is not None:
                log.error("the store was repaired", found=str(store.recovery))  # and the page says so
            for platform in away:
                platform.serve(pipeline, case_service, conversation)
                tasks.append(group.create_task(platform.run()))
            connections = Connections(most_connections())
            links = Links(data)
            door = SignIn(store, links, ways, config.console.origin, config.console.session_days)
            page = server.build(parts, door, config.console.origin, connections.middleware())
            try:
                async with _listening(config, page, connections) as port:
                    yield Running(port, parts, model.worker, links)
            finally:
                for task in tasks:
                    task.cancel()


@contextlib.asynccontextmanager
async def _listening(config: Config, page: web.Application, connections: Connections) -> AsyncIterator[int]:
    """Yields the port. Raises `PortInUse`."""
    async with contextlib.AsyncExitStack() as stack:
        try:
            port = await stack.enter_async_context(
                listening(page, connections, config.service.host, config.service.port)
            )
        except OSError as error:
            where = f"{config.service.host}:{config.service.port}"
            raise PortInUse(
                f"cannot listen on {where} ({error.strerror}); stop what runs there, "
                f"or set another port under [service] in config.toml"
            ) from error
        yield port


def new_link(config: Config) -> str:
    """A link that signs one browser in as the operator, once. Raises `BadConfig`."""
    base = config.console.origin or f"http://{_shown(config.service.host)}:{config.service.port}"
    try:
        return f"{base}/?token={Links(config.service.data).issue()}"
    except OSError as error:
        raise BadConfig(
            f'no link can be made in data_folder = "{config.service.data}" ({error.strerror}); '
            f"run this as the service's user"
        ) from None


def _shown(host: str) -> str:
    """As it stands in an address."""
    return "127.0.0.1" if host in ("", "0.0.0.0", "::") else f"[{host}]" if ":" in host else host  # noqa: S104


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
                settle()
                page = f"http://{_shown(config.service.host)}:{running.port}/"
                announce(page, f"{page}?token={running.links.issue()}")
                log.info("started", adapter=running.parts.learning.serving)
                await stop.wait()
                log.info("stopping")
        except* (sa.exc.DBAPIError, sa.exc.TimeoutError, sqlite3.Error, OSError) as group:
            error = next((error for error in _leaves(group) if is_corruption(error) or is_transient(error)), None)
            if error is None:
                raise
            log.error("the store does not answer; starting again", error=str(getattr(error, "orig", None) or error))
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(START_AGAIN_S):
                    await stop.wait()


def back_up(config: Config, target: Path) -> str:
    """Copies the store to a file, also while the service runs; says what it did. Raises `Damaged`."""
    database = config.service.data / "domovoi.db"
    if not database.exists():
        raise Damaged(f"there is no store {database} to back up; `data_folder` in config.toml names its folder")
    if target.exists():
        raise Damaged(f"{target} is there already; name a file that is not")
    try:
        copy_store(database, target)
    except (OSError, sqlite3.Error) as error:
        target.unlink(missing_ok=True)
        raise Damaged(
            f"{target} cannot be written ({error}); make room, or name a file in a folder there is"
        ) from error
    return f"the store is copied to {target}; keep the sealing key {config.service.key} apart from it"


def restore(config: Config, source: Path | None) -> str:
    """Makes the store again from a file or its newest backup; says what it did. Raises `Damaged`, `AlreadyRuns`."""
    with _only_one(config.service.data):
        backups = Backups(config.service.data / "domovoi.db")
        try:
            return str(backups.restore(BY_HAND, source))
        except (OSError, sqlite3.Error) as error:
            raise Damaged(f"the store cannot be restored ({error}); make room, and look at the disk") from error


def _trial(worker: Worker) -> Callable[[str], Awaitable[None]]:
    """The base's own process takes an adapter and scores a text with it."""

    async def ask(adapter: str) -> None:
        await worker.classify([Item(TRIAL, adapter, alone=True)])

    return ask


def _leaves(group: BaseExceptionGroup[Exception]) -> Iterator[Exception]:
    for error in group.exceptions:
        if isinstance(error, BaseExceptionGroup):
            yield from _leaves(error)
        else:
            yield error


async def _retention(store: Store, days: int) -> None:
    """Once an hour, texts beyond their retention time are forgotten."""
    store_retry = StoreRetry()
    while True:
        before = datetime.now(UTC) - timedelta(days=days)
        if forgotten := await store_retry(lambda: store.forget_texts(before)):  # noqa: B023
            log.info("texts forgotten", messages=forgotten)
        await asyncio.sleep(3600)


async def _backups(store: Store, notice: Callable[[Notice], None]) -> None:
    """Once a day, counted from the last backup and not from the start; within an hour where somebody had something
    erased. One that fails is told and tried again."""
    age_s = await asyncio.to_thread(lambda: store.backups.newest_age_s)
    await store.mine.look_for_erased(datetime.now(UTC) - timedelta(seconds=age_s or 0.0))
    while True:
        try:
            age_s = await asyncio.to_thread(lambda: store.backups.newest_age_s)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(max(0.0, BACKUP_EVERY_S - (BACKUP_EVERY_S if age_s is None else age_s))):
                    await store.mine.erased.wait()
                    await asyncio.sleep(max(0.0, ERASED_WITHIN_S - (age_s or 0.0)))
            await store.back_up()
            log.info("backed up", folder=str(store.backups.folder))
        except Damaged as error:
            log.error("no backup could be made", error=str(error))
            store.damaged.set()
        except (OSError, sqlite3.Error, sa.exc.DBAPIError) as error:
            log.error("no backup could be made", error=str(error))
            notice(Notice("notice-no-backup", {"error": str(error)}))
            await asyncio.sleep(BACKUP_AGAIN_S)


async def _watch_for_damage(store: Store) -> None:
    """Ends the service, wherever it was noticed."""
    await store.damaged.wait()
    raise sqlite3.DatabaseError("the store's file is malformed")


@contextlib.contextmanager
def _only_one(data: Path) -> Iterator[None]:
    try:
        data.mkdir(parents=True, exist_ok=True)
        lock_file = (data / "running.lock").open("w")
    except OSError as error:
        if is_transient(error):
            raise
        raise BadConfig(
            f'data_folder = "{data}" under [service] cannot be written ({error.strerror}); '
            f"give the service's user the right to write there, or name another folder"
        ) from error
    with lock_file as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise AlreadyRuns(f"another Domovoi uses the data folder {data}; stop it first") from None
        yield
