"""Hundreds of groups: whoever asks in private finds theirs, in pages; Telegram is asked about the chosen one only."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.bot.platforms.telegram.conftest import Scene, serving
from tests.simulators.telegram_server import TelegramServer
from tests.simulators.telegram_state import Chat, Message, User

GROUPS = 300


@pytest.fixture
async def many(tmp_path: Path) -> AsyncIterator[Scene]:
    """The bot in 302 groups, and it was started again since it came there."""
    async with TelegramServer() as server:
        scene = Scene(server)
        async with serving(scene, tmp_path):
            for number in range(GROUPS):
                chat = server.add_group(f"Group {number:03}")
                await scene.store.communities.greet(f"telegram-{chat.id}", "telegram", chat.title, datetime.now(UTC))
        async with serving(scene, tmp_path, set_up=False):
            yield scene


def group(scene: Scene, number: int) -> Chat:
    """One of them, by its title."""
    return next(chat for chat in scene.server.chats.values() if chat.title == f"Group {number:03}")


def asked_about(scene: Scene, user: User) -> set[int]:
    """The chats about which Telegram was asked whether somebody is there."""
    return {
        int(call.data["chat_id"])
        for call in scene.server.called("getChatMember")
        if int(call.data["user_id"]) == user.id
    }


async def answer(scene: Scene, user: User, command: str) -> Message:
    """The bot's next message in private."""
    chat = scene.server.private(user)
    before = len(scene.server.by_bot(chat))
    await scene.server.tells(user, command)
    await scene.server.until(lambda: len(scene.server.by_bot(chat)) > before)
    return scene.server.by_bot(chat)[-1]


@pytest.mark.parametrize("number", [0, 19, 20, 299])
async def test_the_owner_of_any_of_them_sets_it_up(many: Scene, number: int) -> None:
    """Who put the bot there is known, or wrote there before the start; the others are not asked about."""
    chat = group(many, number)
    owner = many.server.owner(chat)
    if number % 2:
        await many.server.adds_bot(chat, owner)
    else:
        await many.server.says(chat, owner, "hello")
    await many.settled()
    shown = await answer(many, owner, "/setup")
    assert f"Group {number:03}" in shown.text and shown.buttons
    assert asked_about(many, owner) == {chat.id}


async def test_an_administrator_who_never_wrote(many: Scene) -> None:
    """Known since somebody else wrote there and Telegram named the administrators."""
    chat = group(many, 123)
    many.server.join(chat, many.mod, "administrator")
    await many.server.says(chat, many.ann, "hello")
    await many.settled()
    assert "Group 123" in (await answer(many, many.mod, "/status")).text
    assert asked_about(many, many.mod) == {chat.id}


async def test_whoever_is_in_many_turns_pages(many: Scene) -> None:
    """Each page has eight; the button carries the command, and only the chosen group is asked about."""
    numbers = range(0, 60, 3)
    for number in numbers:
        many.server.join(group(many, number), many.mod, "administrator")
        await many.server.says(group(many, number), many.mod, f"hello {number}")
    await many.settled()
    shown = await answer(many, many.mod, "/status")
    assert "There are 20" in shown.text and "page 1 of 3" in shown.text and "/setup" in shown.text
    titles = [button["text"] for button in shown.buttons]
    assert titles == [f"Group {number:03}" for number in numbers[:8]] + ["◀", "▶"]
    await many.server.clicks(many.mod, shown, "▶")
    await many.server.clicks(many.mod, shown, "▶")
    await many.server.until(lambda: "page 3 of 3" in shown.text)
    assert [button["text"] for button in shown.buttons][:4] == [f"Group {number:03}" for number in numbers[16:]]
    assert not asked_about(many, many.mod)
    await many.server.clicks(many.mod, shown, "▶")
    await many.server.until(lambda: "page 1 of 3" in shown.text)
    await many.server.clicks(many.mod, shown, "◀")
    await many.server.until(lambda: "page 3 of 3" in shown.text)
    chat = many.server.private(many.mod)
    await many.server.clicks(many.mod, shown, "Group 057")
    await many.server.until(lambda: "Domovoi on Group 057" in many.server.by_bot(chat)[-1].text)
    assert asked_about(many, many.mod) == {group(many, 57).id}


async def test_known_from_what_they_wrote_before_a_start(tmp_path: Path) -> None:
    """The journal has it, under their pseudonym."""
    async with TelegramServer() as server:
        scene = Scene(server)
        async with serving(scene, tmp_path):
            for number in range(30):
                chat = server.add_group(f"Group {number:03}")
                await scene.store.communities.greet(f"telegram-{chat.id}", "telegram", chat.title, datetime.now(UTC))
            await scene.telegram.groups.load()
            server.join(group(scene, 25), scene.ann)
            await server.says(group(scene, 25), scene.ann, "hello")
            await scene.settled()
        server.calls.clear()
        async with serving(scene, tmp_path, set_up=False):
            await answer(scene, scene.ann, "/privacy")
            assert asked_about(scene, scene.ann) == {group(scene, 25).id}


async def test_nobody_s_groups_are_shown_to_a_stranger(many: Scene) -> None:
    """They are told how to name one; who left a group cannot ask about it any more."""
    stranger = many.server.add_user("Stranger")
    assert "write /setup in it" in (await answer(many, stranger, "/status")).text
    assert not asked_about(many, stranger)
    chat = group(many, 7)
    many.server.join(chat, many.ann)
    await many.server.says(chat, many.ann, "hello")
    await many.settled()
    many.server.join(chat, many.ann, "left")
    shown = await answer(many, many.ann, "/privacy")
    assert "Group 007" not in shown.text
    if shown.buttons:
        assert "not in that group" in await many.server.clicks(many.ann, shown, "Group 007")
