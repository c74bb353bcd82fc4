"""Records kinds of messages of unknown shape: moderators are told once of each."""

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.dialects.sqlite import insert

from bot.store import tables as t
from bot.store.writer import Writer


class UnknownKinds:
    """The store's list of them."""

    def __init__(self, writer: Writer) -> None:
        self._writer = writer

    async def is_new(self, community: str, kind: str, now: datetime) -> bool:
        """Records a kind; False where it was known before."""
        values = {"community": community, "kind": kind, "seen_at": t.naive(now)}
        noted = insert(t.unknown_kind).values(values).on_conflict_do_nothing()

        def work(connection: sa.Connection) -> bool:
            return connection.execute(noted).rowcount == 1

        return await self._writer.write(work)
