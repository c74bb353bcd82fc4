"""Measures the bot under a flood of Discord messages, against discord.py alone.

    python -m benchmarks.discord [--messages 20000] [--rounds 3] [--out benchmarks/RESULTS.md]

The simulated Discord runs in its own process, so all CPU time of this process is the bot's. Baseline: an unmodified
`discord.Client` whose `on_message` only counts. Pipeline: the platform, the pipeline and a real store, wired as in the
service, with a stub for the model: gateway, event, journal (SQLite on disk, `synchronous=FULL`), queue,
verdict, decision, journal. Every round runs both in turn with the same messages; a ratio is the median over rounds of
the ratio within a round. CPU-seconds are those of all threads of the process. One message in a hundred makes a card in
the alert channel, and each author's name is read once, like a message.

Then messages are sent at fixed paces: half of the target (2,000 a second on one core) and the target itself. Each
latency counts until the message's row is committed: from the moment the client got it, and from the moment it was sent.
Discord asks for a heartbeat every second here (41 on the real one); one is missed when it comes more than half a second
late. `--out` appends to a file.
"""

import argparse
import asyncio
import contextlib
import datetime
import importlib
import itertools
import multiprocessing
import random
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import discord
import sqlalchemy as sa
import yarl
from discord import gateway as library
from discord import http
from rich.console import Console

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
from bot.platforms.discord import Access, Discord
from bot.platforms.discord.events import community_of
from bot.store import Sealer, Store
from bot.store import tables as t

AUTHORS, CHANNELS = 200, 10
HEARTBEAT_MS = 1000
CALM_S = 0.5
"""Seconds between the connection and the measurement."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """The addresses of the simulated Discord, and the bot's server there."""

    token: str
    api: str
    gateway: str
    guild: int
    alerts: int


@dataclass(frozen=True, slots=True)
class Heartbeats:
    """The heartbeats that reached the simulated Discord during a run."""

    sent: int
    missed: int


@dataclass(frozen=True, slots=True)
class FloodResult:
    """One run at full speed: `messages` (with names), CPU-seconds, seconds, and the final counts."""

    messages: int
    cpu_s: float
    wall_s: float
    beats: Heartbeats
    done: int = 0
    cards: int = 0

    @property
    def per_cpu_s(self) -> float:
        return self.messages / self.cpu_s


@dataclass(frozen=True, slots=True)
class PaceResult:
    """One run at a pace: messages a second, their CPU share, and seconds until each was committed."""

    per_second: float
    cpu_share: float
    from_arrival: Sequence[float]
    from_sending: Sequence[float]
    beats: Heartbeats


@dataclass(frozen=True, slots=True)
class Results:
    """The results of one run; the two lists are parallel, one entry per round."""

    messages: int
    baseline: Sequence[FloodResult]
    pipeline: Sequence[FloodResult]
    paced: Sequence[PaceResult]

    @property
    def ratio(self) -> float:
        """The pipeline's rate as a share of the library's own."""
        pairs = zip(self.baseline, self.pipeline, strict=True)
        return statistics.median(full.per_cpu_s / bare.per_cpu_s for bare, full in pairs)


# The other process.


def simulate(pipe: Connection, texts: Sequence[str], heartbeat_ms: int) -> None:
    """Runs the simulated Discord: sends its addresses, then follows commands until the end."""
    asyncio.run(_simulate(pipe, texts, heartbeat_ms))


async def _simulate(pipe: Connection, texts: Sequence[str], heartbeat_ms: int) -> None:
    simulators = importlib.import_module("tests.simulators.discord_server")  # for mypy tests are another room

    dice = random.Random(7)
    async with simulators.DiscordServer() as server:
        server.heartbeat_ms = heartbeat_ms
        guild = server.add_guild("Friends")
        alerts = guild.add_channel("alerts")
        channels = [guild.add_channel(f"room-{number}") for number in range(CHANNELS)]
        roles = [guild.add_role(f"role-{number}", 0) for number in range(5)]
        people = [server.add_user(f"person {number}") for number in range(AUTHORS)]
        for person in people:
            guild.add_member(person, dice.sample(roles, dice.randrange(3)))
        pipe.send(Endpoint(server.token, server.api, server.gateway, guild.id, alerts.id))
        while (told := await asyncio.to_thread(pipe.recv)) is not None:
            count, per_second = told
            made = [
                server.write(dice.choice(channels), people[number % AUTHORS], texts[number % len(texts)])
                for number in range(count)
            ]
            pipe.send("ready")
            await asyncio.to_thread(pipe.recv)
            server.heartbeats.clear()
            began = time.monotonic()
            if per_second:
                for number, message in enumerate(made):
                    if (early := began + number / per_second - time.monotonic()) > 0:
                        await asyncio.sleep(early)
                    message.data["told_at"] = time.monotonic()
                    server.tell("MESSAGE_CREATE", message)
                await server.drained()
            else:
                await server.flood(made)
            while not await asyncio.to_thread(pipe.poll, 0.1):
                pass
            pipe.recv()
            at = [began, *sorted(beat.at_s for beat in server.heartbeats), time.monotonic()]
            late = sum(b - a > 1.5 * heartbeat_ms / 1000 for a, b in itertools.pairwise(at))
            pipe.send(Heartbeats(len(at) - 2, late))


class Simulated:
    """The simulated Discord for this process. A thread waits for its answers."""

    def __init__(self, pipe: Connection, where: Endpoint) -> None:
        self._pipe = pipe
        self.where = where

    async def prepare(self, messages: int, per_second: float = 0.0) -> None:
        """Prepares messages that `go` sends: at this pace, or as fast as they are read."""
        self._pipe.send((messages, per_second))
        await asyncio.to_thread(self._pipe.recv)

    def go(self) -> None:
        self._pipe.send("go")

    async def stop(self) -> Heartbeats:
        """Ends the run after all messages were handled; returns the heartbeats."""
        self._pipe.send("stop")
        beats: Heartbeats = await asyncio.to_thread(self._pipe.recv)
        return beats


@contextlib.contextmanager
def simulated(texts: Sequence[str], heartbeat_ms: int = HEARTBEAT_MS) -> Iterator[Simulated]:
    """Starts a simulated Discord in its own process."""
    spawn = multiprocessing.get_context("spawn")
    here, there = spawn.Pipe()
    process = spawn.Process(target=simulate, args=(there, texts, heartbeat_ms), daemon=True)
    process.start()
    try:
        yield Simulated(here, here.recv())
        here.send(None)
        process.join(10)
    finally:
        process.kill()
        process.join()


# The bot.


class CountingClient(discord.Client):
    """A client that counts messages and does nothing else."""

    seen = 0

    async def on_message(self, message: discord.Message) -> None:
        self.seen += 1


@dataclass(slots=True)
class RunningBot:
    """The running bot, and the number of handled messages."""

    store: Store
    discord: Discord
    through: int = 0


@contextlib.asynccontextmanager
async def serving(where: Endpoint, folder: Path, kind: type[Store] = Store) -> AsyncIterator[RunningBot]:
    """Starts the bot as the service does, connected, with its server set up."""
    async with kind.open(folder / "domovoi.db", Sealer(bytes(range(32)))) as store, asyncio.TaskGroup() as group:
        platform = Discord(store, Access(where.token, api=where.api, gateway=where.gateway), guild_ready_timeout=0.1)
        bot = RunningBot(store, platform)

        def settled(event: Message, judged: Judgement | None) -> None:
            bot.through += 1

        pipeline = Pipeline(
            store,
            StubClassifier(),
            {platform.name: platform},
            adapter_of=lambda community: "global/stub",
            changed=platform.show,
            notice=platform.notify,
            settled=settled,
        )
        cases = CaseService(store, pipeline, StubClassifier(), changed=platform.show)
        platform.serve(pipeline, cases, Conversation(store, cases, pipeline))
        now, community = datetime.datetime.now(datetime.UTC), community_of(where.guild)
        await store.communities.greet(community, platform.name, "Friends", now)
        await store.communities.save(
            community, platform.name, "Friends", {"alert_room": str(where.alerts), "done": True}, now
        )
        tasks = [group.create_task(pipeline.run()), group.create_task(platform.run())]
        try:
            await until(lambda: platform.client is not None and platform.client.sound)
            await asyncio.sleep(CALM_S)
            yield bot
        finally:
            for task in tasks:
                task.cancel()


async def baseline(server: Simulated, messages: int) -> FloodResult:
    """Runs discord.py alone."""
    http.Route.BASE = server.where.api
    library.DiscordWebSocket.DEFAULT_GATEWAY = yarl.URL(server.where.gateway)
    intents = discord.Intents.none()
    intents.guilds = intents.guild_messages = intents.message_content = True
    async with CountingClient(intents=intents, guild_ready_timeout=0.1) as client, asyncio.TaskGroup() as group:
        running = group.create_task(client.start(server.where.token))
        await until(client.is_ready)
        await asyncio.sleep(CALM_S)
        await server.prepare(messages)
        cpu, wall = time.process_time(), time.perf_counter()
        server.go()
        await until(lambda: client.seen >= messages)
        cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
        beats = await server.stop()
        await client.close()
        running.cancel()
    return FloodResult(messages, cpu, wall, beats)


async def pipeline(server: Simulated, messages: int) -> FloodResult:
    """Runs the bot. The clock stops when all messages are journalled and done, the CPU clock when all cards are
    posted."""
    with tempfile.TemporaryDirectory() as folder:
        async with serving(server.where, Path(folder)) as bot:
            await server.prepare(messages)
            cpu, wall = time.process_time(), time.perf_counter()
            server.go()
            expected = messages + min(messages, AUTHORS)
            await until(lambda: bot.through >= expected)
            wall = time.perf_counter() - wall
            await _cards_posted(bot.store)
            cpu = time.process_time() - cpu
            beats = await server.stop()
            done, cards = await _ended(bot.store)
    return FloodResult(expected, cpu, wall, beats, done, cards)


async def paced(server: Simulated, messages: int, per_second: float) -> PaceResult:
    """Runs the bot at a pace."""
    arrived: dict[str, tuple[float, float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        async with serving(server.where, Path(folder), TimedStore) as bot:
            assert isinstance(bot.store, TimedStore) and bot.discord.client is not None
            bot.store.committed = {}
            parsers = bot.discord.client._connection.parsers
            parse = parsers["MESSAGE_CREATE"]

            def parsed(data: Any) -> None:
                if "told_at" in data:  # not the bot's own cards
                    arrived[data["id"]] = time.monotonic(), data["told_at"]
                parse(data)

            parsers["MESSAGE_CREATE"] = parsed
            await server.prepare(messages, per_second)
            cpu, wall = time.process_time(), time.perf_counter()
            server.go()
            await until(lambda: bot.through >= messages + min(messages, AUTHORS))
            cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
            beats = await server.stop()
            committed = bot.store.committed
            bot.discord.client._connection.parsers.pop("MESSAGE_CREATE")
    return PaceResult(
        messages / wall,
        cpu / wall,
        [committed[number] - got for number, (got, _) in arrived.items()],
        [committed[number] - sent for number, (_, sent) in arrived.items()],
        beats,
    )


async def _cards_posted(store: Store) -> None:
    long_ago = datetime.datetime.now(datetime.UTC) - datetime.timedelta(hours=1)
    async with asyncio.timeout(120):
        while await store.cards.unposted("discord", long_ago):  # noqa: ASYNC110
            await asyncio.sleep(0.25)


async def _ended(store: Store) -> tuple[int, int]:
    """(done rows, cards); asserts that every row is done."""
    async with store._engine.connect() as connection:
        query = sa.select(t.message.c.state, sa.func.count()).group_by(t.message.c.state)
        states = {state: count for state, count in await connection.execute(query)}
        cards = (await connection.execute(sa.select(sa.func.count()).select_from(t.card))).scalar_one()
    assert set(states) == {"done"}, states
    return states["done"], cards


# The run.


def measure(
    texts: Sequence[str],
    *,
    messages: int,
    rounds: int,
    paces: Sequence[float],
    seconds: float,
    heartbeat_ms: int = HEARTBEAT_MS,
    advance: Callable[[str], None] = lambda what: None,
) -> Results:
    """Runs both ways in every round, then the paces in messages a second, for `seconds` each."""
    bare: list[FloodResult] = []
    full: list[FloodResult] = []
    with simulated(texts, heartbeat_ms) as server, service_garbage_collection():
        for turn in range(rounds):
            for way, kept in ((baseline, bare), (pipeline, full))[:: 1 if turn % 2 == 0 else -1]:
                advance(f"round {turn + 1}: {way.__name__}")
                kept.append(asyncio.run(way(server, messages)))
        held: list[PaceResult] = []
        for per_second in paces:
            advance(f"{per_second:,.0f} messages a second")
            held.append(asyncio.run(paced(server, round(per_second * seconds), per_second)))
    return Results(messages, bare, full, held)


def show(results: Results, console: Console) -> None:
    """Prints the table and a line for each pace."""
    title = f"{results.messages:,} messages, {len(results.baseline)} rounds"
    show_table(title, COLUMNS, _rows(results), console)
    for pace in results.paced:
        console.print(_paced_line(pace), soft_wrap=True, highlight=False)


def record(results: Results, path: Path) -> None:
    """Appends a dated section."""
    caption = (
        f"`python -m benchmarks.discord`. {describe_machine()}, discord.py {discord.__version__}; "
        f"{results.messages:,} messages of {AUTHORS} authors, median of {len(results.baseline)} interleaved rounds. "
        f"CPU-seconds of the bot's process, all threads together."
    )
    lines = [_paced_line(pace) for pace in results.paced]
    append_section(path, "Discord under load", caption, COLUMNS, _rows(results), lines)


COLUMNS = ("way", "messages/CPU-s", "µs each", "messages/s", "× discord.py", "heartbeats missed")


def _rows(results: Results) -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = []
    for name, floods, ratio in (
        ("discord.py, on_message empty", results.baseline, 1.0),
        ("the whole pipeline", results.pipeline, results.ratio),
    ):
        rate = statistics.median(flood.per_cpu_s for flood in floods)
        wall = statistics.median(flood.messages / flood.wall_s for flood in floods)
        missed, beats = sum(flood.beats.missed for flood in floods), sum(flood.beats.sent for flood in floods)
        row = (name, f"{rate:,.0f}", f"{1e6 / rate:.0f}", f"{wall:,.0f}", f"{ratio:.3f}", f"{missed} of {beats}")
        rows.append(row)
    return rows


def _paced_line(pace: PaceResult) -> str:
    return (
        f"At {pace.per_second:,.0f} messages/s ({len(pace.from_arrival):,} messages, {pace.cpu_share:.0%} of a core): "
        f"{describe_quantiles(pace.from_arrival)} from the event in the client to its committed row; from sending: "
        f"{describe_quantiles(pace.from_sending)}; heartbeats missed: {pace.beats.missed} of {pace.beats.sent}."
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit status 0."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.discord", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--messages", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--pace", type=float, nargs="+", default=[1000.0, 2000.0], help="messages a second")
    parser.add_argument("--seconds", type=float, default=10.0, help="how long at each pace")
    parser.add_argument("--out", type=Path, help="a Markdown file to append to")
    options = parser.parse_args(arguments)
    errors = Console(stderr=True)
    results = measure(
        read_texts(),
        messages=options.messages,
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
