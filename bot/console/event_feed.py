"""Passes events to open pages as they happen."""

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Any

from bot.domain.event import MessageKey

MAX_BEHIND = 1000
"""The most events that a page may lag behind. A page that lags more is cut off, and reloads its state when it comes
back."""


EVERYWHERE = ""
"""The community of an event that concerns all of them."""


@dataclass(frozen=True, slots=True)
class News:
    """One event. `is_operators` marks an event for operators alone; `key` is the key of a case's message."""

    community: str
    data: dict[str, Any]
    is_operators: bool = False
    key: MessageKey | None = None


class Feed:
    """Sends events to every open page; each page picks those that its reader may know."""

    def __init__(self) -> None:
        self._pages: set[asyncio.Queue[News | None]] = set()

    def publish(self, kind: str, community: str = EVERYWHERE, *, is_operators: bool = False, **data: Any) -> None:
        """Sends an event to every page. Never waits."""
        self._tell(News(community, {"type": kind, "community": community, **data}, is_operators))

    def publish_case(self, case: dict[str, Any], key: MessageKey) -> None:
        """Sends a case to the pages of its community; `key` is its message's."""
        self._tell(News(key.community, {"type": "case", "community": key.community, "case": case}, key=key))

    def _tell(self, news: News) -> None:
        for page in list(self._pages):
            if page.qsize() >= MAX_BEHIND:
                self._pages.discard(page)
                page.put_nowait(None)
            else:
                page.put_nowait(news)

    def close(self) -> None:
        """Ends every page's stream."""
        for page in self._pages:
            page.put_nowait(None)

    async def listen(self, wake_s: float) -> AsyncGenerator[News | None, None]:
        """Yields events until the page lags too far behind or the service stops; None when `wake_s` passed without
        any."""
        page: asyncio.Queue[News | None] = asyncio.Queue()
        self._pages.add(page)
        try:
            while True:
                try:
                    async with asyncio.timeout(wake_s):
                        news = await page.get()
                except TimeoutError:
                    yield None
                    continue
                if news is None:
                    return
                yield news
        finally:
            self._pages.discard(page)
