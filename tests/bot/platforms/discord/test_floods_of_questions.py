"""What a member can have the model read by clicking: counted at the classifier."""

import asyncio

from bot.pipeline.question_lane import LIMITS, Rank
from model.explain import MAX_TEXTS
from model.serving.batcher import estimate_tokens
from tests.bot.platforms.discord.conftest import Scene

MEMBER = LIMITS[Rank.MEMBER].questions


async def test_explain_twenty_times_by_a_member(scene: Scene) -> None:
    """Twenty clicks at once had the model read 1,620 texts. The sentence says when to come again."""
    mine = await scene.server.says(scene.lounge, scene.ann, "one two three HATE five " + "six seven " * 8)
    await scene.settled()
    before = sum(len(batch) for batch in scene.classifier.batches)
    answers = await asyncio.gather(*(scene.runs(scene.ann, "explain", message=str(mine.id)) for _ in range(20)))
    asked = sum(len(batch) for batch in scene.classifier.batches) - before
    assert asked <= MEMBER * (MAX_TEXTS + 2)
    refused = [answer.content for answer in answers if "Ask again in" in answer.content]
    assert len(refused) == 20 - MEMBER and all(answer.ephemeral for answer in answers)
    card = await scene.card()
    assert "`HATE`" in (await scene.server.clicks(scene.mod, card, "Explain")).content, "others still may"


async def test_explain_of_the_longest_messages_by_a_member(scene: Scene) -> None:
    """Two on 4,000 characters made everybody wait for 26 s: they cost about as much as two long messages."""
    long = [await scene.server.says(scene.lounge, scene.ann, f"{number} HATE it all. " * 260) for number in (1, 2)]
    await scene.settled()
    before = len(scene.classifier.batches)
    await asyncio.gather(*(scene.runs(scene.ann, "explain", message=str(one.id)) for one in long))
    asked = [text for batch in scene.classifier.batches[before:] for text in batch]
    assert len(asked) <= 2 * (MAX_TEXTS + 2)
    assert sum(map(estimate_tokens, asked)) <= 2 * 10_000


async def test_a_moderators_preview_and_test_are_bounded_too(scene: Scene) -> None:
    """Thirty of each, by two people who may: each has a limit, and members' messages are read meanwhile."""
    for number in range(5):
        await scene.server.says(scene.lounge, scene.ben, f"hello {number}")
    await scene.settled()
    clicks = [scene.runs(scene.mod, "test", text=f"hm {number}") for number in range(30)]
    clicks += [scene.runs(scene.owner, "preview") for _ in range(30)]
    reading = scene.server.says(scene.lounge, scene.ann, "you are HATE itself")
    *answers, _ = await asyncio.gather(*clicks, reading)
    refused = [answer for answer in answers if "Ask again in" in answer.content]
    assert len(refused) >= 60 - 2 * LIMITS[Rank.MODERATOR].questions
    assert (await scene.case()).message.text == "you are HATE itself"
