"""What happens to a message on Discord: from the first word to the button a moderator presses."""

import asyncio
from typing import Any

import pytest

from bot.domain.action import Ban, Delete, Kick, Timeout
from bot.domain.event import Author, MessageKey
from bot.domain.platform import Gone, MissingPermission, RateLimited, Unreachable
from bot.domain.policy import LabelPolicy, Strikes
from bot.platforms.discord.events import name_revision
from bot.text.language import say
from model.labels import Label
from tests.bot.platforms.discord.conftest import Scene, ago
from tests.simulators.discord_server import Message

HARSH = LabelPolicy(alert_at=0.5, act_at=0.85, actions=("delete", "timeout"), timeout_minutes=30)


def fields(card: Any) -> dict[str, str]:
    """A card's fields by name."""
    return {field["name"]: field["value"] for field in card.embeds[0]["fields"]}


def labels(card: Any) -> list[str]:
    """The texts on its buttons."""
    return [button["label"] for row in card.components for button in row["components"]]


def by_bot(scene: Scene) -> list[Message]:
    """What the bot wrote in the lounge."""
    return [message for message in scene.lounge.messages.values() if message.author is scene.server.bot]


async def test_in_shadow_mode_a_card_appears_and_the_message_stays(scene: Scene) -> None:
    """The moderators see who wrote what where, and what would have been done."""
    message = await scene.server.says(scene.lounge, scene.ann, "HATE")
    card = await scene.card()
    assert not message.deleted and "HATE" in card.embeds[0]["description"]
    said = fields(card)
    assert str(scene.ann.id) in said["Author"] and str(message.id) in said["Where"]
    assert "action threshold of 85 %" in said["Why"] and "Would have done: delete (shadow mode)" in said["Why"]
    assert labels(card) == ["👍 Correct", "👎 Wrong label", "Explain"]


async def test_enforced_deleted_and_timed_out_with_a_reason(scene: Scene) -> None:
    """What the policy says is done, once, and the audit log says why."""
    await scene.enforce(hate=HARSH)
    message = await scene.server.says(scene.lounge, scene.ann, "HATE")
    card = await scene.card()
    assert message.deleted and scene.guild.members[scene.ann.id].timed_out
    (deletion,) = scene.server.called("DELETE", r"/messages/\d+$")
    (timeout,) = scene.server.called("PATCH", r"/members/\d+$")
    assert str(message.id) in (deletion.reason or "") and timeout.reason == deletion.reason
    assert "Done: delete, timeout for 30 minutes" in fields(card)["Why"]
    assert "Undo" in labels(card)


async def test_the_author_is_warned_alone_or_in_the_room(scene: Scene) -> None:
    """In private; in the channel, with one mention, where private messages are closed or the community wants it so."""
    await scene.enforce(hate=LabelPolicy(alert_at=0.5, act_at=0.85, actions=("warn",)))
    await scene.server.says(scene.lounge, scene.ann, "HATE one")
    await scene.card()
    (private,) = scene.server.dm(scene.ann).messages.values()
    assert "Friends" in private.content and not by_bot(scene)
    scene.ben.dms_closed = True
    await scene.server.says(scene.lounge, scene.ben, "HATE two")
    await scene.cards(2)
    (public,) = by_bot(scene)
    assert f"<@{scene.ben.id}>" in public.content and public.data["mentions"]
    (call,) = [c for c in scene.server.called("POST", rf"{scene.lounge.id}/messages")]
    allowed = call.json["allowed_mentions"]
    assert [int(user) for user in allowed["users"]] == [scene.ben.id] and not allowed["parse"]


async def test_a_deleted_message_is_gone_and_that_is_that(scene: Scene) -> None:
    """Somebody was quicker: the case says so, nobody is told of a failure."""
    await scene.enforce()
    scene.server.faults.fail_rest("DELETE", r"/messages/\d+$", 404, times=1)
    await scene.server.says(scene.lounge, scene.ann, "HATE")
    card = await scene.card()
    assert "gone already" in fields(card)["Why"] and not scene.notices


async def test_without_the_right_moderators_are_told_which_and_where(scene: Scene) -> None:
    """The message stays, the card says that it did, and one notice names right, channel and fix."""
    await scene.enforce()
    scene.lounge.overwrite(scene.guild.bot_role, deny=["manage_messages"])
    for number in range(3):
        await scene.server.says(scene.lounge, scene.ann, f"HATE {number}")
    card = (await scene.cards(3))[0]
    assert "Not all of this was possible" in fields(card)["Why"]
    (told,) = [notice for notice in scene.notices if notice.name == "notice-not-possible"]
    text = told.text()
    assert "Manage Messages" in text and f"<#{scene.lounge.id}>" in text and "Permissions" in text


async def test_when_discord_does_not_answer_the_action_comes_later(scene: Scene, monkeypatch: Any) -> None:
    """Refused with 503, reset, and at last done: once."""
    monkeypatch.setattr("bot.pipeline.enforcement.FIRST_WAIT_S", 0.05)
    await scene.enforce()
    for fault in (503, "reset"):
        scene.server.faults.fail_rest("DELETE", r"/messages/\d+$", fault, times=1)
    message = await scene.server.says(scene.lounge, scene.ann, "HATE")
    await scene.server.until(lambda: message.deleted, timeout_s=60)
    await scene.settled()
    assert (await scene.case()).message.state == "done"


async def test_a_moderator_is_shown_and_never_punished(scene: Scene) -> None:
    """By a role of the set-up or by rights; the owner too."""
    await scene.enforce(hate=HARSH)
    for person in (scene.mod, scene.owner):
        message = await scene.server.says(scene.lounge, person, f"HATE {person.name}")
        await scene.settled()
        assert not message.deleted
    assert all("moderator" in case.decision.flags for case in await scene.cases())


async def test_webhooks_and_bots_lose_the_message_only(scene: Scene) -> None:
    """They are scored like everybody, and never banned, timed out or warned."""
    await scene.enforce(hate=LabelPolicy(alert_at=0.5, act_at=0.85, actions=("delete", "ban", "warn")))
    other = scene.server.add_user("other-bot", bot=True)
    scene.guild.add_member(other)
    hook = scene.server.add_webhook(scene.lounge, "news")
    for author in (other, hook):
        message = await scene.server.says(scene.lounge, author, "HATE")
        await scene.settled()
        assert message.deleted
    assert not scene.server.called("PUT", "/bans/") and len(await scene.cases()) == 2


async def test_own_messages_are_not_read(scene: Scene) -> None:
    """A card quotes hate and is not itself a case."""
    await scene.server.says(scene.lounge, scene.ann, "HATE")
    await scene.card()
    await scene.settled()
    assert len(await scene.cases()) == 1


async def test_limits_are_checked_before_the_call(scene: Scene) -> None:
    """Owner, administrators, whoever stands higher: each is refused here, with the fix, and Discord is not asked."""
    await scene.server.says(scene.lounge, scene.ann, "hello")
    await scene.settled()
    key = (await scene.store.journalled("discord", scene.community, str(max(scene.lounge.messages)))).key  # type: ignore[union-attr]
    chief = scene.server.add_user("chief")
    scene.guild.add_member(chief, [scene.guild.add_role("Chiefs", ["administrator"])])
    high = scene.server.add_user("high")
    scene.guild.add_member(high, [scene.guild.add_role("High", 0, position=50)])
    for person, action, words in (
        (scene.owner, Timeout(5), "owner"),
        (scene.owner, Ban(), "owner"),
        (chief, Timeout(5), "administrator"),
        (high, Kick(), "drag"),
        (high, Ban(), "drag"),
    ):
        with pytest.raises(MissingPermission, match=words):
            await scene.discord.perform(action, key, Author(str(person.id), person.name))
    with pytest.raises(Gone):
        await scene.discord.perform(Kick(), key, Author("123456789012345678", "nobody"))
    assert not scene.server.called("PATCH", "/members/") and not scene.server.called("DELETE", "/members/")


async def test_errors_become_the_familys(scene: Scene) -> None:
    """What the caller does next is in the error's name."""
    await scene.server.says(scene.lounge, scene.ann, "hello")
    await scene.settled()
    key = (await scene.store.journalled("discord", scene.community, str(max(scene.lounge.messages)))).key  # type: ignore[union-attr]
    ben = Author(str(scene.ben.id), "Ben")
    for fault, error in ((503, Unreachable), ("reset", Unreachable), (403, MissingPermission), (404, Gone)):
        scene.server.faults.fail_rest("PUT", r"/bans/\d+$", fault, times=10)
        with pytest.raises(error):
            await scene.discord.perform(Ban(), key, ben)
        scene.server.faults.clear()
    scene.server.faults.limit_rest("PUT", r"/bans/\d+$", 0, 90.0)
    with pytest.raises(RateLimited) as raised:
        await scene.discord.perform(Ban(), key, ben)
    assert raised.value.retry_after_s > 30


async def test_a_raid_is_deleted_in_bulk(scene: Scene) -> None:
    """Thirty at once: far fewer calls than messages, and every message gone."""
    await scene.enforce(max_actions_per_hour=1000, strikes=Strikes(timeout_at=None))
    scene.server.faults.fail_rest("DELETE", r"/messages/\d+$", "hang", times=0)
    messages = [await scene.server.says(scene.lounge, scene.ann, f"HATE {n}") for n in range(30)]
    await scene.server.until(lambda: all(message.deleted for message in messages), timeout_s=60)
    calls = scene.server.called("DELETE", r"/messages/\d+$") + scene.server.called("POST", "bulk-delete")
    assert len(calls) < 15


async def test_an_old_message_is_deleted_alone(scene: Scene) -> None:
    """Discord deletes in bulk only what is younger than 14 days."""
    old = [scene.server.remembers(scene.lounge, scene.ann, f"old {n}", at=ago(days=20, seconds=n)) for n in range(3)]
    young = [scene.server.remembers(scene.lounge, scene.ann, f"young {n}", at=ago(days=3, seconds=n)) for n in range(9)]
    room, ann = str(scene.lounge.id), Author(str(scene.ann.id), "Ann")
    keys = [MessageKey("discord", scene.community, room, str(message.id)) for message in (*old, *young)]
    await asyncio.gather(*(scene.discord.perform(Delete(), key, ann) for key in keys))
    assert all(message.deleted for message in (*old, *young))
    in_bulk = {int(m) for call in scene.server.called("POST", "bulk-delete") for m in call.json["messages"]}
    assert in_bulk and in_bulk <= {message.id for message in young}


async def test_a_burst_is_one_digest_and_each_case_can_be_opened(scene: Scene) -> None:
    """Twelve cases: one card with a line each; its button shows them one after the other."""
    for number in range(12):
        await scene.server.says(scene.lounge, (scene.ann, scene.ben)[number % 2], f"HATE {number}")
    await scene.settled()
    await scene.server.until(lambda: "12 messages by 2 authors" in str(shown(scene)), timeout_s=60)
    (digest,) = [m for m in scene.alerts.messages.values() if "12 messages" in str(m.embeds)]
    room, number = str(scene.alerts.id), str(digest.id)
    async with asyncio.timeout(60):
        while len(await scene.store.cards.cases_of("discord", room, number)) < 12:
            await asyncio.sleep(0.01)
    seen = set()
    for _ in range(12):
        answer = await scene.server.clicks(scene.mod, digest, "Go through them")
        assert answer.ephemeral
        seen.add(answer.embeds[0]["description"])
        outcome = await scene.server.clicks(scene.mod, answer, "👍 Correct")
        assert "Recorded: hate" in outcome.content
    assert len(seen) == 12
    answer = await scene.server.clicks(scene.mod, digest, "Go through them")
    assert "Nothing in this digest is open" in answer.content
    assert {case.state for case in await scene.cases()} == {"confirmed"}


def shown(scene: Scene) -> list[Any]:
    """Everything in the alert channel."""
    return [message.embeds for message in scene.alerts.messages.values()]


async def test_a_nickname_and_a_title_that_were_removed(scene: Scene) -> None:
    """As earlier versions did by themselves: a nickname is reset, a thread's title replaced; the first comes back."""
    await scene.server.says(scene.lounge, scene.ann, "hello")
    await scene.settled()
    member, thread = scene.guild.members[scene.ann.id], scene.lounge.add_thread("HATE title", scene.ben)
    member.change(nick="HATE nick")
    await scene.heard()
    ann = Author(str(scene.ann.id), "HATE nick")
    named = MessageKey("discord", scene.community, "names", f"name-{scene.ann.id}")
    room, revision = f"{scene.lounge.id}/{thread.id}", name_revision("HATE title")
    titled = MessageKey("discord", scene.community, room, f"title-{thread.id}", revision)
    for key in (named, titled):
        await scene.discord.perform(Delete(), key, ann)
    assert member.nick is None and thread.name == "(title removed)"
    assert await scene.discord.undo(Delete(), named, ann) and member.nick == "HATE nick"
    assert not await scene.discord.undo(Delete(), titled, ann)


async def test_what_is_corrected_to_neutral_ends_the_timeout(scene: Scene) -> None:
    """Wrong label: timeout lifted at once, the deletion listed as what cannot be undone."""
    await scene.enforce(hate=HARSH)
    await scene.server.says(scene.lounge, scene.ann, "HATE")
    await scene.card()
    assert scene.guild.members[scene.ann.id].timed_out
    outcome = await scene.discord.case_service.correct(await scene.case(), "discord:1", Label.NEUTRAL)
    assert not scene.guild.members[scene.ann.id].timed_out
    assert "Taken back: timeout" in outcome.text() and "Cannot be taken back: delete" in outcome.text()


async def test_thrown_out_and_banned_with_a_reason_and_let_in_again(scene: Scene) -> None:
    """A kick cannot be taken back, a ban can; the audit log says why."""
    await scene.server.says(scene.lounge, scene.ann, "hello")
    await scene.settled()
    number = str(max(scene.lounge.messages))
    row = await scene.store.journalled("discord", scene.community, number)
    assert row is not None
    for person, action in ((scene.ann, Kick()), (scene.ben, Ban())):
        await scene.discord.perform(action, row.key, Author(str(person.id), person.name))
        assert person.id not in scene.guild.members
    (kicked,) = scene.server.called("DELETE", r"/members/\d+$")
    (banned,) = scene.server.called("PUT", r"/bans/\d+$")
    assert (
        number in (kicked.reason or "") and banned.reason == kicked.reason and set(scene.guild.bans) == {scene.ben.id}
    )
    assert not await scene.discord.undo(Kick(), row.key, Author(str(scene.ann.id), "Ann"))
    assert await scene.discord.undo(Ban(), row.key, Author(str(scene.ben.id), "Ben"))
    assert not scene.guild.bans


async def test_what_nobody_could_score_is_on_a_card_without_buttons(scene: Scene) -> None:
    """Moderators see the text and what happened; nothing is done, and there is no label to confirm."""

    await scene.enforce()
    message = await scene.server.says(scene.lounge, scene.ann, "HATE, a HUGE one")
    await scene.server.until(lambda: any("a HUGE one" in str(m.embeds) for m in scene.alerts.messages.values()))
    (card,) = [m for m in scene.alerts.messages.values() if "a HUGE one" in str(m.embeds)]
    assert not card.components and not message.deleted
    assert "could not be read by the model" in str(card.embeds) and "Nothing was done" in str(card.embeds)
    (case,) = [case for case in await scene.cases() if case.message.text == "HATE, a HUGE one"]
    answer = await scene.server.runs(scene.mod, scene.lounge, "explain", {"message": str(message.id)})
    assert case.message.state == "failed" and answer.content and say("en", "broken") not in answer.content
