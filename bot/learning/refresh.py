"""Runs `python -m training.refresh` beside the service, passes its progress on, and notices new adapters."""

import asyncio
import contextlib
import json
import os
import sys
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, date, datetime
from pathlib import Path

import structlog

from bot.store import Store
from bot.store.retry import StoreRetry
from model.adapters.registry import GLOBAL, Registry, read_manifest, scope_of
from model.choice import BaseChoice
from model.classifier import AdapterRejected, Classifier, ClassifierError, Died, Item, Unavailable, Verdict
from model.norms import PLAIN_NORM, Norm, norm_of
from model.serving.worker import without_secrets

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Refresh:
    """The progress of a refresh; `result` is set once it is over."""

    running: bool
    stage: str
    share: float = 0.0
    result: str = ""

    def to_json(self) -> dict[str, object]:
        """For the page."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class _Own:
    """A community's own adapters: what its registry's mark is, the one that serves or "", what is wrong with others."""

    mark: str
    adapter: str
    problem: str


class AlreadyRunning(Exception):
    """A refresh is under way; wait for it."""


TRUSTED: Sequence[str] = ("try-out",)
"""Communities that teach what serves all where the operator names no others."""
OTHER_LANGUAGES = "other languages: "
NOTHING_TO_LEARN = 4
"""The exit status of a refresh without anything to learn."""
MOST_DEATHS = 3
"""An adapter with which so many of the model's processes died in a row when it was tried does not serve."""
Trial = Callable[[str], Awaitable[None]]
"""Asks the model to take an adapter; raises `AdapterRejected` where it refuses, and a classifier's errors."""


class Learning:
    """At most one refresh at a time, in its own process: a killed one leaves the old adapter in place.

    `command` is what runs, and after it `other_command`, for the base that reads other languages.

    An adapter whose files are damaged or which the model refuses (`trial`) does not serve: the newest sound one does.
    """

    def __init__(
        self,
        store: Store,
        registry: Registry,
        command: list[str],
        changed: Callable[[Refresh], None],
        trial: Trial | None = None,
        trusted: Sequence[str] = TRUSTED,
        other_command: Sequence[str] = (),
    ) -> None:
        self._store = store
        self._registry = registry
        self._commands = [command, list(other_command)] if other_command else [command]
        self._changed = changed
        self._trial = trial
        self.trusted = frozenset(trusted)
        self._refused: dict[str, str] = {}
        self._passed: set[str] = set()
        self._deaths = Counter[str]()
        self._wake = asyncio.Event()
        self.state: Refresh | None = None
        self._mark = registry.promotion_state(GLOBAL)
        self.serving, self._problem = self._sound(GLOBAL)
        self._own: dict[str, _Own] = {}
        if self.problem:
            log.error("adapter rejected", problem=self.problem)

    @property
    def problem(self) -> str:
        """The adapters that were promoted and do not serve, with the reason, and what serves instead; "" for none."""
        return self._problem or next((own.problem for own in self._own.values() if own.problem), "")

    def adapter_of(self, community: str) -> str:
        """Returns the community's own adapter where a sound one was promoted for it, else the adapter for all.

        Raises `Unavailable` while that is not known: the messages wait, since another adapter may punish what the
        community's own allows.
        """
        if community not in self._own:
            try:
                self._own[community] = self._own_adapter(community)
            except OSError as error:
                raise Unavailable(f"the adapters' folder cannot be read: {error.strerror}") from error
        return self._own[community].adapter or self.serving

    def norm_of(self, community: str) -> Norm:
        """Returns the norm of the community in the adapter that serves it."""
        try:
            manifest = read_manifest(self._registry.folder(self.adapter_of(community)))
        except (AdapterRejected, Unavailable, OSError):  # damaged since it was chosen; the watcher reports it
            return PLAIN_NORM
        return norm_of(manifest.learned_norms(), community)

    def doubt(self) -> None:
        """The model has refused an adapter that serves: all that serve are tried again, at once."""
        self._passed.clear()
        self._wake.set()

    def start(self, group: asyncio.TaskGroup) -> None:
        """Starts a refresh; raises `AlreadyRunning`."""
        if self.state is not None and self.state.running:
            raise AlreadyRunning("a refresh is under way; wait for it")
        self._tell(Refresh(True, "starting"))
        group.create_task(self._run())

    async def watch(self, swapped: Callable[[str, str], None], every_s: float = 1.0) -> None:
        """Calls `swapped(adapter, problem)` after every change of what serves all, at most `every_s` later, and where
        an adapter was refused.

        Communities with an adapter of their own swap as quietly as they were given it.
        """
        while True:
            try:
                await self._look(swapped)
            except (OSError, AdapterRejected) as error:  # what served goes on serving
                log.warning("the adapters' folder cannot be read", error=str(error))
            except ClassifierError:
                pass  # it is not known yet; the adapter that served goes on
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(every_s):
                    await self._wake.wait()
            self._wake.clear()

    async def _look(self, swapped: Callable[[str, str], None]) -> None:
        before = self.serving, self.problem
        try:
            marks = await asyncio.to_thread(lambda: {name: self._mark_of(name) for name in list(self._own)})
            for community, mark_of_own in marks.items():
                await self._look_at(community, mark_of_own)
            mark = await asyncio.to_thread(self._registry.promotion_state, GLOBAL)
            if mark != self._mark:
                self._forget(GLOBAL)
            if mark != self._mark or self.serving not in self._passed:
                self.serving, self._problem = await self._tried(GLOBAL)
                self._mark = mark
        finally:
            if (self.serving, self.problem) != before:
                problem = self.problem if self.problem != before[1] else ""
                if problem:
                    log.error("adapter rejected", problem=problem)
                swapped(self.serving, problem)

    async def _look_at(self, community: str, mark: str) -> None:
        """The same for a community's own adapters."""
        own, scope = self._own[community], scope_of(community)
        if mark != own.mark:
            self._forget(scope)
        if mark == own.mark and (not own.adapter or own.adapter in self._passed):
            return
        adapter, problem = await self._tried(scope) if mark else ("", "")
        self._own[community] = _Own(mark, adapter if adapter.startswith(f"{scope}/") else "", problem)

    async def _tried(self, scope: str) -> tuple[str, str]:
        """Returns the newest adapter that the model takes; raises the errors of a classifier that cannot say."""
        while True:
            adapter, problem = await asyncio.to_thread(self._sound, scope)
            if adapter in self._passed or self._trial is None:
                self._passed.add(adapter)
                return adapter, problem
            try:
                await self._trial(adapter)
            except Died as error:
                self._deaths[adapter] += 1
                if self._deaths[adapter] < MOST_DEATHS:
                    raise
                why = str(error)
            except AdapterRejected as error:
                why = str(error)
            else:
                self._passed.add(adapter)
                self._deaths.pop(adapter, None)
                continue
            if adapter in self._refused:  # the shipped one, behind which there is none
                return adapter, why
            log.error("adapter refused by the model", adapter=adapter, problem=why)
            self._refused[adapter] = why

    def _forget(self, scope: str) -> None:
        """Something was promoted or rolled back: what was refused may have been mended."""
        self._refused = {name: why for name, why in self._refused.items() if not name.startswith(f"{scope}/")}
        self._passed = {name for name in self._passed if not name.startswith(f"{scope}/")}

    async def keep_schedule(
        self,
        group: asyncio.TaskGroup,
        after: int,
        hour: int | None,
        every_s: float = 30.0,
        clock: Callable[[], datetime] = datetime.now,
    ) -> None:
        """Starts a refresh once `after` corrections that teach the adapter for all came since the last one (0: never),
        and in this `hour` of the local day if there are corrections that teach at all. A refused refresh counts: it is
        not tried again without new corrections. So a community that is not trusted can cause at most one refresh a day.
        """
        began: date | None = None
        store_retry = StoreRetry()
        while after or hour is not None:
            await asyncio.sleep(every_s)
            if self.state is not None and self.state.running:
                continue
            fresh, now = await store_retry(self._store.training_views.since_refresh), clock()
            at_its_hour = hour is not None and now.hour == hour and now.date() != began and fresh.total() > 0
            if at_its_hour or 0 < after <= sum(fresh[community] for community in self.trusted):
                began = now.date() if at_its_hour else began
                self.start(group)

    def _sound(self, scope: str) -> tuple[str, str]:
        """A damaged adapter never serves: the one promoted before it serves, and moderators are told."""
        serving, problem = self._registry.newest_sound(scope, dict(self._refused))
        return serving, f"{problem}. {serving} serves instead." if problem else ""

    def _mark_of(self, community: str) -> str:
        try:
            return self._registry.promotion_state(scope_of(community))
        except AdapterRejected:  # a name that cannot be a folder's
            return ""

    def _own_adapter(self, community: str) -> "_Own":
        """Returns the adapter promoted for the community, and the newest sound one of it or ""."""
        scope = scope_of(community)
        if not (mark := self._mark_of(community)):
            return _Own("", "", "")
        adapter, problem = self._sound(scope)
        self._passed.add(adapter)  # the model refuses it with the first message, if it does
        return _Own(mark, adapter if adapter.startswith(f"{scope}/") else "", problem)

    async def _run(self) -> None:
        started, results = datetime.now(UTC), list[str]()
        for number, command in enumerate(self._commands):
            status, result = await self._run_one(command, number)
            if number == 0:
                results.append(result)
            elif status != NOTHING_TO_LEARN:
                results.append(f"{OTHER_LANGUAGES}{result}")
        finished, result = datetime.now(UTC), "; ".join(results)
        await StoreRetry()(lambda: self._store.record_refresh(started, finished, result))
        self._tell(Refresh(False, "finished", 1.0, result))

    async def _run_one(self, command: Sequence[str], number: int) -> tuple[int, str]:
        """Runs one of the commands; (its exit status, its result)."""
        process = await asyncio.create_subprocess_exec(
            *command,
            stdout=asyncio.subprocess.PIPE,
            cwd=Path(__file__).parents[2],
            env={
                "OMP_WAIT_POLICY": "passive",
                **without_secrets(os.environ),
            },  # waiting threads leave the cores to others
        )
        result, prefix = "", OTHER_LANGUAGES if number else ""
        try:
            if process.stdout is not None:
                async for line in process.stdout:
                    progress = json.loads(line)
                    result = progress.get("result", "")
                    share = (number + progress["share"]) / len(self._commands)
                    self._tell(Refresh(True, f"{prefix}{progress['stage']}", share))
            status = await process.wait()
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        failed = f"failed: the refresh ended with status {status}; the adapter before it still serves"
        return status, result or failed

    def _tell(self, state: Refresh) -> None:
        self.state = replace(state)
        self._changed(state)


class RejectionReporter:
    """A `Classifier` in front of another; it calls `doubt` when that refused an adapter."""

    def __init__(self, classifier: Classifier, doubt: Callable[[], None]) -> None:
        self._classifier = classifier
        self._doubt = doubt

    async def classify(self, items: Sequence[Item]) -> list[Verdict]:
        """Calls the classifier behind it."""
        try:
            return await self._classifier.classify(items)
        except AdapterRejected:
            self._doubt()
            raise

    async def embed(self, texts: Sequence[str]) -> list[list[float]]:
        """Calls the classifier behind it."""
        return await self._classifier.embed(texts)


def refresh_command(
    store: Path,
    key: Path,
    adapters: Path,
    replay_rows: int,
    keep: int,
    choice: BaseChoice,
    *,
    trusted: Sequence[str] = TRUSTED,
    tries_adapters: bool = True,
    english: bool = False,
) -> list[str]:
    """Returns the command that refreshes the chosen base; without `trusted` communities it says so. With `english` the
    base does not learn from what the base for other languages reads."""
    command = [sys.executable, "-m", "training.refresh", "--store", str(store.resolve())]
    command += ["--key", str(key.resolve()), "--adapters", str(adapters.resolve())]
    command += choice.arguments() + ([] if tries_adapters else ["--untried"])
    command += ["--english"] if english else []
    command += [f"--trusted={community}" for community in trusted or [""]]
    return [*command, "--replay-rows", str(replay_rows), "--keep", str(keep), "--progress", "json"]
