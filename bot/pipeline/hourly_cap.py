"""The guard against a model gone wrong: too many ordinary members acted on within an hour pauses acting.

It counts whom such a model would hit, and not messages: one flooder counts once, and a raid of new accounts not at all
(`Standings.is_ordinary`). While a community is paused its messages are only shown. The pause ends by itself an hour
after the last ordinary member was spared, or at a moderator's click.
"""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import structlog

from bot.domain.notice import Notice
from bot.store import Store
from bot.store.pauses import Pause
from bot.store.retry import StoreRetry

WITHIN = timedelta(hours=1)
LOOK_EVERY_S = 10.0
RESUME = "resume"
"""The button of the notice."""
log = structlog.get_logger()


class HourlyCap:
    """Knows which communities are paused; every change is on disk before it holds. `notice` hears of each change
    once."""

    def __init__(self, store: Store, store_retry: StoreRetry, notice: Callable[[Notice], None]) -> None:
        self._store = store
        self._store_retry = store_retry
        self._notice = notice
        self._pauses: dict[str, Pause] = {}
        self._loaded = asyncio.Lock()
        self._is_loaded = False

    def is_paused(self, community: str) -> bool:
        """Says whether acting is paused there; False before `load`."""
        pause = self._pauses.get(community)
        return pause is not None and pause.began_at is not None

    def counted_since(self, community: str, now: datetime) -> datetime:
        """Ordinary members acted on since then count."""
        pause = self._pauses.get(community)
        since = now - WITHIN
        return max(since, pause.counted_since) if pause is not None and pause.counted_since else since

    async def load(self) -> None:
        """Loads the pauses of an earlier process; a second call does nothing."""
        async with self._loaded:
            if not self._is_loaded:
                for pause in await self._store_retry(self._store.pauses.all):
                    self._pauses.setdefault(pause.community, pause)
                self._is_loaded = True

    async def pause(self, community: str, members: int, now: datetime) -> None:
        """The cap is reached: from this moment on nothing is done there, what was decided before neither."""
        if self.is_paused(community):
            return
        pause = Pause(community, now, now, None)
        self._pauses[community] = pause  # before it is on disk: not one action later
        self._notice(Notice("notice-cap", {"members": members}, community, RESUME))
        log.warning("acting is paused", community=community, members=members)
        await self._store_retry(lambda: self._store.pauses.save(pause))

    async def hit(self, community: str, now: datetime) -> None:
        """An ordinary member was spared: the hour begins anew."""
        if self.is_paused(community):
            await self._save(replace(self._pauses[community], last_hit_at=now))

    async def resume(self, community: str, now: datetime) -> bool:
        """Acts again from the next decision on, as a moderator wishes; False where acting was not paused."""
        if not self.is_paused(community):
            return False
        await self._end(community, now)
        self._notice(Notice("notice-cap-resumed", {}, community))
        return True

    async def run(self) -> None:
        """Ends pauses after an hour without new hits; runs until cancelled."""
        while True:
            await asyncio.sleep(LOOK_EVERY_S)
            await self.look(datetime.now(UTC))

    async def look(self, now: datetime) -> None:
        """Ends what is over at this moment."""
        for community, pause in list(self._pauses.items()):
            if pause.began_at is not None and pause.last_hit_at is not None and now - pause.last_hit_at >= WITHIN:
                await self._end(community, now)
                self._notice(Notice("notice-cap-over", {}, community))

    async def _end(self, community: str, now: datetime) -> None:
        log.info("acting goes on", community=community)
        await self._save(Pause(community, None, None, now))

    async def _save(self, pause: Pause) -> None:
        await self._store_retry(lambda: self._store.pauses.save(pause))
        self._pauses[pause.community] = pause
