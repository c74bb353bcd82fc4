"""The first ten minutes on Telegram: added to a group, set up in private, then switched on."""

import asyncio
import functools
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bot.conversation.link_codes import LinkCodes
from bot.domain.platform import PlatformRefuses, Unreachable
from bot.domain.policy import Mode, preset_of
from bot.domain.setup import Setup
from bot.platforms.telegram import Access
from bot.platforms.telegram.check import check_access
from bot.platforms.telegram.groups import Groups
from tests.bot.platforms.telegram.conftest import Scene, serving
from tests.simulators.telegram_server import TelegramServer
from tests.simulators.telegram_state import Message, User


async def screen(scene: Scene, user: User) -> Message:
    """The set-up, opened by the button in the group."""
    chat = scene.server.private(user)
    before = len(scene.server.by_bot(chat))
    await scene.server.tells(user, f"/start setup_{scene.group.id}")
    await scene.server.until(lambda: len(scene.server.by_bot(chat)) > before)
    return scene.server.by_bot(chat)[-1]


def board_link(shown: Message) -> str:
    """What the button that leads to the moderators' chat sends there."""
    (url,) = [button["url"] for button in shown.buttons if "startgroup=" in button.get("url", "")]
    return str(url).split("startgroup=")[1]


async def test_added_greeted_once_set_up_in_private(fresh: Scene) -> None:
    """One message with a button; the set-up is in the private chat, and nothing is punished before somebody says so."""
    server = fresh.server
    await server.adds_bot(fresh.group, fresh.owner)
    await server.until(lambda: server.by_bot(fresh.group))
    await server.adds_bot(fresh.group, fresh.owner)
    await fresh.settled()
    (hello,) = server.by_bot(fresh.group)
    assert "shadow mode" in hello.text and f"start=setup_{fresh.group.id}" in hello.buttons[0]["url"]
    shown = await screen(fresh, fresh.owner)
    assert "Friends" in shown.text and "Cards: none" in shown.text and "shadow" in shown.text
    await server.clicks(fresh.owner, shown, "How strict: standard")
    await server.clicks(fresh.owner, shown, "Warn: in private")
    assert "strict" in shown.text and "in the channel" in shown.text
    assert preset_of(await fresh.pipeline.policy(fresh.community)) == "strict"
    await server.says(fresh.board, fresh.owner, f"/start@domovoi_bot {board_link(shown)}")
    await server.until(lambda: server.by_bot(fresh.board))
    assert "Cards will appear here" in server.by_bot(fresh.board)[0].text
    message = await server.says(fresh.group, fresh.ann, "HATE")
    await fresh.card()
    assert not message.deleted
    shown = await screen(fresh, fresh.owner)
    await server.clicks(fresh.owner, shown, "Switch to enforce")
    assert "enforce" in shown.text and (await fresh.pipeline.policy(fresh.community)).mode is Mode.ENFORCE
    message = await server.says(fresh.group, fresh.ben, "HATE")
    await server.until(lambda: message.deleted)


async def test_cards_may_come_to_one_person(fresh: Scene) -> None:
    """One tap; clicks there count like elsewhere."""
    await fresh.server.adds_bot(fresh.group, fresh.owner)
    shown = await screen(fresh, fresh.owner)
    await fresh.server.clicks(fresh.owner, shown, "Cards to me, here")
    assert "in private" in shown.text
    await fresh.server.says(fresh.group, fresh.ann, "HATE")
    chat = fresh.server.private(fresh.owner)
    await fresh.server.until(lambda: any("<pre>HATE</pre>" in m.text for m in fresh.server.by_bot(chat)))
    card = next(m for m in fresh.server.by_bot(chat) if "<pre>" in m.text)
    assert "Recorded: hate" in await fresh.server.clicks(fresh.owner, card, "👍 Correct")


async def test_a_greeting_keeps_what_was_set_up_meanwhile(fresh: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody was quicker than the disk."""
    groups, read, chosen = fresh.telegram.groups, asyncio.Event(), asyncio.Event()
    setup_of = fresh.store.communities.setup

    async def slow(community: str) -> dict[str, Any] | None:
        found = await setup_of(community)
        read.set()
        await chosen.wait()
        return found

    monkeypatch.setattr(fresh.store.communities, "setup", slow)
    async with asyncio.TaskGroup() as group:
        greeting = group.create_task(groups.greet(fresh.group.id, "Friends", Setup()))
        await read.wait()
        await fresh.telegram.change_setup(fresh.group.id, alert_room="7", done=True)
        chosen.set()
    assert greeting.result()
    assert (await groups.setup(fresh.community)).alert_room == "7"


async def test_of_two_who_set_up_at_once_both_get_what_they_said(fresh: Scene) -> None:
    """Neither change is lost, and a restart knows both."""
    await fresh.telegram.groups.greet(fresh.group.id, "Friends", Setup())
    change = functools.partial(fresh.telegram.change_setup, fresh.group.id)
    await asyncio.gather(change(language="ru"), change(warn="place"), change(alert_room="7", done=True))
    wanted = Setup(language="ru", warn="place", alert_room="7", done=True)
    again = Groups(fresh.store)
    await again.load()
    assert await fresh.telegram.groups.setup(fresh.community) == wanted == await again.setup(fresh.community)


async def test_only_administrators_set_up(fresh: Scene) -> None:
    """A member who opens the link sees what a member can do; a stranger is told that they share no group."""
    await fresh.server.adds_bot(fresh.group, fresh.owner)
    await fresh.settled()
    shown = await screen(fresh, fresh.ann)
    assert "/report" in shown.text and not shown.buttons
    stranger = fresh.server.add_user("Stranger")
    assert "no group in which we both are" in (await screen(fresh, stranger)).text
    shown = await screen(fresh, fresh.owner)
    for data in ("mode", "preset", "here"):
        answer = await fresh.server.clicks(fresh.ann, shown, f"set:{fresh.group.id}:{data}") if data != "here" else ""
        assert not answer or "works in private" in answer
    assert (await fresh.pipeline.policy(fresh.community)).mode is Mode.SHADOW
    mods = f"/start mods_{fresh.group.id}"
    await fresh.server.says(fresh.board, fresh.ann, mods)
    await fresh.settled()
    assert not (await fresh.telegram.groups.setup(fresh.community)).alert_room


async def test_missing_rights_are_named_at_once_and_when_they_go(fresh: Scene) -> None:
    """In the greeting, in the set-up, in /status, and to the moderators when one is taken away."""
    server, mine = fresh.server, fresh.group.members[fresh.server.bot.id]
    mine.status = "member"
    await server.adds_bot(fresh.group, fresh.owner)
    await server.until(lambda: server.by_bot(fresh.group))
    assert (
        "Delete messages" in server.by_bot(fresh.group)[0].text
        and "Administrators" in server.by_bot(fresh.group)[0].text
    )
    mine.status = "administrator"
    shown = await screen(fresh, fresh.owner)
    await server.says(fresh.board, fresh.owner, f"/start {board_link(shown)}")
    assert "every right I need" in await fresh.asks(fresh.owner, "/status")
    mine.rights["can_restrict_members"] = False
    await server.adds_bot(fresh.group, fresh.owner)
    await server.until(lambda: any("Ban users" in m.text for m in server.by_bot(fresh.board)))
    assert "Ban users" in await fresh.asks(fresh.owner, "/status")


async def test_in_russian(fresh: Scene) -> None:
    """By the language of whoever added the bot; a click changes it."""
    fresh.owner.language = "ru"
    await fresh.server.adds_bot(fresh.group, fresh.owner)
    await fresh.server.until(lambda: fresh.server.by_bot(fresh.group))
    assert "Здравствуйте" in fresh.server.by_bot(fresh.group)[0].text
    shown = await screen(fresh, fresh.owner)
    assert "теневой" in shown.text
    await fresh.server.clicks(fresh.owner, shown, "Язык: русский")
    assert "shadow" in shown.text


async def test_a_topic_is_left_alone(scene: Scene) -> None:
    """/skip in it, and again to take that back; by administrators only."""
    scene.mod.started = True
    topic = {"message_thread_id": 7, "is_topic_message": True}
    await scene.server.says(scene.group, scene.ann, "/skip", **topic)
    await scene.settled()
    assert not (await scene.pipeline.policy(scene.community)).exempt_rooms
    await scene.server.says(scene.group, scene.mod, "/skip", **topic)
    await scene.settled()
    assert (await scene.pipeline.policy(scene.community)).exempt_rooms == {f"{scene.group.id}/7"}
    await scene.server.says(scene.group, scene.mod, "/skip", **topic)
    await scene.settled()
    assert not (await scene.pipeline.policy(scene.community)).exempt_rooms


async def yes() -> bool:
    """Whoever made the code may still have it."""
    return True


async def test_linked_with_discord_they_share_policy_and_cases(tmp_path: Path) -> None:
    """A code from there, typed here by an administrator, once; known after a restart."""
    async with TelegramServer() as server:
        scene = Scene(server)
        async with serving(scene, tmp_path):
            scene.telegram.link_codes = LinkCodes()
            code = scene.telegram.link_codes.code("discord-77", yes)
            assert "administrators" in await scene.asks(scene.ann, f"/link {code}")
            scene.telegram.groups.choose(scene.owner.id, scene.group.id)
            assert "do not know that code" in await scene.asks(scene.owner, "/link WRONG")
            assert "Linked" in await scene.asks(scene.owner, f"/link {code}")
            assert "do not know that code" in await scene.asks(scene.owner, f"/link {code}")
        async with serving(scene, tmp_path, set_up=False):
            await server.says(scene.group, scene.ann, "HATE")
            await scene.card()
            (case,) = await scene.store.cases("discord-77")
            assert case.message.key.platform == "telegram" and not await scene.store.cases(scene.community)


async def test_check_prints_the_link_or_what_is_wrong() -> None:
    """Exactly the rights needed; a wrong token and a Telegram that is away are said."""
    async with TelegramServer() as server:
        access = Access(server.token, api=server.api)
        lines = "\n".join(await check_access(access))
        assert "@domovoi_bot" in lines and "startgroup=hello&admin=delete_messages+restrict_members" in lines
        with pytest.raises(PlatformRefuses, match="BotFather"):
            await check_access(replace(access, token="1:wrong"))
    with pytest.raises(Unreachable, match="cannot be reached"):
        await check_access(Access("1:x", api="http://127.0.0.1:9"))
