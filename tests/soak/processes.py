"""The two other processes of a soak, as the driver holds them: the simulators, and the service that is killed."""

import asyncio
import contextlib
import itertools
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bot.domain.policy import LabelPolicy, Mode, Policy, Strikes
from bot.domain.setup import Setup
from bot.platforms.discord.events import community_of
from bot.platforms.telegram.events import community_of as group_of
from bot.store import Sealer, Store

ROOT = Path(__file__).parents[2]
LINE_BYTES = 2**20
POLICY = Policy(
    mode=Mode.ENFORCE,
    hate=LabelPolicy(alert_at=0.5, act_at=0.85, actions=("delete", "warn", "ban")),
    offensive=LabelPolicy(alert_at=0.7, act_at=0.95, actions=("warn", "timeout"), timeout_minutes=600),
    strikes=Strikes(timeout_at=None),
    max_actions_per_hour=100_000,
)
"""Everything but a kick is done, and no strike or cap comes in between."""


class Simulators:
    """`ask` sends a command to `simulators_process` and waits for its answer; several may be under way."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self._numbers = itertools.count()
        self._asked: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self.where: dict[str, Any] = {}

    async def ask(self, what: str, **arguments: Any) -> dict[str, Any]:
        """The answer; raises ConnectionError when the process ends first."""
        assert self._process.stdin is not None
        number = next(self._numbers)
        self._asked[number] = asyncio.get_running_loop().create_future()
        self._process.stdin.write(json.dumps([number, what, arguments]).encode() + b"\n")
        return await self._asked[number]

    async def listen(self) -> None:
        """Until the process ends."""
        assert self._process.stdout is not None
        while line := await self._process.stdout.readline():
            answer = json.loads(line)
            self._asked.pop(answer["number"]).set_result(answer["said"])
        for waiting in self._asked.values():
            waiting.set_exception(ConnectionError("the simulators' process ended"))


class Service:
    """`start` forks the service; whoever ended it, `ended` says how."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self.pid = 0
        self._forked: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self.begun, self.up = asyncio.Event(), asyncio.Event()
        self._ended = asyncio.Event()
        self.code = 0

    async def start(self) -> int:
        """Returns its process id as soon as there is one. `begun` is set once it hears signals, `up` once its page is
        served."""
        assert self._process.stdin is not None
        self._forked = asyncio.get_running_loop().create_future()
        self.begun.clear()
        self.up.clear()
        self._ended.clear()
        self._process.stdin.write(b"start\n")
        return await self._forked

    def signal(self, number: int) -> None:
        """To the service; it may have ended before, or not have begun."""
        if self._ended.is_set() or not self.pid:
            return
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, number)

    async def ended(self, timeout_s: float) -> bool:
        """Whether it ends within this time; `code` says how."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                await self._ended.wait()
        return self._ended.is_set()

    async def kill(self) -> None:
        """Returns when nothing is left of it."""
        self.signal(signal.SIGKILL)
        await self._ended.wait()

    async def listen(self) -> None:
        """Until the process that forks ends."""
        assert self._process.stdout is not None
        while line := await self._process.stdout.readline():
            match json.loads(line):
                case {"forked": pid}:
                    self.pid = pid
                    self._forked.set_result(pid)
                case {"begun": _}:
                    self.begun.set()
                case {"up": _}:
                    self.up.set()
                case {"ended": _, "code": code}:
                    self.code = code
                    self._ended.set()
        if not self._forked.done():
            self._forked.set_exception(ConnectionError("the service's process ended: see service.log"))
        self._ended.set()


class Soak:
    """Both, and the folder with the store: the journal, and the key that its texts are sealed with."""

    def __init__(self, folder: Path, simulators: Simulators, service: Service) -> None:
        self.folder, self.simulators, self.service = folder, simulators, service
        self.database, self.key = files_of(folder)


def files_of(folder: Path) -> tuple[Path, Path]:
    """(journal, key)."""
    return folder / "data" / "domovoi.db", folder / "sealing.key"


@contextlib.asynccontextmanager
async def soaking(folder: Path, seed: int) -> AsyncIterator[Soak]:
    """Both processes, and a store in which every community is set up; nothing is started yet."""
    (folder / "data").mkdir(parents=True)
    async with _process("simulators_process", str(seed)) as one:
        simulators = Simulators(one)
        async with asyncio.TaskGroup() as group:
            listening = [group.create_task(simulators.listen())]
            simulators.where = where = await simulators.ask("where")
            await _set_up(folder, where)
            tokens = dict(zip(("DOMOVOI_DISCORD_TOKEN", "DOMOVOI_TELEGRAM_TOKEN"), where["tokens"], strict=True))
            addresses = [where[name] for name in ("discord", "gateway", "telegram")]
            async with _process("service_process", str(folder), *addresses, **tokens) as other:
                service = Service(other)
                listening.append(group.create_task(service.listen()))
                try:
                    yield Soak(folder, simulators, service)
                finally:
                    service.signal(signal.SIGKILL)
                    for task in listening:
                        task.cancel()


@contextlib.asynccontextmanager
async def _process(name: str, *arguments: str, **environment: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """A module of this package in a process of its own, which ends when its input does."""
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", f"tests.soak.{name}", *arguments),
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1", **environment},
        stdin=pipe,
        stdout=pipe,
        limit=LINE_BYTES,
    )
    assert process.stdin is not None
    try:
        yield process
    finally:
        process.stdin.close()
        try:
            async with asyncio.timeout(10):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()
        process._transport.close()  # type: ignore[attr-defined]


async def _set_up(folder: Path, where: dict[str, Any]) -> None:
    now = datetime.now(UTC)
    database, key = files_of(folder)
    async with Store.open(database, Sealer.from_file(key, create=True)) as store:
        places = [("discord", community_of(where["guild"]), "Friends", str(where["alerts"]))]
        places += [("telegram", group_of(group), "Group", str(where["board"])) for group in where["groups"]]
        for platform, community, name, room in places:
            setup = Setup(alert_room=room, done=True, warn="dm" if platform == "discord" else "place")
            await store.communities.greet(community, platform, name, now)
            await store.communities.save(community, platform, name, setup.model_dump(mode="json"), now)
            await store.save_policy(community, POLICY, now)
        desk = group_of(where["board"])
        await store.communities.greet(desk, "telegram", "Desk", now)
