"""How much Telegram lets a bot say. Who would say more is refused at once and comes again: nobody else waits for it."""

import time
from collections import deque
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from telegram.error import RetryAfter
from telegram.ext import AIORateLimiter

MINUTE_S = 60.0
MOST_AT_ONCE = 30
"""As many wait for their turn as get one within a second."""


class Full(RetryAfter):
    """A group has heard as much as it may in a minute, or too many wait to be heard; nothing was sent."""


@dataclass
class Heard:
    """What one group heard in the last minute: when, and how much is on its way there."""

    said: deque[float] = field(default_factory=deque)
    waiting: int = 0


class OnlyWords(AIORateLimiter):
    """The library's limiter for 30 a second in all, and `per_minute` messages and edits in each group, in any minute.

    The library's own count for a group lets 39 through in the first minute, and makes whoever comes later wait in line.
    Only what people read is counted: a raid's deletions must not wait. What waits for one of the 30 counts from the
    moment it is sent.
    """

    def __init__(self, per_minute: int) -> None:
        super().__init__(group_max_rate=0, max_retries=0)
        self._per_minute = per_minute
        self._heard: dict[int, Heard] = {}
        self._at_once = 0

    async def process_request(
        self, callback: Any, args: Any, kwargs: Any, endpoint: str, data: Any, rate_limit_args: Any
    ) -> Any:
        """Raises `Full`."""
        if not endpoint.startswith(("send", "edit", "copy", "forward")):
            return await callback(*args, **kwargs)
        if self._at_once >= MOST_AT_ONCE:
            raise Full(timedelta(seconds=1))
        chat = int(data.get("chat_id") or 0)
        heard = self._with_room(chat) if chat < 0 else Heard()
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

    def _with_room(self, group: int) -> Heard:
        """Raises `Full` where there is none."""
        long_ago = time.monotonic() - MINUTE_S
        for other, old in list(self._heard.items()):
            if not old.waiting and (not old.said or old.said[-1] <= long_ago):
                del self._heard[other]
        heard = self._heard.setdefault(group, Heard())
        while heard.said and heard.said[0] <= long_ago:
            heard.said.popleft()
        if len(heard.said) + heard.waiting >= self._per_minute:
            raise Full(timedelta(seconds=heard.said[0] - long_ago if heard.said else MINUTE_S))
        return heard
