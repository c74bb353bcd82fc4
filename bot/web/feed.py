"""What open pages are told, as it happens."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

MAX_BEHIND = 1000
"""Events a page may lag behind; one that lags more is cut off and reloads its state when it comes back."""


class Feed:
    """Fans events out to every open page."""

    def __init__(self) -> None:
        self._pages: set[asyncio.Queue[str | None]] = set()

    def publish(self, kind: str, **data: Any) -> None:
        """Tells every page; never waits."""
        text = json.dumps({"type": kind, **data}, allow_nan=False)
        for page in list(self._pages):
            if page.qsize() >= MAX_BEHIND:
                self._pages.discard(page)
                page.put_nowait(None)
            else:
                page.put_nowait(text)

    def close(self) -> None:
        """Ends every page's stream."""
        for page in self._pages:
            page.put_nowait(None)

    async def listen(self) -> AsyncIterator[str]:
        """JSON texts until the page lags too far behind or the service stops."""
        page: asyncio.Queue[str | None] = asyncio.Queue()
        self._pages.add(page)
        try:
            while (text := await page.get()) is not None:
                yield text
        finally:
            self._pages.discard(page)
