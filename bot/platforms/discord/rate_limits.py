"""Keeps how long Discord asks the bot to wait: per route and its channel, server or webhook, or for all routes.

The library obeys a 429 only where it has the header `Via`, as Discord's own answers have. Answers of Cloudflare or
another server name the wait in a header or in the body.
"""

import json
import time
from collections.abc import Awaitable, Callable
from typing import Any
from weakref import WeakKeyDictionary

import aiohttp
import discord
import structlog
from discord.http import Route

UNKNOWN_WAIT_S, LONGEST_WAIT_S = 5.0, 7 * 24 * 3600.0
EVERYWHERE = "*"
log = structlog.get_logger()
Request = Callable[..., Awaitable[Any]]


class RateLimits:
    """Outlives connections. `refused` hears of every call that Discord counts as refused."""

    def __init__(self, refused: Callable[[], None], clock: Callable[[], float] = time.monotonic) -> None:
        self._refused, self._clock = refused, clock
        self._until: dict[str, float] = {}
        self._told: WeakKeyDictionary[Any, tuple[float, bool]] = WeakKeyDictionary()

    def trace(self) -> aiohttp.TraceConfig:
        """Sees every answer, those after which the library asks again by itself, too."""

        async def ended(_session: object, _context: object, call: aiohttp.TraceRequestEndParams) -> None:
            shared = call.response.headers.get("X-RateLimit-Scope") == "shared"
            if call.response.status in (401, 403, 429) and not shared:
                self._refused()
            if call.response.status == 429:
                self._told[call.response] = requested_wait(call.response.headers, await call.response.read())

        trace = aiohttp.TraceConfig()
        trace.on_request_end.append(ended)
        return trace

    def around(self, request: Request) -> Request:
        """The library's `request`, which raises discord.RateLimited, and asks nothing, while a bucket rests."""

        async def asked(route: Route, **more: Any) -> Any:
            bucket = f"{route.key}:{route.major_parameters}"
            if wait_s := self.left_s(bucket):
                raise discord.RateLimited(wait_s)
            try:
                return await request(route, **more)
            except discord.RateLimited as error:
                self._rest(bucket, error.retry_after)
                raise
            except discord.HTTPException as error:
                if error.status != 429:
                    raise
                wait_s, everywhere = self._told.get(error.response, (UNKNOWN_WAIT_S, False))
                self._rest(EVERYWHERE if everywhere else bucket, wait_s)
                raise discord.RateLimited(wait_s) from error

        return asked

    def left_s(self, bucket: str) -> float:
        """Returns how many seconds a bucket must rest; 0 where it may be asked."""
        now = self._clock()
        self._until = {one: until for one, until in self._until.items() if until > now}
        return max(self._until.get(bucket, now), self._until.get(EVERYWHERE, now)) - now

    def _rest(self, bucket: str, wait_s: float) -> None:
        log.warning("Discord asks to wait", bucket=bucket.partition(":")[0], wait_s=round(wait_s, 1))
        self._until[bucket] = max(self._until.get(bucket, 0.0), self._clock() + wait_s)


def requested_wait(headers: Any, body: bytes) -> tuple[float, bool]:
    """Returns (seconds, whether for all routes) that a 429 asks to wait. A value that is no number counts as no
    value."""
    try:
        said = json.loads(body)
    except (ValueError, RecursionError):
        said = None
    answer = said if isinstance(said, dict) else {}
    everywhere = answer.get("global") is True or str(headers.get("X-RateLimit-Global", "")).lower() == "true"
    places: tuple[Any, ...] = (
        answer.get("retry_after"),
        headers.get("Retry-After"),
        headers.get("X-RateLimit-Reset-After"),
    )
    for value in places:
        try:
            wait_s = float(value)
        except (TypeError, ValueError):
            continue
        if 0 < wait_s <= LONGEST_WAIT_S:
            return wait_s, everywhere
    return UNKNOWN_WAIT_S, everywhere
