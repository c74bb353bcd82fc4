"""How much Telegram lets a bot say. Who would say more is refused at once and comes again: nobody else waits for it."""

import time
from collections import deque
from datetime import timedelta
from typing import Any

from telegram.error import RetryAfter
from telegram.ext import AIORateLimiter

MINUTE_S = 60.0
MOST_AT_ONCE = 30
"""As many wait for their turn as get one within a second."""


class Full(RetryAfter):
    """A group has heard as much as it may in a minute, or too many wait to be heard; nothing was sent."""


class OnlyWords(AIORateLimiter):
    """The library's limiter for 30 a second in all, and `per_minute` messages and edits in each group, in any minute.

    The library's own count for a group lets 39 through in the first minute, and makes whoever comes later wait in line.
    Only what people read is counted: a raid's deletions must not wait.
    """

    def __init__(self, per_minute: int) -> None:
        super().__init__(group_max_rate=0, max_retries=0)
        self._per_minute = per_minute
        self._said: dict[int, deque[float]] = {}
        self._at_once = 0

    async def process_request(
        self, callback: Any, args: Any, kwargs: Any, endpoint: str, data: Any, rate_limit_args: Any
    ) -> Any:
        """Raises `Full`."""
        if not endpoint.startswith(("send", "edit", "copy", "forward")):
            return await callback(*args, **kwargs)
        if self._at_once >= MOST_AT_ONCE:
            raise Full(timedelta(seconds=1))
        if (chat := int(data.get("chat_id") or 0)) < 0:
            self._count(chat)
        self._at_once += 1
        try:
            return await super().process_request(callback, args, kwargs, endpoint, data, rate_limit_args)
        finally:
            self._at_once -= 1

    def _count(self, group: int) -> None:
        now = time.monotonic()
        for other in [other for other, said in self._said.items() if said[-1] <= now - MINUTE_S]:
            del self._said[other]
        said = self._said.setdefault(group, deque())
        while said and said[0] <= now - MINUTE_S:
            said.popleft()
        if len(said) >= self._per_minute:
            raise Full(timedelta(seconds=said[0] + MINUTE_S - now))
        said.append(now)
