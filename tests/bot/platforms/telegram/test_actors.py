"""Whom the bot never touches on Telegram: every kind of author, on every way a message arrives."""

from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from bot.domain.policy import LabelPolicy, Strikes
from model.classifier import Item, Unavailable, Verdict
from tests.bot.platforms.telegram.conftest import Scene, serving
from tests.simulators.telegram_server import TelegramServer
from tests.simulators.telegram_state import Chat, Message, User

SHOWN, DELETED, PUNISHED, UNREAD = "a card, nothing more", "deleted", "deleted and restricted", "not read"
ACTORS = {
    "owner": SHOWN,
    "administrator": SHOWN,
    "anonymous administrator": SHOWN,
    "linked channel, as itself": SHOWN,
    "linked channel, forwarded": SHOWN,
    "another channel": PUNISHED,
    "the bot itself": UNREAD,
    "another bot": DELETED,
    "another bot that administers": DELETED,
    "member": PUNISHED,
    "who has left": PUNISHED,
}
POLICY: dict[str, Any] = {
    "hate": LabelPolicy(alert_at=0.5, act_at=0.85, actions=("delete", "ban")),
    "strikes": Strikes(timeout_at=None),
}
Author = User | Chat
Way = Callable[[Scene, Author, dict[str, Any]], Awaitable[Message]]


def cast(scene: Scene) -> dict[str, tuple[Author, dict[str, Any]]]:
    """By kind: in whose name a message is, and what else Telegram says with it."""
    server, group = scene.server, scene.group
    linked = server.add_group("Our channel")
    group.linked_chat_id = linked.id
    helper, chief, gone = (
        server.add_user("Helper", is_bot=True),
        server.add_user("Chief", is_bot=True),
        server.add_user("G"),
    )
    server.join(group, helper)
    server.join(group, chief, "administrator")
    server.join(group, gone, "left")
    return {
        "owner": (scene.owner, {}),
        "administrator": (scene.mod, {}),
        "anonymous administrator": (group, {}),
        "linked channel, as itself": (linked, {}),
        "linked channel, forwarded": (linked, {"is_automatic_forward": True}),
        "another channel": (server.add_group("Other channel"), {}),
        "the bot itself": (server.bot, {}),
        "another bot": (helper, {}),
        "another bot that administers": (chief, {}),
        "member": (scene.ann, {}),
        "who has left": (gone, {}),
    }


async def new(scene: Scene, author: Author, more: dict[str, Any]) -> Message:
    return await scene.server.says(scene.group, author, "HATE", **more)


async def edited(scene: Scene, author: Author, more: dict[str, Any]) -> Message:
    message = await scene.server.says(scene.group, author, "hello", **more)
    await scene.server.edits(message, "HATE")
    return message


async def forwarded(scene: Scene, author: Author, more: dict[str, Any]) -> Message:
    origin = {"type": "hidden_user", "date": 1, "sender_user_name": "somebody"}
    return await scene.server.says(scene.group, author, "HATE", forward_origin=origin, **more)


async def reply(scene: Scene, author: Author, more: dict[str, Any]) -> Message:
    answered = scene.server.write(scene.group, scene.ben, "hello")
    return await scene.server.says(scene.group, author, "HATE", reply_to=answered, **more)


async def caption(scene: Scene, author: Author, more: dict[str, Any]) -> Message:
    photo = [{"file_id": "a", "file_unique_id": "a", "width": 1, "height": 1}]
    return await scene.server.says(scene.group, author, photo=photo, caption="HATE", **more)


async def poll(scene: Scene, author: Author, more: dict[str, Any]) -> Message:
    asked = {"id": "1", "question": "HATE", "options": [{"text": "a", "voter_count": 0}]}
    return await scene.server.says(scene.group, author, poll=asked, **more)


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
    banned = author.id in scene.group.banned_chats
    if isinstance(author, User):
        member = scene.group.members.get(author.id)
        banned = member is not None and member.status == "kicked"
    if message.deleted:
        return PUNISHED if banned else DELETED
    assert not banned
    return SHOWN if f"{scene.group.id}:{message.id}" in cases else UNREAD


async def outcomes(scene: Scene, sent: dict[str, tuple[Message, Author]]) -> dict[str, str]:
    cases = {case.message.key.message for case in await scene.cases()}
    return {name: came_of(scene, message, author, cases) for name, (message, author) in sent.items()}


async def everybody(scene: Scene, way: Way) -> dict[str, tuple[Message, Author]]:
    """One message of each."""
    return {name: (await way(scene, author, more), author) for name, (author, more) in cast(scene).items()}


@pytest.mark.parametrize("way", WAYS)
async def test_whom_it_never_touches(scene: Scene, way: str) -> None:
    """Written, edited, forwarded, answered, under a photo, in a poll."""
    await scene.enforce(**POLICY)
    sent = await everybody(scene, WAYS[way])
    assert await outcomes(scene, sent) == ACTORS


async def test_after_an_outage(tmp_path: Path) -> None:
    """Telegram keeps what was written while the bot was away."""
    async with TelegramServer() as server:
        scene = Scene(server)
        async with serving(scene, tmp_path):
            await scene.enforce(**POLICY)
        sent = await everybody(scene, new)
        async with serving(scene, tmp_path, set_up=False):
            assert await outcomes(scene, sent) == ACTORS


class Silent:
    """A model that does not answer."""

    async def classify(self, items: Sequence[Item]) -> list[Verdict]:
        raise Unavailable("stub is down")


async def test_after_a_crash(tmp_path: Path) -> None:
    """Received and not read: the journal remembers who moderates."""
    async with TelegramServer() as server:
        scene = Scene(server)
        answering, scene.classifier = scene.classifier, Silent()  # type: ignore[assignment]
        async with serving(scene, tmp_path):
            await scene.enforce(**POLICY)
            sent = await everybody(scene, new)
            await server.until(lambda: not server.updates and scene.telegram.updates.idle)
        scene.classifier = answering
        async with serving(scene, tmp_path, set_up=False):
            assert await outcomes(scene, sent) == ACTORS


async def test_reported_by_a_member(scene: Scene) -> None:
    """A report shows and never touches; the bot's own messages cannot be reported."""
    await scene.enforce(**POLICY)
    people = cast(scene)
    sent = {
        name: (scene.server.write(scene.group, author, "HATE", **more), author)
        for name, (author, more) in people.items()
    }
    for name, (message, _) in sent.items():
        reporter = scene.server.add_user(f"Reporter {name}")
        scene.server.join(scene.group, reporter)
        await scene.server.says(scene.group, reporter, "/report", reply_to=message)
    assert await outcomes(scene, sent) == dict.fromkeys(ACTORS, SHOWN) | {"the bot itself": UNREAD}
    flags = {case.message.key.message: case.decision.flags for case in await scene.cases()}
    for name in ("linked channel, as itself", "anonymous administrator"):
        assert "moderator" in flags[f"{scene.group.id}:{sent[name][0].id}"]


async def test_a_channel_that_was_linked_meanwhile_is_not_banned(scene: Scene) -> None:
    """Decided before it was linked: at the moment of the act it counts as what it is."""
    from bot.domain.action import Ban
    from bot.domain.event import Author as Who
    from bot.domain.platform import MissingPermission

    channel = scene.server.add_group("Our channel")
    await scene.enforce(**POLICY)
    scene.group.linked_chat_id = channel.id
    await scene.server.says(scene.group, channel, "hello")
    await scene.settled()
    row = await scene.store.journalled("telegram", scene.community, f"{scene.group.id}:1")
    assert row is not None
    with pytest.raises(MissingPermission, match="owner or to an administrator"):
        await scene.telegram.perform(Ban(), row.key, Who(str(channel.id), "Our channel"))
    scene.group.linked_chat_id = 0
    scene.telegram.linked_channels.changed(scene.group.id)
    await scene.telegram.perform(Ban(), row.key, Who(str(channel.id), "Our channel"))
    assert scene.group.banned_chats == {channel.id}


async def test_while_telegram_does_not_say_which_channel_is_linked_nobody_is_punished(
    scene: Scene, monkeypatch: Any
) -> None:
    """The message waits; then it is only shown."""
    monkeypatch.setattr("bot.platforms.telegram.updates.RETRY_S", 0.05)
    await scene.enforce(**POLICY)
    channel = scene.server.add_group("Our channel")
    scene.group.linked_chat_id = channel.id
    scene.server.fail("getChat", 502, times=3)
    message = await scene.server.says(scene.group, channel, "HATE")
    (case,) = await scene.cases()
    assert "moderator" in case.decision.flags and not message.deleted and not scene.group.banned_chats


@pytest.mark.parametrize("set_up_itself", [False, True])
async def test_the_moderators_chat_is_not_read(scene: Scene, set_up_itself: bool) -> None:
    """New, edited and reported there; wherever it moves, from then on, and the old one is read again."""
    board = scene.board
    scene.server.join(board, scene.mod, "administrator")
    if set_up_itself:
        await scene.telegram.change_setup(board.id, alert_room=str(scene.owner.id), done=True)
    message = await scene.server.says(board, scene.ann, "HATE")
    await scene.server.edits(message, "HATE more")
    await scene.server.says(board, scene.mod, "/report", reply_to=message)
    await scene.settled()
    for chat in (scene.group, board):
        assert not await scene.store.cases(f"telegram-{chat.id}")
    other = scene.server.add_group("Other desk", owner=scene.owner)
    await scene.telegram.change_setup(scene.group.id, alert_room=str(other.id))
    await scene.server.says(other, scene.ann, "HATE")
    await scene.server.says(board, scene.ann, "HATE")
    await scene.settled()
    assert len(await scene.store.cases(f"telegram-{board.id}")) == 1
    assert not await scene.store.cases(f"telegram-{other.id}")


async def test_what_a_crash_left_of_the_moderators_chat_is_not_read(tmp_path: Path) -> None:
    """It was received while the chat was none of theirs, and the cards go there by now."""
    async with TelegramServer() as server:
        scene = Scene(server)
        answering, scene.classifier = scene.classifier, Silent()  # type: ignore[assignment]
        async with serving(scene, tmp_path):
            await scene.telegram.change_setup(scene.group.id, alert_room=str(scene.owner.id))
            message = await server.says(scene.board, scene.ann, "HATE")
            await server.until(lambda: not server.updates and scene.telegram.updates.idle)
            await scene.telegram.change_setup(scene.group.id, alert_room=str(scene.board.id))
        scene.classifier = answering
        async with serving(scene, tmp_path, set_up=False):
            await scene.settled()
            row = await scene.store.journalled(
                "telegram", f"telegram-{scene.board.id}", f"{scene.board.id}:{message.id}"
            )
            assert row is not None and row.state == "exempt"
