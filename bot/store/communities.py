"""Records how each community on a platform is set up: where its cards go, who moderates, what it agreed to."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.sqlite import insert
from sqlalchemy.ext.asyncio import AsyncEngine

from bot.store import tables as t
from bot.store.sealing import Sealer
from bot.store.writer import Writer


@dataclass(frozen=True, slots=True)
class Community:
    """One community; `setup` is the platform's own and empty until the community is set up, `name` "" where unknown."""

    community: str
    platform: str
    name: str
    setup: Mapping[str, Any]
    greeted: bool


class Communities:
    """The store's communities. The platform defines what `setup` holds; names are sealed."""

    def __init__(self, engine: AsyncEngine, writer: Writer, sealer: Sealer) -> None:
        self._engine = engine
        self._writer = writer
        self._sealer = sealer

    async def setup(self, community: str) -> dict[str, Any] | None:
        """Returns the saved set-up; empty for a community that was only greeted, None for an unknown one."""
        query = sa.select(t.community.c.setup).where(t.community.c.community == community)
        async with self._engine.connect() as connection:
            saved: dict[str, Any] | None = (await connection.execute(query)).scalar_one_or_none()
        return saved

    async def greeted(self, community: str) -> datetime | None:
        """Returns when the bot greeted the community; None where it has not."""
        query = sa.select(t.community.c.greeted_at).where(t.community.c.community == community)
        async with self._engine.connect() as connection:
            at: datetime | None = (await connection.execute(query)).scalar_one_or_none()
        return None if at is None else at.replace(tzinfo=UTC)

    async def save(self, community: str, platform: str, name: str, setup: Mapping[str, Any], now: datetime) -> None:
        """Saves the set-up from now on; whether the community was greeted stays."""
        values = {**self._who(platform, name), "setup": dict(setup), "updated_at": t.naive(now)}
        saved = insert(t.community).values(community=community, **values)
        saved = saved.on_conflict_do_update(index_elements=["community"], set_=values)

        def work(connection: sa.Connection) -> None:
            connection.execute(saved)

        await self._writer.write(work)

    async def all(self, platform: str) -> list[Community]:
        """Every community of a platform, set up or only greeted."""
        query = sa.select(t.community).where(t.community.c.platform == platform).order_by(t.community.c.community)
        async with self._engine.connect() as connection:
            return [
                Community(
                    community=row.community,
                    platform=row.platform,
                    name=(self._sealer.legible(row.name_sealed) or "") if row.name_sealed else "",
                    setup=row.setup,
                    greeted=row.greeted_at is not None,
                )
                for row in await connection.execute(query)
            ]

    async def greet(
        self, community: str, platform: str, name: str, now: datetime, setup: Mapping[str, Any] | None = None
    ) -> bool:
        """Returns True for the first caller only, who then greets. The row may be new; then it begins with this
        set-up."""
        begun = {"setup": dict(setup or {}), "updated_at": t.naive(now)}
        values = {"community": community, **self._who(platform, name), **begun}
        added = insert(t.community).values(values).on_conflict_do_nothing()
        first = sa.and_(t.community.c.community == community, t.community.c.greeted_at.is_(None))
        greeted = sa.update(t.community).where(first).values(greeted_at=t.naive(now))

        def work(connection: sa.Connection) -> bool:
            connection.execute(added)
            return connection.execute(greeted).rowcount == 1

        return await self._writer.write(work)

    def _who(self, platform: str, name: str) -> dict[str, Any]:
        return {"platform": platform, "name_sealed": self._sealer.seal(name) if name else None}
