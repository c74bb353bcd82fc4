"""Cards on their way to the moderators' room: each once, in digests when they come in bursts, and never lost."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest

from bot.cases.delivery import CardDelivery, Drawing, Pace, drawing_of
from bot.domain.case import Case
from bot.domain.notice import Notice
from bot.domain.platform import Gone, MissingPermission, NotConnected, RateLimited, Unreachable
from bot.domain.setup import Setup
from bot.store import Store
from tests.bot.scenes import Room, room

COMMUNITY = "try-out"


class Board:
    """A moderators' room that answers as it is told: each call takes the next of `errors`."""

    name, recalls_s = "webchat", 0.0

    def __init__(self, alert_room: str = "alerts") -> None:
        self.alert_room = alert_room
        self.errors: list[Exception] = []
        self.posts: list[tuple[str, tuple[int, ...], bool]] = []
        """(nonce, cases, whether the card says that it may stand there twice)."""
        self.edits: list[tuple[str, tuple[int, ...]]] = []
        self.notices: list[str] = []

    async def setup(self, community: str) -> Setup:
        return Setup(alert_room=self.alert_room)

    def communities(self) -> Sequence[str]:
        return [COMMUNITY]

    async def draw(self, setup: Setup, cases: Sequence[Case], *, digest: bool, again: bool) -> Drawing:
        numbers = tuple(case.id for case in cases)
        return drawing_of((numbers, again), [numbers, again, [case.state for case in cases]])

    async def post(self, community: str, setup: Setup, drawing: Drawing, nonce: str) -> tuple[str, str]:
        self._answer()
        self.posts.append((nonce, *drawing.content))
        return self.alert_room, f"card-{len(self.posts)}"

    async def edit(self, community: str, setup: Setup, card: tuple[str, str], drawing: Drawing) -> None:
        self._answer()
        self.edits.append((card[1], drawing.content[0]))

    async def tell(self, community: str, setup: Setup, text: str, button: str) -> None:
        self._answer()
        self.notices.append(text)

    def _answer(self) -> None:
        if self.errors:
            raise self.errors.pop(0)


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A refused card comes again at once."""
    monkeypatch.setattr("bot.cases.delivery.GATHER_S", 0.01)
    for name in ("RETRY_S", "BROKEN_RETRY_S", "REFUSED_RETRY_S"):
        monkeypatch.setattr(f"bot.cases.delivery.{name}", 0.02)


@asynccontextmanager
async def delivering(store: Store, board: Any, pace: Pace | None = None) -> AsyncIterator[CardDelivery]:
    delivery = CardDelivery(store, board, pace or Pace(burst=3, redraw_s=0.01))
    async with asyncio.TaskGroup() as group:
        task = group.create_task(delivery.run())
        yield delivery
        task.cancel()


async def cases(scene: Room, store: Store, count: int) -> list[int]:
    """So many messages that get a card, by case."""
    for number in range(count):
        await scene.says(f"member{number}", f"HATE {number}")
    return sorted(case.id for case in await store.cases(COMMUNITY))


async def until(reached: Any) -> None:
    async with asyncio.timeout(60):
        while not reached():
            await asyncio.sleep(0.005)


async def test_a_card_is_posted_once_and_edited_when_it_changes(store: Store) -> None:
    """Shown again unchanged it is not edited; answered it is."""
    board = Board()
    async with room(store) as scene, delivering(store, board) as delivery:
        (number,) = await cases(scene, store, 1)
        delivery.show(number)
        await until(lambda: board.posts)
        delivery.show(number)
        await asyncio.sleep(0.1)
        assert board.posts == [(f"case-{number}", (number,), False)] and not board.edits
        case = await store.case(number)
        assert case is not None
        await scene.case_service.confirm(case, "dana")
        delivery.show(number)
        await until(lambda: board.edits)
        assert board.edits == [("card-1", (number,))]


async def test_a_burst_is_one_digest_that_takes_in_what_follows(store: Store) -> None:
    """More than the pace allows become one message, and the next ones join it."""
    board = Board()
    async with room(store) as scene, delivering(store, board) as delivery:
        numbers = await cases(scene, store, 5)
        for number in numbers:
            delivery.show(number)
        await until(lambda: board.posts)
        assert [nonce for nonce, *_ in board.posts] == [f"digest-{numbers[0]}"]
        await scene.says("late", "HATE too")
        newest = max(case.id for case in await store.cases(COMMUNITY))
        delivery.show(newest)
        await until(lambda: board.edits and board.edits[-1][1][-1] == newest)
        assert len(board.posts) == 1


async def test_a_case_never_joins_a_digest_that_a_person_has_removed(store: Store) -> None:
    """What it was to show for the first time is posted anew; what moderators had seen and removed stays removed."""
    board = Board()
    async with room(store) as scene, delivering(store, board) as delivery:
        numbers = await cases(scene, store, 5)
        for number in numbers:
            delivery.show(number)
        await until(lambda: board.posts)
        await scene.says("late", "HATE too")
        newest = max(case.id for case in await store.cases(COMMUNITY))
        board.errors = [Gone("removed")]
        delivery.show(newest)
        await until(lambda: len(board.posts) > 1)
        await asyncio.sleep(0.1)
        assert [shown for _, shown, _ in board.posts] == [tuple(numbers), (newest,)] and not board.edits
        await scene.says("later", "HATE again")
        last = max(case.id for case in await store.cases(COMMUNITY))
        delivery.show(last)
        await until(lambda: len(board.posts) > 2 or board.edits)
        shown = [*(cases for _, cases, _ in board.posts[1:]), *(cases for _, cases in board.edits)]
        assert any(last in one for one in shown) and not any(name == "card-1" for name, _ in board.edits)


@pytest.mark.parametrize("error", [RateLimited(0.01), NotConnected("stub"), Gone("stub")])
async def test_a_card_that_was_certainly_not_posted_comes_again_unmarked(error: Exception, store: Store) -> None:
    """It cannot stand there twice, so it does not say so."""
    board = Board()
    async with room(store) as scene, delivering(store, board) as delivery:
        (number,) = await cases(scene, store, 1)
        board.errors = [error]
        delivery.show(number)
        await until(lambda: board.posts)
        assert board.posts == [(f"case-{number}", (number,), False)]


async def test_a_card_that_may_stand_there_says_so(store: Store) -> None:
    """The room fell silent while the card was posted: it comes again, marked, under the same nonce."""
    board = Board()
    async with room(store) as scene, delivering(store, board) as delivery:
        (number,) = await cases(scene, store, 1)
        board.errors = [Unreachable("stub")]
        delivery.show(number)
        await until(lambda: board.posts)
        assert board.posts == [(f"case-{number}", (number,), True)]


async def test_without_a_room_nothing_is_posted_and_nothing_is_lost(store: Store) -> None:
    """Once a room is chosen, what was kept back is shown."""
    board = Board(alert_room="")
    async with room(store) as scene, delivering(store, board) as delivery:
        (number,) = await cases(scene, store, 1)
        delivery.show(number)
        await asyncio.sleep(0.1)
        assert not board.posts
        board.alert_room = "alerts"
        await delivery.resume()
        await until(lambda: board.posts)


async def test_a_right_that_is_missing_holds_up_the_card_and_no_other_community(store: Store) -> None:
    """The card waits, counted, and comes once the right is there."""
    waiting: list[int] = []
    board = Board()
    delivery = CardDelivery(store, board, Pace(), lambda community, count: waiting.append(count))
    async with room(store) as scene, asyncio.TaskGroup() as group:
        task = group.create_task(delivery.run())
        (number,) = await cases(scene, store, 1)
        board.errors = [MissingPermission(Notice("missing-48-hours"))] * 2
        delivery.show(number)
        await until(lambda: board.posts)
        await until(lambda: waiting[-1] == 0)
        assert 1 in waiting
        task.cancel()


async def test_a_notice_is_told_once_and_again_only_where_it_did_not_arrive(store: Store) -> None:
    """Two equal ones are one; one that the room did not take comes again."""
    board = Board()
    board.errors = [Unreachable("stub")]
    async with delivering(store, board) as delivery:
        notice = Notice("notice-flood", community=COMMUNITY)
        delivery.notify(notice)
        delivery.notify(notice)
        await until(lambda: board.notices)
        delivery.notify(notice)
        await asyncio.sleep(0.1)
        assert board.notices == [notice.text()]
