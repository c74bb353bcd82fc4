"""Who may ask and press what: every actor, every command and button, in every place it can be asked."""

import sqlite3
from pathlib import Path
from typing import Any

import pytest

from bot.domain.policy import LabelPolicy
from tests.bot.platforms.telegram.conftest import Scene
from tests.simulators.telegram_state import Chat, User

HARSH = LabelPolicy(alert_at=0.5, act_at=0.85, actions=("delete", "timeout"))
RIGHTS = {
    "may delete": ("can_delete_messages",),
    "may ban": ("can_restrict_members",),
    "may change info": ("can_change_info",),
    "may promote": ("can_promote_members",),
    "may pin": ("can_pin_messages", "can_invite_users", "can_manage_chat"),
    "may nothing": (),
    "may change info and delete": ("can_change_info", "can_delete_messages"),
}
"""Administrators by what they may."""
FULL = {"owner", "administrator", "hidden administrator"}
MODERATORS = FULL | {"may delete", "may ban", "may change info and delete"}
MANAGERS = FULL | {"may change info", "may promote", "may change info and delete"}
COMMANDS = {
    "/test x": MODERATORS,
    "/case 1": MODERATORS,
    "/explain 1": MODERATORS,
    "/status": MODERATORS | MANAGERS,
    "/policy": MODERATORS | MANAGERS,
    "/policy strict": MANAGERS,
    "/mode shadow": MANAGERS,
    "/mode enforce": MANAGERS,
    "/example neutral x": MANAGERS,
    "/link X": MANAGERS,
    "/skip": MANAGERS,
}
"""Who may, of the group that is asked about."""
EVERYBODY = ("/privacy", "/mydata", "/consent", "/learning")
BUTTONS = ("right:1", "wrong:1", "label:1:neutral", "undo:1", "explain:1", "back:1", "next:1", "card:1")


async def cast(scene: Scene) -> dict[str, User]:
    """Everybody who might try; all have written to the bot before."""
    server = scene.server
    people = {
        "owner": scene.owner,
        "administrator": scene.mod,
        "hidden administrator": server.add_user("Hidden"),
        "member": scene.ann,
        "restricted member": server.add_user("Quiet"),
        "who has left": server.add_user("UnfinishedMessage"),
        "who was banned": server.add_user("Banned"),
        "stranger": server.add_user("Stranger"),
        "administrator of another group": server.add_user("Other"),
        "another bot": server.add_user("Bot", is_bot=True),
        "a bot that administers": server.add_user("Chief", is_bot=True),
        **{name: server.add_user(name.title().replace(" ", "")) for name in RIGHTS},
    }
    for name, rights in RIGHTS.items():
        server.join(scene.group, people[name], "administrator", rights=rights)
    server.join(scene.group, people["a bot that administers"], "administrator")
    server.join(scene.group, people["hidden administrator"], "administrator", anonymous=True)
    for name, status in (("restricted member", "restricted"), ("who has left", "left"), ("who was banned", "kicked")):
        server.join(scene.group, people[name], status)
    server.join(scene.group, people["another bot"])
    other = server.add_group("Elsewhere", owner=people["administrator of another group"])
    await server.adds_bot(other, people["administrator of another group"])
    for person in people.values():
        person.started = True
    await scene.settled()
    return people


def kept(path: Path) -> dict[str, list[Any]]:
    """What a refusal must leave as it was: policies, cases, words, set-ups, consents."""
    with sqlite3.connect(f"file:{path}/domovoi.db?mode=ro", uri=True) as store:
        tables = ("policy", '"case"', "correction", "community", "chat", "consent")
        found = {table: list(store.execute(f"SELECT * FROM {table}")) for table in tables}  # noqa: S608
    store.close()
    return found


async def answers(scene: Scene, chat: Chat, before: int) -> list[str]:
    """What the bot wrote in a chat since then."""
    await scene.settled()
    return [message.text for message in scene.server.by_bot(chat)[before:]]


PLACES = ["group", "topic", "private", "moderators' chat", "another community's group"]


@pytest.mark.parametrize("place", PLACES)
async def test_who_may_command_what_where(place: str, scene: Scene, tmp_path: Path) -> None:
    """Every actor with every set of rights, every command, everywhere: whoever may not changes nothing, is told who
    may, and the group sees neither. What a group's administrators may counts for that group alone."""
    people = await cast(scene)
    elsewhere = next(chat for chat in scene.server.chats.values() if chat.title == "Elsewhere")
    await scene.server.says(scene.group, scene.ben, "HATE")
    await scene.cards()
    here = {"moderators' chat": scene.board, "another community's group": elsewhere}.get(place, scene.group)
    for name, person in people.items():
        private = scene.server.private(person)
        for command, allowed in COMMANDS.items():
            chats = [private, scene.board] if here is scene.board else [private]
            before, state = [len(scene.server.by_bot(chat)) for chat in chats], kept(tmp_path)
            in_group = len(scene.server.by_bot(here))
            if place == "private":
                scene.telegram.groups.choose(person.id, scene.group.id)
            topic = {"message_thread_id": 7, "is_topic_message": True} if place == "topic" else {}
            await scene.server.says(private if place == "private" else here, person, command, **topic)
            told = [text for chat, seen in zip(chats, before, strict=True) for text in await answers(scene, chat, seen)]
            may = name in allowed if here is not elsewhere else name == "administrator of another group"
            assert told and any("administrators can" in text for text in told) is not may, (name, command, told)
            beyond = command == "/mode enforce" and may and name not in FULL | {"administrator of another group"}
            assert any("may not do yourself" in text for text in told) is beyond, (name, command, told)
            if not may or beyond:
                assert kept(tmp_path) == state, (name, command)
            assert here is scene.board or len(scene.server.by_bot(here)) == in_group
        await scene.policy()


@pytest.mark.parametrize("place", ["card", "private", "another group"])
async def test_who_may_press_what_where(place: str, scene: Scene, tmp_path: Path) -> None:
    """A click counts only from who may moderate the group the case is from, on its card or alone: a changed app can
    press any button on any of the bot's messages."""
    people = await cast(scene)
    await scene.server.says(scene.group, scene.ben, "HATE")
    card = await scene.card()
    elsewhere = next(chat for chat in scene.server.chats.values() if chat.title == "Elsewhere")
    for name, person in people.items():
        shown = card.data
        if place == "private":
            shown = scene.server.write(scene.server.private(person), scene.server.bot, "x").data
        if place == "another group":
            shown = scene.server.by_bot(elsewhere)[0].data
        for button in BUTTONS:
            state, said = kept(tmp_path), [len(chat.messages) for chat in scene.server.chats.values()]
            text = await pressed(scene, person, shown, button)
            assert ("administrators" in text) is (name not in MODERATORS), (name, button, text)
            if name not in MODERATORS or place == "another group":
                assert kept(tmp_path) == state and said == [len(chat.messages) for chat in scene.server.chats.values()]
                assert name not in MODERATORS or "works in private" in text
    assert scene.server.by_bot(elsewhere)[0].data["text"].startswith("Hello"), "the greeting stands as it was"


SET_UP = ("here", "preset", "warn", "mode", "link", "resume", "language")


async def test_who_may_press_the_buttons_of_the_set_up(scene: Scene, tmp_path: Path) -> None:
    """Whoever may manage the bot; to act again after a pause is for moderators."""
    people = await cast(scene)
    for name, person in people.items():
        shown = scene.server.write(scene.server.private(person), scene.server.bot, "x").data
        for what in SET_UP:
            state = kept(tmp_path)
            text = await pressed(scene, person, shown, f"set:{scene.group.id}:{what}")
            allowed = MODERATORS if what == "resume" else MANAGERS
            assert ("administrators" in text) is (name not in allowed), (name, what, text)
            if name not in allowed:
                assert kept(tmp_path) == state
            elif what == "mode":
                assert ("may not do yourself" in text) is (name not in FULL), (name, text)
        await scene.policy()
        await scene.telegram.change_setup(scene.group.id, language="en")


async def pressed(scene: Scene, person: User, shown: dict[str, Any], data: str) -> str:
    """What Telegram shows whoever presses a button with this data on this message, whether it has one or not."""
    scene.server._queries += 1
    number = f"p{scene.server._queries}"
    query = {"id": number, "from": person.payload(), "message": shown, "chat_instance": "1", "data": data}
    scene.server.push({"callback_query": query})
    await scene.server.until(lambda: number in scene.server.answers)
    return str(scene.server.answers[number].get("text") or "")


async def test_forged_buttons_do_nothing(scene: Scene, tmp_path: Path) -> None:
    """Data nobody's button has: answered, and that is all."""
    await scene.server.says(scene.group, scene.ben, "HATE")
    card = await scene.card()
    state = kept(tmp_path)
    forged = (
        "",
        ":",
        "right:",
        "right:999999",
        "right:1:2:3:",
        "label:1:nonsense",
        "drop:1",
        "set:x:mode",
        "next:99",
        "😀:1",
    )
    for number, data in enumerate(forged):
        query = {"id": f"f{number}", "from": scene.owner.payload(), "message": card.data, "chat_instance": "1"}
        scene.server.push({"callback_query": query | {"data": data}})
    await scene.server.until(lambda: all(f"f{n}" in scene.server.answers for n in range(len(forged))), timeout_s=60)
    words = len(kept(tmp_path)["correction"])
    assert words <= 1 and {**kept(tmp_path), "correction": [], '"case"': []} == {
        **state,
        "correction": [],
        '"case"': [],
    }


async def test_what_everybody_may(scene: Scene) -> None:
    """In the group the answer comes alone; to somebody who never wrote to the bot, a button that leads there."""
    for command in EVERYBODY:
        scene.ann.started = True
        before = len(scene.server.by_bot(scene.server.private(scene.ann)))
        await scene.server.says(scene.group, scene.ann, command)
        assert len(await answers(scene, scene.server.private(scene.ann), before)) == 1
        in_group = len(scene.server.by_bot(scene.group))
        await scene.server.says(scene.group, scene.ben, command)
        (led,) = await answers(scene, scene.group, in_group)
        assert led == "I answer that in private."
        assert f"start={command[1:]}_{scene.group.id}" in scene.server.by_bot(scene.group)[-1].buttons[0]["url"]
        await scene.server.tells(scene.ben, f"/start {command[1:]}_{scene.group.id}")
        await scene.settled()
        assert scene.server.by_bot(scene.server.private(scene.ben))
        scene.ben.started = False


async def test_texts_of_others_never_reach_members(scene: Scene) -> None:
    """/explain on one's own message says why, without what others wrote; on another's it is refused."""
    scene.ann.started = scene.ben.started = True
    mine = await scene.server.says(scene.group, scene.ann, "you are HATE itself")
    card = await scene.card()
    await scene.server.clicks(scene.mod, card, "👍 Correct")
    await scene.server.says(scene.group, scene.ann, "/explain", reply_to=mine)
    await scene.server.says(scene.group, scene.ben, "/explain", reply_to=mine)
    await scene.settled()
    told = scene.server.by_bot(scene.server.private(scene.ann))[-1].text
    assert "<code>HATE</code>" in told and "alike" not in told
    assert "administrators" in scene.server.by_bot(scene.server.private(scene.ben))[-1].text


async def test_commands_for_another_bot_are_words_like_others(scene: Scene) -> None:
    """Addressed elsewhere, or unknown: read and judged."""
    await scene.server.says(scene.group, scene.ann, "/ban@other_bot HATE")
    await scene.server.says(scene.group, scene.ann, "/nonsense HATE")
    assert len(await scene.cases()) == 2


async def test_an_anonymous_administrator_is_known_in_private(scene: Scene) -> None:
    """In the group nobody knows who they are: a button leads to where they do, once they press it."""
    hidden = scene.server.add_user("Hidden")
    scene.server.join(scene.group, hidden, "administrator", anonymous=True)
    await scene.server.says(scene.group, scene.group, "/status")
    await scene.settled()
    (led,) = scene.server.by_bot(scene.group)
    start = led.buttons[0]["url"].split("start=")[1]
    assert "every right I need" in await scene.asks(hidden, f"/start {start}")
    assert "administrators can" in await scene.asks(scene.ann, f"/start {start}")
    await scene.server.says(scene.group, scene.ben, "HATE")
    assert "Recorded: hate" in await scene.server.clicks(hidden, await scene.card(), "👍 Correct")
    (word,) = await scene.store.words(1)
    assert word.moderator == f"telegram:{hidden.id}"
