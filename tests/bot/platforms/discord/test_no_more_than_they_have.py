"""Attacks on rights, and their siblings: no text from a room that one cannot see, nothing done by a click that the one
who clicks may not do by hand, no channel that stops being read by the way."""

from dataclasses import replace
from typing import Any

import pytest

from bot.domain.case import Case
from bot.domain.event import Author, Message, MessageKey
from bot.domain.policy import LabelPolicy, Mode
from bot.platforms.discord.who_may import COMMANDS
from bot.text.language import say
from model.labels import Label
from tests.bot.platforms.discord.conftest import Scene, ago
from tests.bot.platforms.discord.test_rights import Court, court, forged, kept, url
from tests.simulators.discord_server import Channel, User

__all__ = ["court"]
BEYOND = say("en", "not-allowed-beyond", rights="x").split(" That takes")[0]
HARSH = LabelPolicy(alert_at=0.5, act_at=0.85, actions=("delete", "timeout"), timeout_minutes=30)
BANNING = LabelPolicy(alert_at=0.5, act_at=0.85, actions=("ban",))
HIDDEN = [
    "channel",
    "without history",
    "thread of a channel",
    "private thread",
    "archived private thread",
    "channel that is gone",
    "private thread that is gone",
    "thread of a channel that is gone",
]


def hide(court: Court, place: str) -> Channel:
    """A room that the moderators of the set-up do not see; what is to be gone goes later."""
    if "private thread" in place:
        return court.lounge.add_thread("secret", court.ben, private=True)
    hidden = court.guild.add_channel("hidden")
    right = "read_message_history" if place == "without history" else "view_channel"
    hidden.overwrite(court.guild.everyone, deny=[right])
    hidden.overwrite(court.guild.bot_role, allow=[right])
    return hidden.add_thread("inside", court.ben) if place.startswith("thread") else hidden


def take_away(room: Channel, place: str) -> None:
    """As the place says."""
    if place.startswith("archived"):
        room.change(archived=True)
    if place.endswith("gone"):
        (room.parent if place.startswith("thread of") else room).remove()


def words(court: Court) -> list[Any]:
    """What moderators have said of all cases."""
    found = kept(court)
    return [found["case"], found["correction"]]


@pytest.mark.parametrize("kind", ["moderator", "manager", "who may delete"])
@pytest.mark.parametrize("place", HIDDEN)
async def test_no_text_from_a_room_that_one_cannot_see(court: Court, kind: str, place: str) -> None:
    """By number, by link, by any button, in a digest, in a member's history, in a preview, and as what another text is
    like; also once the room is gone, for then nobody can tell who saw it. Whoever sees everything is shown it."""
    user, room = court.person(kind), hide(court, place)
    message = await court.server.says(room, court.ben, "HATE in secret")
    await court.shown()
    case = (await court.cases())[-1]
    assert case.message.text == "HATE in secret"
    await court.discord.case_service.correct(case, "discord:1", Label.OFFENSIVE)
    take_away(room, place)
    await court.settled()
    before = words(court)
    answers = [
        await court.server.runs(user, court.lounge, "case", {"number": case.id}),
        await court.server.runs(user, court.lounge, "explain", {"message": url(message)}),
        await court.server.runs(user, court.lounge, "explain", {"message": str(message.id)}),
        await court.server.runs(user, court.lounge, "history", {"member": court.ben}),
        await court.server.runs(user, court.lounge, "test", {"text": "HATE"}),
        await forged(court, user, court.lounge, f"domovoi-digest:{case.id}"),
    ]
    for verb in ("explain", "right", "wrong", "label", "undo", "back"):
        argument = ":neutral" if verb == "label" else ""
        answers.append(await forged(court, user, court.lounge, f"domovoi:{verb}:{case.id}{argument}"))
        assert answers[-1].content == say("ru", "case-hidden"), verb
    for answer in answers:
        assert answer.content, "answered"
        assert "secret" not in answer.content + str(answer.embeds) and not answer.components
        assert str(message.id) not in answer.content
    assert words(court) == before
    shown = await court.server.runs(court.owner, court.lounge, "case", {"number": case.id})
    assert "HATE in secret" in str(shown.embeds)
    assert "secret" in (await court.server.runs(court.owner, court.lounge, "test", {"text": "HATE"})).content


async def test_a_preview_shows_nothing_that_one_cannot_read_back(court: Court) -> None:
    """Who sees a channel and not its history is not shown the last messages."""
    user = court.person("moderator")
    await court.server.says(court.lounge, court.ben, "HATE from before")
    court.lounge.overwrite(court.guild.everyone, deny=["read_message_history"])
    court.lounge.overwrite(court.guild.bot_role, allow=["read_message_history"])
    await court.settled()
    assert "HATE" not in (await court.server.runs(user, court.lounge, "preview")).content
    assert "HATE" in (await court.server.runs(court.owner, court.lounge, "preview")).content


async def test_a_case_of_a_linked_group_is_answered_there(court: Court) -> None:
    """A Telegram group shares the community: its texts are shown and decided on in it, and Discord's permission does
    not make them lessons."""
    court.discord.access = replace(court.discord.access, permission="DC-1")
    setup = await court.discord.setup(court.community)
    await court.discord.save_setup(court.discord.guild(court.community), setup.model_copy(update={"learns": True}))  # type: ignore[arg-type]
    key = MessageKey("telegram", court.community, "-1001", "-1001:5")
    said = Message(key, Author("7", "Tim"), "HATE in the group", ago(seconds=1))
    case = await court.discord.case_service.report(said, "somebody", ago(seconds=1))
    before = kept(court)
    for name in ("explain", "right", "wrong", "undo", "back"):
        answer = await forged(court, court.owner, court.lounge, f"domovoi:{name}:{case.id}")
        assert answer.content == say("ru", "no-case", case=str(case.id))
    answer = await court.server.runs(court.owner, court.lounge, "case", {"number": case.id})
    assert answer.content == say("ru", "no-case", case=str(case.id)) and kept(court) == before
    assert not (await court.discord.case_service.correct(case, "discord:1", Label.OFFENSIVE)).case.teaches
    assert "group" not in (await court.server.runs(court.owner, court.lounge, "test", {"text": "HATE"})).content
    own = await court.discord.case_service.correct((await court.cases())[0], "telegram:1", Label.OFFENSIVE)
    assert own.case.teaches, "and a click elsewhere takes nothing from a case of this server"


def person(scene: Scene, *rights: str) -> User:
    """A new member with these rights."""
    who = scene.server.add_user("with " + " and ".join(rights))
    scene.guild.add_member(who, [scene.guild.add_role("role", list(rights))])
    return who


async def acted(scene: Scene, section: LabelPolicy) -> Case:
    """A case about which that was done."""
    await scene.enforce(hate=section)
    await scene.server.says(scene.lounge, scene.ann, "HATE")
    await scene.card()
    return await scene.case()


@pytest.mark.parametrize("section, right", [(HARSH, "moderate_members"), (BANNING, "ban_members")])
async def test_who_may_only_delete_lifts_nothing(scene: Scene, section: LabelPolicy, right: str) -> None:
    """A timeout takes Timeout Members and a ban Ban Members, by Undo and by calling it neutral; a role from /setup
    lends them for its buttons."""
    case = await acted(scene, section)
    deletes, lifts = person(scene, "manage_messages"), person(scene, "manage_messages", right)

    def stands() -> bool:
        member = scene.guild.members.get(scene.ann.id)
        return scene.ann.id in scene.guild.bans or (member is not None and member.timed_out)

    for name in (f"domovoi:undo:{case.id}", f"domovoi:label:{case.id}:neutral"):
        answer = await forged(scene, deletes, scene.lounge, name)
        assert BEYOND in answer.content and say("en", f"right-{right}") in answer.content and stands()
    assert (await scene.case()).state == "open"
    who = lifts if section is HARSH else scene.mod
    assert "Taken back" in (await forged(scene, who, scene.lounge, f"domovoi:undo:{case.id}")).content and not stands()


async def test_nobody_has_the_bot_do_what_they_may_not(scene: Scene) -> None:
    """Who manages the server and may delete turns on no timeouts and bans: not by mode, policy, set-up or resume."""
    manager = person(scene, "manage_guild", "manage_messages")
    assert BEYOND in (await scene.runs(manager, "mode", mode="enforce")).content
    await scene.enforce()
    policy = await scene.pipeline.policy(scene.community)
    for options in ({"preset": "strict"}, {"label": "hate", "act": 61}, {"label": "hate", "actions": "ban"}):
        assert BEYOND in (await scene.runs(manager, "policy", **options)).content
    assert BEYOND in (await forged(scene, manager, scene.lounge, "domovoi-resume")).content
    screen = await scene.runs(manager, "setup")
    await scene.server.clicks(manager, screen, "How strict: standard")
    assert BEYOND in (await scene.server.clicks(manager, screen, "Save")).content
    assert await scene.pipeline.policy(scene.community) == policy
    await scene.runs(manager, "mode", mode="shadow")
    assert (await scene.pipeline.policy(scene.community)).mode is Mode.SHADOW
    full = person(scene, "manage_guild", "manage_messages", "moderate_members")
    await scene.runs(full, "mode", mode="enforce")
    assert (await scene.pipeline.policy(scene.community)).mode is Mode.ENFORCE


async def test_nobody_gives_away_what_they_do_not_have(scene: Scene) -> None:
    """A role from /setup lends the rights of the cards' buttons: only who has them adds one. To save something else,
    and to take one away, takes no more than before."""
    role, manager = scene.guild.add_role("Friends of mine", 0), person(scene, "manage_guild")

    async def saves(user: User, *roles: Any) -> str:
        screen = await scene.runs(user, "setup")
        await scene.server.clicks(
            user, screen, "Warn: in private" if "in private" in screen.content else "Warn: in the channel"
        )
        await scene.server.selects(user, screen, "Roles that moderate", *roles)
        return (await scene.server.clicks(user, screen, "Save")).content

    before = await scene.discord.setup(scene.community)
    assert BEYOND in await saves(manager, scene.mods, role)
    assert await scene.discord.setup(scene.community) == before
    assert "Saved" in await saves(manager, scene.mods)
    assert "Saved" in await saves(scene.owner, scene.mods, role)
    assert "Saved" in await saves(manager)
    assert not (await scene.discord.setup(scene.community)).moderator_roles


async def test_a_channel_that_is_read_does_not_stop_being_read_by_the_way(scene: Scene) -> None:
    """Cards may go to one in which nobody wrote, or that somebody has said is left alone."""

    async def saves(room: Channel, *alone: Channel) -> str:
        screen = await scene.runs(scene.owner, "setup")
        await scene.server.selects(scene.owner, screen, "Channel for cards", room)
        if alone:
            await scene.server.selects(scene.owner, screen, "Channels that are left alone", *alone)
        return (await scene.server.clicks(scene.owner, screen, "Save")).content

    await scene.server.says(scene.lounge, scene.ann, "good morning")
    topic = scene.guild.add_channel("topics")
    await scene.server.says(topic.add_thread("a thread", scene.ann), scene.ann, "good morning")
    await scene.settled()
    for room in (scene.lounge, topic):
        assert "Not saved" in await saves(room)
        assert (await scene.discord.setup(scene.community)).alert_room == str(scene.alerts.id)
    await scene.server.says(scene.lounge, scene.ann, "HATE")
    await scene.card()
    assert "Saved" in await saves(scene.guild.add_channel("new"))
    assert "Saved" in await saves(scene.lounge, scene.lounge)


async def test_a_code_of_a_manager_no_more_links_nothing(scene: Scene) -> None:
    """Discord is asked when the code is used."""
    manager = person(scene, "manage_guild")
    codes = [(await scene.runs(manager, "link")).content.split("/link ")[1].split("`")[0] for _ in range(2)]
    assert await scene.discord.link_codes.redeem(codes[0]) == scene.community
    scene.guild.members[manager.id].change(roles=[])
    assert await scene.discord.link_codes.redeem(codes[1]) is None


async def test_who_moderates_and_does_not_manage_teaches_no_texts_of_their_own(scene: Scene) -> None:
    """An example changes what the community learns: it is for managers, by the button and by the form."""
    shown = await scene.runs(scene.owner, "learning")
    form = await scene.server.clicks(scene.owner, shown, "Write an example")
    assert not (await scene.runs(scene.mod, "learning")).components
    answer = await scene.server.submits(scene.mod, form, {"text": "you walnut", "label": ["hate"]})
    assert answer.content == say("en", "not-allowed-manager")
    assert not await scene.store.corrections(scene.community)


async def test_every_command_that_is_registered_is_in_the_table(scene: Scene) -> None:
    """And the other way round, subcommands among them."""
    found = set()
    for command in [one for known in scene.server.commands.values() for one in known.values()]:
        under = [option["name"] for option in command.get("options", []) if option["type"] == 1]
        found |= {f"{command['name']} {name}" for name in under} or {command["name"]}
    assert found == set(COMMANDS)
