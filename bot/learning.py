"""Runs `python -m training.refresh` beside the service and passes its progress on; notices new adapters."""

import asyncio
import json
import os
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from datetime import UTC, date, datetime
from pathlib import Path

import structlog

from bot.store import Store
from bot.store.steady import Steady
from model.adapters import GLOBAL, Registry, read_manifest, scope_of
from model.choice import Choice
from model.classifier import AdapterRejected
from model.norms import PLAIN, Norm, norm_of
from model.worker import without_secrets

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Refresh:
    """How far a refresh is; `result` is set once it is over."""

    running: bool
    stage: str
    share: float = 0.0
    result: str = ""

    def to_json(self) -> dict[str, object]:
        """For the page."""
        return asdict(self)


class AlreadyRunning(Exception):
    """A refresh is under way; wait for it."""


class Learning:
    """At most one refresh at a time, in its own process: a killed one leaves the old adapter in place."""

    def __init__(
        self, store: Store, registry: Registry, command: list[str], changed: Callable[[Refresh], None]
    ) -> None:
        self._store = store
        self._registry = registry
        self._command = command
        self._changed = changed
        self.state: Refresh | None = None
        self._promoted = registry.current(GLOBAL)
        self.serving, self.problem = self._sound()
        self._own: dict[str, tuple[list[str], str]] = {}

    def adapter_of(self, community: str) -> str:
        """The community's own adapter where a sound one was promoted for it, else the one for all."""
        if community not in self._own:
            self._own[community] = self._own_adapter(community)
        return self._own[community][1] or self.serving

    def norm_of(self, community: str) -> Norm:
        """What the community counts the labels as, by the adapter that serves it."""
        try:
            manifest = read_manifest(self._registry.folder(self.adapter_of(community)))
        except AdapterRejected:  # spoilt since it was chosen; the watcher will tell
            return PLAIN
        return norm_of(manifest.learned_norms(), community)

    def start(self, group: asyncio.TaskGroup) -> None:
        """Starts a refresh; raises `AlreadyRunning`."""
        if self.state is not None and self.state.running:
            raise AlreadyRunning("a refresh is under way; wait for it")
        self._tell(Refresh(True, "starting"))
        group.create_task(self._run())

    async def watch(self, swapped: Callable[[str, str], None], every_s: float = 1.0) -> None:
        """Calls `swapped(adapter, problem)` after every promotion or rollback for all, at most `every_s` later.

        Communities with an adapter of their own swap as quietly as they were given it.
        """
        while True:
            await asyncio.sleep(every_s)
            try:
                self._look(swapped)
            except OSError as error:  # what served goes on serving
                log.warning("the adapters' folder cannot be read", error=str(error))

    def _look(self, swapped: Callable[[str, str], None]) -> None:
        for community, (promoted_before, _) in list(self._own.items()):
            if self._promoted_for(community) != promoted_before:
                self._own[community] = self._own_adapter(community)
        if (promoted := self._registry.current(GLOBAL)) != self._promoted:
            serving, problem = self._sound()
            self._promoted, self.serving, self.problem = promoted, serving, problem
            swapped(self.serving, self.problem)

    async def keep_schedule(
        self,
        group: asyncio.TaskGroup,
        after: int,
        hour: int | None,
        every_s: float = 30.0,
        clock: Callable[[], datetime] = datetime.now,
    ) -> None:
        """Starts a refresh once `after` corrections teach that came since the last one (0: never), and in this `hour`
        of the local day if there are any. One that was refused counts: it is not tried again with nothing new."""
        began: date | None = None
        steady = Steady()
        while after or hour is not None:
            await asyncio.sleep(every_s)
            if self.state is not None and self.state.running:
                continue
            fresh, now = await steady(self._store.lessons.since_refresh), clock()
            at_its_hour = hour is not None and now.hour == hour and now.date() != began and fresh > 0
            if at_its_hour or 0 < after <= fresh:
                began = now.date() if at_its_hour else began
                self.start(group)

    def _sound(self) -> tuple[str, str]:
        """A spoilt adapter never serves: the one promoted before it does, and moderators are told."""
        serving, problem = self._registry.sound(GLOBAL)
        return serving, f"{problem}. {serving} serves instead." if problem else ""

    def _promoted_for(self, community: str) -> list[str]:
        try:
            return self._registry.promoted(scope_of(community))
        except AdapterRejected:  # a name that cannot be a folder's
            return []

    def _own_adapter(self, community: str) -> tuple[list[str], str]:
        """(what was promoted for the community, the newest sound one of it or "")."""
        promoted = self._promoted_for(community)
        adapter = self._registry.sound(scope_of(community))[0] if promoted else ""
        return promoted, adapter if adapter.startswith(f"{scope_of(community)}/") else ""

    async def _run(self) -> None:
        started = datetime.now(UTC)
        process = await asyncio.create_subprocess_exec(
            *self._command,
            stdout=asyncio.subprocess.PIPE,
            cwd=Path(__file__).parents[1],
            env={
                "OMP_WAIT_POLICY": "passive",
                **without_secrets(os.environ),
            },  # waiting threads leave the cores to others
        )
        result = ""
        try:
            if process.stdout is not None:
                async for line in process.stdout:
                    told = json.loads(line)
                    result = told.get("result", "")
                    self._tell(Refresh(True, told["stage"], told["share"]))
            status = await process.wait()
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        result = result or f"failed: the refresh ended with status {status}; the adapter before it still serves"
        finished = datetime.now(UTC)
        await Steady()(lambda: self._store.record_refresh(started, finished, result))
        self._tell(Refresh(False, "finished", 1.0, result))

    def _tell(self, state: Refresh) -> None:
        self.state = replace(state)
        self._changed(state)


def refresh_command(store: Path, key: Path, adapters: Path, replay_rows: int, keep: int, choice: Choice) -> list[str]:
    """The command a refresh of the chosen base is started with."""
    command = [sys.executable, "-m", "training.refresh", "--store", str(store.resolve())]
    command += ["--key", str(key.resolve()), "--adapters", str(adapters.resolve())]
    command += choice.arguments()
    return [*command, "--replay-rows", str(replay_rows), "--keep", str(keep), "--progress", "json"]
