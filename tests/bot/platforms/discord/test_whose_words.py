"""Titles, names and quotes are laid to whoever wrote them, and never punished."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from bot.domain.policy import LabelPolicy
from tests.bot.platforms.discord.conftest import Scene, ago, serving
from tests.simulators.discord_server import DiscordServer

HARSH = LabelPolicy(alert_at=0.5, act_at=0.85, actions=("delete", "warn", "timeout", "ban"))


async def test_a_title_a_moderator_wrote_into_anothers_thread(scene: Scene) -> None:
    """It is the moderator's, whoever opened the thread, and one case."""
    await scene.enforce(hate=HARSH)
    thread = await scene.server.opens(scene.lounge, scene.ann, "a question")
    await scene.settled()
    await scene.server.renames(thread, scene.mod, "HATE title")
    case = await scene.case()
    assert case.author.name == "Mo" and case.message.text == "HATE title"
    assert case.decision.band == "alert" and thread.name == "HATE title"


async def test_a_title_nobody_is_known_for(scene: Scene) -> None:
    """Without Discord's message it is laid to nobody, and the card says so."""
    thread = await scene.server.opens(scene.lounge, scene.ann, "a question")
    await scene.settled()
    await scene.server.renames(thread, scene.mod, "HATE title", told=False)
    case = await scene.case()
    assert (case.author.id, case.author.name) == ("", "")
    (author,) = [one["value"] for one in (await scene.card()).embeds[0]["fields"] if one["name"] == "Author"]
    assert author == "`not known`"


async def test_a_new_threads_title_is_judged_once(scene: Scene) -> None:
    """Discord's message repeats it; it is its owner's."""
    await scene.enforce(hate=HARSH)
    await scene.server.opens(scene.lounge, scene.ann, "HATE title")
    case = await scene.case()
    assert case.author.name == "Ann" and scene.read["HATE title"] == 1
    assert not scene.guild.members[scene.ann.id].timed_out and scene.ann.id not in scene.guild.bans


async def test_a_title_given_while_the_bot_was_away(tmp_path: Path) -> None:
    """It is whoever wrote it according to Discord's message, not the thread's owner."""
    async with DiscordServer() as server:
        scene = Scene(server)
        async with serving(scene, tmp_path):
            await server.says(scene.lounge, scene.ann, "hello")
            await scene.settled()
        thread = await server.opens(scene.lounge, scene.ann, "a question")
        await server.renames(thread, scene.mod, "HATE title")
        async with serving(scene, tmp_path):
            async with asyncio.timeout(60):
                while not (cases := await scene.cases()):
                    await asyncio.sleep(0.02)
        assert [case.author.name for case in cases] == ["Mo"]


@pytest.mark.parametrize("kind", [27, 31])
async def test_a_stages_topic_is_a_title(scene: Scene, kind: int) -> None:
    """Whoever set it is shown with it; when the stage ends, Discord repeats it."""
    await scene.enforce(hate=HARSH)
    stage = scene.guild.add_channel("stage", "stage")
    await scene.server.says(stage, scene.ann, "HATE topic", type=kind)
    await scene.server.says(stage, scene.mod, "HATE topic", type=28)
    case = await scene.case()
    assert (case.author.name, case.decision.flags) == ("Ann", ("title",))


@pytest.mark.parametrize("told", [True, False])
async def test_a_title_of_a_thread_that_was_archived(scene: Scene, told: bool) -> None:
    """The bot did not know the thread: it is laid to whoever Discord names, else to nobody."""
    thread = scene.lounge.add_thread("a question", scene.ann, archived=True)
    await scene.settled()
    thread.archived = False
    await scene.server.renames(thread, scene.mod, "HATE title", told=told)
    async with asyncio.timeout(60):
        while not (cases := await scene.cases()):
            await asyncio.sleep(0.02)
    assert [case.author.name for case in cases] == ["Mo" if told else ""]


async def test_a_voice_channels_status(scene: Scene) -> None:
    """It is read; nobody is blamed, for Discord does not say who set it."""
    await scene.server.describes(scene.voice, "good evening")
    await scene.server.describes(scene.voice, None)
    await scene.server.describes(scene.voice, "HATE status")
    case = await scene.case()
    assert (case.message.text, case.author.id, case.message.key.room) == ("HATE status", "", str(scene.voice.id))


@pytest.mark.parametrize(
    "field",
    [{"name": "HATE"}, {"description": "HATE"}, {"entity_metadata": {"location": "HATE"}}, {"slogan": ["HATE"]}],
    ids=["name", "description", "place", "a field of tomorrow"],
)
async def test_scheduled_events(scene: Scene, field: dict[str, Any]) -> None:
    """A new one is its creator's; a change is nobody's."""
    await scene.server.plans(scene.guild, scene.ben, **field)
    harmless = await scene.server.plans(scene.guild, scene.ben)
    await scene.settled()
    await scene.server.plans(scene.guild, scene.ben, harmless, **field)
    first, second = await scene.cases()
    assert "HATE" in first.message.text and "HATE" in second.message.text
    assert (first.author.name, second.author.name) == ("Ben", "")


async def test_a_scheduled_event_made_while_the_bot_was_away(tmp_path: Path) -> None:
    """It comes with the server, each time the bot connects, and is judged once."""
    async with DiscordServer() as server:
        scene = Scene(server)
        await server.plans(scene.guild, scene.ben, name="HATE party")
        for _ in range(2):
            async with serving(scene, tmp_path):
                async with asyncio.timeout(60):
                    while not (cases := await scene.cases()):
                        await asyncio.sleep(0.02)
                assert [case.message.text for case in cases] == ["HATE party\nsomewhere"]


async def test_a_forward_of_another_members_message_alerts_at_most(scene: Scene) -> None:
    """Whoever shows it did not write it; what they add is theirs."""
    await scene.enforce(hate=HARSH)
    toxic = scene.server.remembers(scene.alerts, scene.ann, "HATE original")
    shown = await scene.server.says(scene.lounge, scene.ben, forward=toxic)
    case = await scene.case()
    assert case.author.name == "Ben" and case.decision.flags == ("quoted",)
    assert "HATE original" in case.message.quoted and not case.message.text and not shown.deleted
    assert "> HATE original" in (await scene.card()).embeds[0]["description"]
    assert not scene.guild.members[scene.ben.id].timed_out and scene.ben.id not in scene.guild.bans


async def test_a_reply_that_repeats_what_it_answers_alerts_at_most(scene: Scene) -> None:
    """Quoted in order to object; a line of the author's own behind ">" is theirs."""
    await scene.enforce(hate=HARSH)
    toxic = scene.server.remembers(scene.lounge, scene.ann, "look: HATE words")
    answer = await scene.server.says(scene.lounge, scene.ben, "> HATE words\nnot nice", reply_to=toxic)
    (case,) = await scene.cases()
    assert (case.message.text, case.message.quoted, case.decision.band) == (
        "not nice",
        "HATE words",
        "alert",
    )
    own = await scene.server.says(scene.lounge, scene.ben, "> HATE of my own", reply_to=toxic)
    await scene.cases()
    assert own.deleted and not answer.deleted


async def test_what_others_do_to_a_message_changes_no_word(scene: Scene) -> None:
    """A reaction, a vote and a thread on it are not the author's."""
    await scene.enforce(hate=HARSH)
    message = await scene.server.says(scene.lounge, scene.ann, "hello")
    emoji = {"id": "1", "name": "HATE"}
    more = {"reactions": [{"emoji": emoji, "count": 1, "me": False}], "mentions": [{"id": "5", "username": "HATE"}]}
    scene.server.update(message, edited=False, **more)
    assert not await scene.cases() and scene.read["hello"] == 1


async def test_names_only_alert_and_show_no_room(scene: Scene) -> None:
    """Above a bar of their own; no action, no warning, and no "<#0>" on the card, in /history or /case."""
    await scene.enforce(hate=HARSH, offensive=LabelPolicy(alert_at=0.5, act_at=0.7, actions=("warn", "timeout")))
    scene.guild.members[scene.ann.id].nick = "HATE nick"
    scene.guild.members[scene.ben.id].nick = "RUDE nick"
    await scene.server.says(scene.lounge, scene.ann, "hello")
    await scene.server.says(scene.lounge, scene.ben, "hello")
    case = await scene.case()
    assert case.message.text == "HATE nick" and case.decision.flags == ("name",)
    card = await scene.card()
    shown = str(card.embeds) + str((await scene.runs(scene.mod, "case", number=case.id)).embeds)
    shown += (await scene.runs(scene.mod, "history", member=scene.ann)).content
    assert "It is a name" in shown and "<#0>" not in shown and "/0" not in shown
    assert scene.guild.members[scene.ann.id].nick == "HATE nick" and not scene.guild.members[scene.ann.id].timed_out
    assert not scene.server.dm(scene.ann).messages


async def test_a_message_of_a_kind_nobody_knows_is_told_once(tmp_path: Path) -> None:
    """By type, by field or by component; also after a restart, and ordinary messages without words are quiet."""
    async with DiscordServer() as server:
        scene = Scene(server)
        for _ in range(2):
            async with serving(scene, tmp_path):
                for _ in range(2):
                    await server.says(scene.lounge, scene.ann, type=99)
                    await server.says(scene.lounge, scene.ann, hologram={"frames": [1]})
                await server.says(scene.lounge, scene.ann, type=7)
                await server.says(scene.lounge, scene.ann, type=6)
                await scene.settled()
                assert not await scene.cases()
                rows = await scene.store.counts(scene.community, ago(days=1))
                assert rows.messages >= 4
        told = [notice.arguments["kind"] for notice in scene.notices if notice.name == "notice-unknown-kind"]
        assert sorted(told) == ["hologram", "type 99"]


@pytest.mark.parametrize(
    ("fields", "shown"),
    [
        ({"attachments": [{"filename": "holiday.png", "content_type": "image/png"}]}, "holiday.png"),
        ({"attachments": [{"filename": "voice-message.ogg", "waveform": "AAAA"}]}, "voice-message.ogg"),
        ({"sticker_items": [{"id": "1", "name": "wave", "format_type": 1}]}, "wave"),
        ({"embeds": [{"type": "image", "thumbnail": {"url": "https://example.org/a.png"}}]}, "[photo]"),
        ({"components": [{"type": 12, "items": [{"media": {"url": "https://example.org/a.png"}}]}]}, "[photo]"),
        ({"type": 99}, "[of a kind I do not know: type 99]"),
    ],
    ids=["photo", "voice", "sticker", "linked picture", "gallery", "unknown"],
)
async def test_a_report_of_what_has_no_words(scene: Scene, fields: dict[str, Any], shown: str) -> None:
    """Moderators see what there is."""
    for attachment in fields.get("attachments", ()):
        attachment |= {"id": "1", "size": 1, "url": "https://example.org/a", "proxy_url": ""}
    message = await scene.server.says(scene.lounge, scene.ann, **fields)
    answer = await scene.runs(scene.ben, "report", message=str(message.id))
    assert "moderators see it" in answer.content
    posted = scene.alerts.messages
    await scene.server.until(lambda: any(shown in str(card.embeds) for card in posted.values()))


async def test_case_and_history_show_only_rooms_the_asker_can_see(scene: Scene) -> None:
    """A closed channel, a private thread that is archived, a channel that is gone; the owner sees them all."""
    closed, gone = scene.guild.add_channel("closed"), scene.guild.add_channel("gone")
    private = scene.lounge.add_thread("a private thread", scene.ben, private=True)
    for room in (scene.lounge, closed, gone, private):
        await scene.server.says(room, scene.ann, f"HATE {room.name}")
        await scene.settled()
    closed.overwrite(scene.mods, deny=["view_channel"])
    private.change(archived=True)
    gone.remove()
    await scene.settled()
    cases = {case.message.text.removeprefix("HATE "): case.id for case in await scene.cases()}
    seen = {name for name, number in cases.items() if (await scene.runs(scene.mod, "case", number=number)).embeds}
    history = (await scene.runs(scene.mod, "history", member=scene.ann)).content
    assert seen == {"lounge"} == {name for name, number in cases.items() if f"case {number}" in history}
    assert "one case" in history
    everything = (await scene.runs(scene.owner, "history", member=scene.ann)).content
    assert "4 cases" in everything
