"""Four hundred messages at once from twenty accounts, and a group that refuses everything."""

import asyncio

from bot.domain.policy import Mode, Policy
from bot.pipeline.circuit_breaker import MOST
from tests.bot.platforms.telegram.conftest import Scene
from tests.conftest import unchanged
from tests.journal import unfinished
from tests.simulators.telegram_state import Message

RAID, ACCOUNTS = 400, 20


async def test_a_raid_is_one_digest_and_deleted_in_bulk(scene: Scene) -> None:
    """No card for each, at most a hundred messages in a call, and every message gone."""
    await scene.enforce(max_actions_per_hour=10_000)
    raiders = [scene.server.add_user(f"raider {number}") for number in range(ACCOUNTS)]
    for raider in raiders:
        scene.server.join(scene.group, raider)
    messages = [
        await scene.server.says(scene.group, raiders[number % ACCOUNTS], f"HATE {number}") for number in range(RAID)
    ]
    async with asyncio.timeout(60):
        while not all(message.deleted for message in messages):
            await asyncio.sleep(0.05)
    await scene.settled()

    def cards() -> list[Message]:
        return [message for message in scene.server.by_bot(scene.board) if message.buttons]

    def digests() -> list[Message]:
        return [card for card in cards() if "need a look" in card.text]

    await scene.server.until(
        lambda: any(f"{RAID - len(cards()) + 1} messages" in one.text for one in digests()), timeout_s=60
    )
    assert len(digests()) == 1 and len(cards()) <= 4
    assert deletions(scene) < RAID / 2


def deletions(scene: Scene) -> int:
    """How many calls to delete something Telegram has heard."""
    return len(scene.server.called("deleteMessage")) + len(scene.server.called("deleteMessages"))


async def test_a_group_that_refuses_everything_rests_and_no_other(scene: Scene) -> None:
    """The bot may not delete there: after 500 times nothing is asked any more, it is said, and what is to be done waits
    in the journal. In another group messages are removed as before."""
    await scene.enforce(max_actions_per_hour=10_000)
    others = scene.server.add_group("Others")
    await scene.pipeline.set_policy(f"telegram-{others.id}", Policy(mode=Mode.ENFORCE))
    scene.group.members[scene.server.bot.id].rights["can_delete_messages"] = False
    for number in range(600):
        await scene.server.says(scene.group, scene.ann, f"HATE {number}")
    await scene.server.until(lambda: scene.telegram.circuit_breaker.wait_s(scene.community) > 0, timeout_s=60)
    asked = await unchanged(lambda: deletions(scene))
    assert MOST <= asked < MOST + 50  # calls for many among them
    for number in range(600, 630):
        await scene.server.says(scene.group, scene.ann, f"HATE {number}")
    message = await scene.server.says(others, scene.ben, "HATE elsewhere")
    await scene.server.until(lambda: message.deleted)
    assert deletions(scene) == asked + 1
    overview = await scene.telegram.overview()
    resting = [place.community for place in overview.places if any("refused" in one.text() for one in place.problems)]
    assert overview.trouble is None and resting == [scene.community]
    told = "other communities do not wait"
    await scene.server.until(lambda: any(told in one.text for one in scene.server.by_bot(scene.board)), timeout_s=60)
    left = [row for row in await unfinished(scene.store, "telegram") if row.state in ("intended", "sent")]
    assert left, "what was not asked for waits in the journal"
