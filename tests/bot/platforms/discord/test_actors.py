"""Whom the bot never touches on Discord: every kind of author, on every way a message arrives."""

from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from bot.domain.policy import LabelPolicy, Strikes
from model.classifier import Item, Unavailable, Verdict
from tests.bot.platforms.discord.conftest import Scene, serving
from tests.bot.platforms.discord.test_fields import attached
from tests.bot.platforms.discord.test_fields import poll as poll_of
from tests.simulators.discord_server import DiscordServer, Message, User, Webhook

SHOWN, DELETED, PUNISHED, UNREAD = "a card, nothing more", "deleted", "deleted and banned", "not read"
ACTORS = {
    "owner": SHOWN,
    "administrator": SHOWN,
    "moderator by a role of the set-up": SHOWN,
    "moderator by a right": SHOWN,
    "the bot itself": UNREAD,
    "another bot": DELETED,
    "another bot that administers": DELETED,
    "webhook": DELETED,
    "member": PUNISHED,
    "who has left": PUNISHED,
}
POLICY: dict[str, Any] = {
    "hate": LabelPolicy(alert_at=0.5, act_at=0.85, actions=("delete", "ban")),
    "strikes": Strikes(timeout_at=None),
}
Author = User | Webhook
Way = Callable[[Scene, Author], Awaitable[Message]]


def cast(scene: Scene) -> dict[str, Author]:
    """By kind; whoever has left is no member."""
    server, guild = scene.server, scene.guild
    chief, right, gone = (server.add_user(name) for name in ("chief", "right", "gone"))
    helper, ruler = (server.add_user(name, bot=True) for name in ("helper", "ruler"))
    guild.add_member(chief, [guild.add_role("Chiefs", ["administrator"])])
    guild.add_member(right, [guild.add_role("Right", ["manage_messages"])])
    guild.add_member(helper)
    guild.add_member(ruler, [guild.add_role("Ruler", ["administrator"])])
    return {
        "owner": scene.owner,
        "administrator": chief,
        "moderator by a role of the set-up": scene.mod,
        "moderator by a right": right,
        "the bot itself": server.bot,
        "another bot": helper,
        "another bot that administers": ruler,
        "webhook": server.add_webhook(scene.lounge, "news"),
        "member": scene.ann,
        "who has left": gone,
    }


async def new(scene: Scene, author: Author) -> Message:
    return await scene.server.says(scene.lounge, author, "HATE")


async def edited(scene: Scene, author: Author) -> Message:
    message = await scene.server.says(scene.lounge, author, "hello")
    await scene.server.edits(message, "HATE")
    return message


async def forwarded(scene: Scene, author: Author) -> Message:
    """From another server: what is forwarded from this one is a member's own message, and only shown."""
    elsewhere = next((guild for guild in scene.server.guilds.values() if guild is not scene.guild), None)
    elsewhere = elsewhere or scene.server.add_guild("Elsewhere", bot=False)
    channel = next(iter(elsewhere.channels.values()), None) or elsewhere.add_channel("far")
    original = scene.server.remembers(channel, elsewhere.owner, "HATE")
    return await scene.server.says(scene.lounge, author, forward=original)


async def reply(scene: Scene, author: Author) -> Message:
    answered = scene.server.remembers(scene.lounge, scene.ben, "hello")
    return await scene.server.says(scene.lounge, author, "HATE", reply_to=answered)


async def caption(scene: Scene, author: Author) -> Message:
    return await scene.server.says(scene.lounge, author, **attached(description="HATE"))


async def poll(scene: Scene, author: Author) -> Message:
    return await scene.server.says(scene.lounge, author, **poll_of("HATE", "yes"))


async def missed(scene: Scene, author: Author) -> Message:
    return scene.server.remembers(scene.lounge, author, "HATE")


WAYS: dict[str, Way] = {
    "new": new,
    "edited": edited,
    "forwarded": forwarded,
    "reply": reply,
    "caption": caption,
    "poll": poll,
}


def came_of(scene: Scene, message: Message, author: Author, cases: set[str]) -> str:
    """What the bot did about it."""
    if message.deleted:
        return PUNISHED if author.id in scene.guild.bans else DELETED
    assert author.id not in scene.guild.bans
    return SHOWN if str(message.id) in cases else UNREAD


async def outcomes(scene: Scene, sent: dict[str, tuple[Message, Author]]) -> dict[str, str]:
    cases = {case.message.key.message for case in await scene.cases()}
    return {name: came_of(scene, message, author, cases) for name, (message, author) in sent.items()}


async def everybody(scene: Scene, way: Way) -> dict[str, tuple[Message, Author]]:
    """One message of each."""
    return {name: (await way(scene, author), author) for name, author in cast(scene).items()}


@pytest.mark.parametrize("way", WAYS)
async def test_whom_it_never_touches(scene: Scene, way: str) -> None:
    """Written, edited, forwarded, answered, beside an attachment, in a poll."""
    await scene.enforce(**POLICY)
    sent = await everybody(scene, WAYS[way])
    assert await outcomes(scene, sent) == ACTORS


async def test_after_an_outage(tmp_path: Path) -> None:
    """What the history says of an author is no member: who moderates is asked."""
    async with DiscordServer() as server:
        scene = Scene(server)
        async with serving(scene, tmp_path):
            await scene.enforce(**POLICY)
            await server.says(scene.lounge, scene.ben, "hello")
            await scene.settled()
        sent = await everybody(scene, missed)
        async with serving(scene, tmp_path):
            await server.until(lambda: sent["who has left"][0].deleted)
            assert await outcomes(scene, sent) == ACTORS


class Silent:
    """A model that does not answer."""

    async def classify(self, items: Sequence[Item]) -> list[Verdict]:
        raise Unavailable("stub is down")


async def test_after_a_crash(tmp_path: Path) -> None:
    """Received and not read: the journal remembers who moderates."""
    async with DiscordServer() as server:
        scene = Scene(server)
        answering, scene.classifier = scene.classifier, Silent()  # type: ignore[assignment]
        async with serving(scene, tmp_path):
            await scene.enforce(**POLICY)
            sent = await everybody(scene, new)
            await scene.heard()
        scene.classifier = answering
        async with serving(scene, tmp_path):
            await server.until(lambda: sent["who has left"][0].deleted)
            assert await outcomes(scene, sent) == ACTORS


async def test_reported_by_a_member(scene: Scene) -> None:
    """A report shows and never touches; the bot's own messages cannot be reported."""
    await scene.enforce(**POLICY)
    sent = {
        name: (scene.server.remembers(scene.lounge, author, "HATE"), author) for name, author in cast(scene).items()
    }
    for name, (message, _) in sent.items():
        reporter = scene.server.add_user(f"reporter of {name}")
        scene.guild.add_member(reporter)
        await scene.server.uses_message_command(reporter, message, "Report to moderators")
    assert await outcomes(scene, sent) == dict.fromkeys(ACTORS, SHOWN) | {"the bot itself": UNREAD}


async def test_the_room_for_cards_is_not_read(scene: Scene) -> None:
    """New, edited, in a thread there, its title, and reported; wherever it moves, from then on."""
    message = await scene.server.says(scene.alerts, scene.ann, "HATE")
    await scene.server.edits(message, "HATE more")
    thread = scene.alerts.add_thread("HATE title", scene.ann)
    await scene.server.says(thread, scene.ann, "HATE in a thread")
    answer = await scene.server.uses_message_command(scene.ben, message, "Report to moderators")
    assert "moderators' own room" in answer.content
    await scene.settled()
    assert not await scene.cases()
    setup = await scene.discord.setup(scene.community)
    guild = scene.discord.guild(scene.community)
    assert guild is not None
    await scene.discord.save_setup(guild, setup.model_copy(update={"alert_room": str(scene.voice.id)}))
    await scene.server.says(scene.voice, scene.ann, "HATE in the new one")
    await scene.server.says(scene.alerts, scene.ann, "HATE in the old one")
    assert (await scene.case()).message.text == "HATE in the old one"


async def test_a_thread_for_cards_is_not_read_and_its_channel_is(scene: Scene) -> None:
    thread = scene.lounge.add_thread("cards", scene.mod)
    await scene.settled()
    setup, guild = await scene.discord.setup(scene.community), scene.discord.guild(scene.community)
    assert guild is not None
    await scene.discord.save_setup(guild, setup.model_copy(update={"alert_room": str(thread.id)}))
    await scene.server.says(thread, scene.ann, "HATE in the thread")
    await scene.server.says(scene.lounge, scene.ann, "HATE beside it")
    assert (await scene.case()).message.text == "HATE beside it"


async def test_what_an_outage_and_a_crash_left_of_the_room_for_cards_is_not_read(tmp_path: Path) -> None:
    """Received while it was a room like others, or written there while nobody listened."""
    async with DiscordServer() as server:
        scene = Scene(server)
        answering, scene.classifier = scene.classifier, Silent()  # type: ignore[assignment]
        async with serving(scene, tmp_path):
            await server.says(scene.voice, scene.ann, "HATE before")
            await scene.heard()
        server.remembers(scene.voice, scene.ann, "HATE meanwhile")
        scene.classifier = answering
        scene.chosen["alert_room"] = str(scene.voice.id)
        async with serving(scene, tmp_path):
            await scene.settled()
            assert not await scene.cases() and not any("HATE" in text for text in scene.read)
