"""Stops asking a platform that keeps refusing, before it shuts the bot out altogether."""

import contextlib
import math
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator
from contextvars import ContextVar

import structlog

from bot.domain.notice import Notice
from bot.domain.platform import RateLimited

MOST, WITHIN_S = 500, 600.0
"""Discord bans an address for a while at 10,000 refused calls in ten minutes, Telegram says no number."""
_asked_for: ContextVar[str] = ContextVar("community", default="")
log = structlog.get_logger()


class CircuitBreaker:
    """Opens at `most` refused calls within `within_s`; closes by itself once fewer than half of them are that recent.

    Where most of them were for a few communities, it opens for these alone, so that no other community waits because a
    right is missing there. Else it opens for all. While it is open, actions wait, and cards too where it is open for
    all; nothing is dropped. `told` hears of each community for which it opens.
    """

    def __init__(
        self,
        most: int = MOST,
        within_s: float = WITHIN_S,
        clock: Callable[[], float] = time.monotonic,
        told: Callable[[Notice], None] = lambda notice: None,
    ) -> None:
        self._most, self._within_s, self._clock, self._told = most, within_s, clock, told
        self._refused: deque[tuple[float, str]] = deque(maxlen=most)
        self._until: dict[str, float] = {}  # by community; "" stands for all

    @contextlib.contextmanager
    def asking_for(self, community: str) -> Iterator[None]:
        """Counts the calls made within for this community, also calls that a library makes in the same task."""
        before = _asked_for.set(community)
        try:
            yield
        finally:
            _asked_for.reset(before)

    def refused(self) -> None:
        """The platform said no: 401, 403 or 429."""
        now = self._clock()
        self._refused.append((now, _asked_for.get()))
        if len(self._refused) == self._most and now - self._refused[0][0] <= self._within_s and not self.wait_s():
            self._open()

    def wait_s(self, community: str = "") -> float:
        """Returns the seconds for which nothing is to be asked for this community, or for all; 0 while all is well."""
        return max(self._rest_s(""), self._rest_s(community))

    def trouble(self, community: str = "") -> Notice | None:
        """Returns the trouble to show; None while all is well. With a community, only what concerns it alone."""
        if not (wait_s := self._rest_s(community)):
            return None
        values = {"calls": self._most, "minutes": math.ceil(wait_s / 60)}
        return Notice("breaker-open-here" if community else "breaker-open", values, community)

    def check(self) -> None:
        """Raises `RateLimited` while nothing is to be asked."""
        if wait_s := self.wait_s(_asked_for.get()):
            raise RateLimited(wait_s)

    def _rest_s(self, community: str) -> float:
        return max(0.0, self._until.get(community, 0.0) - self._clock())

    def _open(self) -> None:
        counts = Counter(community for _, community in self._refused if community)
        few = {community for community, calls in counts.items() if 5 * calls >= self._most}
        if 2 * sum(counts[community] for community in few) <= self._most:
            self._rest("", [at for at, _ in self._refused])
            return
        for community in sorted(few):
            self._rest(community, [at for at, asked_for in self._refused if asked_for == community])
            if (trouble := self.trouble(community)) is not None:
                self._told(trouble)
        kept = [call for call in self._refused if call[1] not in few]
        self._refused = deque(kept, maxlen=self._most)

    def _rest(self, community: str, refused: list[float]) -> None:
        self._until[community] = refused[len(refused) // 2] + self._within_s
        wait_s = self.wait_s(community)
        log.error("too many refused calls", calls=len(refused), wait_s=wait_s, asked_for=community or "all")
