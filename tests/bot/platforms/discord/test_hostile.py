"""What members type is shown to others as text and as nothing else: it calls nobody, links nowhere, hides nothing."""

import asyncio
import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.domain.policy import LabelPolicy, Mode, Policy, Strikes
from bot.platforms.discord.inert_markdown import LONGEST_MESSAGE, block, fitting, inline
from tests.bot.platforms.discord.conftest import Scene, serving
from tests.simulators.discord_server import Answer, Call, DiscordServer

ESCAPED = re.compile(r"\\[^0-9A-Za-z\s]")
BLOCK = re.compile(r"```(?:[a-z0-9_+\-.#]+?\n)?\n*[^\n][\s\S]*?\n*```", re.IGNORECASE)
SPAN = re.compile(r"(`+)[\s\S]*?[^`]\1(?!`)")


def outside(text: str) -> str:
    """What Discord's apps would interpret: the text without its code blocks and code spans."""
    kept, at = "", 0
    while at < len(text):
        if found := ESCAPED.match(text, at):
            kept += found[0]
        elif found := BLOCK.match(text, at) or SPAN.match(text, at):
            pass
        else:
            kept += text[at]
        at = found.end() if found else at + 1
    return kept


def test_the_reader_reads_as_discord_does() -> None:
    """Blocks and spans of any length, what is escaped, and what is never closed."""
    assert outside("a `b` c ```\nd\n``` e") == "a  c  e" and outside("``a`b`` c") == " c"
    assert outside(r"\`a` b") == r"\`a` b" and outside("`a b") == "`a b" and outside("```\nx``` y```") == " y```"


NASTY = st.text(
    st.sampled_from("`\n\\ a*_[]()|~<>@#-\u200b\u202e\u2066\u200d\u0301\ufeff\ud800\u2028\r\t😀"), max_size=60
)


@settings(max_examples=400, deadline=None)
@given(st.one_of(st.text(max_size=60), NASTY))
def test_nothing_gets_out_of_its_code(text: str) -> None:
    """No text can end the block or the span it stands in, whatever stands around it."""
    assert outside(f"A{inline(text)}B `x`") == "AB "
    if text:
        assert outside(f"A\n{block(text, 'en')}\nB ```x```") == "A\n\nB "
    for shown in (inline(text, 20), block(text, "en", 20)):
        shown.encode()
        assert not set(shown) & set("\u202e\u2066\u200b\ufeff\u2028\r") and len(shown) <= 150


@settings(max_examples=25, deadline=None)
@given(st.lists(NASTY, min_size=1, max_size=40).map(lambda texts: texts * 20))
def test_what_is_too_long_is_cut_between_lines(texts: list[str]) -> None:
    """A cut never opens a span."""
    whole = "\n".join(["first", *(f"+ {inline(f'{text} evil ' * 30, 120)}" for text in texts)])
    cut = fitting(whole)
    assert len(cut) <= LONGEST_MESSAGE and set(outside(cut)) <= set("first+ \n")
    assert cut == whole or len(cut) > LONGEST_MESSAGE - 140


HOSTILE = [
    "@everyone @here zqx",
    "<@&{role}> <@{user}> <@!{user}> zqx",
    "[ ||x|| [zqx](http://evil.example)",
    "[zqx](<http://evil.example> 'zqx')",
    "```zqx",
    "zqx```",
    "```\nzqx\n```\nzqx\n```js\nzqx",
    "`zqx``zqx```zqx````zqx`````zqx",
    "``````````zqx``````````",
    "\\`zqx\\`zqx\\\\`zqx\\",
    "zqx\u202eexe.zqx\u2066zqx\u2069",
    "z\u200bq\u200bx zqx\u200b\u200e\u00ad\ufeff",
    "zqx" + "\u0301\u0316\u0334" * 300,
    "# zqx\n## zqx\n-# zqx\n> zqx\n>>> zqx\n- zqx\n1. zqx",
    "||zqx|| **zqx** __zqx__ ~~zqx~~ *zqx* _zqx_",
    "https://discord.gg/zqx http://evil.example/zqx <http://evil.example/zqx>",
    "<:zqx:123456789012345678> <a:zqx:123456789012345678> :zqx:",
    "<t:1700000000:R> zqx </zqx:123456789012345678> <#{room}> <id:zqx>",
    "zqx\u2028zqx\u2029zqx\rzqx\x00zqx\x1bzqx",
    "zqx " * 1000,
    "zqx" + "`" * 3990,
    "{{ $server }} {{zqx}} { zqx } %s {zqx!r}",
]


@pytest.fixture
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Cards are not gathered for long."""
    monkeypatch.setattr("bot.cases.delivery.GATHER_S", 0.05)


def texts(call: Call) -> list[str]:
    """Everything in a request that Discord would lay out."""
    body = call.body()
    body = body.get("data", body) if "interactions" in call.path else body
    found = [body.get("content") or ""]
    for one in body.get("embeds") or []:
        found += [one.get("title") or "", one.get("description") or "", (one.get("footer") or {}).get("text") or ""]
        found += [text for field in one.get("fields") or [] for text in (field["name"], field["value"])]
    return [text for text in found if text]


def spoken(scene: Scene) -> list[Call]:
    """The requests by which the bot says something."""
    calls = [
        call for method in ("POST", "PATCH") for call in scene.server.called(method, r"/messages|/callback|/webhooks")
    ]
    return [call for call in calls if "bulk-delete" not in call.path and isinstance(call.json, dict)]


def inert(scene: Scene, least: int = 1, mentioned: int = 0) -> None:
    """All that was said until now: the hostile text in code only, nobody called but who was warned, all of it sent."""
    found = 0
    for call in spoken(scene):
        assert call.status in (200, 204), (call.path, call.status, call.json)
        for text in texts(call):
            found += "zqx" in text
            assert not re.search(r"zqx|evil|@everyone|@here|\u202e|\u2066", outside(text)), text
        if (call.json.get("data") or call.json).get("content"):  # embeds call nobody
            allowed = (call.json.get("data") or call.json)["allowed_mentions"]
            assert allowed["parse"] == [], call.json
            assert [int(user) for user in allowed.get("users", [])] in ([], [mentioned]), call.json
            assert not allowed.get("roles")
    assert found >= least


def filled(scene: Scene, text: str) -> str:
    return text.replace("{role}", str(scene.mods.id)).replace("{user}", str(scene.ben.id))


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
async def test_cards_and_commands(soon: None, scene: Scene, text: str) -> None:
    """A message, a nickname, a title, an embed: on cards and in the answer to every command that quotes."""
    text = filled(scene, text)
    await scene.enforce(
        hate=LabelPolicy(alert_at=0.5, act_at=0.85, actions=("delete",)), strikes=Strikes(timeout_at=None)
    )
    scene.guild.members[scene.ann.id].nick = f"HATE {text}"[:32]
    message = await scene.server.says(scene.lounge, scene.ann, f"HATE {text}"[:4000])
    kept = await scene.server.says(scene.lounge, scene.ben, "", embeds=[{"title": f"RUDE {text}"[:256]}])
    scene.lounge.add_thread(f"HATE {text}"[:100], scene.ben)
    await scene.cards(4)
    await scene.settled()
    case = await scene.store.case_of("discord", scene.community, str(message.id))
    assert case is not None and message.deleted
    card = next(card for card in await scene.cards(4) if f"case {case.id} " in str(card.embeds))
    explained = await scene.server.clicks(scene.mod, card, "Explain")
    corrected = await scene.server.clicks(
        scene.owner, await scene.server.clicks(scene.owner, card, "👎 Wrong label"), "neutral"
    )
    assert explained.ephemeral
    await scene.server.clicks(scene.owner, corrected, "Post it back")
    link = f"https://discord.com/channels/{scene.guild.id}/{scene.lounge.id}/{kept.id}"
    answers: list[Answer] = [
        await scene.runs(scene.mod, "test", text=f"HATE {text}"[:4000]),
        await scene.runs(scene.mod, "explain", message=link),
        await scene.runs(scene.ben, "explain", message=link),
        await scene.runs(scene.mod, "preview"),
        await scene.runs(scene.mod, "case", number=case.id),
        await scene.runs(scene.mod, "history", member=scene.ann),
        await scene.runs(scene.ann, "report", message=link),
        await scene.runs(scene.ann, "mydata export"),
    ]
    assert all(answer.ephemeral and (answer.content or answer.embeds) for answer in answers)
    assert not any("Something went wrong" in answer.content for answer in answers)
    await scene.settled()
    inert(scene, least=7)


async def test_digests(scene: Scene) -> None:
    """Many at once, each of another kind."""
    await scene.pipeline.set_policy(scene.community, Policy(hate=LabelPolicy(alert_at=0.5, act_at=0.85)))
    for text in HOSTILE:
        await scene.server.says(scene.lounge, scene.ann, f"HATE {filled(scene, text)}"[:4000])
    await scene.settled()
    await scene.server.until(
        lambda: f"{len(HOSTILE)} messages" in str([m.embeds for m in scene.alerts.messages.values()])
    )
    await scene.shown()
    (digest,) = await scene.cards()
    for _ in HOSTILE:
        answer = await scene.server.clicks(scene.mod, digest, "Go through them")
        await scene.server.clicks(scene.mod, answer, "👍 Correct")
    await scene.settled()
    inert(scene, least=len(HOSTILE))


NAMES = [HOSTILE[at] for at in (1, 2, 6, 8, 10)]


@pytest.mark.parametrize("text", NAMES, ids=range(len(NAMES)))
async def test_names_of_servers_channels_and_roles(soon: None, tmp_path: Path, text: str) -> None:
    """In the greeting, warnings, status and notices."""
    async with DiscordServer() as server:
        scene = Scene(server)
        scene.guild.name = filled(scene, text)[:100]
        scene.lounge.name = filled(scene, text)[:100]
        scene.guild.bot_role.name = filled(scene, text)[:100]
        async with serving(scene, tmp_path, set_up=False):
            await server.until(lambda: server.dm(scene.owner).messages)
            setup = (await scene.discord.setup(scene.community)).model_copy(update={"alert_room": str(scene.alerts.id)})
            await scene.discord.save_setup(scene.discord.guild(scene.community), setup)  # type: ignore[arg-type]
            warn = LabelPolicy(alert_at=0.5, act_at=0.85, actions=("delete", "warn"))
            await scene.pipeline.set_policy(scene.community, Policy(mode=Mode.ENFORCE, hate=warn))
            scene.lounge.overwrite(scene.guild.bot_role, deny=["manage_messages"])
            await server.says(scene.lounge, scene.ann, "HATE")
            await scene.card()
            await server.until(lambda: any("Not possible" in m.content for m in server.bot_messages(scene.alerts)))
            await scene.runs(scene.owner, "status")
            await scene.runs(scene.owner, "setup")
            await server.until(lambda: server.dm(scene.ann).messages)
            inert(scene, least=2)


async def test_who_is_warned_in_the_channel_is_the_only_one_called(scene: Scene) -> None:
    """Whatever they are called."""
    scene.chosen["warn"] = "place"
    await scene.discord.save_setup(
        scene.discord.guild(scene.community),  # type: ignore[arg-type]
        (await scene.discord.setup(scene.community)).model_copy(update={"warn": "place"}),
    )
    await scene.enforce(hate=LabelPolicy(alert_at=0.5, act_at=0.85, actions=("warn",)))
    scene.guild.members[scene.ann.id].nick = "@everyone zqx"
    await scene.server.says(scene.lounge, scene.ann, f"HATE @everyone <@{scene.ben.id}> zqx")
    await scene.card()
    (warning,) = scene.server.bot_messages(scene.lounge)
    assert [user["id"] for user in warning.data["mentions"]] == [str(scene.ann.id)]
    assert not warning.data["mention_everyone"]
    inert(scene, mentioned=scene.ann.id)


SURROGATES = ["HATE \ud800", "HATE \udfff\ud800 zqx", "\udc00HATE"]


@pytest.mark.parametrize("field", ["content", "nick", "embed", "title", "user name"])
async def test_half_characters(scene: Scene, field: str) -> None:
    """Halves of a surrogate pair, as JSON can carry them: read, shown, exported; nothing waits for them for ever."""
    for at, text in enumerate(SURROGATES):
        message = scene.server.write(scene.lounge, scene.ann, "hello")
        event: dict[str, Any] = message.event()
        if field == "content":
            event["content"] = text
        elif field == "embed":
            event["embeds"] = [{"type": "rich", "description": text}]
        elif field == "nick":
            event["member"] = {**event["member"], "nick": text}
        elif field == "user name":
            event["author"] = {**event["author"], "global_name": None, "username": text}
        if field == "title":
            thread = scene.lounge.add_thread("a thread", scene.ben)
            event = thread.payload() | {"name": text}
        scene.server.faults.malformed("THREAD_UPDATE" if field == "title" else "MESSAGE_CREATE", json.dumps(event))
        await scene.heard()
        cases = await scene.cases()
        assert len(cases) == (1 if field in ("nick", "user name") else at + 1)  # a person has one name at a time
        assert cases[-1].message.text.endswith(text)
    await scene.cards(len(cases))
    assert not scene.discord.missed_messages.on_hold
    await scene.runs(scene.mod, "history", member=scene.ann)
    answer = await scene.runs(scene.ann, "mydata export")
    assert answer.content and "went wrong" not in answer.content
    (case, *_) = await scene.cases()
    assert (await scene.runs(scene.mod, "case", number=case.id)).embeds
    await scene.settled()
    assert all(call.status in (200, 204) for call in spoken(scene))


async def test_a_flood_of_one_hostile_author_does_not_starve_others(scene: Scene) -> None:
    """Five hundred of the worst; somebody else's message is read long before the last of them."""
    nasty = HOSTILE[12]
    for number in range(500):
        scene.server.publish(scene.server.write(scene.lounge, scene.ann, f"{number} {nasty}"))
    message = await scene.server.says(scene.lounge, scene.ben, "good morning")
    await scene.server.until(lambda: scene.read[message.content], timeout_s=60)
    await asyncio.sleep(0)


async def test_no_log_shows_what_was_said(scene: Scene, capsys: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Something of ours fails with a message and the token in hand: the log names the place, and neither of them."""

    async def failing(self: Any, event: Any) -> bool:
        token = f"{scene.access.token} {event.text}"
        raise RuntimeError(f"a failure of {len(token)} characters")

    monkeypatch.setattr("bot.pipeline.pipeline.Pipeline.receive", failing)
    await scene.server.says(scene.lounge, scene.ann, "HATE zqx")
    await scene.heard()
    shown = "".join(capsys.readouterr())
    assert "a failure of" in shown and re.search(r"test_hostile\.py:\d+ failing", shown)
    assert "zqx" not in shown and scene.access.token not in shown
