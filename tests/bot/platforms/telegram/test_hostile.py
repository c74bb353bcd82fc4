"""What members type is shown to others as text and as nothing else: it calls nobody, links nowhere, hides nothing, and
what the bot says is never refused because of it."""

import re
from html.parser import HTMLParser

import pytest
from bot.platforms.telegram.private import payload
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.domain.notice import Notice
from bot.domain.policy import LabelPolicy, Policy, Strikes
from bot.domain.setup import Setup
from bot.platforms.telegram.commands import bold
from bot.platforms.telegram.layout import LONGEST_TEXT, block, fitting, inline
from bot.text.inert import one_line, plain
from tests.bot.platforms.telegram.conftest import Scene
from tests.simulators.telegram_server import Call
from tests.simulators.telegram_state import Chat

SIMPLE = frozenset({"b", "i", "code", "pre", "a"})
FORUM = {"message_thread_id": 7, "is_topic_message": True}


class Reader(HTMLParser):
    """Reads Telegram's HTML; what is no well-nested tag of it is an error, as it is for Telegram."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.stack: list[str] = []
        self.pieces: list[tuple[str, str]] = []
        """(innermost tag, text)"""
        self.links: list[str] = []
        self.feed(text)
        self.close()
        assert not self.stack, text

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag in SIMPLE and (not attrs or tag == "a"), tag
        self.links += [str(value) for _, value in attrs]
        self.stack.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.stack and self.stack.pop() == tag, tag

    def handle_data(self, data: str) -> None:
        self.pieces.append((self.stack[-1] if self.stack else "", data))

    @property
    def shown(self) -> str:
        return "".join(text for _, text in self.pieces)


NASTY = st.text(
    st.sampled_from("<>&;\"'/`*\n a=lt#\u200b\u202e\u2066\u200d\u0301\ufeff\ud800\u2028\r\t😀"), max_size=60
)


@settings(max_examples=300, deadline=None)
@given(st.one_of(st.text(max_size=60), NASTY))
def test_nothing_gets_out_of_its_code(text: str) -> None:
    """Parsed as HTML, what was typed is exactly text, within one element."""
    tag = "pre" if plain(text, 100) else "i"
    one, two = Reader(block(text, "en")), Reader(inline(text))
    assert {inner for inner, _ in one.pieces} == {tag} and {inner for inner, _ in two.pieces} == {"code"}
    if tag == "pre":
        assert one.shown.replace("\r", "\n") == plain(text, 2800).replace("\r", "\n")
    assert two.shown == (one_line(text, 80) or "…")


@settings(max_examples=300, deadline=None)
@given(st.one_of(st.text(max_size=60), NASTY))
def test_bold_is_well_formed_whatever_stands_in_it(text: str) -> None:
    """Only our marks become tags, and every other character is shown."""
    whole = f"**A** {text} `B` {text}"
    read = Reader(bold(whole))
    assert re.sub(r"[*`]", "", read.shown) == re.sub(r"[*`]", "", whole)
    assert {inner for inner, _ in read.pieces} <= {"", "b", "code"} and not read.links


@settings(max_examples=60, deadline=None)
@given(st.lists(NASTY, min_size=1, max_size=30), st.booleans())
def test_what_is_too_long_is_cut_between_lines(texts: list[str], quoted: bool) -> None:
    """A cut never opens a tag or an escape, and takes no more than it must."""
    lines = [f"+ {inline(f'{text} evil <&> ' * 30, 200)}" for text in texts * 8]
    whole = "\n".join([block("<&>\n" * 60, "en") if quoted else "first", *lines])
    cut = fitting(whole)
    assert 0 < len(Reader(cut).shown) <= LONGEST_TEXT
    assert cut == whole or len(Reader(cut).shown) > LONGEST_TEXT - 300


HOSTILE = [
    "<b>zqx</b> <i>zqx <a href='http://evil.example'>zqx",
    '<a href="tg://user?id=1">zqx</a>',
    "</pre></code></a></b>zqx<pre>",
    "&lt;b&gt;zqx &amp; &zqx; &#60;zqx & &",
    "@zqx @everyone t.me/zqx https://t.me/+zqx http://evil.example tg://resolve?domain=zqx",
    "zqx\u202eexe.zqx\u2066zqx\u2069 z\u200bqx\ufeff",
    "zqx" + "\u0301\u0316\u0334" * 300,
    "**zqx `zqx** zqx` *zqx* _zqx_ ||zqx||",
    "zqx\ud800zqx \udfff",
    "zqx\u2028zqx\u2029zqx\rzqx\x1bzqx",
    "<&>zqx " * 585,
    "zqx" + "&" * 4000,
    "😀" * 60 + "zqx" + "<" * 3000,
    "{ $author } {{zqx}} %s {zqx!r}",
]


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Cards are not gathered for long, and nothing is put off."""
    monkeypatch.setattr("bot.cases.delivery.GATHER_S", 0.05)
    monkeypatch.setattr("bot.platforms.telegram.answers.AGAIN_S", ())


def spoken(scene: Scene) -> list[Call]:
    """The requests by which the bot says something."""
    names = ("sendmessage", "editmessagetext", "answercallbackquery", "senddocument")
    return [call for call in scene.server.calls if call.method.lower() in names]


def inert(scene: Scene, least: int = 1) -> None:
    """All that was said until now: well formed, taken by Telegram, hostile text in code or in a name alone."""
    found = 0
    for call in spoken(scene):
        assert call.status in (200, 403) or "not modified" in call.refusal, (call.method, call.status, call.data)
        text = str(call.data.get("text") or call.data.get("caption") or "")
        found += "zqx" in text
        assert not set(text) & set("\u202e\u2066\u200b\ufeff\u2028\x1b\ud800"), text
        if call.data.get("parse_mode") == "HTML":
            read = Reader(text)
            assert len(read.shown) <= LONGEST_TEXT
            assert all(re.fullmatch(r"tg://user\?id=\d{4,}|https://t\.me/c/\d+/\d+", link) for link in read.links), text
    assert found >= least


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
async def test_cards_commands_and_set_up(scene: Scene, text: str) -> None:
    """A message, a name, titles of groups and topics: on cards, and in every answer that quotes."""
    server = scene.server
    scene.ann.first_name = f"HATE {text}"[:64]
    scene.group.title = f"{text}"[:128]
    scene.board.title = f"{text}"[:128]
    for chat, setup in ((scene.group, None), (scene.board, None)):
        key = f"telegram-{chat.id}"
        before = scene.telegram.groups.setup_of_chat(chat.id)
        await scene.telegram.groups.greet(chat.id, chat.title, setup or Setup())
        assert scene.telegram.groups.title_of(key) and scene.telegram.groups.setup_of_chat(chat.id) == before
    await scene.enforce(
        hate=LabelPolicy(alert_at=0.5, act_at=0.85, actions=("delete", "warn")), strikes=Strikes(timeout_at=None)
    )
    scene.mod.started = True
    message = await server.says(scene.group, scene.ann, f"HATE {text}"[:4096])
    await server.says(scene.group, scene.ann, forum_topic_created={"name": f"HATE {text}"[:128]}, **FORUM)
    await server.says(scene.group, scene.ben, f"hello {text}"[:4096])
    await server.until(lambda: message.deleted, timeout_s=9)
    cases = await scene.cases()
    await server.until(lambda: any(m.buttons for m in server.by_bot(scene.board)))
    card = next(m for m in server.by_bot(scene.board) if m.buttons)
    first = next(
        case for case in cases if case.message.text.startswith("HATE") and ":name-" not in case.message.key.message
    )
    base = {"from": scene.mod.payload(), "message": card.data, "chat_instance": "1"}
    for number, data in enumerate(("right", "explain", "undo", "back", "card", "wrong")):
        server.push({"callback_query": base | {"id": f"h{number}", "data": f"{data}:{first.id}"}})
        await server.until(lambda number=number: f"h{number}" in server.answers)  # type: ignore[misc]
    for command in (f"/test HATE {text}"[:4096], f"/case {text}"[:4096], f"/case {first.id}", "/status", "/policy"):
        await server.says(scene.board, scene.owner, command)
    await server.says(scene.group, scene.mod, "/explain", reply_to=message)
    await server.says(scene.board, scene.owner, f"/policy hate 1 2 {text}"[:4096])
    await server.says(scene.board, scene.owner, f"/mode {text}"[:4096])
    await server.tells(scene.owner, f"/start setup_{scene.group.id}")
    await server.tells(scene.owner, "/status")
    for member in (scene.ben, scene.ann):
        await server.says(scene.group, member, "/explain", reply_to=message)
        await server.says(scene.group, member, "/mydata export")
    scene.telegram.notify(Notice("notice-plain", {"text": f"<&> {text} " * 20}, scene.community))
    await scene.settled()
    await server.until(lambda: any("&lt;&amp;&gt;" in m.text for m in server.by_bot(scene.board)))
    assert any("restored a message" in m.text for m in server.by_bot(scene.group))
    screen = next(m for m in server.by_bot(server.private(scene.owner)) if "set:" in str(m.buttons))
    await server.clicks(scene.owner, screen, "Warn: in private")
    inert(scene, least=5)
    assert not any("could not be handled" in m.text for m in server.by_bot(scene.board))


async def test_a_digest_of_them(scene: Scene) -> None:
    """All in one message."""
    for text in HOSTILE:
        await scene.server.says(scene.group, scene.ben, f"HATE {text}"[:4096])
    await scene.server.until(
        lambda: any("need a look" in m.text for m in scene.server.by_bot(scene.board)), timeout_s=9
    )
    inert(scene)


async def test_a_warning_names_whoever_it_is(scene: Scene) -> None:
    """A name of 64 characters that escaping makes longer is not cut in the middle of an escape."""
    await scene.enforce(hate=LabelPolicy(alert_at=0.5, act_at=0.85, actions=("warn",)))
    scene.ben.first_name = "x" * 61 + "&&&"
    await scene.server.says(scene.group, scene.ben, "HATE")
    await scene.server.until(lambda: scene.server.by_bot(scene.group))
    assert "&amp;&amp;&amp;</a>" in scene.server.by_bot(scene.group)[0].text


async def test_choosing_among_hostile_titles(scene: Scene) -> None:
    """Buttons hold no more than they may, and what they carry still works."""
    await scene.telegram.groups.greet(scene.group.id, "\u202ezqx\ud800<b>" * 20, Setup())
    scene.server.join(scene.board, scene.mod, "administrator")
    await scene.server.tells(scene.mod, f"/mode {'я' * 60}")
    await scene.settled()
    asked = scene.server.by_bot(scene.server.private(scene.mod))[-1]
    assert len(asked.buttons) == 2 and all(len(one["callback_data"].encode()) <= 64 for one in asked.buttons)
    assert not any("\u202e" in one["text"] for one in asked.buttons)


async def test_forged_data_of_the_private_chat(scene: Scene) -> None:
    """Clients can send what they like: nothing is changed or kept for groups the bot does not know."""
    await scene.asks(scene.ann, f"/start consent_{scene.group.id}")
    shown = scene.server.by_bot(scene.server.private(scene.ann))[-1]
    forged = ("set:abc:mode", "set::", "set:--5:mode", "set:٣:mode", "in:x:", "in:-100:status", "mine:-100:yes", "mine")
    base = {"from": scene.ann.payload(), "message": shown.data, "chat_instance": "1"}
    for number, data in enumerate(forged):
        scene.server.push({"callback_query": base | {"id": f"f{number}", "data": data}})
    scene.server.push(
        {"callback_query": {"id": "none", "from": scene.ann.payload(), "data": f"set:{scene.group.id}:x"}}
    )
    await scene.server.until(lambda: {"none", *(f"f{n}" for n in range(len(forged)))} <= set(scene.server.answers))
    assert not any(answer.get("text") for answer in scene.server.answers.values())
    pseudonym = scene.store.sealer.author("telegram", "telegram--100", str(scene.ann.id))
    assert await scene.store.consents.basis("telegram--100", pseudonym) is None
    assert scene.telegram.groups.chosen(scene.ann.id) is None


def test_links_with_anything_in_them() -> None:
    """A payload is a verb, a chat and a number, or nothing."""
    assert payload("explain_-1001_45") == ("explain", -1001, "45")
    for text in ("mods_--5", "mods_", "mods_٣", "mods_9" + "9" * 30, "_", "", "mods_1e3"):
        assert payload(text)[1] is None, text


async def test_a_link_with_anything_in_it_troubles_nobody(scene: Scene) -> None:
    """A member's broken link in the group is not a hundred notices to moderators."""
    for text in ("/start mods_--5", "/start mods_٣", "/start mods_" + "9" * 50):
        await scene.server.says(scene.group, scene.ann, text)
        await scene.server.tells(scene.ann, text)
    await scene.settled()
    assert not scene.server.by_bot(scene.board) and not await scene.store.inbox.waiting("telegram")


async def test_a_command_hides_no_insult(scene: Scene) -> None:
    """What a member writes after a command is read like anything else; what an administrator tries is not."""
    await scene.enforce()
    said = [await scene.server.says(scene.group, scene.ann, f"/{name} HATE") for name in ("privacy", "test", "report")]
    tried = await scene.server.says(scene.group, scene.mod, "/test HATE")
    await scene.server.until(lambda: all(message.deleted for message in said))
    await scene.settled()
    assert not tried.deleted and len(await scene.cases()) == 3


async def second(scene: Scene) -> Chat:
    """Another group of the same owner whose cards go to the same chat."""
    other = scene.server.add_group("Others", owner=scene.owner)
    await scene.telegram.groups.greet(other.id, "Others", Setup())
    await scene.telegram.change_setup(other.id, alert_room=str(scene.board.id), done=True)
    return other


async def test_one_moderators_chat_for_two_groups(scene: Scene) -> None:
    """What moderators say there is not read, a command asks which group is meant, and the choice carries it out."""
    other = await second(scene)
    await scene.server.says(scene.board, scene.owner, "HATE is what they wrote")
    await scene.server.says(scene.board, scene.owner, "/mode enforce")
    await scene.server.until(lambda: scene.server.by_bot(scene.board))
    (asked,) = scene.server.by_bot(scene.board)
    assert {button["text"] for button in asked.buttons} == {"Friends", "Others"}
    assert "Somebody else asked" in await scene.server.clicks(scene.mod, asked, "Others")
    await scene.server.clicks(scene.owner, asked, "Others")
    await scene.settled()
    assert (await scene.pipeline.policy(f"telegram-{other.id}")).mode.value == "enforce"
    assert (await scene.pipeline.policy(scene.community)).mode.value == "shadow"
    assert not await scene.store.cases(f"telegram-{scene.board.id}")


async def test_who_is_hidden_among_the_moderators_may_be_anybody(scene: Scene) -> None:
    """Nobody knows what an anonymous administrator may, neither of the moderators' chat nor of the group itself."""
    await scene.server.says(scene.board, scene.board, "/mode enforce")
    await scene.server.until(lambda: scene.server.by_bot(scene.board))
    assert "cannot tell who you are" in scene.server.by_bot(scene.board)[0].text
    await scene.server.says(scene.board, scene.board, f"/start mods_{scene.group.id}")
    await scene.server.until(lambda: len(scene.server.by_bot(scene.board)) == 2)
    await scene.server.says(scene.group, scene.group, "/mode enforce")
    await scene.settled()
    assert await scene.pipeline.policy(scene.community) == Policy()


async def test_a_message_edited_into_a_command_is_no_command(scene: Scene) -> None:
    """It is read, and changes nothing."""
    message = await scene.server.says(scene.group, scene.mod, "hello")
    await scene.server.edits(message, "/mode enforce")
    await scene.settled()
    assert await scene.pipeline.policy(scene.community) == Policy()


async def test_a_member_s_texts_from_before_a_link(scene: Scene) -> None:
    """Linked with Discord since: the copy and the removal take in what was said before."""
    await scene.server.says(scene.group, scene.ann, "HATE before")
    card = await scene.card()
    await scene.settled()
    await scene.telegram.groups.link(scene.group.id, "discord-77")
    await scene.server.says(scene.group, scene.ann, "hello after")
    await scene.settled()
    scene.telegram.groups.choose(scene.ann.id, scene.group.id)
    await scene.asks(scene.ann, "/mydata export")
    (sent,) = scene.server.called("sendDocument")
    assert "HATE before" in sent.files[0] and "hello after" in sent.files[0]
    await scene.asks(scene.ann, "/mydata erase")
    await scene.server.until(lambda: "no longer kept" in card.text)


def test_the_reader_refuses_what_telegram_refuses() -> None:
    """Otherwise the scenes above could not fail."""
    for text in ("<b>x", "<b><code>x</b></code>", "x</pre>", "<u>x</u>"):
        with pytest.raises(AssertionError):
            Reader(text)
