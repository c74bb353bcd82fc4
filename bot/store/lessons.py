"""What the bot itself asks of the views that training reads."""

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine

from bot.store import tables as t

_EXAMPLE = sa.table("training_example", sa.column("id", sa.Integer), sa.column("created_at", sa.DateTime))
_LEFT_OUT = sa.table("training_left_out", sa.column("id", sa.Integer), sa.column("reason", sa.String))


class Lessons:
    """The store's corrections as far as they teach."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def since_refresh(self) -> int:
        """How many corrections that teach came after the last refresh was started."""
        last = sa.select(sa.func.max(t.refresh.c.started_at)).scalar_subquery()
        fresh = sa.or_(last.is_(None), _EXAMPLE.c.created_at > last)
        async with self._engine.connect() as connection:
            return int(await connection.scalar(sa.select(sa.func.count()).select_from(_EXAMPLE).where(fresh)) or 0)

    async def standing(self) -> frozenset[str]:
        """Ids of the corrections that were not taken back; a text forgotten in time does not take one back."""
        forgotten = sa.select(_LEFT_OUT.c.id).where(_LEFT_OUT.c.reason == "text forgotten")
        async with self._engine.connect() as connection:
            rows = await connection.execute(sa.union_all(sa.select(_EXAMPLE.c.id), forgotten))
            return frozenset(str(number) for (number,) in rows)
