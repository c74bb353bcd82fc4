"""Four hundred messages at once from twenty accounts, and a server that refuses everything."""

import asyncio

from bot.domain.policy import LabelPolicy, Mode, Policy
from bot.pipeline.circuit_breaker import MOST
from bot.platforms.discord.events import community_of
from tests.bot.platforms.discord.conftest import Scene
from tests.conftest import unchanged
from tests.journal import unfinished
from tests.simulators.discord_channels import Message

RAID, ACCOUNTS = 400, 20


async def test_a_raid_is_one_digest_and_deleted_in_bulk(scene: Scene) -> None:
    """No card for each, at most a hundred messages in a call, every message gone, Discord's limits kept."""
    await scene.enforce(max_actions_per_hour=10_000)
    raiders = [scene.guild.add_member(f"raider {number}") for number in range(ACCOUNTS)]
    messages = [
        await scene.server.says(scene.lounge, raiders[number % ACCOUNTS], f"HATE {number}") for number in range(RAID)
    ]
    async with asyncio.timeout(60):
        while not all(message.deleted for message in messages):
            await asyncio.sleep(0.05)
    await scene.shown()

    def cards() -> list[Message]:
        return [message for message in scene.alerts.messages.values() if message.components]

    def digests() -> list[Message]:
        return [card for card in cards() if "need a look" in str(card.embeds)]

    cases = len(await scene.store.cases(scene.community, limit=1000))
    await scene.server.until(
        lambda: any(f"{cases - len(cards()) + 1} messages" in str(one.embeds) for one in digests()), timeout_s=60
    )
    assert len(digests()) == 1 and len(cards()) <= 6
    deletions = len(scene.server.called("DELETE", "/messages/")) + len(scene.server.called("POST", "bulk-delete"))
    assert deletions < RAID / 2
    assert scene.server.invalid_requests() == 0


async def test_a_server_that_refuses_everything_rests_and_nobody_else(scene: Scene) -> None:
    """The rights are there and Discord refuses all the same: after 500 times nothing is asked there any more, it is
    said, and what is to be done waits in the journal. In another server messages are removed as before."""
    harsh = LabelPolicy(alert_at=0.5, act_at=0.85, actions=("delete", "timeout"))
    await scene.enforce(hate=harsh, max_actions_per_hour=10_000)
    others = scene.server.add_guild("Others")
    square, cem = others.add_channel("square"), scene.server.add_user("cem")
    others.add_member(cem)
    await scene.pipeline.set_policy(community_of(others.id), Policy(mode=Mode.ENFORCE, max_actions_per_hour=10_000))
    scene.server.faults.fail_rest("*", f"/(channels/{scene.lounge.id}|guilds/{scene.guild.id})/", 403, times=10_000)
    for number in range(400):
        await scene.server.says(scene.lounge, scene.ann, f"HATE {number}")
    await scene.server.until(lambda: scene.discord.circuit_breaker.wait_s(scene.community) > 0, timeout_s=60)
    asked = await unchanged(scene.server.invalid_requests)
    assert MOST <= asked < MOST + 50
    for number in range(400, 430):
        await scene.server.says(scene.lounge, scene.ann, f"HATE {number}")
    message = await scene.server.says(square, cem, "HATE elsewhere")
    await scene.server.until(lambda: message.deleted)
    assert scene.server.invalid_requests() == asked
    overview = await scene.discord.overview()
    here, there = overview.places
    assert overview.trouble is None and not any("refused" in problem.text() for problem in there.problems)
    assert "500 calls were refused within ten minutes, most of them here" in here.problems[0].text()
    told = "other communities do not wait"
    await scene.server.until(lambda: any(told in one.content for one in scene.alerts.messages.values()))
    assert told in (await scene.runs(scene.mod, "status")).content
    left = [row for row in await unfinished(scene.store, "discord") if row.state in ("intended", "sent")]
    assert left, "what was not asked for waits in the journal"


async def test_a_platform_that_refuses_everybody_is_left_alone(scene: Scene) -> None:
    """Refused in eight servers alike: after 500 times nothing is asked anywhere, and the page says so."""
    squares = []
    for number in range(8):
        guild = scene.server.add_guild(f"Others {number}")
        square, cem = guild.add_channel("square"), scene.server.add_user(f"cem {number}")
        guild.add_member(cem)
        await scene.pipeline.set_policy(community_of(guild.id), Policy(mode=Mode.ENFORCE, max_actions_per_hour=10_000))
        squares.append((square, cem))
    scene.server.faults.fail_rest("*", "/channels/", 403, times=10_000)
    for number in range(100):
        for square, cem in squares:
            await scene.server.says(square, cem, f"HATE {number}")
    await scene.server.until(lambda: scene.discord.circuit_breaker.wait_s() > 0, timeout_s=60)
    asked = await unchanged(scene.server.invalid_requests)
    assert MOST <= asked < MOST + 100
    for square, cem in squares:
        await scene.server.says(square, cem, "HATE again")
    await asyncio.sleep(1.0)
    assert scene.server.invalid_requests() == asked
    overview = await scene.discord.overview()
    assert overview.trouble is not None and "500 calls were refused within ten minutes" in overview.trouble.text()
    assert not any("most of them here" in one.text() for place in overview.places for one in place.problems)
    left = [row for row in await unfinished(scene.store, "discord") if row.state in ("intended", "sent")]
    assert left, "what was not asked for waits in the journal"
