"""Which community a platform's chat belongs to: its own, one it was before it moved, or one it was linked with."""

import sqlalchemy as sa
from sqlalchemy.dialects.sqlite import insert
from sqlalchemy.ext.asyncio import AsyncEngine

from bot.store import tables as t
from bot.store.writer import Writer


class Chats:
    """The store's chats. A chat without a link is its own community."""

    def __init__(self, engine: AsyncEngine, writer: Writer) -> None:
        self._engine = engine
        self._writer = writer

    async def link(self, platform: str, chat: str, community: str, moved_from: str | None = None) -> None:
        """Links a chat with a community from now on; `moved_from` is the number it had before."""
        values = {"community": community, "moved_from": moved_from}
        row = insert(t.chat).values(platform=platform, chat=chat, **values)
        linked = row.on_conflict_do_update(index_elements=["platform", "chat"], set_=values)

        def work(connection: sa.Connection) -> None:
            connection.execute(linked)

        await self._writer.write(work)

    async def all(self, platform: str) -> dict[str, str]:
        """The community of every chat that was linked."""
        query = sa.select(t.chat.c.chat, t.chat.c.community).where(t.chat.c.platform == platform)
        async with self._engine.connect() as connection:
            return {chat: community for chat, community in (await connection.execute(query)).all()}

    async def moves(self, platform: str) -> dict[str, str]:
        """The number that each chat had before it moved."""
        moved = sa.and_(t.chat.c.platform == platform, t.chat.c.moved_from.is_not(None))
        async with self._engine.connect() as connection:
            rows = await connection.execute(sa.select(t.chat.c.chat, t.chat.c.moved_from).where(moved))
            return {chat: old for chat, old in rows.all()}
