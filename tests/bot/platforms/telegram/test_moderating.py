"""What happens to a message on Telegram: from the first word to the button a moderator presses."""

import asyncio
import time
from collections.abc import Iterator
from typing import Any

import pytest

from bot.domain.action import Action, Ban, Delete, Kick, Timeout
from bot.domain.event import Author, MessageKey
from bot.domain.platform import Gone, MissingPermission, RateLimited, Unreachable
from bot.domain.policy import LabelPolicy, Strikes
from tests.bot.platforms.telegram.conftest import Scene
from tests.simulators.telegram_state import Message

HARSH = LabelPolicy(alert_at=0.5, act_at=0.85, actions=("delete", "timeout"), timeout_minutes=30)


def labels(card: Message) -> list[str]:
    """The texts on its buttons."""
    return [button["text"] for button in card.buttons]


async def test_in_shadow_mode_a_card_appears_and_the_message_stays(scene: Scene) -> None:
    """The moderators see who wrote what, and what would have been done."""
    message = await scene.server.says(scene.group, scene.ann, "HATE <b>&")
    card = await scene.card()
    assert not message.deleted and "<pre>HATE &lt;b&gt;&amp;</pre>" in card.text
    assert f'tg://user?id={scene.ann.id}">Ann</a>' in card.text and f"/{message.id}" in card.text
    assert "action threshold of 85 %" in card.text and "Would have done: delete (shadow mode)" in card.text
    assert labels(card) == ["👍 Correct", "👎 Wrong label", "Explain"]
    assert all(len(button["callback_data"].encode()) <= 64 for button in card.buttons)


async def test_enforced_deleted_and_silenced(scene: Scene) -> None:
    """What the policy says is done, once."""
    await scene.enforce(hate=HARSH)
    message = await scene.server.says(scene.group, scene.ann, "HATE")
    card = await scene.card()
    assert message.deleted and scene.group.members[scene.ann.id].status == "restricted"
    assert abs(scene.group.members[scene.ann.id].until - time.time() - 1800) < 60
    assert "Done: delete, timeout for 30 minutes" in card.text and "Undo" in labels(card)


async def test_the_author_is_warned_alone_or_in_the_room(scene: Scene) -> None:
    """In private where they have ever written to the bot, else in the group, by name."""
    await scene.enforce(hate=LabelPolicy(alert_at=0.5, act_at=0.85, actions=("warn",)))
    scene.ann.started = True
    await scene.server.says(scene.group, scene.ann, "HATE one")
    await scene.card()
    (private,) = scene.server.by_bot(scene.server.private(scene.ann))
    assert "Friends" in private.text and not scene.server.by_bot(scene.group)
    await scene.server.says(scene.group, scene.ben, "HATE two")
    await scene.cards(2)
    (public,) = scene.server.by_bot(scene.group)
    assert f'tg://user?id={scene.ben.id}">Ben</a>' in public.text


async def test_channels_and_anonymous_administrators(scene: Scene) -> None:
    """A channel somebody writes as can be banned and not silenced; the group itself and its own channel moderate."""
    await scene.enforce(hate=LabelPolicy(alert_at=0.5, act_at=0.85, actions=("ban",)))
    channel = scene.server.add_group("Loud channel")
    await scene.server.says(scene.group, channel, "HATE one")
    await scene.card()
    assert scene.group.banned_chats == {channel.id}
    await scene.server.says(scene.group, scene.group, "HATE by an anonymous administrator")
    await scene.server.says(scene.group, scene.server.add_group("Ours"), "HATE two", is_automatic_forward=True)
    await scene.cards(3)
    flags = [case.decision.flags for case in await scene.cases()]
    assert flags.count(("moderator",)) == 2 and len(scene.group.banned_chats) == 1
    key = (await scene.cases())[0].message.key
    with pytest.raises(MissingPermission, match="only be banned"):
        await scene.telegram.perform(Timeout(5), key, Author(str(channel.id), "Loud channel"))
    assert await scene.telegram.undo(Ban(), key, Author(str(channel.id), "Loud channel"))
    assert not scene.group.banned_chats


async def test_administrators_are_shown_and_never_punished(scene: Scene) -> None:
    """Asked of Telegram, so an administrator of today counts today."""
    await scene.enforce(hate=HARSH)
    for person in (scene.mod, scene.owner):
        message = await scene.server.says(scene.group, person, f"HATE {person.first_name}")
        await scene.settled()
        assert not message.deleted
    assert all("moderator" in case.decision.flags for case in await scene.cases())


def actions() -> Iterator[tuple[Action, str]]:
    """Each action and the call that undoes it, if any."""
    yield Timeout(5), "restrictChatMember"
    yield Ban(2), "unbanChatMember"
    yield Ban(), "unbanChatMember"
    yield Kick(), ""
    yield Delete(), ""


async def test_each_action_and_its_undoing(scene: Scene) -> None:
    """Silenced, banned for two hours, for good, thrown out; lifted where Telegram allows it."""
    await scene.server.says(scene.group, scene.ann, "hello")
    await scene.settled()
    key = MessageKey("telegram", scene.community, str(scene.group.id), f"{scene.group.id}:1")
    ann, member = Author(str(scene.ann.id), "Ann"), scene.group.members[scene.ann.id]
    expected = {"timeout": "restricted", "ban": "kicked", "kick": "left", "delete": "member"}
    for action, undoes in actions():
        scene.server.join(scene.group, scene.ann)
        await scene.telegram.perform(action, key, ann)
        member = scene.group.members[scene.ann.id]
        assert member.status == expected[action.name]
        assert await scene.telegram.undo(action, key, ann) is bool(undoes)
        if undoes:
            assert scene.group.members[scene.ann.id].status in ("member", "left")
    ends = [call.data["until_date"] for call in scene.server.called("banChatMember") if call.data.get("until_date")]
    assert len(ends) == 2 and abs(ends[0] - time.time() - 7200) < 60 and ends[1] - time.time() <= 60


async def test_errors_become_the_familys(scene: Scene) -> None:
    """What the caller does next is in the error's name; an administrator is not even asked about."""
    key = MessageKey("telegram", scene.community, str(scene.group.id), f"{scene.group.id}:1")
    ben = Author(str(scene.ben.id), "Ben")
    for status, error in ((500, Unreachable), ("reset", Unreachable), (429, RateLimited), (403, Gone)):
        scene.server.fail("banChatMember", status, times=1)
        with pytest.raises(error):
            await scene.telegram.perform(Ban(), key, ben)
    with pytest.raises(Gone):
        await scene.telegram.perform(Delete(), key, ben)
    for person in (scene.owner, scene.mod):
        with pytest.raises(MissingPermission, match="owner or to an administrator"):
            await scene.telegram.perform(Ban(), key, Author(str(person.id), "X"))
    scene.group.members[scene.server.bot.id].rights["can_restrict_members"] = False
    with pytest.raises(MissingPermission, match="Ban users"):
        await scene.telegram.perform(Timeout(5), key, ben)
    scene.group.type = "group"
    scene.group.members[scene.server.bot.id].rights["can_restrict_members"] = True
    with pytest.raises(MissingPermission, match="supergroups only"):
        await scene.telegram.perform(Timeout(5), key, ben)
    name = MessageKey("telegram", scene.community, "names", f"{scene.group.id}:name-7")
    with pytest.raises(MissingPermission, match="only its owner can change"):
        await scene.telegram.perform(Delete(), name, ben)


async def test_without_the_right_moderators_are_told_once(scene: Scene) -> None:
    """The message stays, the card says so, and one notice names the right and where to turn it on."""
    await scene.enforce()
    scene.group.members[scene.server.bot.id].rights["can_delete_messages"] = False
    for number in range(3):
        await scene.server.says(scene.group, scene.ann, f"HATE {number}")
    card = (await scene.cards(3))[0]
    assert "Not all of this was possible" in card.text
    (told,) = [notice for notice in scene.notices if notice.name == "notice-not-possible"]
    assert "older than 48 hours, or I lack the right" in told.text()


async def test_when_telegram_does_not_answer_the_action_comes_later(scene: Scene, monkeypatch: Any) -> None:
    """Refused with 502, reset, asked to wait, and at last done: once."""
    monkeypatch.setattr("bot.pipeline.enforcement.FIRST_WAIT_S", 0.05)
    await scene.enforce()
    for fault in (502, "reset", 429):
        scene.server.fail("deleteMessage", fault, times=1)
    message = await scene.server.says(scene.group, scene.ann, "HATE")
    await scene.server.until(lambda: message.deleted, timeout_s=60)
    await scene.settled()
    assert (await scene.case()).message.state == "done"


async def test_a_raid_is_deleted_in_bulk_and_shown_as_one_digest(scene: Scene) -> None:
    """Forty at once: few calls, one message to the moderators, and each case can be gone through."""
    await scene.enforce(max_actions_per_hour=1000, strikes=Strikes(timeout_at=None))
    scene.server.limit_per_minute = 20
    messages = [await scene.server.says(scene.group, scene.ann, f"HATE {n}") for n in range(40)]
    await scene.server.until(lambda: all(message.deleted for message in messages), timeout_s=60)
    deletions = scene.server.called("deleteMessage") + scene.server.called("deleteMessages")
    assert len(deletions) < 20
    await scene.server.until(
        lambda: any("40 messages by one author" in m.text for m in scene.server.by_bot(scene.board)), timeout_s=60
    )
    assert len(scene.server.by_bot(scene.board)) <= 2
    digest = next(m for m in scene.server.by_bot(scene.board) if "need a look" in m.text)
    await scene.server.clicks(scene.mod, digest, "Go through them")
    await scene.server.until(lambda: scene.server.by_bot(scene.board)[-1] is not digest)
    walker = scene.server.by_bot(scene.board)[-1]
    seen = set()
    for _ in range(3):
        seen.add(walker.text.split("<pre>")[1].split("</pre>")[0])
        assert "Recorded: hate" in await scene.server.clicks(scene.mod, walker, "👍 Correct")
        await scene.server.clicks(scene.mod, walker, "Go through them")
        await asyncio.sleep(0.05)
    assert len(seen) == 3
    assert sum(case.state == "confirmed" for case in await scene.cases()) == 3


async def test_what_nobody_could_score_is_on_a_card_without_buttons(scene: Scene) -> None:
    """Moderators see the text and what happened; nothing is done, and there is no label to confirm."""

    await scene.enforce()
    message = await scene.server.says(scene.group, scene.ann, "HATE, a HUGE one")
    await scene.server.until(lambda: any("a HUGE one" in m.text for m in scene.server.by_bot(scene.board)))
    (card,) = [m for m in scene.server.by_bot(scene.board) if "a HUGE one" in m.text]
    assert not card.buttons and not message.deleted
    assert "could not be read by the model" in card.text and "Nothing was done" in card.text
