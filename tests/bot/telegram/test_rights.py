"""Who may ask and press what: every actor, every command and button, in every place it can be asked."""

import sqlite3
from pathlib import Path
from typing import Any

import pytest

from bot.policy import LabelPolicy
from tests.bot.telegram.conftest import Scene
from tests.simulators.telegram_state import Chat, User

HARSH = LabelPolicy(alert_at=0.5, act_at=0.85, actions=("delete", "timeout"))
ADMINS_ONLY = (
    "/test x",
    "/status",
    "/mode enforce",
    "/policy strict",
    "/case 1",
    "/example neutral x",
    "/link X",
    "/skip",
)
EVERYBODY = ("/privacy", "/mydata", "/consent", "/learning")
BUTTONS = ("right:1", "wrong:1", "label:1:neutral", "undo:1", "explain:1", "back:1", "next:1", "card:1")
ALLOWED = {"owner", "administrator", "hidden administrator"}


async def cast(scene: Scene) -> dict[str, User]:
    """Everybody who might try; all have written to the bot before."""
    server = scene.server
    people = {
        "owner": scene.owner,
        "administrator": scene.mod,
        "hidden administrator": server.add_user("Hidden"),
        "member": scene.ann,
        "restricted member": server.add_user("Quiet"),
        "who has left": server.add_user("Left"),
        "who was banned": server.add_user("Banned"),
        "stranger": server.add_user("Stranger"),
        "administrator of another group": server.add_user("Other"),
        "another bot": server.add_user("Bot", is_bot=True),
    }
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


@pytest.mark.parametrize("place", ["group", "topic", "private", "moderators' chat"])
async def test_commands_of_administrators(place: str, scene: Scene, tmp_path: Path) -> None:
    """Nobody else gets through, a refusal changes nothing and says who may; whoever may is answered alone."""
    people = await cast(scene)
    await scene.server.says(scene.group, scene.ben, "HATE")
    await scene.cards()
    for name, person in people.items():
        private = scene.server.private(person)
        for command in ADMINS_ONLY:
            before, state = len(scene.server.by_bot(private)), kept(tmp_path)
            in_group, on_board = len(scene.server.by_bot(scene.group)), len(scene.server.by_bot(scene.board))
            if place == "private":
                scene.telegram.groups.choose(person.id, scene.group.id)
                await scene.server.says(private, person, command)
            elif place == "moderators' chat":
                await scene.server.says(scene.board, person, command)
            else:
                topic = {"message_thread_id": 7, "is_topic_message": True} if place == "topic" else {}
                await scene.server.says(scene.group, person, command, **topic)
            told = await answers(scene, private, before)
            if place == "moderators' chat":
                told += await answers(scene, scene.board, on_board)
            if name in ALLOWED:
                assert told and not any("administrators can" in text for text in told), (name, command, told)
            else:
                assert told and all("administrators can" in text for text in told), (name, command, told)
                assert kept(tmp_path) == state, (name, command)
            assert len(scene.server.by_bot(scene.group)) == in_group
        await scene.policy()


async def test_buttons_of_a_card(scene: Scene, tmp_path: Path) -> None:
    """A click counts only from an administrator of the group the case is from, wherever the card stands."""
    people = await cast(scene)
    await scene.enforce(hate=HARSH)
    await scene.server.says(scene.group, scene.ben, "HATE")
    card = await scene.card()
    await scene.settled()
    for name, person in people.items():
        if name in ALLOWED:
            continue
        for button in BUTTONS:
            state = kept(tmp_path)
            query = {"id": f"{name}{button}", "from": person.payload(), "message": card.data, "chat_instance": "1"}
            scene.server.push({"callback_query": query | {"data": button}})
            await scene.server.until(lambda number=query["id"]: number in scene.server.answers)  # type: ignore[misc]
            assert "administrators" in str(scene.server.answers[query["id"]].get("text")), (name, button)
            assert kept(tmp_path) == state
    for name in ALLOWED:
        assert "administrators" not in await scene.server.clicks(people[name], card, "👍 Correct")


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
    await scene.server.until(lambda: all(f"f{n}" in scene.server.answers for n in range(len(forged))), timeout_s=10)
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
