"""Stops asking a platform that keeps refusing, before it shuts the bot out altogether."""

import math
import time
from collections import deque
from collections.abc import Callable

import structlog

from bot.notices import Notice
from bot.platforms.base import RateLimited

MOST, WITHIN_S = 500, 600.0
"""Discord bans an address for a while at 10,000 refused calls in ten minutes, Telegram says no number."""
log = structlog.get_logger()


class Breaker:
    """Opens at `most` refused calls within `within_s`; closes by itself once fewer than half of them are that recent.

    While it is open actions and cards wait, as they do when a platform asks for patience; nothing is dropped.
    """

    def __init__(
        self, most: int = MOST, within_s: float = WITHIN_S, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._most, self._within_s, self._clock = most, within_s, clock
        self._refused: deque[float] = deque(maxlen=most)
        self._until = 0.0

    def refused(self) -> None:
        """The platform said no: 401, 403 or 429."""
        now = self._clock()
        self._refused.append(now)
        if len(self._refused) == self._most and now - self._refused[0] <= self._within_s and not self.wait_s:
            self._until = self._refused[self._most // 2] + self._within_s
            log.error("too many refused calls: nothing is asked for a while", calls=self._most, wait_s=self.wait_s)

    @property
    def wait_s(self) -> float:
        """How long nothing is to be asked; 0 while all is well."""
        return max(0.0, self._until - self._clock())

    @property
    def trouble(self) -> Notice | None:
        """For whoever looks; None while all is well."""
        if not (wait_s := self.wait_s):
            return None
        return Notice("breaker-open", {"calls": self._most, "minutes": math.ceil(wait_s / 60)})

    def check(self) -> None:
        """Raises `RateLimited` while nothing is to be asked."""
        if wait_s := self.wait_s:
            raise RateLimited(wait_s)
