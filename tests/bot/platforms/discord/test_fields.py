"""Wherever somebody can write on Discord, it is read: one toxic text in every field, new, edited, forwarded."""

from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.bot.platforms.discord.conftest import Scene, ago, serving

Fields = dict[str, Any]


def row(*components: Fields) -> Fields:
    """A row of buttons, or of one select."""
    return {"components": [{"type": 1, "components": list(components)}]}


def embed(**fields: Any) -> Fields:
    return {"embeds": [{"type": "rich", **fields}]}


def select(**fields: Any) -> Fields:
    option = {"label": "one", "value": "1"} | fields.pop("option", {})
    return row({"type": 3, "custom_id": "s", "options": [option], **fields})


def button(label: str) -> Fields:
    return {"type": 2, "style": 1, "custom_id": "b", "label": label}


def media(url: str = "https://example.org/a.png") -> Fields:
    return {"url": url}


def attached(**fields: Any) -> Fields:
    base = {"id": "1", "filename": "a.png", "size": 1, "url": "https://example.org/a", "proxy_url": ""}
    return {"attachments": [base | fields]}


def poll(question: str, *answers: str) -> Fields:
    choices = [{"answer_id": at, "poll_media": {"text": text}} for at, text in enumerate(answers, 1)]
    asked = {"question": {"text": question}, "answers": choices, "allow_multiselect": False, "layout_type": 1}
    return {"poll": asked | {"expiry": "2030-01-01T00:00:00+00:00"}}


IN_A_MESSAGE: dict[str, Callable[[str], Fields]] = {
    "content": lambda text: {"content": text},
    "embed author": lambda text: embed(author={"name": text}),
    "embed title": lambda text: embed(title=text),
    "embed description": lambda text: embed(description=text),
    "embed field name": lambda text: embed(fields=[{"name": text, "value": "-"}]),
    "embed field value": lambda text: embed(fields=[{"name": "-", "value": text}]),
    "embed footer": lambda text: embed(footer={"text": text}),
    "embed provider": lambda text: embed(provider={"name": text}),
    "second embed": lambda text: {"embeds": [{"type": "rich", "title": "-"}, {"type": "rich", "title": text}]},
    "file name": lambda text: attached(filename=f"{text}.png"),
    "file title": lambda text: attached(title=text),
    "file description": lambda text: attached(description=text),
    "sticker": lambda text: {"sticker_items": [{"id": "1", "name": text, "format_type": 1}]},
    "button": lambda text: row(button(text)),
    "select placeholder": lambda text: select(placeholder=text),
    "select option label": lambda text: select(option={"label": text}),
    "select option description": lambda text: select(option={"description": text}),
    "user select placeholder": lambda text: row({"type": 5, "custom_id": "u", "placeholder": text}),
    "text display": lambda text: {"components": [{"type": 10, "content": text}]},
    "section": lambda text: {
        "components": [{"type": 9, "components": [{"type": 10, "content": text}], "accessory": button("-")}]
    },
    "section button": lambda text: {
        "components": [{"type": 9, "components": [{"type": 10, "content": "-"}], "accessory": button(text)}]
    },
    "section thumbnail": lambda text: {
        "components": [
            {
                "type": 9,
                "components": [{"type": 10, "content": "-"}],
                "accessory": {"type": 11, "media": media(), "description": text},
            }
        ]
    },
    "container": lambda text: {"components": [{"type": 17, "components": [{"type": 10, "content": text}]}]},
    "row in a container": lambda text: {"components": [{"type": 17, **row(button(text))}]},
    "media gallery": lambda text: {
        "components": [{"type": 12, "items": [{"media": media(), "description": text, "spoiler": False}]}]
    },
    "file component": lambda text: {
        "components": [{"type": 13, "file": media("https://example.org/f"), "name": f"{text}.txt", "size": 1}]
    },
}
NOT_FORWARDED: dict[str, Callable[[str], Fields]] = {
    "poll question": lambda text: poll(text, "yes", "no"),
    "poll answer": lambda text: poll("?", "yes", text),
}
"""Discord's snapshots of a message know no poll."""
ALL = IN_A_MESSAGE | NOT_FORWARDED


async def found(scene: Scene, names: Iterable[str]) -> set[str]:
    """Those whose text a case shows."""
    texts = [case.message.text for case in await scene.cases()]
    return {name for name in names if any(f"HATE {name}!" in text for text in texts)}


def forwarded(scene: Scene, fields: Fields, *, guild: str, channel: str) -> Fields:
    """A forward of a message by Ben as Discord shows it: what it said, and not who said it."""
    said = scene.server.write(scene.alerts, scene.ben, **{"content": ""} | fields).data
    reference = {"type": 1, "message_id": said["id"], "channel_id": channel, "guild_id": guild}
    snapshot = {name: value for name, value in said.items() if name not in ("id", "author", "channel_id", "member")}
    return {"message_reference": reference, "message_snapshots": [{"message": snapshot}]}


@pytest.mark.parametrize("way", ["written", "edited", "by a webhook", "forwarded"])
async def test_every_field_of_a_message(scene: Scene, way: str) -> None:
    """Toxic in any field, in any way it can get there: a case that shows it."""
    wanted = IN_A_MESSAGE if way == "forwarded" else ALL
    hook = scene.server.add_webhook(scene.lounge, "hook")
    for name, fields in wanted.items():
        toxic = fields(f"HATE {name}!")
        if way == "edited":
            message = await scene.server.says(scene.lounge, scene.ann, **{"content": "-"} | fields("nothing"))
            await scene.server.edits(message, **toxic)
        elif way == "forwarded":
            await scene.server.says(scene.lounge, scene.ann, **forwarded(scene, toxic, guild="77", channel="78"))
        else:
            await scene.server.says(scene.lounge, hook if way == "by a webhook" else scene.ann, **toxic)
    assert await found(scene, wanted) == set(wanted)
    assert len(await scene.cases()) == len(wanted)


@pytest.mark.parametrize("way", ["written", "edited"])
async def test_harmless_texts_in_every_field_are_no_cases(scene: Scene, way: str) -> None:
    """They are read, and nobody is shown them."""
    for name, fields in ALL.items():
        message = await scene.server.says(scene.lounge, scene.ann, **fields(f"good morning {name}"))
        if way == "edited":
            await scene.server.edits(message, **fields(f"good evening {name}"))
    assert not await scene.cases()
    counts = await scene.store.counts(scene.community, ago(days=1))
    assert counts.messages == len(ALL) * (2 if way == "edited" else 1) + 1  # with the name


async def test_a_links_preview_that_arrives_later(scene: Scene) -> None:
    """Nobody edited the message, but there is something new to read in it; a pin brings nothing new."""
    message = await scene.server.says(scene.lounge, scene.ann, "look https://example.org")
    await scene.settled()
    scene.server.update(message, edited=False, pinned=True)
    await scene.settled()
    assert (await scene.store.counts(scene.community, ago(days=1))).messages == 2  # with the name
    await scene.server.unfurls(message, {"type": "link", "title": "HATE preview"})
    assert "HATE preview" in (await scene.case()).message.text


async def test_every_place_to_write_in(scene: Scene) -> None:
    """Text, news, voice and stage channels, threads public, private and of news, forum posts."""
    guild = scene.guild
    news, stage = guild.add_channel("news", "news"), guild.add_channel("stage", "stage")
    inside = guild.add_channel("inside", parent=guild.add_channel("group", "category"))
    thread = scene.lounge.add_thread("a thread", scene.ben)
    private = scene.lounge.add_thread("a private thread", scene.ben, private=True)
    of_news = news.add_thread("a thread of news", scene.ben)
    post = await scene.server.posts(scene.forum, scene.ben, "a question", "HATE first post!")
    rooms = {"news": news, "stage": stage, "inside": inside, "voice": scene.voice, "text": scene.lounge}
    rooms |= {"thread": thread, "private thread": private, "thread of news": of_news, "forum post": post}
    for name, room in rooms.items():
        await scene.server.says(room, scene.ann, f"HATE {name}!")
    names = {*rooms, "first post"}
    assert await found(scene, names) == names and len(await scene.cases()) == len(names)


async def test_titles_and_names(scene: Scene) -> None:
    """Of threads and forum posts, new and renamed; nicknames, and names that need none."""
    scene.guild.add_channel("news", "news").add_thread("HATE thread of news!", scene.ben)
    scene.lounge.add_thread("HATE thread!", scene.ben)
    scene.lounge.add_thread("HATE private thread!", scene.ben, private=True)
    start = await scene.server.says(scene.lounge, scene.ben, "let us talk")
    scene.lounge.add_thread("HATE thread of a message!", scene.ben, message=start)
    await scene.server.posts(scene.forum, scene.ben, "HATE post!", "hello")
    renamed = await scene.server.posts(scene.forum, scene.ben, "a question", "hello")
    await scene.settled()
    renamed.change(name="HATE renamed!")
    scene.guild.members[scene.ann.id].nick = "HATE nickname!"
    await scene.server.says(scene.lounge, scene.ann, "hello")
    carl = scene.server.add_user("carl")
    carl.global_name = "HATE global name!"
    scene.guild.add_member(carl)
    await scene.server.says(scene.lounge, carl, "hello")
    dora = scene.server.add_user("HATE user name!")
    dora.global_name = None
    scene.guild.add_member(dora)
    await scene.server.says(scene.lounge, dora, "hello")
    names = {"thread", "thread of news", "private thread", "thread of a message", "post", "renamed"}
    names |= {"nickname", "global name", "user name"}
    assert await found(scene, names) == names and len(await scene.cases()) == len(names)


async def test_with_the_members_intent_a_name_is_read_at_once(scene: Scene, tmp_path: Path) -> None:
    """Who joins under such a name or takes one need not say anything first."""
    scene.access = replace(scene.access, members_intent=True)
    async with serving(scene, tmp_path / "again"):
        scene.guild.add_member(scene.server.add_user("eve"), nick="HATE joined!")
        scene.guild.members[scene.ben.id].change(nick="HATE taken!")
        await scene.server.drained()
        assert await found(scene, {"joined", "taken"}) == {"joined", "taken"}


async def test_a_reply_is_not_what_it_answers(scene: Scene) -> None:
    """The quoted message counts once, as its own author's; the reply's own words count."""
    toxic = await scene.server.says(scene.lounge, scene.ann, "HATE original!")
    await scene.server.says(scene.lounge, scene.ben, "that is not nice", reply_to=toxic)
    await scene.server.says(scene.lounge, scene.ben, "HATE reply!", reply_to=toxic)
    assert await found(scene, {"original", "reply"}) == {"original", "reply"}
    assert {case.message.text for case in await scene.cases()} == {"HATE original!", "HATE reply!"}


async def test_what_repeats_or_is_ours_is_not_read(scene: Scene) -> None:
    """Discord's own filter and a poll's result quote others; the bot's cards quote them too."""
    quoted = embed(description="HATE quoted!")
    await scene.server.says(scene.lounge, scene.ann, type=24, **quoted)
    await scene.server.says(scene.lounge, scene.ann, type=46, **quoted)
    await scene.server.says(scene.lounge, scene.server.bot, **quoted)
    await scene.server.says(scene.server.dm(scene.ann), scene.ann, "HATE in private!")
    assert not await scene.cases()
