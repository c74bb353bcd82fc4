"""Who may what: every kind of person tries everything, everywhere; nobody without the right gets through."""

import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from bot.domain.policy import Mode
from bot.platforms.discord.who_may import Level
from bot.text.language import say
from tests.bot.platforms.discord.conftest import Scene, serving
from tests.simulators.discord_interactions import APPLICATION_COMMAND, COMPONENT, Interactions
from tests.simulators.discord_server import Answer, Channel, DiscordServer, Message, User

MEMBER, MODERATOR, MANAGER = Level.MEMBER, Level.MODERATOR, Level.MANAGER
REFUSAL = {MODERATOR: "not-allowed-moderator", MANAGER: "not-allowed-manager"}


class Court(Scene):
    """Friends, in Russian, with a card, a correction, a second server, and somebody of every kind."""

    path: Path
    toxic: Message
    card: Message  # type: ignore[assignment]
    number: int

    def __init__(self, server: DiscordServer) -> None:
        super().__init__(server)
        self.chosen["language"] = "ru"
        self.thread = self.lounge.add_thread("thread", self.ben)
        self.other = server.add_guild("Others")

    def person(self, kind: str) -> User:
        """A new member of that kind."""
        guild = self.guild
        if kind == "owner":
            return self.owner
        who = self.server.add_user(f"the {kind}", bot=kind == "bot")
        rights = {
            "administrator": ["administrator"],
            "manager": ["manage_guild"],
            "timed out manager": ["manage_guild"],
            "who may delete": ["manage_messages"],
            "who may time out": ["moderate_members"],
            "who may ban": ["ban_members", "kick_members"],
            "who may change channels and roles": ["manage_channels", "manage_roles", "manage_threads"],
            "bot": ["manage_messages"],
        }
        roles = [guild.add_role(kind, rights[kind])] if kind in rights else []
        roles += [self.mods] if kind in ("moderator", "timed out moderator", "bot") else []
        member = guild.add_member(who, roles)
        if kind.startswith("timed out"):
            member.communication_disabled_until = datetime.now(UTC) + timedelta(hours=1)
        if kind == "who may delete in one channel":
            self.lounge.overwrite(member, allow=["manage_messages"])
        if kind == "moderator elsewhere":
            self.other.add_member(who, [self.other.add_role("Bosses", ["administrator"])])
        return who


KINDS = {
    "owner": MANAGER,
    "administrator": MANAGER,
    "manager": MANAGER,
    "moderator": MODERATOR,
    "who may delete": MODERATOR,
    "who may time out": MODERATOR,
    "who may ban": MEMBER,
    "who may change channels and roles": MEMBER,
    "member": MEMBER,
    "moderator elsewhere": MEMBER,
    "who may delete in one channel": MEMBER,
    "timed out moderator": MEMBER,
    "timed out manager": MEMBER,
    "bot": MEMBER,
}


@pytest.fixture
async def court(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Court]:
    """Discord's own apps let nobody click who is timed out; somebody else's might."""
    monkeypatch.setattr("bot.cases.delivery.GATHER_S", 0.05)
    monkeypatch.setattr(Interactions, "_check_reach", staticmethod(lambda type, user, channel: None))
    async with DiscordServer() as server:
        scene = Court(server)
        async with serving(scene, tmp_path):
            scene.path = tmp_path / "domovoi.db"
            scene.toxic = await server.says(scene.lounge, scene.ben, "HATE of the first kind")
            scene.card = (await scene.cards())[0]
            await scene.shown()
            scene.number = (await scene.case()).id
            yield scene


def kept(court: Court) -> dict[str, list[Any]]:
    """Everything in the store."""
    with sqlite3.connect(f"file:{court.path}?mode=ro", uri=True) as store:
        names = [name for (name,) in store.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        found = {name: list(store.execute(f'SELECT * FROM "{name}"')) for name in names}  # noqa: S608  # its own names
    store.close()
    return found


def url(message: Message) -> str:
    guild = message.channel.guild
    return f"https://discord.com/channels/{guild.id if guild else '@me'}/{message.channel.id}/{message.id}"


async def forged(scene: Scene, user: User, room: Channel, name: str, timeout_s: float = 5) -> Answer:
    """A click on a button of that name, on a message of the bot's that nobody ever saw."""
    row = {"type": 1, "components": [{"type": 2, "style": 1, "custom_id": name, "label": "-"}]}
    message = scene.server.write(room, scene.server.bot, "-", components=[row])
    data = {"custom_id": name, "component_type": 2, "id": message.components[0]["components"][0]["id"]}
    return await scene.server.interactions.ask(COMPONENT, user, room, data, source=message, timeout_s=timeout_s)


Deed = Callable[[Court, User, Channel], Awaitable[Answer]]


def command(name: str, **options: Any) -> Deed:
    async def run(court: Court, user: User, room: Channel) -> Answer:
        values = {key: value(court) if callable(value) else value for key, value in options.items()}
        return await court.server.runs(user, room, name, values)

    return run


def menu(name: str) -> Deed:
    async def use(court: Court, user: User, room: Channel) -> Answer:
        return await court.server.uses_message_command(user, court.toxic, name)

    return use


def click(verb: str) -> Deed:
    async def press(court: Court, user: User, room: Channel) -> Answer:
        return await forged(court, user, room, verb.format(court.number))

    return press


DEEDS: dict[str, tuple[Level, Deed]] = {
    "explain": (MODERATOR, command("explain", message=lambda court: url(court.toxic))),
    "explain by menu": (MODERATOR, menu("Explain")),
    "test": (MODERATOR, command("test", text="HATE")),
    "preview": (MODERATOR, command("preview")),
    "status": (MODERATOR, command("status")),
    "case": (MODERATOR, command("case", number=lambda court: court.number)),
    "history": (MODERATOR, command("history", member=lambda court: court.ben)),
    "policy, read": (MODERATOR, command("policy")),
    "policy, preset": (MANAGER, command("policy", preset="strict")),
    "policy, numbers": (MANAGER, command("policy", label="hate", alert=20)),
    "mode": (MANAGER, command("mode", mode="enforce")),
    "setup": (MANAGER, command("setup")),
    "link": (MANAGER, command("link")),
    "button explain": (MODERATOR, click("domovoi:explain:{}")),
    "button wrong": (MODERATOR, click("domovoi:wrong:{}")),
    "button label": (MODERATOR, click("domovoi:label:{}:offensive")),
    "button right": (MODERATOR, click("domovoi:right:{}")),
    "button undo": (MODERATOR, click("domovoi:undo:{}")),
    "button back": (MODERATOR, click("domovoi:back:{}")),
    "button label neutral": (MODERATOR, click("domovoi:label:{}:neutral")),
    "digest": (MODERATOR, click("domovoi-digest:{}")),
    "resume": (MODERATOR, click("domovoi-resume")),
    "learning": (MEMBER, command("learning")),
    "report": (MEMBER, command("report", message=lambda court: url(court.toxic))),
    "report by menu": (MEMBER, menu("Report to moderators")),
    "privacy": (MEMBER, command("privacy")),
    "mydata export": (MEMBER, command("mydata export")),
    "mydata erase": (MEMBER, command("mydata erase")),
}


@pytest.mark.parametrize("kind", KINDS)
async def test_everybody_tries_everything(court: Court, kind: str) -> None:
    """Too low: one line for them alone, in the server's language, and nothing is changed or said. Else: an answer."""
    user, level = court.person(kind), KINDS[kind]
    await court.settled()
    before = kept(court)
    for name, (needed, deed) in DEEDS.items():
        for room in (court.lounge, court.thread) if level < needed else ():
            said = [len(one.messages) for one in court.server.channels.values()]
            answer = await deed(court, user, room)
            assert answer.content == say("ru", REFUSAL[needed]), (name, answer.content)
            assert answer.ephemeral and not answer.embeds and not answer.components and not answer.followups
            assert [len(one.messages) for one in court.server.channels.values()] == said
    assert kept(court) == before
    assert court.card.embeds == (await court.cards())[0].embeds
    for name, (needed, deed) in DEEDS.items():
        for room in (court.lounge, court.thread) if level >= needed else ():
            answer = await deed(court, user, room)
            assert answer.ephemeral and (answer.content or answer.embeds), name
            assert answer.content not in [say("ru", refusal) for refusal in REFUSAL.values()], name
            assert answer.content != say("ru", "broken"), name
    assert all(message.content for message in court.server.bot_messages(court.lounge))


async def test_nothing_works_in_private(court: Court) -> None:
    """A forged command in direct messages is refused in the asker's language, the owner's too."""
    court.owner.locale = "ru"
    room = court.server.dm(court.owner)
    before = kept(court)
    for name, options in (("status", {}), ("mode", {"mode": "enforce"}), ("mydata erase", {}), ("setup", {})):
        data = court.server.interactions.command_data(name, options, court.owner, court.lounge)
        answer = await court.server.interactions.ask(APPLICATION_COMMAND, court.owner, room, data, timeout_s=5)
        assert answer.content == say("ru", "not-here") and answer.ephemeral
    assert kept(court) == before


async def test_a_manager_no_more(court: Court) -> None:
    """The role was taken between opening the set-up and Save: refused, and nothing is in force."""
    manager = court.person("manager")
    opened = await court.server.runs(manager, court.lounge, "setup")
    await court.server.clicks(manager, opened, say("ru", "setup-button-warn-dm"))
    court.guild.members[manager.id].change(roles=[])
    await court.heard()
    before = kept(court)
    answer = await court.server.clicks(manager, opened, say("ru", "setup-button-save"))
    assert answer.content == say("ru", "not-allowed-manager") and kept(court) == before


async def test_a_role_that_lost_its_rights(court: Court) -> None:
    """From the next click on; the same the other way round, and for roles of the set-up."""
    manager, moderator = court.person("manager"), court.person("who may delete")
    for role in court.guild.roles:
        if role.name in ("manager", "who may delete"):
            role.change(permissions=0)
    for user, needed, name, options in (
        (manager, MANAGER, "mode", {"mode": "enforce"}),
        (moderator, MODERATOR, "status", {}),
    ):
        answer = await court.server.runs(user, court.lounge, name, options)
        assert answer.content == say("ru", REFUSAL[needed])
    assert (await court.pipeline.policy(court.community)).mode is Mode.SHADOW
    court.guild.members[moderator.id].change(roles=[court.mods])
    answer = await court.server.runs(moderator, court.lounge, "status")
    assert say("ru", "status-mode-shadow") in answer.content


async def test_nobody_chooses_in_somebody_elses_set_up(court: Court) -> None:
    """What another member picks in an open set-up is not what its owner saves."""
    opened = await court.server.runs(court.owner, court.lounge, "setup")
    member = court.person("member")
    before = opened.content
    await court.server.clicks(member, opened, say("ru", "setup-button-warn-dm"), timeout_s=0.3)
    await court.server.selects(member, opened, say("ru", "setup-alerts"), court.lounge, timeout_s=0.3)
    assert opened.content == before
    await court.server.clicks(court.owner, opened, say("ru", "setup-button-save"))
    setup = await court.discord.setup(court.community)
    assert setup.warn == "dm" and setup.alert_room == str(court.alerts.id)


async def test_another_servers_case_is_as_good_as_none(court: Court) -> None:
    """By number, by button or by digest, to that server's owner or this one's: no text, no card, nothing changed."""
    room = court.other.add_channel("hall")
    foreign = court.other.owner
    before = kept(court)
    for name in ("explain", "right", "wrong", "undo", "back", "label"):
        answer = await forged(
            court, foreign, room, f"domovoi:{name}:{court.number}" + (":hate" if name == "label" else "")
        )
        assert answer.content == say("en", "no-case", case=str(court.number)) and not answer.components
    answer = await forged(court, foreign, room, f"domovoi-digest:{court.number}")
    assert answer.content == say("en", "digest-through") and not answer.embeds
    answer = await court.server.runs(foreign, room, "case", {"number": court.number})
    assert answer.content == say("en", "no-case", case=str(court.number)) and not answer.embeds
    answer = await court.server.runs(foreign, room, "explain", {"message": url(court.toxic)})
    assert answer.content == say("en", "no-message")
    court.other.add_member(court.ben)
    answer = await court.server.runs(foreign, room, "history", {"member": court.ben})
    assert (
        str(court.toxic.id) not in answer.content and say("en", "history-title", author="", count=0) in answer.content
    )
    assert kept(court) == before


@pytest.mark.parametrize("name", ["domovoi:explain:", "domovoi:dance:1", "domovoi:label:1:nonsense", "domovoi::1"])
async def test_nonsense_in_a_buttons_name(court: Court, name: str) -> None:
    """Answered or not, it changes nothing and breaks nothing."""
    before = kept(court)
    await forged(court, court.owner, court.lounge, name, timeout_s=0.3)
    await forged(court, court.owner, court.lounge, f"domovoi:right:{10**14}")
    assert kept(court) == before
    answer = await court.server.runs(court.owner, court.lounge, "status")
    assert say("ru", "status-mode-shadow") in answer.content


@pytest.mark.parametrize("kind", ["member", "moderator"])
@pytest.mark.parametrize("place", ["channel", "without history", "thread of a channel", "private thread"])
async def test_what_somebody_cannot_see_is_not_there(court: Court, kind: str, place: str) -> None:
    """A message behind a link is only for who can open it: not to be explained, not to be reported."""
    user = court.person(kind)
    hidden = court.guild.add_channel("hidden")
    room: Channel = hidden
    if place == "private thread":
        room = court.lounge.add_thread("secret", court.ben, private=True)
    else:
        role, right = court.guild.everyone, "read_message_history" if place == "without history" else "view_channel"
        hidden.overwrite(role, deny=[right])
        hidden.overwrite(court.guild.bot_role, allow=[right])
        room = hidden.add_thread("inside", court.ben) if place == "thread of a channel" else hidden
    message = await court.server.says(room, court.ben, "HATE in secret")
    own = await court.server.says(hidden, user, "HATE of my own")
    await court.shown()
    before = kept(court)
    links = [url(message), f"{room.id}-{message.id}", str(message.id), url(court.toxic) + "9"]
    for link in links + ([url(own)] if room is hidden else []):
        for name in ("explain", "report"):
            if name == "report" and link == url(own):
                continue
            answer = await court.server.runs(user, court.lounge, name, {"message": link})
            assert answer.content == say("ru", "no-message"), (name, link)
    assert kept(court) == before
    answer = await court.server.runs(court.owner, court.lounge, "explain", {"message": url(message)})
    assert "HATE" in answer.content


async def test_inside_a_private_thread_it_is_there(court: Court) -> None:
    """Whoever is in it may report what is said there."""
    member = court.person("member")
    room = court.lounge.add_thread("secret", court.ben, private=True)
    room.member_ids.add(member.id)
    message = await court.server.says(room, court.ben, "hello")
    await court.settled()
    answer = await court.server.runs(member, court.lounge, "report", {"message": url(message)})
    assert answer.content == say("ru", "report-thanks", case=court.number + 1)


async def test_other_peoples_texts_are_for_moderators(court: Court) -> None:
    """A member sees why their own message was marked, and not the corrections it is most like."""
    await court.server.clicks(court.owner, court.card, say("ru", "button-right"))
    member = court.person("member")
    own = await court.server.says(court.lounge, member, "HATE of my own")
    await court.settled()
    for answer in (
        await court.server.runs(member, court.lounge, "explain", {"message": url(own)}),
        await court.server.uses_message_command(member, own, "Explain"),
    ):
        assert "HATE" in answer.content and "first kind" not in answer.content
    answer = await court.server.runs(court.owner, court.lounge, "explain", {"message": url(own)})
    assert "first kind" in answer.content
