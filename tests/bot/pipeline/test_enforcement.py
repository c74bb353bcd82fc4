"""What was decided is carried out step by step, and each step is in the journal before it is taken."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import sqlalchemy as sa

from bot.cases.card import card
from bot.domain.action import Action, Ban, Delete, Warn
from bot.domain.case import Case
from bot.domain.decision import Band, Decision
from bot.domain.event import Author, MessageKey
from bot.domain.notice import Notice
from bot.domain.platform import MissingPermission, NotConnected, RateLimited, Unreachable
from bot.domain.remaining_actions import RemainingActions
from bot.domain.row_state import RowState
from bot.pipeline.enforcement import Enforcement, UndoResult
from bot.store import Store
from bot.store.retry import StoreRetry
from model.labels import Label
from tests.conftest import now, said, verdict
from tests.journal import unfinished

HARSH = Decision(Band.ACTION, Label.HATE, 0.95, 0.85, (Delete(), Warn(), Ban()), enforced=True)


class Answers:
    """A platform that answers as it is told, by action; it notes what reached it and what the journal said then."""

    name = "webchat"

    def __init__(self, store: Store, **answers: Any) -> None:
        self.store, self.answers = store, answers
        self.done: list[tuple[str, str]] = []

    async def perform(self, action: Action, key: MessageKey, author: Author) -> None:
        (row,) = await unfinished(self.store, "webchat")
        self.done.append((action.name, row.state))
        if (answer := self.answers.get(action.name)) is not None:
            raise answer

    async def undo(self, action: Action, key: MessageKey, author: Author) -> bool:
        self.done.append((f"undo {action.name}", ""))
        if (answer := self.answers.get(f"undo {action.name}")) is not None:
            raise answer
        return action.name == "ban"


@asynccontextmanager
async def enforcement(store: Store, platform: Answers, shown: list[str] | None = None) -> AsyncIterator[Enforcement]:
    """One process; it ends with the block, whatever was put off."""
    tasks: list[asyncio.Task[None]] = []
    async with asyncio.TaskGroup() as group:
        yield Enforcement(
            store,
            StoreRetry(),
            {"webchat": platform},
            changed=lambda case: (shown if shown is not None else []).append(case.message.state),
            tell=lambda notice: None,
            spawn=lambda work: tasks.append(group.create_task(work)),
        )
        for task in tasks:
            task.cancel()


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """No warning waits for other messages to name."""
    monkeypatch.setattr("bot.pipeline.warning_pace.GATHER_S", 0.0)


async def decided(store: Store) -> int:
    """A message in the journal of which everything is still to be done."""
    row = (await store.record_seen(said("HATE"), now())).row
    assert row is not None
    await store.record_decision(row, verdict(0.95), HARSH, RowState.INTENDED, now(), case=True)
    return row


async def the_case(store: Store) -> Case:
    (case,) = await store.cases("try-out")
    return case


async def test_a_warning_that_must_wait_holds_up_nothing_and_outlives_a_restart(store: Store) -> None:
    """Delete is refused, the warning asked to wait, the ban done; the next process warns, and the refusal is known."""
    row = await decided(store)
    platform = Answers(store, delete=MissingPermission(Notice("missing-48-hours")), warn=RateLimited(60.0))
    async with enforcement(store, platform) as process:
        await process.perform(row, said("HATE"), HARSH, HARSH.actions)
    assert platform.done == [("delete", "sent"), ("warn", "sent"), ("ban", "sent")]
    (left,) = await unfinished(store, "webchat")
    assert left.state == "intended" and left.todo == RemainingActions((Warn(),), RowState.FAILED)
    platform = Answers(store)
    async with enforcement(store, platform) as process:
        await process.finish(left, said("HATE"))
    assert platform.done == [("warn", "sent")]
    case = await the_case(store)
    assert case.message.state == "failed" and case.message.unsure is None


async def test_a_warning_that_may_have_been_sent_is_not_repeated_and_says_so(store: Store) -> None:
    """The platform fell silent while it was sent: the ban follows later, the warning never."""
    row = await decided(store)
    platform = Answers(store, warn=Unreachable("stub"))
    async with enforcement(store, platform) as process:
        await process.perform(row, said("HATE"), HARSH, HARSH.actions)
    (left,) = await unfinished(store, "webchat")
    platform = Answers(store)
    async with enforcement(store, platform) as process:
        await process.finish(left, said("HATE"))
    assert platform.done == [("ban", "sent")]
    case = await the_case(store)
    assert (case.message.state, case.message.unsure) == ("done", "warn")
    shown = " ".join(card(case, "en").lines)
    assert "Done: delete, ban" in shown and "Whether this arrived is not known, so it was not repeated: warn" in shown


class FullOnce(Answers):
    """Writes to the store while it bans, and finds the disk full the first time."""

    refused = False

    async def perform(self, action: Action, key: MessageKey, author: Author) -> None:
        await super().perform(action, key, author)
        if action.name == "ban" and not self.refused:
            self.refused = True
            cause = sqlite3.OperationalError("database or disk is full")
            cause.sqlite_errorname = "SQLITE_FULL"
            raise sa.exc.OperationalError("stub", None, cause)


async def test_a_full_disk_while_a_platform_acts_is_waited_for(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """The ban is done again and the message is done, not failed."""
    monkeypatch.setattr("bot.store.retry.RETRY_S", 0.01)
    row = await decided(store)
    platform = FullOnce(store)
    async with enforcement(store, platform) as process:
        await process.perform(row, said("HATE"), HARSH, HARSH.actions)
    assert [name for name, _ in platform.done] == ["delete", "warn", "ban", "ban"]
    assert (await the_case(store)).message.state == "done"


async def test_what_the_platform_was_not_asked_for_is_done_later(store: Store) -> None:
    """There was no connection: the warning cannot have been sent, so it still is."""
    row = await decided(store)
    async with enforcement(store, Answers(store, warn=NotConnected("stub"))) as process:
        await process.perform(row, said("HATE"), HARSH, HARSH.actions)
    (left,) = await unfinished(store, "webchat")
    platform = Answers(store)
    async with enforcement(store, platform) as process:
        await process.finish(left, said("HATE"))
    assert platform.done == [("warn", "sent"), ("ban", "sent")]
    assert (await the_case(store)).message.unsure is None


async def test_a_mistake_of_ours_in_what_was_put_off_ends_nothing(store: Store) -> None:
    """The library raises what nobody foresaw: this row has failed, and the service goes on."""
    row = await decided(store)
    platform = Answers(store, ban=RateLimited(0.01))
    async with asyncio.timeout(60), asyncio.TaskGroup() as group:
        process = Enforcement(
            store, StoreRetry(), {"webchat": platform}, lambda case: None, lambda notice: None, group.create_task
        )
        await process.perform(row, said("HATE"), HARSH, HARSH.actions)
        platform.answers["ban"] = RuntimeError("Session is closed")
    assert (await the_case(store)).message.state == "failed"


UNDONE = [("undo delete", ""), ("undo warn", ""), ("undo ban", "")]


async def test_what_is_undone_while_it_waits_is_not_done_any_more(store: Store) -> None:
    """The platform asks for patience before the ban, and a moderator says that all of it was wrong."""
    row = await decided(store)
    platform = Answers(store, ban=RateLimited(1.0))
    async with enforcement(store, platform) as process:
        await process.perform(row, said("HATE"), HARSH, HARSH.actions)
        platform.done, platform.answers = [], {}
        back = await process.take_back(await the_case(store), "dana")
        assert (back.done, back.kept, back.waiting) == ((Ban(),), (Delete(), Warn()), ())
        await asyncio.sleep(1.5)
        assert platform.done == UNDONE
    assert not await unfinished(store, "webchat") and (await the_case(store)).undone


async def test_an_undo_in_the_middle_of_an_action_comes_after_it(store: Store) -> None:
    """The ban is under way when the moderator clicks: it is lifted once it stands, and the journal does not forget."""
    row = await decided(store)
    begun, banned = asyncio.Event(), asyncio.Event()

    class Slow(Answers):
        async def perform(self, action: Action, key: MessageKey, author: Author) -> None:
            if action.name == "ban":
                begun.set()
                await banned.wait()
            self.done.append((action.name, ""))

    platform = Slow(store)
    async with enforcement(store, platform) as process, asyncio.TaskGroup() as group:
        group.create_task(process.perform(row, said("HATE"), HARSH, HARSH.actions))
        await begun.wait()
        back = group.create_task(process.take_back(await the_case(store), "dana"))
        while (case := await the_case(store)).message.state != "undoing":
            await asyncio.sleep(0.01)
        assert "Being taken back" in " ".join(card(case, "en").lines)
        again = await process.take_back(case, "eve")  # the first click wins
        assert again == UndoResult()
        banned.set()
    assert platform.done == [("delete", ""), ("warn", ""), ("ban", ""), *UNDONE] and back.result().done == (Ban(),)
    assert not await unfinished(store, "webchat")


async def test_an_undo_that_nobody_answers_is_done_later_also_by_the_next_process(store: Store) -> None:
    """Discord is silent when the moderator clicks, and the process ends: the next one lifts the ban."""
    row = await decided(store)
    platform = Answers(store)
    async with enforcement(store, platform) as process:
        await process.perform(row, said("HATE"), HARSH, HARSH.actions)
        platform.answers = {"undo ban": Unreachable("stub")}
        back = await process.take_back(await the_case(store), "dana")
        assert back.waiting == (Ban(),) and back.kept == (Delete(), Warn())
    (left,) = await unfinished(store, "webchat")
    assert left.state == "undoing" and left.todo == RemainingActions((Ban(),))
    platform, shown = Answers(store), list[str]()
    async with enforcement(store, platform, shown) as process:
        await process.finish(left, said("HATE"))
        assert platform.done == [("undo ban", "")] and shown == ["done"], "its card was shown as under way"
        await process.finish(left, said("HATE"))  # as it was read before
        assert platform.done == [("undo ban", "")]
    assert (await the_case(store)).message.state == "done"


async def test_of_two_clicks_the_slower_finds_nothing(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """What it has read of the journal is from before the first one was through."""
    row = await decided(store)

    class Slow(Answers):
        async def undo(self, action: Action, key: MessageKey, author: Author) -> bool:
            await asyncio.sleep(0.02)
            return await super().undo(action, key, author)

    platform, read, slow = Slow(store), store.case, iter([0.0, 0.3])

    async def case(number: int) -> Case | None:
        found = await read(number)
        await asyncio.sleep(next(slow))
        return found

    async with enforcement(store, platform) as process:
        await process.perform(row, said("HATE"), HARSH, HARSH.actions)
        platform.done, opened = [], await the_case(store)
        monkeypatch.setattr(store, "case", case)
        both = await asyncio.gather(process.take_back(opened, "dana"), process.take_back(opened, "eve"))
    assert platform.done == UNDONE and sum(back == UndoResult() for back in both) == 1


async def test_a_click_whose_answer_was_lost_is_carried_out_by_the_next(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is on disk that it is undone, and the moderator was told that the store does not answer."""
    row = await decided(store)
    platform = Answers(store)
    async with enforcement(store, platform) as process:
        await process.perform(row, said("HATE"), HARSH, HARSH.actions)
        record = store.record_undone

        async def lost(*arguments: Any) -> bool:
            await record(*arguments)
            raise OSError(5, "stub")

        with monkeypatch.context() as patch:
            patch.setattr(store, "record_undone", lost)
            with pytest.raises(OSError, match="stub"):
                await process.take_back(await the_case(store), "dana")
        platform.done = []
        assert (await process.take_back(await the_case(store), "dana")).done == (Ban(),)
        assert platform.done == UNDONE
        assert await process.take_back(await the_case(store), "dana") == UndoResult()
