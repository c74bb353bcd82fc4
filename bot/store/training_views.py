"""The bot's own questions to the views that training reads."""

from collections import Counter

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine

from bot.store import tables as t

_EXAMPLE = sa.table(
    "training_example",
    sa.column("id", sa.Integer),
    sa.column("community", sa.String),
    sa.column("created_at", sa.DateTime),
)
_LEFT_OUT = sa.table(
    "training_left_out", sa.column("id", sa.Integer), sa.column("community", sa.String), sa.column("reason", sa.String)
)


class TrainingViews:
    """The store's corrections as far as they teach."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def since_refresh(self) -> Counter[str]:
        """Counts by community the corrections that teach and came after the last refresh was started."""
        last = sa.select(sa.func.max(t.refresh.c.started_at)).scalar_subquery()
        fresh = sa.or_(last.is_(None), _EXAMPLE.c.created_at > last)
        counts = sa.select(_EXAMPLE.c.community, sa.func.count()).where(fresh).group_by(_EXAMPLE.c.community)
        async with self._engine.connect() as connection:
            return Counter({str(community): int(count) for community, count in await connection.execute(counts)})

    async def standing(self) -> dict[str, str]:
        """Returns ids of the corrections that were not taken back, with each one's community; forgetting a text in time
        does not take its correction back."""
        forgotten = sa.select(_LEFT_OUT.c.id, _LEFT_OUT.c.community).where(_LEFT_OUT.c.reason == "text forgotten")
        rows = sa.union_all(sa.select(_EXAMPLE.c.id, _EXAMPLE.c.community), forgotten)
        async with self._engine.connect() as connection:
            return {str(number): str(community) for number, community in await connection.execute(rows)}
