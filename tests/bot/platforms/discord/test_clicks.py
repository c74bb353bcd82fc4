"""Cards and commands: what moderators and members press, and what comes of it."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from bot.domain.policy import LabelPolicy
from tests.bot.platforms.discord.conftest import Scene, ago, serving
from tests.bot.platforms.discord.test_moderating import HARSH, by_bot, fields, labels
from tests.simulators.discord_server import DiscordServer


async def test_the_card_shows_who_was_first_and_who_overrode(scene: Scene) -> None:
    """Correct by one, wrong by another: both are recorded, the last word counts, the card names both."""
    await scene.server.says(scene.lounge, scene.ann, "HATE")
    card = await scene.card()
    answer = await scene.server.clicks(scene.mod, card, "👍 Correct")
    assert answer.ephemeral and "Recorded: hate" in answer.content
    await scene.server.until(lambda: f"<@{scene.mod.id}>: 👍 correct (hate)" in str(card.embeds))
    assert "said so already" in (await scene.server.clicks(scene.mod, card, "👍 Correct")).content
    question = await scene.server.clicks(scene.owner, card, "👎 Wrong label")
    assert "What is it?" in question.content and labels(question.message) == ["offensive", "neutral"]
    assert "Recorded: neutral" in (await scene.server.clicks(scene.owner, question, "neutral")).content
    await scene.server.until(lambda: f"<@{scene.owner.id}>: 👎 it is neutral" in str(card.embeds))
    assert f"<@{scene.mod.id}>" in fields(card)["Moderators"]
    words = await scene.store.words((await scene.case()).id)
    assert [word.label for word in words] == ["hate", "neutral"] and (await scene.case()).corrected_label == "neutral"


async def test_of_two_clicks_at_once_the_first_wins(scene: Scene) -> None:
    """One is the first word, the other agrees; an undo is carried out once."""
    await scene.enforce(hate=HARSH)
    await scene.server.says(scene.lounge, scene.ann, "HATE")
    card = await scene.card()
    both = await asyncio.gather(*(scene.server.clicks(who, card, "👍 Correct") for who in (scene.mod, scene.owner)))
    assert sorted(answer.content.split(":")[1].split(".")[0] for answer in both) == [
        " hate",
        " you agree that it is hate",
    ]
    both = await asyncio.gather(*(scene.server.clicks(who, card, "Undo") for who in (scene.mod, scene.owner)))
    assert sorted("nothing to undo" in answer.content for answer in both) == [False, True]
    lifted = [
        call for call in scene.server.called("PATCH", "/members/") if call.json["communication_disabled_until"] is None
    ]
    assert len(lifted) == 1


async def test_undo_lifts_what_can_be_lifted_and_offers_to_post_back(scene: Scene) -> None:
    """The timeout ends, the text comes back as a quote, once, and nobody is pinged by it."""
    await scene.enforce(hate=HARSH)
    await scene.server.says(scene.lounge, scene.ann, "HATE @everyone ``` [x](http://evil)")
    card = await scene.card()
    answer = await scene.server.clicks(scene.mod, card, "Undo")
    assert "Taken back: timeout for 30 minutes" in answer.content and "Cannot be taken back: delete" in answer.content
    assert "teaches nothing" in answer.content and not scene.guild.members[scene.ann.id].timed_out
    scene.server.faults.fail_rest("POST", rf"/channels/{scene.lounge.id}/messages", 503, times=1)
    refused = await scene.server.clicks(scene.mod, answer, "Post it back")
    assert "can be tried again" in refused.content
    assert "Posted back" in (await scene.server.clicks(scene.mod, answer, "Post it back")).content
    assert "posted back before" in (await scene.server.clicks(scene.mod, answer, "Post it back")).content
    (quote,) = by_bot(scene)
    assert "restored a message" in quote.content and quote.content.count("```") == 2
    assert not quote.data["mention_everyone"] and not quote.data["mentions"]
    await scene.server.until(lambda: "undone" in fields(card).get("Moderators", ""))
    assert "Undo" not in labels(card)


async def test_an_undo_that_discord_does_not_answer_is_carried_out_after_a_restart(tmp_path: Path) -> None:
    """The moderator is told so, the card says that it is under way, and the next process ends the timeout."""
    async with DiscordServer() as server:
        scene = Scene(server)
        async with serving(scene, tmp_path):
            await scene.enforce(hate=HARSH)
            await server.says(scene.lounge, scene.ann, "HATE")
            card = await scene.card()
            server.faults.fail_rest("PATCH", "/members/", 503, times=1000)
            answer = await server.clicks(scene.mod, card, "Undo")
            assert "Will be taken back as soon as the platform answers: timeout for 30 minutes" in answer.content
            await server.until(lambda: "Being taken back" in str(card.embeds))
            assert scene.guild.members[scene.ann.id].timed_out
        server.faults.clear()
        async with serving(scene, tmp_path):
            await server.until(lambda: not scene.guild.members[scene.ann.id].timed_out)
            await scene.settled()
            assert (await scene.case()).message.state == "done"


async def test_buttons_outlive_a_restart(tmp_path: Path) -> None:
    """A card of yesterday's process answers today's."""
    async with DiscordServer() as server:
        scene = Scene(server)
        async with serving(scene, tmp_path):
            await server.says(scene.lounge, scene.ann, "HATE")
            card = await scene.card()
        async with serving(scene, tmp_path):
            assert "Recorded: hate" in (await server.clicks(scene.mod, card, "👍 Correct")).content
            await server.until(lambda: "👍 correct" in str(card.embeds))
            await scene.settled()
            assert len(scene.alerts.messages) == 1


async def test_explain_says_which_words_and_what_it_is_like(scene: Scene) -> None:
    """From the card, by link, by id and from the message's menu; a message that was left alone too."""
    message = await scene.server.says(scene.lounge, scene.ann, "you are HATE itself")
    card = await scene.card()
    await scene.server.clicks(scene.mod, card, "👍 Correct")
    link = f"https://discord.com/channels/{scene.guild.id}/{scene.lounge.id}/{message.id}"
    answers = [
        await scene.server.clicks(scene.mod, card, "Explain"),
        await scene.runs(scene.mod, "explain", message=link),
        await scene.runs(scene.mod, "explain", message=str(message.id)),
        await scene.server.uses_message_command(scene.mod, message, "Explain"),
    ]
    for answer in answers:
        assert answer.ephemeral and "`HATE`" in answer.content and "action threshold of 85 %" in answer.content
        assert "alike, called hate by a moderator: `you are HATE itself`" in answer.content
    harmless = await scene.server.says(scene.lounge, scene.ann, "good morning")
    await scene.settled()
    answer = await scene.runs(scene.mod, "explain", message=str(harmless.id))
    assert "Below every threshold" in answer.content and "neutral 97 %" in answer.content
    assert "cannot find" in (await scene.runs(scene.mod, "explain", message="nonsense")).content


async def test_members_may_ask_about_their_own_messages(scene: Scene) -> None:
    """Without other people's texts; about somebody else's they are refused."""
    mine = await scene.server.says(scene.lounge, scene.ann, "you are HATE itself")
    card = await scene.card()
    await scene.server.clicks(scene.mod, card, "👍 Correct")
    answer = await scene.runs(scene.ann, "explain", message=str(mine.id))
    assert "`HATE`" in answer.content and "alike" not in answer.content
    assert "Only moderators" in (await scene.runs(scene.ben, "explain", message=str(mine.id))).content


async def test_a_text_can_be_tried(scene: Scene) -> None:
    """/test answers and keeps nothing."""
    answer = await scene.runs(scene.mod, "test", text="HATE `x` ```")
    assert "hate 95 %" in answer.content and "action threshold" in answer.content
    assert answer.content.count("```") == 2
    assert not await scene.store.messages(scene.community, ago(days=1))


async def test_a_report_makes_a_card(scene: Scene) -> None:
    """Whatever the model thinks; a second member counts, one's own message and a flood of reports are refused."""
    message = await scene.server.says(scene.lounge, scene.ann, "you know what I mean")
    await scene.settled()
    link = f"https://discord.com/channels/{scene.guild.id}/{scene.lounge.id}/{message.id}"
    assert "moderators see it" in (await scene.runs(scene.ben, "report", message=link)).content
    card = await scene.card()
    assert "One member has reported this" in fields(card)["Why"] and "a closer look" in card.embeds[0]["title"]
    assert str(scene.ann.id) in fields(card)["Author"]
    answer = await scene.server.uses_message_command(scene.owner, message, "Report to moderators")
    assert "moderators see it" in answer.content
    await scene.server.until(lambda: "2 members have reported this" in fields(card)["Why"])
    assert "your own" in (await scene.runs(scene.ann, "report", message=link)).content
    for _ in range(2):
        await scene.runs(scene.ben, "report", message=link)
    assert "enough for now" in (await scene.runs(scene.ben, "report", message=link)).content
    assert len(await scene.cases()) == 1


async def test_a_report_reaches_exempt_channels_too(scene: Scene) -> None:
    """Left alone by the bot, not by its members."""
    await scene.policy(exempt_rooms=frozenset({str(scene.lounge.id)}))
    message = await scene.server.says(scene.lounge, scene.ann, "HATE")
    await scene.settled()
    assert not await scene.cases()
    await scene.runs(scene.ben, "report", message=str(message.id))
    card = await scene.card()
    assert not message.deleted and "HATE" in card.embeds[0]["description"]


async def test_case_and_history(scene: Scene) -> None:
    """A case again with its buttons; a member's cases with what was done; another server's cases are none."""
    await scene.enforce(hate=LabelPolicy(alert_at=0.5, act_at=0.85, actions=("delete",)))
    await scene.server.says(scene.lounge, scene.ann, "HATE one")
    await scene.settled()
    await scene.server.says(scene.lounge, scene.ann, "RUDE two")
    await scene.cards(2)
    one = await scene.runs(scene.mod, "case", number=1)
    assert "HATE one" in str(one.embeds) and "Undo" in labels(one.message)
    assert "There is no case 99" in (await scene.runs(scene.mod, "case", number=99)).content
    history = await scene.runs(scene.mod, "history", member=scene.ann)
    assert "2 cases" in history.content and "delete" in history.content and "HATE" not in history.content
    assert "no cases" in (await scene.runs(scene.mod, "history", member=scene.ben)).content


@pytest.mark.minds_time
async def test_a_slow_model_keeps_nobody_without_an_answer(scene: Scene, monkeypatch: Any) -> None:
    """Every command and button says within the time Discord gives that it is at work, and ends with words."""
    message = await scene.server.says(scene.lounge, scene.owner, "HATE")
    card = await scene.card()
    quick = scene.classifier.classify

    async def slow(items: Any) -> Any:
        await asyncio.sleep(1.0)
        return await quick(items)

    monkeypatch.setattr(scene.classifier, "classify", slow)
    scene.server.callback_deadline_s = 0.5
    asked: dict[str, dict[str, Any]] = {
        **{name: {} for name in ["setup", "status", "preview", "policy", "privacy", "learning", "link"]},
        **{"mydata export": {}},
        **{"explain": {"message": str(message.id)}, "test": {"text": "hm"}, "mode": {"mode": "shadow"}},
        **{"case": {"number": 1}, "history": {"member": scene.ann}, "report": {"message": str(message.id)}},
    }
    for command, options in asked.items():
        answer = await scene.runs(scene.owner, command, **options)
        assert answer.answered_after_s is not None and answer.answered_after_s < 0.5, command
        assert answer.content or answer.embeds, command
    for button in ("👍 Correct", "👎 Wrong label", "Explain"):
        answer = await scene.server.clicks(scene.mod, card, button)
        assert answer.answered_after_s is not None and answer.answered_after_s < 0.5 and answer.content
