"""Albums: several messages that people see as one, so that they go as one."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from dataclasses import replace

import structlog

from bot.domain.event import MessageKey
from bot.domain.platform import Gone, MissingPermission, RateLimited
from bot.store import Store

log = structlog.get_logger()


class Albums:
    """Deletes the other items of a deleted item's album. `delete` deletes one message; doing it twice looks like
    once."""

    def __init__(self, store: Store, delete: Callable[[MessageKey], Awaitable[object]]) -> None:
        self._store = store
        self._delete = delete

    async def too_late(self, key: MessageKey) -> None:
        """An item arrived whose album has been removed: it goes as well. Raises `Unreachable`."""
        while True:
            try:
                await self._gone(key)
                return
            except RateLimited as error:
                await asyncio.sleep(error.retry_after_s)
            except MissingPermission as error:  # moderators were told when the rest was to be deleted
                log.warning("a late item of an album stays", message=key.message, error=str(error))
                return

    async def remove(self, key: MessageKey) -> None:
        """The other items of the album that a message is in, before the message itself, so that a crash in between
        does it again. Raises what the platform raises."""
        other_parts = await self._store.albums.remove(key)
        deleted = (self._gone(replace(key, message=message)) for message in other_parts)
        for error in await asyncio.gather(*deleted, return_exceptions=True):
            if error is not None:
                raise error

    async def _gone(self, key: MessageKey) -> None:
        with contextlib.suppress(Gone):
            await self._delete(key)
