"""Carries out what was decided: journalled before each step, so that a crash repeats nothing that people see."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import structlog

from bot.domain import action as actions
from bot.domain.action import Action
from bot.domain.case import Case, Journalled
from bot.domain.decision import Decision
from bot.domain.event import Author, Message, MessageKey
from bot.domain.notice import Notice
from bot.domain.platform import (
    DryRun,
    Gone,
    MissingPermission,
    NotConnected,
    Platform,
    RateLimited,
    Unreachable,
    Unreadable,
)
from bot.domain.remaining_actions import RemainingActions
from bot.domain.restriction import Unchanged
from bot.domain.row_state import RowState
from bot.pipeline.warning_pace import WarningPace
from bot.store import Store
from bot.store.retry import StoreRetry, is_corruption

FIRST_WAIT_S, LONGEST_WAIT_S = 2.0, 300.0
"""How long an action waits for a platform that does not answer: twice as long each time."""
log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class UndoResult:
    """What came of an undo: `done` was taken back, `kept` cannot be, `waiting` is until the platform answers, and
    `unchanged` stays because of what stands."""

    done: tuple[Action, ...] = ()
    kept: tuple[Action, ...] = ()
    waiting: tuple[Action, ...] = ()
    unchanged: tuple[tuple[Action, Unchanged], ...] = ()


class Enforcement:
    """The journal says "intended" before an action is begun, "sent" while it may have been done or not.

    `changed` is told of a case whose actions ended later than its card was shown, `tell` of what was not possible. What
    a moderator undoes is "undoing" until it is taken back; that may be done twice, and looks like once. While
    `is_paused` says that nothing is to be done in a community, what is still to be done there is "stopped", for good.
    """

    def __init__(
        self,
        store: Store,
        store_retry: StoreRetry,
        platforms: Mapping[str, Platform],
        changed: Callable[[Case], None],
        tell: Callable[[Notice], None],
        spawn: Callable[[Coroutine[Any, Any, None]], None],
        is_paused: Callable[[str], bool] = lambda community: False,
    ) -> None:
        self._store = store
        self._store_retry = store_retry
        self._platforms = platforms
        self._changed = changed
        self._tell = tell
        self._spawn = spawn
        self._is_paused = is_paused
        self._warnings = WarningPace(store)
        self._at_work: dict[int, asyncio.Event] = {}
        self._undone: set[int] = set()
        """Rows of which nothing more is done."""
        self._undoing: set[int] = set()
        """Those of them that this process has begun to take back, unless an error of the store ended that."""

    async def perform(self, row: int, event: Message, decision: Decision, todo: Sequence[Action]) -> None:
        """What was decided just now; `todo` is what of it is still to be done."""
        await self._do(row, event, decision.enforced, list(todo))

    async def finish(self, row: Journalled, event: Message) -> None:
        """After a crash: what was intended is done. What may have been done is done again, which looks like once; but
        not what people read, and then the case says so. What a moderator has undone is taken back."""
        todo, outcome = _left(row)
        enforced = row.decision is not None and row.decision.enforced
        if row.id in self._undone:  # since the row was read
            return
        if row.state == RowState.UNDOING:
            await self._undo(row.id, event.key, event.author, todo, outcome, told=self._tell)
            await self._redraw(event.key)
            return
        with self._working(row.id):
            if row.state == RowState.SENT and todo and isinstance(todo[0], actions.Warn):
                if enforced:
                    await self._progress(row.id, RowState.INTENDED, todo[1:], outcome, unsure=todo[0])
                todo = todo[1:]
            await self._steps(row.id, event, enforced, todo, FIRST_WAIT_S, outcome)
        await self._redraw(event.key)

    async def take_back(self, case: Case, moderator: str) -> UndoResult:
        """A moderator says that it was wrong: what was done is taken back, and what is still to be done is not done.

        The first click wins, the others find nothing. Raises what the store raises; then another click goes on.
        """
        row = case.message.id
        await self._store.record_undone(case.id, moderator, case.decision.enforced_actions)
        now = await self._store.case(case.id)
        if now is None or now.message.state != RowState.UNDOING or row in self._undoing:
            return UndoResult()
        self._undone.add(row)
        self._undoing.add(row)
        earlier = await self._store.revisions.before(row, case.message.key)
        self._undone |= {revision.row.id for revision in earlier}
        for number in (*(revision.row.id for revision in earlier), row):
            if (at_work := self._at_work.get(number)) is not None:
                await at_work.wait()
        return await self._undo(row, case.message.key, case.author, *_left(now.message))

    async def _undo(
        self,
        row: int,
        key: MessageKey,
        author: Author,
        todo: Sequence[Action],
        outcome: RowState,
        wait_s: float = 0.0,
        told: Callable[[Notice], None] = lambda notice: None,
    ) -> UndoResult:
        """Takes back what can be; where the platform does not answer, later. `outcome` is what the row comes to, and
        `told` hears of what a right is missing for."""
        self._undone.add(row)
        self._undoing.add(row)
        wait_s = wait_s or FIRST_WAIT_S
        platform = self._platforms[key.platform]
        done, kept, waiting = list[Action](), list[Action](), list[Action]()
        unchanged: list[tuple[Action, Unchanged]] = []
        pause_s = 0.0
        try:
            for action in todo:
                try:
                    worked = await platform.undo(action, key, author)
                    if isinstance(worked, Unchanged):
                        await self._unchanged(row, action, worked, undoes=True)
                except MissingPermission as error:
                    kept.append(action)
                    told(Notice("notice-not-taken-back", {"action": action, "why": error.why}, key.community))
                except Gone:
                    kept.append(action)
                except Exception as error:
                    if not isinstance(error, RateLimited | Unreachable):
                        log.exception("could not be taken back", row=row, action=action.name)
                    waiting.append(action)
                    pause_s = max(pause_s, error.retry_after_s if isinstance(error, RateLimited) else wait_s)
                else:
                    if isinstance(worked, Unchanged):
                        unchanged.append((action, worked))
                    else:
                        (done if worked else kept).append(action)
            state = RowState.UNDOING if waiting else outcome
            await self._store_retry(lambda: self._store.record_progress(row, state, waiting, outcome, undoes=True))
        except BaseException:
            self._undoing.discard(row)
            raise
        if waiting:
            next_wait_s = min(2 * wait_s, LONGEST_WAIT_S)
            again = partial(self._undo, row, key, author, waiting, outcome, next_wait_s, self._tell)
            self._put_off(row, key, pause_s, again)
        return UndoResult(tuple(done), tuple(kept), tuple(waiting), tuple(unchanged))

    async def _redraw(self, key: MessageKey) -> None:
        """The card was shown before this came of it."""
        if (case := await self._store_retry(lambda: self._store.case_of(*key.address))) is not None:
            self._changed(case)

    @contextlib.contextmanager
    def _working(self, row: int) -> Iterator[None]:
        """Whoever undoes it waits until this has stopped."""
        self._at_work[row] = ended = asyncio.Event()
        try:
            yield
        finally:
            del self._at_work[row]
            ended.set()

    async def _do(
        self,
        row: int,
        event: Message,
        enforced: bool,
        todo: list[Action],
        wait_s: float = 0.0,
        state: RowState = RowState.DONE,
    ) -> None:
        with self._working(row):
            await self._steps(row, event, enforced, todo, wait_s or FIRST_WAIT_S, state)

    async def _steps(
        self, row: int, event: Message, enforced: bool, todo: list[Action], wait_s: float, state: RowState
    ) -> None:
        """Performs each action and records the journal state it came to; `state` is what it has come to so far.

        When the platform does not answer or asks for patience, the rest is put off and nobody waits for it; a warning
        alone is, and what stops its author goes first. So it is while a warning waits for other messages to name.
        """

        def put_off(todo: list[Action], wait_s: float, next_wait_s: float) -> None:
            self._put_off(row, event.key, wait_s, partial(self._do, row, event, enforced, todo, next_wait_s, state))

        platform = self._platforms[event.key.platform]
        performer: Platform | DryRun = platform if enforced else DryRun(platform)
        later: list[Action] = []
        pause_s = 0.0
        while todo:
            if row in self._undone:
                return
            action, later_actions = todo[0], todo[1:] + later
            touches = enforced and not isinstance(action, actions.Alert)
            if touches and self._is_paused(event.key.community):
                log.warning("not done: acting is paused", row=row, action=action.name)
                await self._progress(row, RowState.STOPPED, [], RowState.STOPPED)
                return
            try:
                paced = await self._paced(action, later_actions, event) if touches else action
                if touches and paced is not None:
                    await self._progress(row, RowState.SENT, [action, *later_actions], state)
                if paced is not None:
                    await self._given(performer, row, paced, event)
            except Gone:
                state = RowState.GONE
            except RateLimited as error:
                pause_s = max(pause_s, error.retry_after_s)
                if isinstance(action, actions.Warn) and len(todo) > 1:
                    later.append(action)
                else:
                    await self._progress(row, RowState.INTENDED, [action, *later_actions], state)
                    put_off([action, *later_actions], pause_s, wait_s)
                    return
            except Unreadable as error:  # it has perhaps done it; the others need not wait for that
                log.warning("an action may have been done", row=row, action=action.name, error=str(error))
                if isinstance(action, actions.Warn):
                    await self._progress(row, RowState.INTENDED, later_actions, state, unsure=action)
                else:
                    later.append(action)
                    pause_s = max(pause_s, wait_s)
            except Unreachable as error:
                log.warning("platform does not answer", row=row, action=action.name, error=str(error))
                perhaps = isinstance(action, actions.Warn) and not isinstance(error, NotConnected)
                again = later_actions if perhaps else [action, *later_actions]
                await self._progress(row, RowState.INTENDED, again, state, unsure=action if perhaps else None)
                put_off(again, wait_s, min(2 * wait_s, LONGEST_WAIT_S))
                return
            except MissingPermission as error:
                state = RowState.FAILED
                self._tell(Notice("notice-not-possible", {"action": action, "why": error.why}, event.key.community))
            todo = todo[1:]
            if not todo and later:
                await self._progress(row, RowState.INTENDED, later, state)
                put_off(later, pause_s, min(2 * wait_s, LONGEST_WAIT_S))
                return
        await self._store_retry(lambda: self._store.record_progress(row, state, [], state))

    async def _paced(self, action: Action, rest: Sequence[Action], event: Message) -> Action | None:
        """The action as it is to be done now; None for a warning that another covers. Raises `RateLimited`."""
        if not isinstance(action, actions.Warn):
            return action
        removed = any(isinstance(other, actions.Kick | actions.Ban) for other in rest)
        return await self._warnings.next(event, at_once=removed)

    async def _given(self, performer: Platform | DryRun, row: int, action: Action, event: Message) -> None:
        """Performs it; a warning that was certainly not given is owed still.

        A platform may write to the store while it acts. What the store refuses for a while is done again, which looks
        like done once; a warning is not.
        """
        try:
            if isinstance(action, actions.Warn):
                unchanged = await performer.perform(action, event.key, event.author)
            else:
                unchanged = await self._store_retry(lambda: performer.perform(action, event.key, event.author))
        except (RateLimited, NotConnected, MissingPermission, Gone):
            if isinstance(action, actions.Warn):
                self._warnings.not_given(event, action)
            raise
        if unchanged is not None:
            await self._unchanged(row, action, unchanged)

    async def _unchanged(self, row: int, action: Action, unchanged: Unchanged, *, undoes: bool = False) -> None:
        """The card says what stayed as it was, and why."""
        await self._store_retry(lambda: self._store.record_unchanged(row, action, unchanged, undoes=undoes))

    async def _progress(
        self, row: int, state: RowState, todo: Sequence[Action], outcome: RowState, unsure: Action | None = None
    ) -> None:
        await self._store_retry(lambda: self._store.record_progress(row, state, todo, outcome, unsure))

    def _put_off(self, row: int, key: MessageKey, wait_s: float, work: Callable[[], Awaitable[object]]) -> None:
        """Does the rest later. The journal has it until then, so a restart goes on with it, too."""

        async def later() -> None:
            await asyncio.sleep(wait_s)
            try:
                await work()
            except Exception as error:
                if is_corruption(error):
                    raise
                log.exception("actions that were put off failed", row=row)
                if row not in self._undone:
                    await self._store_retry(lambda: self._store.record_state(row, RowState.FAILED))
                self._tell(Notice("notice-failed", {"row": row}, key.community))
            await self._redraw(key)

        self._spawn(later())


def _left(row: Journalled) -> tuple[list[Action], RowState]:
    """What is still to be done about a row, and what has come of the rest."""
    remaining = row.todo
    if remaining is None:
        remaining = RemainingActions(row.decision.actions if row.decision is not None else ())
    return list(remaining.actions), remaining.outcome
