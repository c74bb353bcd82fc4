"""What is remembered of each community on a platform."""

import asyncio
from datetime import timedelta
from pathlib import Path

import sqlalchemy as sa

from bot.store import Community, Store
from bot.store import tables as t
from bot.store.timed_bans import TimedBan
from tests.bot.store.test_store import NOW


async def test_a_setup_is_kept_and_the_greeting_with_it(store: Store) -> None:
    """Saved again it is replaced; who was greeted stays greeted."""
    assert await store.communities.setup("g1") is None
    await store.communities.save("g1", "discord", "Gardeners", {"cards": "10"}, NOW)
    assert await store.communities.greet("g1", "discord", "Gardeners", NOW)
    await store.communities.save("g1", "discord", "Gardeners of Ash", {"cards": "11"}, NOW)
    assert await store.communities.setup("g1") == {"cards": "11"}
    assert await store.communities.all("discord") == [
        Community("g1", "discord", "Gardeners of Ash", {"cards": "11"}, True)
    ]
    assert await store.communities.all("telegram") == []


async def test_a_community_is_greeted_once(store: Store) -> None:
    """Of five who would greet at once, one may; there is an empty setup then."""
    greeted = await asyncio.gather(*(store.communities.greet("g1", "discord", "Gardeners", NOW) for _ in range(5)))
    assert sum(greeted) == 1 and not await store.communities.greet("g1", "discord", "Gardeners", NOW)
    assert await store.communities.setup("g1") == {}


async def test_a_community_without_a_name_has_none(store: Store, tmp_path: Path) -> None:
    """And a name lies open nowhere on disk."""
    await store.communities.save("g1", "discord", "", {}, NOW)
    await store.communities.save("g2", "discord", "Particular", {}, NOW)
    assert [each.name for each in await store.communities.all("discord")] == ["", "Particular"]
    assert b"Particular" not in b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())


async def test_a_ban_with_an_end_is_due_once(store: Store) -> None:
    """The later plan holds, another community's is its own, and what was lifted is not due again."""
    later, sooner = NOW + timedelta(hours=2), NOW + timedelta(hours=1)
    for community, due in (("c1", sooner), ("c1", later), ("c2", sooner)):
        await store.timed_bans.plan(TimedBan("discord", community, "7", due))
    assert await store.timed_bans.due("discord", NOW) == []
    assert await store.timed_bans.due("discord", later) == [
        TimedBan("discord", "c2", "7", sooner),
        TimedBan("discord", "c1", "7", later),
    ]
    await store.timed_bans.forget("discord", "c2", "7")
    assert [lift.community for lift in await store.timed_bans.due("discord", later)] == ["c1"]
    async with store._engine.connect() as connection:
        row = (await connection.execute(sa.select(t.lift))).one()
    assert row.member != "7" and row.member_sealed != b"7"
