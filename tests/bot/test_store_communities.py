"""What is remembered of each community on a platform."""

import asyncio
from pathlib import Path

from bot.store import Community, Store
from tests.bot.test_store import NOW


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
    assert b"Particular" not in b"".join(path.read_bytes() for path in tmp_path.iterdir())
