"""The only wiring: builds the parts, gives every background task its owner, starts and stops in order."""

import asyncio
import contextlib
import fcntl
import signal
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import structlog
from aiohttp import web

from bot import logs
from bot.collector import settle
from bot.config import Config
from bot.desk import Desk
from bot.learning import Learning, refresh_command
from bot.models import adapters_of, answering
from bot.moderator import Moderator
from bot.notices import Notice
from bot.platforms.base import Platform, Remote
from bot.platforms.remote import remotes
from bot.platforms.webchat import COMMUNITY, WebChat
from bot.store import Case, Sealer, Store
from bot.web import server, shapes
from bot.web.feed import Feed
from model.adapters import GLOBAL
from model.batcher import Batcher
from model.worker import Worker

log = structlog.get_logger()


class PortInUse(Exception):
    """Another program listens there; stop it, or set another [service] port in config.toml."""


class AlreadyRuns(Exception):
    """Another Domovoi uses this data folder; stop it first."""


@dataclass(frozen=True, slots=True)
class Running:
    """A started service; `port` is where the page is."""

    port: int
    parts: server.Parts
    worker: Worker


@contextlib.asynccontextmanager
async def service(config: Config) -> AsyncIterator[Running]:
    """Starts everything, yields, and stops everything. May raise `PortInUse`, `AlreadyRuns` and the store's."""
    logs.configure([config.discord.token, config.telegram.token])
    data = config.service.data
    database, registry = data / "domovoi.db", adapters_of(config)
    with _only_one(data):
        sealer = Sealer.from_file(config.service.key, create=not database.exists())
        feed = Feed()
        chat = WebChat(lambda posted: feed.publish("message", message=shapes.posted_json(posted)))

        def case_changed(case: Case) -> None:
            if case.message.key.platform == chat.name:
                feed.publish("case", case=shapes.case_json(case))
            for platform in away:
                platform.show(case)

        def swapped(adapter: str, problem: str) -> None:
            feed.publish("adapter", adapter=adapter, norm=shapes.norm_json(learning.norm_of(COMMUNITY)))
            if problem:
                log.error("adapter rejected", problem=problem)
                feed.publish("notice", text=problem)

        def notice(told: Notice) -> None:
            where = f"{told.community}: " if told.community not in ("", COMMUNITY) else ""
            feed.publish("notice", text=where + told.text())
            for platform in away:
                platform.notify(told)

        def stood_in(text: str) -> None:
            log.warning("the model that answers changed", told=text)
            notice(Notice("notice-plain", {"text": text}))

        away: list[Remote] = []

        async with (
            Store.open(database, sealer) as store,
            answering(config, registry, lambda: registry.sound()[0], stood_in) as model,
            asyncio.TaskGroup() as group,
        ):
            batcher = Batcher(
                model.classifier,
                max_batch_tokens=config.model.max_batch_tokens,
                max_waiting_tokens=config.model.max_waiting_tokens,
            )
            command = refresh_command(
                database,
                config.service.key,
                data / "adapters",
                config.learning.replay_rows,
                config.learning.keep_adapters,
                config.model.choice,
            )
            away += remotes(config, store)
            platforms: dict[str, Platform] = {chat.name: chat, **{platform.name: platform for platform in away}}
            learning = Learning(store, registry, command, lambda told: server.refresh_event(feed, told))
            moderator = Moderator(
                store,
                batcher,
                platforms,
                adapter_of=learning.adapter_of,
                changed=case_changed,
                notice=notice,
            )
            desk = Desk(store, moderator, batcher, platforms, changed=case_changed)
            parts = server.Parts(
                store,
                moderator,
                desk,
                chat,
                batcher,
                registry,
                learning,
                feed,
                group,
                model_trouble=model.trouble,
                tally=model.tally,
                own_categories=not config.model.choice.embedded,
                platforms=[platform.overview for platform in away],
            )
            tasks = [
                group.create_task(model.run()),
                group.create_task(batcher.run()),
                group.create_task(moderator.run()),
                group.create_task(learning.watch(swapped)),
                group.create_task(
                    learning.keep_schedule(group, config.learning.refresh_after, config.learning.refresh_hour)
                ),
                group.create_task(_retention(store, config.service.retention_days)),
            ]
            for platform in away:
                platform.serve(moderator, desk)
                platform.adapter_of = learning.adapter_of
                tasks.append(group.create_task(platform.run()))
            runner = web.AppRunner(server.build(parts), access_log=None, shutdown_timeout=2.0)
            await runner.setup()
            try:
                site = web.TCPSite(runner, config.service.host, config.service.port)
                try:
                    await site.start()
                except OSError as error:
                    where = f"{config.service.host}:{config.service.port}"
                    raise PortInUse(
                        f"cannot listen on {where} ({error.strerror}); stop what runs there, "
                        f"or set another port under [service] in config.toml"
                    ) from error
                yield Running(runner.addresses[0][1], parts, model.worker)
            finally:
                feed.close()
                await runner.cleanup()
                for task in tasks:
                    task.cancel()


async def run(config: Config, announce: Callable[[str], None]) -> None:
    """The service until SIGTERM or SIGINT."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with service(config) as running:
        settle()
        announce(f"http://{config.service.host}:{running.port}/")
        log.info("started", adapter=running.parts.registry.current(GLOBAL))
        await stop.wait()
        log.info("stopping")


async def _retention(store: Store, days: int) -> None:
    """Once an hour, texts beyond their retention time are forgotten."""
    while True:
        if forgotten := await store.forget_texts(datetime.now(UTC) - timedelta(days=days)):
            log.info("texts forgotten", messages=forgotten)
        await asyncio.sleep(3600)


@contextlib.contextmanager
def _only_one(data: Path) -> Iterator[None]:
    data.mkdir(parents=True, exist_ok=True)
    with (data / "running.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise AlreadyRuns(f"another Domovoi uses the data folder {data}; stop it first") from None
        yield
