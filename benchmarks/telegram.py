"""Measures the bot under a flood of Telegram updates, against python-telegram-bot alone.

    python -m benchmarks.telegram [--updates 20000] [--rounds 3] [--out benchmarks/RESULTS.md]

The simulated Telegram runs in its own process, so all CPU time of this process is the bot's; it has every update ready
and hands out a hundred per request. Baseline: the library's own `Application` and `Updater` with one
`MessageHandler` whose callback only counts, `concurrent_updates(True)`. Pipeline: the platform, the pipeline and a
real store, wired as in the service, with a stub for the model: getUpdates, inbox, event, journal (SQLite on
disk, `synchronous=FULL`), queue, verdict, decision, journal, until every update is marked as handled. Every round runs
both in turn with the same kind of updates; a ratio is the median over rounds of the ratio within a round. CPU-seconds
are those of all threads of the process. One message in a hundred makes a card; Telegram takes 20 of those a minute, so
few are posted within a run. Each author's name is read once, like a message.

Then updates come at fixed paces. The simulation answers at once, so the bot asks as often as it can and gets few
updates at a time: its measured share of a core is an upper bound. Each latency counts until the message's row is
committed: from the moment the client got the update, and from the moment it could be fetched. `--out` appends to a
file.
"""

import argparse
import asyncio
import contextlib
import datetime
import importlib
import multiprocessing
import random
import resource
import statistics
import sys
import tempfile
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import sqlalchemy as sa
import telegram
from rich.console import Console
from telegram.ext import Application, CallbackContext, MessageHandler, filters

from benchmarks.flood import (
    StubClassifier,
    TimedStore,
    append_section,
    describe_machine,
    describe_quantiles,
    read_texts,
    service_garbage_collection,
    show_table,
    until,
)
from bot.cases.service import CaseService
from bot.conversation.conversation import Conversation
from bot.domain.event import Message
from bot.pipeline.pipeline import Judgement, Pipeline
from bot.platforms.telegram import Access, Telegram
from bot.platforms.telegram.events import community_of
from bot.platforms.telegram.updates import TakenUpdate
from bot.store import Sealer, Store
from bot.store import tables as t

AUTHORS, AT_ONCE = 200, 100
CALM_S = 0.5
"""Seconds between the start of listening and the measurement."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """The address of the simulated Telegram, the moderated group, and the chat for cards."""

    token: str
    api: str
    group: int
    board: int


@dataclass(frozen=True, slots=True)
class FloodResult:
    """One run at full speed: updates, CPU-seconds, seconds, the process's peak memory, and the final counts."""

    updates: int
    cpu_s: float
    wall_s: float
    peak_mib: float
    done: int = 0
    handled: int = 0
    cases: int = 0

    @property
    def per_cpu_s(self) -> float:
        return self.updates / self.cpu_s


@dataclass(frozen=True, slots=True)
class PaceResult:
    """One run at a pace: updates a second, their CPU share, and seconds until each was committed."""

    per_second: float
    cpu_share: float
    from_arrival: Sequence[float]
    from_sending: Sequence[float]


@dataclass(frozen=True, slots=True)
class Results:
    """The results of one run; the two lists are parallel, one entry per round."""

    updates: int
    baseline: Sequence[FloodResult]
    pipeline: Sequence[FloodResult]
    paced: Sequence[PaceResult]

    @property
    def ratio(self) -> float:
        """The pipeline's rate as a share of the library's own."""
        pairs = zip(self.baseline, self.pipeline, strict=True)
        return statistics.median(full.per_cpu_s / bare.per_cpu_s for bare, full in pairs)


# The other process.


def simulate(pipe: Connection, texts: Sequence[str]) -> None:
    """Runs the simulated Telegram: sends its address, then follows commands until the end."""
    asyncio.run(_simulate(pipe, texts))


async def _simulate(pipe: Connection, texts: Sequence[str]) -> None:
    simulators = importlib.import_module("tests.simulators.telegram_server")  # for mypy tests are another room

    async with simulators.TelegramServer() as server:
        owner = server.add_user("Owner")
        group, board = server.add_group("Friends", owner=owner), server.add_group("CaseService", owner=owner)
        people = [server.add_user(f"person {number}") for number in range(AUTHORS)]
        for person in people:
            server.join(group, person)
        pipe.send(Endpoint(server.token, server.api, group.id, board.id))
        while (told := await asyncio.to_thread(pipe.recv)) is not None:
            count, per_second = told
            group.messages.clear()
            made = _written(server, group, people, texts, count)
            pipe.send("ready")
            await asyncio.to_thread(pipe.recv)
            began = time.monotonic()
            if per_second:
                for number, message in enumerate(made):
                    if (early := began + number / per_second - time.monotonic()) > 0:
                        await asyncio.sleep(early)
                    message["told_at"] = time.monotonic()
                    server.push({"message": message})
            else:
                _hand_out(server, made)
            await asyncio.to_thread(pipe.recv)
            server.updates.clear()  # what was not confirmed is not for the next bot
            vars(server).pop("_get_updates", None)
            pipe.send("stopped")


def _hand_out(server: Any, made: Sequence[dict[str, Any]]) -> None:
    """Hands out prepared updates, a hundred per answer, because the simulation's own way searches all waiting ones. The
    first hundred use that way, for a request that may already wait."""
    for message in made[:AT_ONCE]:
        server.push({"message": message})
    rest: list[dict[str, Any]] = [
        {"update_id": number, "message": message} for number, message in enumerate(made[AT_ONCE:], server.next_update)
    ]
    server.next_update += len(rest)
    pages = deque(rest[at : at + AT_ONCE] for at in range(0, len(rest), AT_ONCE))
    usual = type(server)._get_updates

    async def get_updates(data: dict[str, Any]) -> Any:
        offset = int(data.get("offset") or 0)
        while pages and offset > pages[0][-1]["update_id"]:
            pages.popleft()
        if not pages or offset < pages[0][0]["update_id"]:
            return await usual(server, data)
        server.updates.clear()
        return pages[0]

    server._get_updates = get_updates


def _written(server: Any, group: Any, people: Sequence[Any], texts: Sequence[str], count: int) -> list[dict[str, Any]]:
    """Makes `count` messages: one in six is a reply, one in twenty has a link, one in twenty is a photo's caption."""
    dice = random.Random(7)
    made: list[dict[str, Any]] = []
    before = None
    for number in range(count):
        text = texts[number % len(texts)]
        more: dict[str, Any] = {}
        if before is not None and dice.random() < 1 / 6:
            more["reply_to"] = before
        kind = dice.random()
        if kind < 0.05:
            text = f"https://example.org/{number} {text}"
            length = text.index(" ")
            more["entities"] = [{"type": "url", "offset": 0, "length": length}]
        elif kind < 0.1:
            more |= {"caption": text, "photo": _photo(number)}
            text = ""
        message = server.write(group, people[number % len(people)], text, **more)
        if "reply_to" not in more:
            before = message  # as on Telegram, what is answered does not carry what it answered
        made.append(message.data)
    return made


def _photo(number: int) -> list[dict[str, Any]]:
    return [
        {"file_id": f"photo-{number}-{side}", "file_unique_id": f"{number}-{side}", "width": side, "height": side}
        for side in (90, 320, 800)
    ]


class Simulated:
    """The simulated Telegram for this process. A thread waits for its answers."""

    def __init__(self, pipe: Connection, where: Endpoint) -> None:
        self._pipe = pipe
        self.where = where

    async def prepare(self, updates: int, per_second: float = 0.0) -> None:
        """Prepares messages that `go` sends: at this pace, or as fast as they are fetched."""
        self._pipe.send((updates, per_second))
        await asyncio.to_thread(self._pipe.recv)

    def go(self) -> None:
        self._pipe.send("go")

    async def stop(self) -> None:
        """Ends the run after all updates were handled."""
        self._pipe.send("stop")
        await asyncio.to_thread(self._pipe.recv)


@contextlib.contextmanager
def simulated(texts: Sequence[str]) -> Iterator[Simulated]:
    """Starts a simulated Telegram in its own process."""
    spawn = multiprocessing.get_context("spawn")
    here, there = spawn.Pipe()
    process = spawn.Process(target=simulate, args=(there, texts), daemon=True)
    process.start()
    try:
        yield Simulated(here, here.recv())
        here.send(None)
        process.join(10)
    finally:
        process.kill()
        process.join()


# The bot.


@dataclass(slots=True)
class RunningBot:
    """The running bot, and the number of handled messages."""

    store: Store
    telegram: Telegram
    through: int = 0

    async def finished(self, messages: int) -> None:
        """Waits until every message and name is handled and every update is marked as handled."""
        expected = messages + min(messages, AUTHORS)
        await until(lambda: self.through >= expected and self.telegram.updates.idle)
        while await self.store.inbox.waiting("telegram"):  # noqa: ASYNC110
            await asyncio.sleep(0.02)


@contextlib.asynccontextmanager
async def serving(where: Endpoint, folder: Path, kind: type[Store] = Store) -> AsyncIterator[RunningBot]:
    """Starts the bot as the service does, connected, with its group set up."""
    async with kind.open(folder / "domovoi.db", Sealer(bytes(range(32)))) as store, asyncio.TaskGroup() as group:
        platform = Telegram(store, Access(where.token, api=where.api))
        bot = RunningBot(store, platform)

        def through(event: Message, judged: Judgement | None) -> None:
            bot.through += 1

        platforms = {platform.name: platform}
        pipeline = Pipeline(
            store,
            StubClassifier(),
            platforms,
            adapter_of=lambda community: "global/stub",
            changed=platform.show,
            notice=platform.notify,
            settled=through,
        )
        cases = CaseService(store, pipeline, StubClassifier(), changed=platform.show)
        platform.serve(pipeline, cases, Conversation(store, cases, pipeline))
        now, community = datetime.datetime.now(datetime.UTC), community_of(where.group)
        await store.communities.greet(community, platform.name, "Friends", now)
        await store.communities.save(
            community, platform.name, "Friends", {"alert_room": str(where.board), "done": True}, now
        )
        tasks = [group.create_task(pipeline.run()), group.create_task(platform.run())]
        try:
            await until(lambda: platform.trouble is None)
            await asyncio.sleep(CALM_S)
            yield bot
        finally:
            for task in tasks:
                task.cancel()


async def baseline(server: Simulated, updates: int) -> FloodResult:
    """Runs python-telegram-bot alone."""
    seen = 0

    async def count(update: telegram.Update, context: CallbackContext[Any, Any, Any, Any]) -> None:
        nonlocal seen
        seen += 1

    builder = Application.builder().token(server.where.token).base_url(f"{server.where.api}/bot")
    application = builder.concurrent_updates(True).build()
    application.add_handler(MessageHandler(filters.ALL, count))
    async with application:
        await application.start()
        assert application.updater is not None
        await application.updater.start_polling()
        await asyncio.sleep(CALM_S)
        await server.prepare(updates)
        _forget_peak()
        cpu, wall = time.process_time(), time.perf_counter()
        server.go()
        await until(lambda: seen >= updates)
        cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
        peak = _peak_mib()
        await server.stop()
        await application.updater.stop()
        await application.stop()
    return FloodResult(updates, cpu, wall, peak)


async def pipeline(server: Simulated, updates: int) -> FloodResult:
    """Runs the bot. The clocks stop when all rows are done in the journal and all updates are handled in the inbox."""
    with tempfile.TemporaryDirectory() as folder:
        async with serving(server.where, Path(folder)) as bot:
            await server.prepare(updates)
            _forget_peak()
            cpu, wall = time.process_time(), time.perf_counter()
            server.go()
            await bot.finished(updates)
            cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
            peak = _peak_mib()
            await server.stop()
            done, handled, cases = await _ended(bot.store)
    return FloodResult(updates, cpu, wall, peak, done, handled, cases)


async def paced(server: Simulated, updates: int, per_second: float) -> PaceResult:
    """Runs the bot at a pace."""
    arrived: dict[str, tuple[float, float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        async with serving(server.where, Path(folder), TimedStore) as bot:
            assert isinstance(bot.store, TimedStore)
            take = bot.telegram.updates.take

            async def taken(came: Sequence[Any]) -> TakenUpdate:
                now = time.monotonic()
                for message in (update["message"] for update in came):
                    arrived[f"{message['chat']['id']}:{message['message_id']}"] = now, message["told_at"]
                return await take(came)

            bot.telegram.updates.take = taken  # type: ignore[assignment, method-assign]
            await server.prepare(updates, per_second)
            cpu, wall = time.process_time(), time.perf_counter()
            server.go()
            await bot.finished(updates)
            cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
            await server.stop()
            committed = bot.store.committed
    return PaceResult(
        updates / wall,
        cpu / wall,
        [committed[number] - got for number, (got, _) in arrived.items()],
        [committed[number] - sent for number, (_, sent) in arrived.items()],
    )


def _forget_peak() -> None:
    """Resets the process's peak memory if Linux offers that; elsewhere the peak counts from the start."""
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def _peak_mib() -> float:
    with contextlib.suppress(OSError):
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


async def _ended(store: Store) -> tuple[int, int, int]:
    """(done rows, handled updates, cases); asserts that every row is done."""
    async with store._engine.connect() as connection:

        async def states(table: sa.Table) -> dict[str, int]:
            query = sa.select(table.c.state, sa.func.count()).group_by(table.c.state)
            return {state: count for state, count in await connection.execute(query)}

        messages, updates = await states(t.message), await states(t.inbox)
        cases = (await connection.execute(sa.select(sa.func.count()).select_from(t.case))).scalar_one()
    assert set(messages) == set(updates) == {"done"}, (messages, updates)
    return messages["done"], updates["done"], cases


# The run.


def measure(
    texts: Sequence[str],
    *,
    updates: int,
    rounds: int,
    paces: Sequence[float],
    seconds: float,
    advance: Callable[[str], None] = lambda what: None,
) -> Results:
    """Runs both ways in every round, then the paces in updates a second, for `seconds` each."""
    bare: list[FloodResult] = []
    full: list[FloodResult] = []
    with simulated(texts) as server, service_garbage_collection():
        for turn in range(rounds):
            for way, kept in ((baseline, bare), (pipeline, full))[:: 1 if turn % 2 == 0 else -1]:
                advance(f"round {turn + 1}: {way.__name__}")
                kept.append(asyncio.run(way(server, updates)))
        held: list[PaceResult] = []
        for per_second in paces:
            advance(f"{per_second:,.0f} updates a second")
            held.append(asyncio.run(paced(server, round(per_second * seconds), per_second)))
    return Results(updates, bare, full, held)


def show(results: Results, console: Console) -> None:
    """Prints the table and a line for each pace."""
    title = f"{results.updates:,} updates, {len(results.baseline)} rounds"
    show_table(title, COLUMNS, _rows(results), console)
    for pace in results.paced:
        console.print(_paced_line(pace), soft_wrap=True, highlight=False)


def record(results: Results, path: Path) -> None:
    """Appends a dated section."""
    caption = (
        f"`python -m benchmarks.telegram`. {describe_machine()}, python-telegram-bot {telegram.__version__}; "
        f"{results.updates:,} message updates of {AUTHORS} authors, median of {len(results.baseline)} interleaved "
        f"rounds. CPU-seconds of the bot's process, all threads together."
    )
    lines = [_paced_line(pace) for pace in results.paced]
    append_section(path, "Telegram under load", caption, COLUMNS, _rows(results), lines)


COLUMNS = ("way", "updates/CPU-s", "µs each", "updates/s", "× the library", "peak MiB")


def _rows(results: Results) -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = []
    for name, floods, ratio in (
        ("python-telegram-bot, handler empty", results.baseline, 1.0),
        ("the whole pipeline", results.pipeline, results.ratio),
    ):
        rate = statistics.median(flood.per_cpu_s for flood in floods)
        wall = statistics.median(flood.updates / flood.wall_s for flood in floods)
        peak = max(flood.peak_mib for flood in floods)
        rows.append((name, f"{rate:,.0f}", f"{1e6 / rate:.0f}", f"{wall:,.0f}", f"{ratio:.3f}", f"{peak:.0f}"))
    return rows


def _paced_line(pace: PaceResult) -> str:
    return (
        f"At {pace.per_second:,.0f} updates/s ({len(pace.from_arrival):,} updates, {pace.cpu_share:.0%} of a core): "
        f"{describe_quantiles(pace.from_arrival)} from the update in the client to its committed row; "
        f"from the moment it could be fetched: {describe_quantiles(pace.from_sending)}."
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit status 0."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.telegram", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--updates", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--pace", type=float, nargs="*", default=[500.0], help="updates a second")
    parser.add_argument("--seconds", type=float, default=20.0, help="how long at each pace")
    parser.add_argument("--out", type=Path, help="a Markdown file to append to")
    options = parser.parse_args(arguments)
    errors = Console(stderr=True)
    results = measure(
        read_texts(),
        updates=options.updates,
        rounds=options.rounds,
        paces=options.pace,
        seconds=options.seconds,
        advance=lambda what: errors.print(what, style="dim"),
    )
    console = Console()
    show(results, console if console.width >= 110 else Console(width=110))
    if options.out is not None:
        record(results, options.out)
    return 0


if __name__ == "__main__":
    sys.exit(main())
