"""What a member can have the model read by commands and clicks: counted at the classifier."""

from bot.pipeline.question_lane import LIMITS, Rank
from model.explain import MAX_TEXTS
from model.serving.batcher import estimate_tokens
from tests.bot.platforms.telegram.conftest import Scene

MEMBER = LIMITS[Rank.MEMBER].questions


async def test_explain_twenty_times_by_a_member(scene: Scene) -> None:
    """Twenty commands had the model read 1,620 texts. The sentence says when to come again, in private."""
    scene.ann.started = True
    mine = await scene.server.says(scene.group, scene.ann, "one two three HATE five " + "six seven " * 8)
    await scene.settled()
    before = sum(len(batch) for batch in scene.classifier.batches)
    for _ in range(20):
        await scene.server.says(scene.group, scene.ann, "/explain", reply_to=mine)
    await scene.settled()
    asked = sum(len(batch) for batch in scene.classifier.batches) - before
    assert asked <= MEMBER * (MAX_TEXTS + 2)
    told = [message.text for message in scene.server.by_bot(scene.server.private(scene.ann))]
    assert sum("Ask again in" in text for text in told) == 1, "said once: answers have a limit of their own"
    assert sum("<code>HATE</code>" in text for text in told) == MEMBER


async def test_explain_of_the_longest_messages_by_a_member(scene: Scene) -> None:
    """Two on 4,000 characters made everybody wait for 26 s: they cost about as much as two long messages."""
    scene.ann.started = True
    long = [await scene.server.says(scene.group, scene.ann, f"{number} HATE it all. " * 260) for number in (1, 2)]
    await scene.settled()
    before = len(scene.classifier.batches)
    for one in long:
        await scene.server.says(scene.group, scene.ann, "/explain", reply_to=one)
    await scene.settled()
    asked = [text for batch in scene.classifier.batches[before:] for text in batch]
    assert len(asked) <= 2 * (MAX_TEXTS + 2)
    assert sum(map(estimate_tokens, asked)) <= 2 * 10_000


async def test_explain_button_pressed_by_a_moderator_a_hundred_times(scene: Scene) -> None:
    """Moderators have more than members, and not everything."""
    await scene.server.says(scene.group, scene.ann, "you are HATE itself")
    card = await scene.card()
    before = sum(len(batch) for batch in scene.classifier.batches)
    for _ in range(100):
        await scene.server.clicks(scene.mod, card, "Explain")
    await scene.settled()
    asked = sum(len(batch) for batch in scene.classifier.batches) - before
    assert asked <= LIMITS[Rank.MODERATOR].questions * (MAX_TEXTS + 2)
    assert any("Ask again in" in message.text for message in scene.server.by_bot(scene.board))


async def test_three_hundred_commands_by_a_member(scene: Scene) -> None:
    """Answers to one person are not in the way of everybody else's."""
    scene.ann.started = True
    for _ in range(300):
        await scene.server.says(scene.group, scene.ann, "/privacy")
    await scene.server.says(scene.group, scene.ben, "you are HATE itself")
    await scene.card()
    await scene.settled()
    assert len(scene.server.by_bot(scene.server.private(scene.ann))) <= 60
