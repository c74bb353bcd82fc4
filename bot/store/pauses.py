"""Records where acting is paused because the hourly cap was reached. A community without a row never was."""

from dataclasses import dataclass
from datetime import UTC, datetime

import sqlalchemy as sa
from sqlalchemy.dialects.sqlite import insert
from sqlalchemy.ext.asyncio import AsyncEngine

from bot.store import tables as t
from bot.store.writer import Writer


@dataclass(frozen=True, slots=True)
class Pause:
    """A community's pause: since `began_at`, or None where it acts.

    `last_hit_at` is when a member who would have counted was last spared. Actions before `counted_since` count no more:
    a pause ended then.
    """

    community: str
    began_at: datetime | None
    last_hit_at: datetime | None
    counted_since: datetime | None


class Pauses:
    """The store's pauses."""

    def __init__(self, engine: AsyncEngine, writer: Writer) -> None:
        self._engine = engine
        self._writer = writer

    async def all(self) -> list[Pause]:
        """Returns the pauses of every community that was ever paused."""
        async with self._engine.connect() as connection:
            rows = (await connection.execute(sa.select(t.pause))).all()
        return [
            Pause(row.community, _aware(row.began_at), _aware(row.last_hit_at), _aware(row.counted_since))
            for row in rows
        ]

    async def save(self, pause: Pause) -> None:
        """Replaces the community's row."""
        moments = {name: getattr(pause, name) for name in ("began_at", "last_hit_at", "counted_since")}
        values = {name: None if moment is None else t.naive(moment) for name, moment in moments.items()}
        row = insert(t.pause).values(community=pause.community, **values)
        saved = row.on_conflict_do_update(index_elements=["community"], set_=values)

        def work(connection: sa.Connection) -> None:
            connection.execute(saved)

        await self._writer.write(work)


def _aware(moment: datetime | None) -> datetime | None:
    return None if moment is None else moment.replace(tzinfo=UTC)
