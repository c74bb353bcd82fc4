"""What a person has decided on Discord stands: never shorter, never lifted, and given back as it was."""

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from bot.domain.action import Action, Ban, Delete, Kick, Timeout
from bot.domain.event import Author, MessageKey
from bot.domain.platform import Gone, Unreachable
from bot.domain.policy import LabelPolicy, Strikes
from bot.domain.restriction import Unchanged
from bot.platforms.discord.events import name_revision
from tests.bot.platforms.discord.conftest import Scene, serving
from tests.bot.platforms.discord.test_moderating import fields
from tests.simulators.discord_server import DiscordServer


def key(scene: Scene, number: int = 1) -> MessageKey:
    return MessageKey("discord", scene.community, str(scene.lounge.id), str(10**17 + number))


def ann(scene: Scene) -> Author:
    return Author(str(scene.ann.id), "Ann")


def until(scene: Scene) -> datetime | None:
    member = scene.guild.members.get(scene.ann.id)
    return member.communication_disabled_until if member is not None else None


def silence(scene: Scene, minutes: float) -> None:
    """A moderator times Ann out."""
    ends = datetime.now(UTC) + timedelta(minutes=minutes)
    scene.guild.members[scene.ann.id].change(communication_disabled_until=ends)


@pytest.mark.parametrize("minutes", [10_080, 11, 40_319])
async def test_a_longer_timeout_is_left(scene: Scene, minutes: int) -> None:
    """Set by a moderator, also while the bot has not heard of it; the action and its undoing leave it."""
    silence(scene, minutes)
    before = until(scene)
    for number in (1, 2):
        unchanged = await scene.discord.perform(Timeout(10), key(scene, number), ann(scene))
        assert isinstance(unchanged, Unchanged) and unchanged.by == "person" and until(scene) == before
        assert isinstance(await scene.discord.undo(Timeout(10), key(scene, number), ann(scene)), Unchanged)
        assert until(scene) == before


@pytest.mark.parametrize("action", [Timeout(10), Ban(2), Ban()])
async def test_a_ban_by_hand_is_left_and_never_lifted(scene: Scene, action: Action) -> None:
    """It gets no end from the bot, and no undoing lets the member in again."""
    scene.guild.ban(scene.ann, "spam")
    unchanged = await scene.discord.perform(action, key(scene), ann(scene))
    assert isinstance(unchanged, Unchanged) and unchanged.standing.kind == "ban"
    assert not await scene.store.timed_bans.due("discord", datetime.now(UTC) + timedelta(days=9))
    assert isinstance(await scene.discord.undo(action, key(scene), ann(scene)), Unchanged)
    assert set(scene.guild.bans) == {scene.ann.id}


async def test_the_bots_own_is_not_made_shorter_either(scene: Scene) -> None:
    """A timeout of a day and then one of five minutes; a ban for good and then one of two hours; and both at once."""
    for first, second in ((Timeout(1440), Timeout(5)), (Ban(), Ban(2)), (Ban(5), Ban(2))):
        await asyncio.gather(
            scene.discord.perform(first, key(scene, 1), ann(scene)),
            scene.discord.perform(second, key(scene, 2), ann(scene)),
        )
        unchanged = await scene.discord.perform(second, key(scene, 3), ann(scene))
        assert unchanged is not None and unchanged.by == "bot"
        due = [
            lift.due_at for lift in await scene.store.timed_bans.due("discord", datetime.now(UTC) + timedelta(days=9))
        ]
        if isinstance(first, Timeout):
            assert (ends := until(scene)) is not None and ends > datetime.now(UTC) + timedelta(minutes=1400)
        else:
            assert set(scene.guild.bans) == {scene.ann.id}
            assert len(due) == (first.hours is not None)
            assert all(abs((at - datetime.now(UTC)).total_seconds() - 5 * 3600) < 60 for at in due)
        for number, action in ((1, first), (2, second), (3, second)):
            await scene.discord.undo(action, key(scene, number), ann(scene))
        assert until(scene) is None and not scene.guild.bans
        if scene.ann.id not in scene.guild.members:
            scene.guild.add_member(scene.ann)


async def test_undo_leaves_what_a_person_set_afterwards(scene: Scene) -> None:
    """Longer or shorter by hand, a ban by hand after a timeout, and another ban after the bot's was lifted."""
    await scene.discord.perform(Timeout(60), key(scene, 1), ann(scene))
    for minutes in (10_080, 5):
        silence(scene, minutes)
        before = until(scene)
        undone = await scene.discord.undo(Timeout(60), key(scene, 1), ann(scene))
        assert isinstance(undone, Unchanged) and undone.by == "person" and until(scene) == before
    scene.guild.members[scene.ann.id].change(communication_disabled_until=None)
    await scene.discord.perform(Timeout(60), key(scene, 2), ann(scene))
    scene.guild.ban(scene.ann, "spam")
    assert isinstance(await scene.discord.undo(Timeout(60), key(scene, 2), ann(scene)), Unchanged)
    assert set(scene.guild.bans) == {scene.ann.id}
    scene.guild.unban(scene.ann)
    scene.guild.add_member(scene.ann)
    await scene.discord.perform(Ban(2), key(scene, 3), ann(scene))
    scene.guild.unban(scene.ann)
    scene.guild.ban(scene.ann, None)
    undone = await scene.discord.undo(Ban(2), key(scene, 3), ann(scene))
    assert isinstance(undone, Unchanged) and set(scene.guild.bans) == {scene.ann.id}
    for lift in await scene.store.timed_bans.due("discord", datetime.now(UTC) + timedelta(days=9)):
        await scene.discord._action_calls.lift(lift)
    assert set(scene.guild.bans) == {scene.ann.id}


async def test_what_a_person_lifted_is_not_put_back(scene: Scene) -> None:
    """A timeout lifted by hand, then another of the bot's and its undoing; and an undoing of nothing."""
    await scene.discord.perform(Timeout(60), key(scene, 1), ann(scene))
    scene.guild.members[scene.ann.id].change(communication_disabled_until=None)
    await scene.discord.perform(Timeout(10), key(scene, 2), ann(scene))
    assert await scene.discord.undo(Timeout(10), key(scene, 2), ann(scene)) is True
    assert until(scene) is None
    assert await scene.discord.undo(Timeout(60), key(scene, 1), ann(scene)) is True and until(scene) is None
    await scene.discord.perform(Timeout(60), key(scene, 3), ann(scene))
    await scene.discord.perform(Ban(2), key(scene, 4), ann(scene))
    scene.guild.unban(scene.ann)
    scene.guild.add_member(scene.ann)
    (lift,) = await scene.store.timed_bans.due("discord", datetime.now(UTC) + timedelta(days=1))
    await scene.discord._action_calls.lift(lift)
    assert until(scene) is None


async def test_undo_gives_back_a_persons_shorter_timeout(scene: Scene) -> None:
    """The bot made it longer; taken back, the moderator's own end counts again."""
    silence(scene, 30)
    before = until(scene)
    await scene.discord.perform(Timeout(60), key(scene), ann(scene))
    assert until(scene) != before
    assert await scene.discord.undo(Timeout(60), key(scene), ann(scene)) is True and until(scene) == before


async def test_a_newer_nickname_stays(scene: Scene) -> None:
    """The bot resets only the name it has read, and gives the old one back only where there is no newer one."""
    name = MessageKey("discord", scene.community, "names", f"name-{scene.ann.id}")
    author, member = Author(str(scene.ann.id), "HATE nick"), scene.guild.members[scene.ann.id]
    member.change(nick="HATE nick")
    await scene.discord.perform(Delete(), name, author)
    assert member.nick is None
    member.change(nick="Annie")
    undone = await scene.discord.undo(Delete(), name, author)
    assert isinstance(undone, Unchanged) and undone.standing.kind == "name" and member.nick == "Annie"
    with pytest.raises(Exception, match="name-"):  # another one by now: there is nothing to reset
        await scene.discord.perform(Delete(), name, author)
    assert member.nick == "Annie"
    assert await scene.discord.undo(Delete(), name, author) is False and member.nick == "Annie"


async def test_a_newer_title_stays(scene: Scene) -> None:
    """Somebody has renamed the thread before the bot came to it."""
    thread = scene.lounge.add_thread("HATE title", scene.ann)
    await scene.settled()
    room = f"{scene.lounge.id}/{thread.id}"
    title = MessageKey("discord", scene.community, room, f"title-{thread.id}", name_revision("HATE title"))
    thread.change(name="Cats")
    with pytest.raises(Gone):
        await scene.discord.perform(Delete(), title, ann(scene))
    assert thread.name == "Cats"


async def test_the_card_says_what_was_left_also_after_a_restart(tmp_path: Path) -> None:
    """What was done beside it is still said to be done; and Undo says what stands in its way."""
    async with DiscordServer() as server:
        scene = Scene(server)
        async with serving(scene, tmp_path):
            harsh = LabelPolicy(alert_at=0.5, act_at=0.85, actions=("delete", "timeout"), timeout_minutes=10)
            await scene.enforce(hate=harsh, strikes=Strikes(timeout_at=None))
            silence(scene, 10_080)
            message = await server.says(scene.lounge, scene.ann, "HATE")
            card = await scene.card()
            assert message.deleted
            why = fields(card)["Why"]
            assert "Done: delete." in why and "Left as a person has set it: may not write until" in why
            silence(scene, 20_000)
            answer = await server.clicks(scene.mod, card, "Undo")
            assert "Not taken back: timeout for 10 minutes. Left as a person has set it" in answer.content
        async with serving(scene, tmp_path, set_up=False):
            scene.discord.delivery.show((await scene.case()).id)
            (card,) = await scene.cards()
            for said in ("Not done: timeout for 10 minutes.", "Not taken back: timeout for 10 minutes."):
                await server.until(lambda: f"{said} Left as a person has set it" in fields(card)["Why"])  # noqa: B023
            assert (ends := until(scene)) is not None and ends > datetime.now(UTC) + timedelta(days=10)


async def test_an_action_that_is_repeated_after_a_crash_is_done_once(scene: Scene, monkeypatch: Any) -> None:
    """Discord took it, and the process ended before it was noted: asked again, it is known to be the bot's own."""
    for action in (Timeout(10), Ban(2)):
        keep = scene.store.restrictions.keep

        async def once(*arguments: Any, keep: Any = keep) -> None:
            if arguments[3].is_set:
                raise OSError("the process ends here")
            await keep(*arguments)

        with monkeypatch.context() as patch:
            patch.setattr(scene.store.restrictions, "keep", once)
            with pytest.raises(Unreachable):
                await scene.discord.perform(action, key(scene), ann(scene))
        before = until(scene), dict(scene.guild.bans)
        assert any(before)
        assert await scene.discord.perform(action, key(scene), ann(scene)) is None
        assert (until(scene), dict(scene.guild.bans)) == before
        assert await scene.discord.undo(action, key(scene), ann(scene)) is True
        assert until(scene) is None and not scene.guild.bans


async def test_a_kick_leaves_a_ban(scene: Scene) -> None:
    """A person's and the bot's own; who is neither here nor banned is gone."""
    with pytest.raises(Gone):
        await scene.discord.perform(Kick(), key(scene), Author("123456789012345678", "nobody"))
    scene.guild.ban(scene.ann, "spam")
    unchanged = await scene.discord.perform(Kick(), key(scene), ann(scene))
    assert unchanged is not None and (unchanged.by, unchanged.standing.kind) == ("person", "ban")
    assert set(scene.guild.bans) == {scene.ann.id}
    await scene.discord.perform(Ban(), key(scene, 2), Author(str(scene.ben.id), "Ben"))
    unchanged = await scene.discord.perform(Kick(), key(scene, 3), Author(str(scene.ben.id), "Ben"))
    assert unchanged is not None and unchanged.by == "bot"
