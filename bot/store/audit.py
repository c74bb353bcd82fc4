"""Draws random messages that no card showed for moderators: how common harm is, and what is missed."""

from collections import Counter
from collections.abc import Mapping
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine

from bot.domain.case import CaseState
from bot.domain.decision import Band
from bot.store import tables as t
from bot.store.writer import Writer
from model.labels import Label


class Audit:
    """The store's audit cards: cases of messages that fell into the clear band."""

    def __init__(self, engine: AsyncEngine, writer: Writer) -> None:
        self._engine = engine
        self._writer = writer

    async def draw(self, community: str, count: int, since: datetime, now: datetime) -> list[int]:
        """Opens cases for at most `count` clear messages seen since a moment, drawn evenly; returns their numbers."""
        clear = (
            sa.select(t.message.c.id)
            .where(
                t.message.c.community == community,
                t.message.c.seen_at >= t.naive(since),
                t.message.c.text_sealed.is_not(None),
                t.message.c.decision["band"].as_string() == str(Band.CLEAR),
                ~sa.exists().where(t.case.c.message_id == t.message.c.id),
            )
            .order_by(sa.func.random())
            .limit(count)
        )
        card = {"state": CaseState.OPEN, "undone": False, "created_at": t.naive(now)}

        def work(connection: sa.Connection) -> list[int]:
            rows = connection.execute(clear).scalars().all()
            added = sa.insert(t.case).returning(t.case.c.id)
            return [connection.execute(added.values(message_id=row, **card)).scalar_one() for row in rows]

        return await self._writer.write(work)

    async def found(self, community: str) -> Mapping[Label, int]:
        """Returns moderators' labels of the clear messages they looked at; reported messages were not drawn evenly and
        do not count."""
        last_words = sa.select(sa.func.max(t.correction.c.id)).group_by(t.correction.c.case_id)
        query = (
            sa.select(t.correction.c.label, sa.func.count())
            .select_from(t.correction.join(t.case).join(t.message))
            .where(
                t.message.c.community == community,
                t.message.c.decision["band"].as_string() == str(Band.CLEAR),
                ~sa.exists().where(t.report.c.message_id == t.message.c.id),
                t.correction.c.id.in_(last_words),
            )
            .group_by(t.correction.c.label)
        )
        async with self._engine.connect() as connection:
            return Counter({Label(label): messages for label, messages in await connection.execute(query)})
