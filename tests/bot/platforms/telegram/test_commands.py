"""Cards and commands on Telegram: what moderators and members press, and what comes of it."""

import asyncio
import json
from pathlib import Path

from bot.domain.policy import LabelPolicy, Mode, preset_of
from tests.bot.platforms.telegram.conftest import Scene, serving
from tests.bot.platforms.telegram.test_moderating import HARSH, labels
from tests.simulators.telegram_server import TelegramServer


async def test_the_card_shows_who_was_first_and_who_overrode(scene: Scene) -> None:
    """Correct by one, wrong by another: both are recorded, the last word counts, the card names both."""
    await scene.server.says(scene.group, scene.ann, "HATE")
    card = await scene.card()
    assert "Recorded: hate" in await scene.server.clicks(scene.mod, card, "👍 Correct")
    await scene.server.until(lambda: "👍 correct (hate)" in card.text)
    assert "said so already" in await scene.server.clicks(scene.mod, card, "👍 Correct")
    await scene.server.clicks(scene.owner, card, "👎 Wrong label")
    assert labels(card) == ["offensive", "neutral", "◀"]
    assert "Recorded: neutral" in await scene.server.clicks(scene.owner, card, "neutral")
    await scene.server.until(lambda: "👎 it is neutral" in card.text)
    assert f"tg://user?id={scene.mod.id}" in card.text and f"tg://user?id={scene.owner.id}" in card.text
    assert [word.label for word in await scene.store.words((await scene.case()).id)] == ["hate", "neutral"]


async def test_of_two_clicks_at_once_the_first_wins(scene: Scene) -> None:
    """One is the first word, the other agrees; an undo is carried out once."""
    await scene.enforce(hate=HARSH)
    await scene.server.says(scene.group, scene.ann, "HATE")
    card = await scene.card()
    both = await asyncio.gather(*(scene.server.clicks(who, card, "👍 Correct") for who in (scene.mod, scene.owner)))
    assert sorted("you agree" in text for text in both) == [False, True]
    both = await asyncio.gather(*(scene.server.clicks(who, card, "Undo") for who in (scene.mod, scene.owner)))
    assert sorted("nothing to undo" in text for text in both) == [False, True]
    assert scene.group.members[scene.ann.id].status == "member"


async def test_undo_offers_to_post_back(scene: Scene) -> None:
    """The text comes back as a quote, once, inert."""
    await scene.enforce(hate=HARSH)
    await scene.server.says(scene.group, scene.ann, "HATE <a href='x'>@everyone</a>")
    card = await scene.card()
    assert "Cannot be taken back: delete" in await scene.server.clicks(scene.mod, card, "Undo")
    offer = next(m for m in scene.server.by_bot(scene.board) if m.buttons and m.buttons[0]["text"] == "Post it back")
    scene.server.fail("sendMessage", 400, times=1)
    assert "can be tried again" in await scene.server.clicks(scene.mod, offer, "Post it back")
    assert "Posted back" in await scene.server.clicks(scene.mod, offer, "Post it back")
    assert "posted back before" in await scene.server.clicks(scene.mod, offer, "Post it back")
    (quote,) = scene.server.by_bot(scene.group)
    assert "restored a message" in quote.text and "&lt;a href" in quote.text
    await scene.server.until(lambda: "undone" in card.text and "Undo" not in labels(card))


async def test_buttons_outlive_a_restart(tmp_path: Path) -> None:
    """A card of yesterday's process answers today's, and is not posted again."""
    async with TelegramServer() as server:
        scene = Scene(server)
        async with serving(scene, tmp_path):
            await server.says(scene.group, scene.ann, "HATE")
            card = await scene.card()
            await scene.settled()
        async with serving(scene, tmp_path):
            assert "Recorded: hate" in await server.clicks(scene.mod, card, "👍 Correct")
            await server.until(lambda: "👍 correct" in card.text)
            assert len(server.by_bot(scene.board)) == 1


async def test_explain_as_a_reply_and_with_a_forwarded_message(scene: Scene) -> None:
    """Which words, which threshold, what it is like; also of a message that was left alone."""
    scene.mod.started = True
    bad = await scene.server.says(scene.group, scene.ann, "you are HATE itself")
    good = await scene.server.says(scene.group, scene.ann, "good morning")
    card = await scene.card()
    await scene.server.clicks(scene.mod, card, "👍 Correct")
    await scene.server.clicks(scene.mod, card, "Explain")
    await scene.server.until(lambda: any("<code>HATE</code>" in m.text for m in scene.server.by_bot(scene.board)))
    private = scene.server.private(scene.mod)
    for answered, words in ((bad, "alike, called hate by a moderator"), (good, "Below every threshold")):
        before = len(scene.server.by_bot(private))
        await scene.server.says(scene.group, scene.mod, "/explain@Domovoi_Bot", reply_to=answered)
        await scene.server.until(lambda before=before: len(scene.server.by_bot(private)) > before)  # type: ignore[misc]
        assert words in scene.server.by_bot(private)[-1].text
    scene.telegram.groups.choose(scene.mod.id, scene.group.id)
    forward = {"type": "hidden_user", "date": 1, "sender_user_name": "x"}
    before = len(scene.server.by_bot(private))
    await scene.server.tells(scene.mod, "HATE sent on", forward_origin=forward)
    await scene.server.until(lambda: len(scene.server.by_bot(private)) > before)
    assert (
        "hate 95 %" in scene.server.by_bot(private)[-1].text
        and "<code>HATE</code>" in scene.server.by_bot(private)[-1].text
    )


async def test_a_report_makes_a_card(scene: Scene) -> None:
    """Whatever the model thinks; a second member counts, one's own message and a flood of reports are refused."""
    scene.ann.started = scene.ben.started = scene.mod.started = True
    message = await scene.server.says(scene.group, scene.ann, "you know what I mean")
    for who in (scene.ben, scene.mod):
        await scene.server.says(scene.group, who, "/report", reply_to=message)
    card = await scene.card()
    await scene.server.until(lambda: "2 members have reported this" in card.text)
    assert "a closer look" in card.text and f"tg://user?id={scene.ann.id}" in card.text
    await scene.server.says(scene.group, scene.ann, "/report", reply_to=message)
    await scene.settled()
    assert "your own" in scene.server.by_bot(scene.server.private(scene.ann))[-1].text
    for _ in range(3):
        await scene.server.says(scene.group, scene.ben, "/report", reply_to=message)
    await scene.settled()
    assert any("enough for now" in m.text for m in scene.server.by_bot(scene.server.private(scene.ben)))
    assert len(await scene.cases()) == 1


async def test_consent_is_each_authors_and_revocable(scene: Scene) -> None:
    """A correction teaches with it, and no longer once it is withdrawn."""
    scene.ann.started = True
    scene.telegram.groups.choose(scene.ann.id, scene.group.id)
    assert "do not teach" in await scene.asks(scene.ann, "/consent")
    button = scene.server.by_bot(scene.server.private(scene.ann))[-1]
    await scene.server.clicks(scene.ann, button, "My messages may teach")
    await scene.server.says(scene.group, scene.ann, "HATE one")
    card = await scene.card()
    assert "next refresh learns" in await scene.server.clicks(scene.mod, card, "👍 Correct")
    await scene.server.says(scene.group, scene.ben, "HATE two")
    assert "teaches nothing" in await scene.server.clicks(scene.mod, (await scene.cards(2))[1], "👍 Correct")
    one, two = await scene.cases()
    assert one.teaches and not two.teaches
    assert "do not teach" in await scene.asks(scene.ann, "/consent no")
    assert not (await scene.cases())[0].teaches


async def test_privacy_export_and_erasure(scene: Scene) -> None:
    """A member sees what is kept, has it removed, and the card that quoted it forgets it too."""
    scene.ann.started = True
    scene.telegram.groups.choose(scene.ann.id, scene.group.id)
    await scene.server.says(scene.group, scene.ann, "HATE")
    card = await scene.card()
    assert "sealed" in await scene.asks(scene.ann, "/privacy")
    await scene.asks(scene.ann, "/mydata export")
    (sent,) = scene.server.called("sendDocument")
    assert [message["text"] for message in json.loads(sent.files[0])["messages"]].count("HATE") == 1
    assert "removed" in await scene.asks(scene.ann, "/mydata erase")
    await scene.server.until(lambda: "no longer kept" in card.text)
    assert "no text of yours" in await scene.asks(scene.ann, "/mydata export")


async def test_policy_mode_case_test_status(scene: Scene) -> None:
    """Each answers in words, changes what it says, and refuses what does not fit."""
    scene.telegram.groups.choose(scene.mod.id, scene.group.id)
    assert "<b>standard</b>" in await scene.asks(scene.mod, "/policy")
    assert "<b>strict</b>" in await scene.asks(scene.mod, "/policy strict")
    answer = await scene.asks(scene.mod, "/policy offensive 60 90 delete, warn")
    assert "cards from 60 %, action from 90 % (delete, warn)" in answer
    for wrong, words in (
        ("/policy hate 90 20", "above"),
        ("/policy hate 1 2 tickle", "not fit"),
        ("/policy hm", "/policy strict"),
    ):
        assert words in await scene.asks(scene.mod, wrong)
    policy = await scene.pipeline.policy(scene.community)
    assert policy.offensive.alert_at == 0.6 and preset_of(policy) is None
    assert "Enforce" in await scene.asks(scene.mod, "/mode enforce")
    assert (await scene.pipeline.policy(scene.community)).mode is Mode.ENFORCE
    assert "/mode shadow" in await scene.asks(scene.mod, "/mode what")
    await scene.server.says(scene.group, scene.ann, "HATE")
    await scene.card()
    assert "<pre>HATE</pre>" in await scene.asks(scene.mod, "/case 1")
    assert "no case 9" in await scene.asks(scene.mod, "/case 9")
    tried = await scene.asks(scene.mod, "/test HATE </pre><a>")
    assert "hate 95 %" in tried and "&lt;/pre&gt;" in tried
    status = await scene.asks(scene.mod, "/status")
    assert "Friends" in status and "every right I need" in status and "cards 1" in status
    assert "next refresh" in await scene.asks(scene.mod, "/example neutral you walnut")
    assert await scene.store.corrections(scene.community) == [("you walnut", "neutral")]


async def test_a_card_that_may_have_been_shown_says_so(tmp_path: Path) -> None:
    """Killed between sending and remembering: it comes again, marked."""
    async with TelegramServer() as server:
        scene = Scene(server)
        async with serving(scene, tmp_path):
            await scene.policy(hate=LabelPolicy(alert_at=0.5, act_at=0.85))
            server.fail("sendMessage", "hang", times=1, before_effect=False)
            await server.says(scene.group, scene.ann, "HATE")
            await server.until(lambda: server.by_bot(scene.board))
        async with serving(scene, tmp_path):
            await server.until(lambda: len(server.by_bot(scene.board)) == 2)
            assert "May have been shown before" in server.by_bot(scene.board)[1].text
