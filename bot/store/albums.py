"""Pictures that were sent together, so that all go when one does, also those that arrive later."""

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.dialects.sqlite import insert
from sqlalchemy.ext.asyncio import AsyncEngine

from bot.domain.event import MessageKey
from bot.store import tables as t
from bot.store.writer import Writer

_I = t.album_item.c


class Albums:
    """The store's albums; an item is found by its key's address."""

    def __init__(self, engine: AsyncEngine, writer: Writer) -> None:
        self._engine = engine
        self._writer = writer

    async def add(self, key: MessageKey, album: str, now: datetime) -> bool:
        """Records an item, perhaps again; True where the album was removed, so that this item has to go as well."""
        values = {"platform": key.platform, "community": key.community, "album": album, "message": key.message}
        item = insert(t.album_item).values(**values, removed=False, seen_at=t.naive(now)).on_conflict_do_nothing()
        same = (_I.platform == key.platform, _I.community == key.community, _I.album == album)
        removed = sa.select(_I.message).where(*same, _I.removed).limit(1)

        def work(connection: sa.Connection) -> bool:
            connection.execute(item)
            return connection.execute(removed).first() is not None

        return await self._writer.write(work)

    async def remove(self, key: MessageKey) -> list[str]:
        """Marks the message's album as removed; returns the keys of the other items, [] where there is none."""
        same = _same_album(key)
        other_parts = sa.select(_I.message).where(same, _I.message != key.message).order_by(_I.message)
        return await self._mark(key, other_parts, removed=True)

    async def keep(self, key: MessageKey) -> None:
        """It is not to go any more: what arrives of it stays."""
        await self._mark(key, None, removed=False)

    async def forget(self, before: datetime) -> None:
        """Items from before this moment: of those no more arrive, and they cannot be deleted any more."""
        old = sa.delete(t.album_item).where(_I.seen_at < t.naive(before))

        def work(connection: sa.Connection) -> None:
            connection.execute(old)

        await self._writer.write(work)

    async def _mark(self, key: MessageKey, asked: sa.Select[tuple[str]] | None, *, removed: bool) -> list[str]:
        marked = sa.update(t.album_item).where(_same_album(key)).values(removed=removed)

        def work(connection: sa.Connection) -> list[str]:
            if connection.execute(marked).rowcount == 0 or asked is None:
                return []
            return [row.message for row in connection.execute(asked)]

        return await self._writer.write(work)


def _same_album(key: MessageKey) -> sa.ColumnElement[bool]:
    in_community = sa.and_(_I.platform == key.platform, _I.community == key.community)
    own = t.album_item.alias()
    album = sa.select(own.c.album).where(
        own.c.platform == key.platform, own.c.community == key.community, own.c.message == key.message
    )
    return sa.and_(in_community, _I.album.in_(album))
