"""Cards and notices on their way to moderators: at a pace, in digests when they come in bursts, each once."""

import asyncio
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Protocol

import structlog

from bot.notices import Notice
from bot.platforms.base import Gone, MissingPermission, RateLimited, Unreachable
from bot.setup import Setup
from bot.store import Case, Store

log = structlog.get_logger()

GATHER_S = 0.3
"""How long a first card waits for others, so that a burst is seen as one."""
UNPOSTED_WITHIN = timedelta(days=1)
RETRY_S, BROKEN_RETRY_S = 5.0, 60.0
SAID_AGAIN_AFTER_S = 600.0


class Board(Protocol):
    """A platform's side of it: lays cards out and sends them. Every method may raise the platform's family of errors.

    A card is asked for again where the process was killed before it was recorded; a platform that can tell then answers
    with the first one.
    """

    name: str

    async def setup(self, community: str) -> Setup:
        """Where cards go, and in which language."""
        ...

    def communities(self) -> Sequence[str]:
        """Those that can be told something."""
        ...

    async def post(self, community: str, setup: Setup, cases: Sequence[Case], *, digest: bool) -> tuple[str, str]:
        """One card, or a digest of many; returns room and message."""
        ...

    async def edit(
        self, community: str, setup: Setup, card: tuple[str, str], cases: Sequence[Case], *, digest: bool
    ) -> None:
        """The same card as it is now. `card` is room and message."""
        ...

    async def tell(self, community: str, setup: Setup, text: str) -> None:
        """A notice, in words."""
        ...


@dataclass(frozen=True, slots=True)
class Pace:
    """More than `burst` new cards within `within_s` become a digest. It takes in `cases`, or is open for `open_s`, and
    is redrawn at most every `redraw_s`."""

    burst: int = 5
    within_s: float = 30.0
    cases: int = 40
    open_s: float = 600.0
    redraw_s: float = 1.0


@dataclass(slots=True)
class _Community:
    """What was posted lately, and the digest that is open."""

    posted: deque[float] = field(default_factory=deque)
    digest: tuple[str, str] | None = None
    began: float = 0.0
    taken: int = 0
    redrawn: float = 0.0
    asked: dict[int, tuple[int, bool]] = field(default_factory=dict)
    """By case that was sent and not answered for: the first case it was sent with, and whether as a digest."""
    lately: dict[str, float] = field(default_factory=dict)


class Posting:
    """What is to be shown is read from the store when its turn comes, so the newest state is shown, once."""

    def __init__(self, store: Store, board: Board, pace: Pace) -> None:
        self._store = store
        self._board = board
        self._pace = pace
        self._wanted: dict[int, None] = {}
        self._told: list[Notice] = []
        self._something = asyncio.Event()
        self._communities: dict[str, _Community] = {}

    def show(self, case: int) -> None:
        """This case is new or has changed; never waits."""
        self._wanted[case] = None
        self._something.set()

    def notify(self, notice: Notice) -> None:
        """Moderators are to know; never waits."""
        self._told.append(notice)
        self._something.set()

    async def resume(self) -> None:
        """Cases whose cards a stop or an outage kept back."""
        for case in await self._store.cards.unposted(self._board.name, datetime.now(UTC) - UNPOSTED_WITHIN):
            self.show(case)

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await self._something.wait()
            await asyncio.sleep(GATHER_S)
            self._something.clear()
            wanted, self._wanted = list(self._wanted), {}
            told, self._told = self._told, []
            try:
                await self._notices(told)
            except Exception:
                log.exception("notices could not be told")
            try:
                await self._cases(wanted)
            except Exception:
                log.exception("cards could not be shown")

    async def _cases(self, wanted: list[int]) -> None:
        by_community: dict[str, list[Case]] = {}
        for number in wanted:
            if (case := await self._store.case(number)) is not None:
                by_community.setdefault(case.message.key.community, []).append(case)
        for community, cases in by_community.items():
            try:
                await self._show(community, cases)
            except RateLimited as error:
                self._later([case.id for case in cases], error.retry_after_s)
            except Unreachable as error:
                log.warning("cards wait", community=community, error=str(error))
                self._later([case.id for case in cases], RETRY_S)
            except (Gone, MissingPermission) as error:
                log.warning("cards cannot be shown", community=community, error=str(error))
            except Exception:
                log.exception("cards could not be shown", community=community)
                self._later([case.id for case in cases], BROKEN_RETRY_S)

    def _later(self, cases: Sequence[int], wait_s: float) -> None:
        """Again in a while; by the loop's own timer, so nothing waits for it."""

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
        digests: dict[tuple[str, str], int] = {}
        for case in cases:
            card = await self._store.cards.of(case.id)
            if card is None or card.message is None:
                fresh.append(case)
            elif card.digest:
                digests[card.room, card.message] = case.id
            else:
                await self._edit(community, setup, (card.room, card.message), [case], digest=False)
        for where, case_id in digests.items():
            await self._redraw(community, setup, state, where, case_id)
        if fresh:
            await self._post(community, setup, state, fresh)

    async def _edit(
        self, community: str, setup: Setup, card: tuple[str, str], cases: Sequence[Case], *, digest: bool
    ) -> None:
        """A card that somebody has removed stays removed."""
        try:
            await self._board.edit(community, setup, card, cases, digest=digest)
        except Gone:
            log.info("a card is gone", community=community)

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
                await self._record(state, taken, state.digest, digest=True)
                state.taken += len(taken)
                await self._redraw(community, setup, state, state.digest, taken[0].id)

    async def _asked_again(self, community: str, setup: Setup, state: _Community, fresh: Sequence[Case]) -> list[Case]:
        """What was sent and not answered for may stand there, so it is sent again just as it was, never in another
        shape; then it is drawn as it is by now. Returns the others."""
        for first, digest in dict.fromkeys(state.asked[case.id] for case in fresh if case.id in state.asked):
            numbers = sorted(number for number, group in state.asked.items() if group == (first, digest))
            again = [case for number in numbers if (case := await self._store.case(number)) is not None]
            where = await self._send(community, setup, state, again, digest=digest)
            await self._edit(community, setup, where, again, digest=digest)
            fresh = [case for case in fresh if case.id not in numbers]
        return list(fresh)

    async def _send(
        self, community: str, setup: Setup, state: _Community, cases: Sequence[Case], *, digest: bool
    ) -> tuple[str, str]:
        """A new card, or a digest."""
        state.asked |= {case.id: (cases[0].id, digest) for case in cases}
        try:
            where = await self._board.post(community, setup, cases, digest=digest)
        except (Gone, MissingPermission, RateLimited):
            for case in cases:
                del state.asked[case.id]
            raise
        await self._record(state, cases, where, digest=digest)
        if digest:
            state.digest, state.taken = where, len(cases)
            state.began = state.redrawn = time.monotonic()
        return where

    async def _record(self, state: _Community, cases: Sequence[Case], card: tuple[str, str], *, digest: bool) -> None:
        for case in cases:
            await self._store.cards.post(case.id, self._board.name, *card, digest, datetime.now(UTC))
            state.asked.pop(case.id, None)
            state.posted.append(time.monotonic())

    async def _redraw(self, community: str, setup: Setup, state: _Community, where: tuple[str, str], case: int) -> None:
        """The whole digest as it is now, or a little later if it was redrawn just before."""
        wait_s = state.redrawn + self._pace.redraw_s - time.monotonic()
        if wait_s > 0:
            self._later([case], wait_s)
            return
        state.redrawn = time.monotonic()
        numbers = await self._store.cards.cases_of(self._board.name, *where)
        found = [one for number in numbers if (one := await self._store.case(number)) is not None]
        if found:
            await self._edit(community, setup, where, found, digest=True)

    async def _notices(self, told: Sequence[Notice]) -> None:
        now = time.monotonic()
        for community in self._board.communities() if told else ():
            setup = await self._board.setup(community)
            state = self._communities.setdefault(community, _Community())
            state.lately = {text: at for text, at in state.lately.items() if now - at < SAID_AGAIN_AFTER_S}
            mine = [notice for notice in told if notice.community in ("", community)]
            texts = dict.fromkeys(notice.text(setup.language) for notice in mine)
            fresh = [text for text in texts if text not in state.lately]
            if not fresh or not setup.alert_room:
                continue
            try:
                await self._board.tell(community, setup, "\n".join(fresh))
            except (RateLimited, Unreachable) as error:
                log.warning("notice waits", community=community, error=str(error))
                self._told_later([replace(notice, community=community) for notice in mine])
            except (Gone, MissingPermission) as error:
                log.warning("notice not shown", community=community, error=str(error))
            else:
                state.lately.update(dict.fromkeys(fresh, now))

    def _told_later(self, notices: Sequence[Notice]) -> None:
        def again() -> None:
            for notice in notices:
                self.notify(notice)

        asyncio.get_running_loop().call_later(RETRY_S, again)
