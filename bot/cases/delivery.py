"""Cards and notices on their way to moderators: at a pace, in digests when they come in bursts, each once."""

import asyncio
import hashlib
import json
import time
from collections import defaultdict, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

import structlog

from bot.domain.case import Case
from bot.domain.notice import Notice
from bot.domain.platform import Gone, MissingPermission, NotConnected, RateLimited, Unreachable, Unreadable
from bot.domain.setup import Setup
from bot.store import Store
from bot.store.cards import Card
from bot.store.retry import is_transient

log = structlog.get_logger()

GATHER_S = 0.3
"""How long a first card waits for others, so that a burst is seen as one."""
UNPOSTED_WITHIN = timedelta(days=1)
RETRY_S, BROKEN_RETRY_S, REFUSED_RETRY_S = 5.0, 60.0, 600.0
SOMEWHERE = ""
"""The number of a card that was sent twice, and each time the answer could not be read."""
SAID_AGAIN_AFTER_S = 600.0


@dataclass(frozen=True, slots=True)
class Drawing:
    """A card or digest in the platform's own terms, and a `mark` that differs wherever a reader would see a
    difference."""

    content: Any
    mark: str


def drawing_of(content: Any, shown: object) -> Drawing:
    """Makes the drawing of this content; `shown` is all that people see of it, as JSON data."""
    return Drawing(content, hashlib.sha256(json.dumps(shown, sort_keys=True, default=str).encode()).hexdigest()[:32])


class CardBoard(Protocol):
    """A platform's side of delivery: draws cards and sends them. Every method may raise `PlatformError`.

    A card is posted again, unchanged, where the process ended or the platform fell silent before it was recorded. For
    `recalls_s` the platform then answers with the first post; later the card may stand there twice.
    """

    name: str
    recalls_s: float

    async def setup(self, community: str) -> Setup:
        """Returns where cards go, and in which language."""
        ...

    def communities(self) -> Sequence[str]:
        """Returns the communities that can get notices."""
        ...

    async def draw(self, setup: Setup, cases: Sequence[Case], *, digest: bool, again: bool) -> Drawing:
        """One card, or a digest of many, as it is now. `again`: it says that it may stand there twice."""
        ...

    async def post(self, community: str, setup: Setup, drawing: Drawing, nonce: str) -> tuple[str, str]:
        """Sends a card; returns room and message. The same card always has the same `nonce`."""
        ...

    async def edit(self, community: str, setup: Setup, card: tuple[str, str], drawing: Drawing) -> None:
        """A card that stands there shows this from now on. `card` is room and message."""
        ...

    async def tell(self, community: str, setup: Setup, text: str, button: str) -> None:
        """Sends a notice, with the button of this name below it; "" is none."""
        ...


@dataclass(frozen=True, slots=True)
class Pace:
    """More than `burst` new cards within `within_s` become a digest. It takes in `cases`, more than a raid has, or is
    open for `open_s`, and is redrawn at most every `redraw_s`."""

    burst: int = 5
    within_s: float = 30.0
    cases: int = 2000
    open_s: float = 600.0
    redraw_s: float = 1.0


@dataclass(slots=True)
class _Community:
    """Recent posts of a community, and its open digest."""

    posted: deque[float] = field(default_factory=deque)
    digest: tuple[str, str] | None = None
    began: float = 0.0
    taken: int = 0
    redrawn: float = 0.0
    undrawn: set[int] = field(default_factory=set)
    """Cases that the open digest took in and does not show yet."""
    asked: dict[int, tuple[int, bool]] = field(default_factory=dict)
    """By unacknowledged case: the first case it was sent with, and whether as a digest."""
    lately: dict[str, float] = field(default_factory=dict)


class CardDelivery:
    """Reads each case from the store when its turn comes, so that a card shows the newest state, once."""

    def __init__(
        self,
        store: Store,
        board: CardBoard,
        pace: Pace,
        waiting: Callable[[str, int], None] = lambda community, count: None,
    ) -> None:
        """`waiting` is called with a community and how many cards wait there; 0 when none does any more."""
        self._waiting = waiting
        self._unread: set[int] = set()
        """Cases whose card was sent, and the answer could not be read."""
        self._undrawn: set[tuple[str, str]] = set()
        """Cards that were drawn, and the answer could not be read."""
        self._store = store
        self._board = board
        self._pace = pace
        self._waits: defaultdict[str, set[int]] = defaultdict(set)
        """By community: cases whose card was refused or not acknowledged, and waits."""
        self._wanted: dict[int, None] = {}
        self._told: list[Notice] = []
        self._something = asyncio.Event()
        self._communities: dict[str, _Community] = {}
        self._unsent: set[int] = set()
        """Cases whose card was refused, so it cannot stand anywhere."""
        self._twice: set[int] = set()
        """Cases whose card may stand in two places; the card says so as long as the process lives."""

    def show(self, case: int) -> None:
        """Shows a new or changed case. Never waits."""
        self._wanted[case] = None
        self._something.set()

    def notify(self, notice: Notice) -> None:
        """Tells moderators a notice. Never waits."""
        self._told.append(notice)
        self._something.set()

    async def resume(self) -> None:
        """Cases whose cards a stop or an outage kept back, and digests that may not be drawn to their end."""
        for case in await self._store.cards.unposted(self._board.name, datetime.now(UTC) - UNPOSTED_WITHIN):
            self.show(case)
        open_for = timedelta(seconds=self._pace.open_s + 2 * self._pace.redraw_s)
        for case in await self._store.cards.in_last_digests(self._board.name, open_for):
            self.show(case)

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await self._something.wait()
            await asyncio.sleep(GATHER_S)
            self._something.clear()
            wanted, self._wanted = list(self._wanted), {}
            notices, self._told = self._told, []
            try:
                await self._notices(notices)
            except Exception:
                log.exception("notices could not be told")
                self._told_later(notices)
            try:
                await self._cases(wanted)
            except Exception:
                log.exception("cards could not be shown")
                self._later(wanted, RETRY_S)

    async def _cases(self, wanted: list[int]) -> None:
        by_community: dict[str, list[Case]] = {}
        for case in await self._store.cases_of(wanted):
            by_community.setdefault(case.message.key.community, []).append(case)
        for community, cases in sorted(by_community.items(), key=lambda one: len(one[1])):  # a raid's digest last
            try:
                await self._show(community, cases)
            except RateLimited as error:
                wait_s = error.retry_after_s
            except Unreachable as error:
                log.warning("cards wait", community=community, error=str(error))
                wait_s = RETRY_S
            except (Gone, MissingPermission) as error:
                log.warning("cards cannot be shown", community=community, error=str(error))
                wait_s = REFUSED_RETRY_S
            except Exception as error:
                log.exception("cards could not be shown", community=community)
                wait_s = RETRY_S if is_transient(error) else BROKEN_RETRY_S
            else:
                self._waits[community] -= {case.id for case in cases}
                self._waiting(community, len(self._waits[community]))
                continue
            self._waits[community] |= {case.id for case in cases}
            self._waiting(community, len(self._waits[community]))
            self._later([case.id for case in cases], wait_s)

    def _later(self, cases: Sequence[int], wait_s: float) -> None:
        """Shows cases again later, by the loop's own timer, so that no other work waits."""

        def again() -> None:
            for case in cases:
                self.show(case)

        asyncio.get_running_loop().call_later(wait_s, again)

    async def _show(self, community: str, cases: Sequence[Case]) -> None:
        setup = await self._board.setup(community)
        if not setup.alert_room:
            return
        state = self._communities.setdefault(community, _Community())
        fresh: list[Case] = []
        asked: list[Card] = []
        digests: dict[tuple[str, str], int] = {}
        for case in cases:
            card = await self._store.cards.of(case.id)
            if card is None or card.message is None:
                fresh.append(case)
                if card is not None:
                    asked.append(card)
            elif card.message == SOMEWHERE:
                continue
            elif card.digest:
                digests[card.room, card.message] = case.id
            else:
                await self._edit(community, setup, (card.room, card.message), [case], digest=False)
        for where, case_id in digests.items():
            await self._redraw(community, setup, state, where, case_id)
        self._before(state, asked)
        if fresh:
            await self._post(community, setup, state, fresh)

    def _before(self, state: _Community, asked: Sequence[Card]) -> None:
        """Adopts cards that an earlier process sent without an acknowledgement; cards that were sent together have the
        same moment."""
        for card in asked:
            if card.case not in state.asked and card.case not in self._unsent:
                together = [other.case for other in asked if other.posted_at == card.posted_at]
                state.asked[card.case] = (min(together), card.digest)
                if datetime.now(UTC) - card.posted_at > timedelta(seconds=self._board.recalls_s):
                    self._twice.add(card.case)

    async def _edit(
        self, community: str, setup: Setup, card: tuple[str, str], cases: Sequence[Case], *, digest: bool
    ) -> bool:
        """Edits a card. Returns False for one that a person has removed: it stays removed. Where the answer cannot be
        read, the edit is tried once more."""
        is_there = True
        try:
            again = not self._twice.isdisjoint(case.id for case in cases)
            drawing = await self._board.draw(setup, cases, digest=digest, again=again)
            if not await self._store.cards.shows(self._board.name, *card, drawing.mark):
                await self._board.edit(community, setup, card, drawing)
                await self._store.cards.record_drawn(self._board.name, *card, drawing.mark)
        except Gone:
            log.info("a card is gone", community=community)
            is_there = False
        except Unreadable as error:
            if card not in self._undrawn:
                self._undrawn.add(card)
                raise
            log.warning("whether a card was drawn is not known", community=community, error=str(error))
        self._undrawn.discard(card)
        return is_there

    async def _post(self, community: str, setup: Setup, state: _Community, fresh: list[Case]) -> None:
        fresh = await self._asked_again(community, setup, state, sorted(fresh, key=lambda case: case.id))
        now, pace = time.monotonic(), self._pace
        while state.posted and now - state.posted[0] > pace.within_s:
            state.posted.popleft()
        if len(state.posted) + len(fresh) <= pace.burst:
            for case in fresh:
                await self._send(community, setup, state, [case], digest=False)
            return
        while fresh:
            if state.digest is not None and (now - state.began > pace.open_s or state.taken >= pace.cases):
                state.digest, state.taken = None, 0
            taken, fresh = fresh[: pace.cases - state.taken], fresh[pace.cases - state.taken :]
            if state.digest is None:
                await self._send(community, setup, state, taken, digest=True)
            else:
                await self._posted(state, taken, state.digest, digest=True)
                state.taken += len(taken)
                state.undrawn |= {case.id for case in taken}
                await self._redraw(community, setup, state, state.digest, taken[0].id)

    async def _asked_again(self, community: str, setup: Setup, state: _Community, fresh: Sequence[Case]) -> list[Case]:
        """Resends unacknowledged cards unchanged, so that the platform can deduplicate them, then edits them to the
        current state. Returns the other cases."""
        for first, digest in dict.fromkeys(state.asked[case.id] for case in fresh if case.id in state.asked):
            numbers = sorted(number for number, group in state.asked.items() if group == (first, digest))
            again = await self._store.cases_of(numbers)
            card = await self._send(community, setup, state, again, digest=digest)
            if card[1] != SOMEWHERE:
                await self._edit(community, setup, card, again, digest=digest)
            fresh = [case for case in fresh if case.id not in numbers]
        return list(fresh)

    async def _send(
        self, community: str, setup: Setup, state: _Community, cases: Sequence[Case], *, digest: bool
    ) -> tuple[str, str]:
        """A new card, or a digest: recorded before it may stand there, so that who comes after knows."""
        numbers = {case.id for case in cases}
        is_first = not numbers <= state.asked.keys()
        if is_first:
            await self._record(cases, (setup.alert_room, None), digest=digest)
        elif not self._board.recalls_s:
            self._twice |= numbers
        state.asked |= {case.id: (cases[0].id, digest) for case in cases}
        self._unsent -= numbers
        try:
            again = not self._twice.isdisjoint(numbers)
            drawing = await self._board.draw(setup, cases, digest=digest, again=again)
            nonce = f"{'digest' if digest else 'case'}-{cases[0].id}"
            card = await self._board.post(community, setup, drawing, nonce)
        except (Gone, MissingPermission, RateLimited, NotConnected):
            self._unsent |= numbers
            for number in numbers:
                del state.asked[number]
            raise
        except Unreadable:
            if not numbers & self._unread:  # sent again once, and it says so
                self._unread |= numbers
                raise
            log.error("whether a card was posted is not known", community=community, cases=sorted(numbers))
            card = setup.alert_room, SOMEWHERE
        self._unread -= numbers
        mark = drawing.mark if is_first else None  # else the platform may have answered with the first post
        await self._posted(state, cases, card, digest=digest, mark=mark)
        if digest and card[1] != SOMEWHERE:
            state.digest, state.taken = card, len(cases)
            state.undrawn = set()
            state.began = state.redrawn = time.monotonic()
        return card

    async def _posted(
        self,
        state: _Community,
        cases: Sequence[Case],
        card: tuple[str, str],
        *,
        digest: bool,
        mark: str | None = None,
    ) -> None:
        await self._record(cases, card, digest=digest, mark=mark)
        for case in cases:
            state.asked.pop(case.id, None)
            state.posted.append(time.monotonic())

    async def _record(
        self, cases: Sequence[Case], card: tuple[str, str | None], *, digest: bool, mark: str | None = None
    ) -> None:
        """All with the same moment, by which they are known to belong together."""
        name, now, post = self._board.name, datetime.now(UTC), self._store.cards.post
        await asyncio.gather(*(post(case.id, name, *card, digest, now, mark) for case in cases))

    async def _redraw(self, community: str, setup: Setup, state: _Community, where: tuple[str, str], case: int) -> None:
        """The whole digest as it is now, or a little later if it was redrawn just before. If a person has removed it,
        the cases that it was to show for the first time are posted anew."""
        wait_s = state.redrawn + self._pace.redraw_s - time.monotonic()
        if wait_s > 0:
            self._later([case], wait_s)
            return
        state.redrawn = time.monotonic()
        numbers = await self._store.cards.cases_of(self._board.name, *where)
        cases = await self._store.cases_of(numbers)
        if not cases or await self._edit(community, setup, where, cases, digest=True):
            if where == state.digest:
                state.undrawn -= set(numbers)
            return
        if where == state.digest:
            unseen = [each for each in cases if each.id in state.undrawn]
            state.digest, state.taken, state.undrawn = None, 0, set()
            if unseen:
                await self._post(community, setup, state, unseen)

    async def _notices(self, told: Sequence[Notice]) -> None:
        now = time.monotonic()
        for community in self._board.communities() if told else ():
            setup = await self._board.setup(community)
            state = self._communities.setdefault(community, _Community())
            state.lately = {text: at for text, at in state.lately.items() if now - at < SAID_AGAIN_AFTER_S}
            due = [notice for notice in told if notice.community in ("", community)]
            texts = dict.fromkeys(notice.text(setup.language) for notice in due)
            fresh = [text for text in texts if text not in state.lately]
            if not fresh or not setup.alert_room:
                continue
            button = next((one.button for one in due if one.button and one.text(setup.language) in fresh), "")
            try:
                await self._board.tell(community, setup, "\n".join(fresh), button)
            except Unreadable as error:  # it may have been told, and a second try might be told, too
                log.warning("whether a notice was told is not known", community=community, error=str(error))
                state.lately.update(dict.fromkeys(fresh, now))
            except (RateLimited, Unreachable) as error:
                log.warning("notice waits", community=community, error=str(error))
                self._told_later([replace(notice, community=community) for notice in due])
            except (Gone, MissingPermission) as error:
                log.warning("notice not shown", community=community, error=str(error))
            else:
                state.lately.update(dict.fromkeys(fresh, now))

    def _told_later(self, notices: Sequence[Notice]) -> None:
        def again() -> None:
            for notice in notices:
                self.notify(notice)

        asyncio.get_running_loop().call_later(RETRY_S, again)
