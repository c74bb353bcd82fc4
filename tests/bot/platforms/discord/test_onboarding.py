"""The first ten minutes: added to a server, greeted, set up, looked at, and then switched on."""

import json
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from bot.domain.action import Ban
from bot.domain.event import Author
from bot.domain.policy import Mode, preset_of
from bot.platforms.discord.events import community_of
from bot.platforms.discord.rights import NEEDED, invite
from bot.store.timed_bans import TimedBan
from tests.bot.platforms.discord.conftest import Scene, ago, serving
from tests.simulators.discord_server import DiscordServer


@pytest.fixture
async def fresh(tmp_path: Path) -> AsyncIterator[Scene]:
    """The bot was on this server before it was ever started, and nobody has set anything up."""
    async with DiscordServer() as server, serving(Scene(server), tmp_path, set_up=False) as opened:
        yield opened


def private(scene: Scene, user: Any) -> list[str]:
    """What the bot wrote to somebody alone."""
    return [message.content for message in scene.server.dm(user).messages.values()]


def test_the_invite_asks_for_exactly_what_is_needed() -> None:
    """Bot and commands, eleven rights, no administrator."""
    link = invite(123)
    assert "client_id=123" in link and "bot+applications.commands" in link.replace("%20", "+")
    bits = int(link.split("permissions=")[1].split("&")[0])
    assert bits.bit_count() == len(NEEDED) == 11 and not bits & 1 << 3


async def test_the_owner_is_greeted_once(fresh: Scene, tmp_path: Path) -> None:
    """One private message that says what to do next; none after another start, none to anybody else."""
    await fresh.server.until(lambda: private(fresh, fresh.owner))
    (text,) = private(fresh, fresh.owner)
    assert "/setup" in text and "shadow mode" in text and "/mode enforce" in text and "Friends" in text
    assert (await fresh.pipeline.policy(fresh.community)).mode is Mode.SHADOW


async def test_who_adds_the_bot_later_is_greeted_too(fresh: Scene) -> None:
    """In the server's own language; in the system channel where the owner takes no private messages."""
    shy = fresh.server.add_user("shy", dms_closed=True)
    other = fresh.server.add_guild("Друзья", owner=shy, bot=False)
    other.locale = "ru"
    hall = other.add_channel("hall")
    await fresh.server.adds_bot(other)
    await fresh.server.until(lambda: hall.messages)
    (message,) = hall.messages.values()
    assert "Здравствуйте" in message.content
    assert (await fresh.discord.setup(community_of(other.id))).language == "ru"


async def test_what_was_said_before_is_not_read(tmp_path: Path) -> None:
    """A fresh install replays nothing."""
    async with DiscordServer() as server:
        scene = Scene(server)
        server.remembers(scene.lounge, scene.ann, "HATE of yesterday", at=ago(hours=20))
        async with serving(scene, tmp_path, set_up=False):
            await server.says(scene.lounge, scene.ann, "hello")
            await scene.settled()
            assert scene.classifier.batches == [["hello"], ["Ann"]] or ["hello"] in scene.classifier.batches
            assert not any("HATE" in text for batch in scene.classifier.batches for text in batch)


async def test_set_up_on_one_screen(fresh: Scene) -> None:
    """Channel, moderators, exemptions, preset, language and warnings: nothing holds before Save, everything after."""
    server = fresh.server
    screen = await fresh.runs(fresh.owner, "setup")
    assert screen.ephemeral and "Cards: none" in screen.content
    await server.selects(fresh.owner, screen, "Channel for cards", fresh.alerts)
    await server.selects(fresh.owner, screen, "Roles that moderate", fresh.mods)
    await server.selects(fresh.owner, screen, "Channels that are left alone", fresh.voice)
    await server.clicks(fresh.owner, screen, "How strict: standard")
    await server.clicks(fresh.owner, screen, "Warn: in private")
    assert "strict" in screen.content and f"<#{fresh.alerts.id}>" in screen.content
    assert not (await fresh.discord.setup(fresh.community)).alert_room
    saved = await server.clicks(fresh.owner, screen, "Save")
    assert "Saved" in saved.content and "shadow" in saved.content
    setup, policy = await fresh.discord.setup(fresh.community), await fresh.pipeline.policy(fresh.community)
    assert setup.alert_room == str(fresh.alerts.id) and setup.moderator_roles == {str(fresh.mods.id)}
    assert setup.warn == "place" and setup.done
    assert preset_of(policy) == "strict" and policy.exempt_rooms == {str(fresh.voice.id)}
    assert policy.mode is Mode.SHADOW
    (first,) = fresh.alerts.messages.values()
    assert "Cards will appear here" in str(first.embeds)
    await server.says(fresh.voice, fresh.ann, "HATE in the exempt channel")
    await server.says(fresh.lounge, fresh.ann, "HATE")
    assert "HATE" in (await fresh.card()).embeds[0]["description"]
    assert [case.message.text for case in await fresh.cases()] == ["HATE"]


async def test_the_set_up_may_be_in_russian(fresh: Scene) -> None:
    """One click, and the screen itself, the cards and the refusals are."""
    screen = await fresh.runs(fresh.owner, "setup")
    await fresh.server.clicks(fresh.owner, screen, "Language: English")
    assert "Настройка" in screen.content
    await fresh.server.selects(fresh.owner, screen, "Канал для карточек", fresh.alerts)
    await fresh.server.clicks(fresh.owner, screen, "Сохранить")
    await fresh.server.says(fresh.lounge, fresh.ann, "HATE")
    card = await fresh.card()
    assert "ненависть" in card.embeds[0]["title"] and "теневой режим" in str(card.embeds)
    refused = await fresh.runs(fresh.ann, "status")
    assert "только модераторы" in refused.content


async def test_a_channel_the_bot_may_not_write_in_is_said_at_once(fresh: Scene) -> None:
    """Saved, with the right, the channel and the fix."""
    fresh.alerts.overwrite(fresh.guild.bot_role, deny=["send_messages"])
    screen = await fresh.runs(fresh.owner, "setup")
    await fresh.server.selects(fresh.owner, screen, "Channel for cards", fresh.alerts)
    saved = await fresh.server.clicks(fresh.owner, screen, "Save")
    assert "Saved, but" in saved.content and "Send Messages" in saved.content and "Permissions" in saved.content


async def test_status_names_each_missing_right(scene: Scene) -> None:
    """On the whole server, in one channel, and nothing once it is mended; who moderates sees it, too."""
    fine = await scene.runs(scene.mod, "status")
    assert "every right I need" in fine.content and "shadow" in fine.content and f"<#{scene.alerts.id}>" in fine.content
    scene.guild.bot_role.deny(["manage_messages"])
    scene.lounge.overwrite(scene.guild.bot_role, deny=["read_message_history"])
    await scene.server.until(lambda: "manage_messages" in str(scene.discord.problems))
    told = await scene.runs(scene.mod, "status")
    assert "Manage Messages" in told.content and "Server Settings → Roles" in told.content
    assert f"<#{scene.lounge.id}>" in told.content and "Read Message History" in told.content
    await scene.server.until(lambda: "Manage Messages" in str([m.content for m in scene.alerts.messages.values()]))
    scene.guild.bot_role.allow(["manage_messages"])
    scene.lounge.overwrite(scene.guild.bot_role, allow=["read_message_history"])
    await scene.server.until(lambda: not scene.discord.problems[scene.community])
    assert "every right I need" in (await scene.runs(scene.mod, "status")).content


async def test_a_policy_that_times_out_needs_another_right(scene: Scene) -> None:
    """The check follows the policy: a right that no action uses is not asked for."""
    scene.guild.bot_role.deny(["ban_members"])
    assert "every right I need" in (await scene.runs(scene.mod, "status")).content
    answer = await scene.runs(scene.owner, "policy", label="hate", actions="delete, ban")
    assert "ban for good" in answer.content
    assert "Ban Members" in (await scene.runs(scene.mod, "status")).content


async def test_shadow_until_somebody_says_enforce(scene: Scene) -> None:
    """And back, by whoever manages the server."""
    first = await scene.server.says(scene.lounge, scene.ann, "HATE one")
    await scene.card()
    assert not first.deleted
    assert "Enforce" in (await scene.runs(scene.owner, "mode", mode="enforce")).content
    second = await scene.server.says(scene.lounge, scene.ann, "HATE two")
    await scene.server.until(lambda: second.deleted)
    assert "Shadow" in (await scene.runs(scene.owner, "mode", mode="shadow")).content
    third = await scene.server.says(scene.lounge, scene.ann, "HATE three")
    await scene.cards(3)
    assert not third.deleted


async def test_the_policy_is_changed_by_numbers(scene: Scene) -> None:
    """A preset, then one threshold; what does not fit changes nothing and says why."""
    assert "strict" in (await scene.runs(scene.owner, "policy", preset="strict")).content
    answer = await scene.runs(scene.owner, "policy", label="offensive", alert=60, act=90)
    assert "cards from 60 %, action from 90 %" in answer.content and "own numbers" in answer.content
    for wrong, words in (
        ({"label": "offensive", "alert": 95}, "above"),
        ({"alert": 20}, "Which label"),
        ({"label": "hate", "actions": "tickle"}, "does not fit"),
    ):
        answer = await scene.runs(scene.owner, "policy", **wrong)
        assert words in answer.content, answer.content
    assert (await scene.pipeline.policy(scene.community)).offensive.alert_at == 0.6


async def test_a_preview_of_the_last_messages_keeps_nothing(scene: Scene) -> None:
    """What would have been done with what was said before the bot came; journal and cases stay empty."""
    for number in range(30):
        text = "HATE of old" if number % 10 == 0 else f"hello {number}"
        scene.server.remembers(scene.lounge, scene.ann, text, at=ago(hours=2, seconds=number))
    answer = await scene.runs(scene.mod, "preview")
    assert "Of the last 30 messages" in answer.content and "3 would have made a card" in answer.content
    assert "3 would have been acted on" in answer.content and "`HATE of old`" in answer.content
    assert not await scene.store.cases(scene.community)
    assert not await scene.store.messages(scene.community, ago(days=1))


async def test_a_ban_for_hours_ends(scene: Scene, tmp_path: Path) -> None:
    """Discord knows only bans for good, so the bot lifts its own; somebody else's stays."""
    await scene.server.says(scene.lounge, scene.ann, "hello")
    await scene.settled()
    row = await scene.store.journalled("discord", scene.community, str(max(scene.lounge.messages)))
    assert row is not None
    for person in (scene.ann, scene.ben):
        await scene.discord.perform(Ban(2), row.key, Author(str(person.id), person.name))
    assert set(scene.guild.bans) == {scene.ann.id, scene.ben.id}
    scene.guild.ban(scene.ben, "a moderator's own reason")
    now = datetime.now(UTC)
    assert not await scene.store.timed_bans.due("discord", now + timedelta(minutes=119))
    for lift in await scene.store.timed_bans.due("discord", now + timedelta(minutes=121)):
        await scene.discord._action_calls.lift(lift)
    assert set(scene.guild.bans) == {scene.ben.id}
    assert not await scene.store.timed_bans.due("discord", now + timedelta(days=9))
    scene.guild.ban(scene.ann, "Domovoi: automatic moderation")
    await scene.store.timed_bans.plan(TimedBan("discord", scene.community, str(scene.ann.id), now))
    async with serving(scene, tmp_path):  # started anew, it goes on with what was planned
        await scene.server.until(lambda: set(scene.guild.bans) == {scene.ben.id})


async def test_privacy_export_and_erasure(scene: Scene) -> None:
    """A member sees what is kept, has it removed, and the card that quoted it forgets it too."""
    await scene.server.says(scene.lounge, scene.ann, "hello there")
    await scene.server.says(scene.lounge, scene.ann, "HATE")
    await scene.server.says(scene.lounge, scene.ben, "HATE of ben")
    await scene.cards(2)
    assert "sealed" in (await scene.runs(scene.ann, "privacy")).content
    export = await scene.runs(scene.ann, "mydata export")
    (file,) = export.message.data["attachments"]  # type: ignore[union-attr]
    (call,) = [call for call in scene.server.calls if call.files]
    kept = json.loads(call.files[0][1] if isinstance(call.files[0], tuple) else next(iter(call.files.values())))
    texts = {message["text"] for message in kept["messages"]}
    assert file["filename"] == "mydata.json" and {"hello there", "HATE"} <= texts and "HATE of ben" not in texts
    assert "removed" in (await scene.runs(scene.ann, "mydata erase")).content
    mine = next(case for case in await scene.cases() if not case.message.text)
    assert mine.author.name != "Ann"
    await scene.server.until(lambda: any("no longer kept" in str(m.embeds) for m in scene.alerts.messages.values()))
    assert "no text of yours" in (await scene.runs(scene.ann, "mydata export")).content


async def test_learning_needs_the_operators_permission_and_the_servers_consent(scene: Scene) -> None:
    """Without both a correction teaches nothing and says so; a moderator's own example always teaches."""
    await scene.server.says(scene.lounge, scene.ann, "HATE")
    card = await scene.card()
    assert "recorded no permission" in (await scene.runs(scene.ann, "learning")).content
    answer = await scene.server.clicks(scene.mod, card, "👍 Correct")
    assert "teaches nothing" in answer.content
    scene.discord.access = replace(scene.discord.access, permission="DC-2026-17")
    shown = await scene.runs(scene.owner, "learning")
    assert "has not agreed" in shown.content
    assert "teach" in (await scene.server.clicks(scene.owner, shown, "Let corrections teach")).content
    await scene.server.says(scene.lounge, scene.ben, "HATE two")
    second = (await scene.cards(2))[1]
    assert "next refresh learns" in (await scene.server.clicks(scene.mod, second, "👍 Correct")).content
    form = await scene.server.clicks(scene.owner, await scene.runs(scene.owner, "learning"), "Write an example")
    done = await scene.server.submits(scene.owner, form, {"text": "you walnut", "label": ["neutral"]})
    assert "neutral" in done.content
    taught = await scene.store.corrections(scene.community)
    assert ("you walnut", "neutral") in taught and ("HATE two", "hate") in taught


async def test_what_is_missing_at_the_start_is_said(tmp_path: Path) -> None:
    """One notice where cards go, with each right, where, and the fix."""
    async with DiscordServer() as server:
        scene = Scene(server)
        scene.guild.bot_role.deny(["manage_messages"])
        scene.voice.overwrite(scene.guild.bot_role, deny=["read_message_history"])
        async with serving(scene, tmp_path):
            await server.until(lambda: any("rights are missing" in m.content for m in scene.alerts.messages.values()))
            (notice,) = scene.alerts.messages.values()
            assert "Manage Messages" in notice.content and "Server Settings → Roles" in notice.content
            assert f"<#{scene.voice.id}>" in notice.content and "Read Message History" in notice.content
