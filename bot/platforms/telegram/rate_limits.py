"""Keeps Telegram's limits for a bot. A call over quota fails at once and is retried later, so it blocks no other
chat."""

import time
from collections import deque
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from telegram.error import RetryAfter
from telegram.ext import AIORateLimiter

MINUTE_S = 60.0
MOST_AT_ONCE = 30
"""At most as many calls wait as can be made within a second."""


class OverQuota(RetryAfter):
    """The group has reached its limit for this minute, or too many calls wait; nothing was sent."""


@dataclass
class GroupTraffic:
    """The messages of one group in the last minute: their times, and how many are on their way."""

    said: deque[float] = field(default_factory=deque)
    waiting: int = 0


class MessageLimiter(AIORateLimiter):
    """The library's limiter for 30 calls a second, and `per_minute` messages and edits in each group within any minute.

    The library's own count for a group lets 39 through in the first minute, and makes later calls wait in line. Only
    messages that people read are counted: a raid's deletions must not wait. A call that waits for one of the 30 counts
    from the moment when it is sent.
    """

    def __init__(self, per_minute: int) -> None:
        super().__init__(group_max_rate=0, max_retries=0)
        self._per_minute = per_minute
        self._heard: dict[int, GroupTraffic] = {}
        self._at_once = 0

    async def process_request(
        self, callback: Any, args: Any, kwargs: Any, endpoint: str, data: Any, rate_limit_args: Any
    ) -> Any:
        """Raises `Full`."""
        if not endpoint.startswith(("send", "edit", "copy", "forward")):
            return await callback(*args, **kwargs)
        if self._at_once >= MOST_AT_ONCE:
            raise OverQuota(timedelta(seconds=1))
        chat = int(data.get("chat_id") or 0)
        heard = self._with_room(chat) if chat < 0 else GroupTraffic()
        waits = True
        heard.waiting += 1
        self._at_once += 1

        async def speak(*given: Any, **named: Any) -> Any:
            nonlocal waits
            waits = False
            heard.waiting -= 1
            heard.said.append(time.monotonic())
            return await callback(*given, **named)

        try:
            return await super().process_request(speak, args, kwargs, endpoint, data, rate_limit_args)
        finally:
            heard.waiting -= waits
            self._at_once -= 1

    def _with_room(self, group: int) -> GroupTraffic:
        """Raises `Full` where there is none."""
        long_ago = time.monotonic() - MINUTE_S
        for other, old in list(self._heard.items()):
            if not old.waiting and (not old.said or old.said[-1] <= long_ago):
                del self._heard[other]
        heard = self._heard.setdefault(group, GroupTraffic())
        while heard.said and heard.said[0] <= long_ago:
            heard.said.popleft()
        if len(heard.said) + heard.waiting >= self._per_minute:
            raise OverQuota(timedelta(seconds=heard.said[0] - long_ago if heard.said else MINUTE_S))
        return heard
