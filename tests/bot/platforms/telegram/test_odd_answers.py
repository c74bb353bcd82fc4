"""Telegram, or a server in its place, answers what nobody expects: nothing ends, is lost or comes twice."""

import asyncio
import contextlib
import functools
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bot.domain.action import Ban, Delete, Kick
from bot.domain.event import Author, MessageKey
from bot.domain.notice import Notice
from bot.domain.platform import Gone, MissingPermission, PlatformRefuses, Unreachable, Unreadable
from bot.domain.policy import LabelPolicy, Strikes
from bot.platforms.telegram import Access, answers, service
from bot.platforms.telegram import updates as updates
from bot.platforms.telegram.bot import NEEDED
from bot.platforms.telegram.bot_api import Requests
from bot.platforms.telegram.check import check_access
from bot.platforms.unreadable_answers import read_by
from tests.bot.platforms.telegram.conftest import Scene, serving
from tests.bot.platforms.telegram.test_faults import AGAIN, alive
from tests.bot.platforms.telegram.test_updates import REASON
from tests.conftest import unchanged
from tests.simulators.odd_bodies import ODD, Odd
from tests.simulators.telegram_server import TelegramServer

EVERYTHING = LabelPolicy(alert_at=0.5, act_at=0.85, actions=("delete", "warn", "timeout", "ban"), timeout_minutes=30)
READ = ("getChatAdministrators", "getChatMember", "getChat")
DONE = ("deleteMessage", "restrictChatMember", "banChatMember", "unbanChatMember")
SAID = ("sendMessage", "editMessageText", "editMessageReplyMarkup", "answerCallbackQuery", "sendDocument")
GOOD = "more and later"
"""All that is needed is in it."""


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is put off is not put off for long, and nobody waits long for an answer."""
    monkeypatch.setattr("bot.pipeline.enforcement.FIRST_WAIT_S", 0.05)
    monkeypatch.setattr("bot.cases.delivery.GATHER_S", 0.05)
    monkeypatch.setattr("bot.cases.delivery.RETRY_S", 0.05)
    monkeypatch.setattr("bot.cases.delivery.BROKEN_RETRY_S", 0.05)
    monkeypatch.setattr(updates, "RETRY_S", 0.05)
    monkeypatch.setattr(answers, "AGAIN_S", (0.05, 0.1, 0.2, 0.5, 1.0))
    monkeypatch.setattr(service, "Requests", functools.partial(Requests, read_timeout=2.0))
    monkeypatch.setattr(service, "FIRST_WAIT_S", 0.05)
    for place in (service, updates):
        monkeypatch.setattr(place, "trouble_of", lambda error: (REASON(error)[0], 0.05))


@pytest.fixture
async def living(scene: Scene) -> AsyncIterator[Scene]:
    """The bot; at the end it must still read and answer."""
    yield scene
    await alive(scene)
    assert scene.telegram.trouble is None


@pytest.mark.parametrize("odd", ODD.values(), ids=list(ODD))
async def test_a_start(odd: Odd, tmp_path: Path) -> None:
    """getMe and deleteWebhook: the next connection is made, and what was said meanwhile is read."""
    async with TelegramServer() as server:
        for method in ("getMe", "deleteWebhook", "getUpdates"):
            server.answer_oddly(method, odd, times=2)
        scene = Scene(server)
        await server.says(scene.group, scene.ann, "HATE said before the start")
        async with serving(scene, tmp_path):
            await scene.card()
            assert len(await scene.cases()) == 1


@pytest.mark.parametrize("body", [b'{"ok":true}', b'{"ok":true,"result":null}', b'{"ok":true,"result":true}'])
async def test_a_bot_that_is_none(body: bytes, tmp_path: Path) -> None:
    """getMe without a result, with null, true, a list."""
    await test_a_start(lambda answer: (200, body), tmp_path)


@pytest.mark.parametrize("odd", ODD.values(), ids=list(ODD))
async def test_every_call_once(living: Scene, odd: Odd) -> None:
    """From the message to the moderator's word: all actions are done, at most one warning, one card or one that says
    that it may stand there twice; nobody hears of what was not possible."""
    scene = living
    await scene.enforce(hate=EVERYTHING, strikes=Strikes(timeout_at=None))
    scene.ann.started = True
    refused = odd({})[0] == 400
    for method in ("sendMessage", "editMessageText") if refused else (*READ, *DONE, *SAID):
        scene.server.answer_oddly(method, odd, before_effect=refused)
    message = await scene.server.says(scene.group, scene.ann, "HATE")
    member = scene.group.members[scene.ann.id]
    await scene.server.until(lambda: member.status == "kicked" and message.deleted, timeout_s=60)
    await scene.settled()
    while not await scene.store.cards.of((await scene.case()).id):
        await asyncio.sleep(0.01)
    await scene.server.until(lambda: any(one.buttons for one in scene.server.by_bot(scene.board)))
    await asyncio.sleep(0.3)
    cards = [one for one in scene.server.by_bot(scene.board) if one.buttons]
    assert 1 <= len(cards) <= 2 and sum(AGAIN not in card.text for card in cards) <= 1
    assert len(scene.server.by_bot(scene.server.private(scene.ann))) <= 1
    assert len(scene.server.by_bot(scene.group)) <= refused
    case = await scene.case()
    assert case.message.state in ("done", "gone") and not scene.notices
    await scene.server.clicks(scene.mod, cards[-1], "👍 Correct")
    async with asyncio.timeout(60):
        while (await scene.case()).state != "confirmed":
            await asyncio.sleep(0.01)
    assert len(await scene.store.words(case.id)) == 1


@pytest.mark.parametrize("method", [*READ, *DONE, *SAID])
async def test_a_call_that_never_gets_an_answer(living: Scene, method: str) -> None:
    """However long it lasts: the other actions are done, and nothing that people read is said or drawn on and on."""
    scene = living
    await scene.server.says(scene.group, scene.ben, "hello")
    await scene.settled()
    await scene.enforce(hate=LabelPolicy(alert_at=0.5, act_at=0.85, actions=("delete", "warn")))
    scene.server.answer_oddly(method, ODD["html"], times=1e9)
    message = await scene.server.says(scene.group, scene.ann, "HATE")
    await scene.server.until(lambda: message.deleted, timeout_s=60)
    scene.telegram.notify(Notice("notice-classifier-back", {}, scene.community))
    await scene.server.until(lambda: any(not one.buttons for one in scene.server.by_bot(scene.board)))
    if method in ("sendMessage", "editMessageText", "sendDocument"):
        assert await unchanged(lambda: len(scene.server.called(method))) <= 4
    shown = scene.server.by_bot(scene.board)
    assert sum(bool(one.buttons) for one in shown) <= 2 and sum(not one.buttons for one in shown) == 1
    assert len(scene.server.by_bot(scene.group)) <= 1
    assert not any(notice.name == "notice-not-possible" for notice in scene.notices)


@pytest.mark.parametrize("body", ["missing", "null", "text"])
async def test_a_date_that_nobody_needs(scene: Scene, body: str) -> None:
    """A card whose answer has a strange date, or none, stands once and is drawn on."""

    def odd(answer: Any) -> tuple[int, bytes]:
        date = {"missing": {}, "null": {"date": None}, "text": {"date": "yesterday"}}[body]
        result = {"message_id": answer["result"]["message_id"], **date}
        return ODD["more and later"]({"ok": True, "result": result})

    scene.server.answer_oddly("sendMessage", odd, times=5)
    await scene.server.says(scene.group, scene.ann, "HATE")
    card = await scene.card()
    assert "Recorded: hate" in await scene.server.clicks(scene.mod, card, "👍 Correct")
    await scene.server.until(lambda: "👍 correct (hate)" in card.text, timeout_s=60)


async def test_members_of_an_older_server(fresh: Scene) -> None:
    """ChatMember and Chat without the fields of today: greeted, rights looked at, the group read, a warning given."""
    scene, server = fresh, fresh.server

    def old(answer: Any) -> tuple[int, bytes]:
        result, kept = answer["result"], ("user", "status", "id", "title", "type", *NEEDED)
        found = result if isinstance(result, list) else [result]
        bare = [{key: one[key] for key in kept if key in one} for one in found]
        for one in bare:
            one |= {"user": {"id": one["user"]["id"]}} if "user" in one else {}
        return ODD["more and later"]({"ok": True, "result": bare if isinstance(result, list) else bare[0]})

    for method in READ:
        server.answer_oddly(method, old, times=1e9)
    await server.adds_bot(scene.group, scene.owner)
    await server.until(lambda: server.by_bot(scene.group))
    assert "I lack" not in server.by_bot(scene.group)[0].text
    await scene.enforce(hate=LabelPolicy(alert_at=0.5, act_at=0.85, actions=("delete", "warn", "kick")))
    scene.ann.started = True
    message = await server.says(scene.group, scene.ann, "HATE")
    await server.says(scene.group, scene.mod, "HATE too, but I moderate")
    await server.until(lambda: message.deleted and server.by_bot(server.private(scene.ann)))
    cases = await scene.cases()
    assert [case.message.state for case in cases] == ["done", "done"]
    assert "Friends" in server.by_bot(server.private(scene.ann))[0].text
    assert server.called("banChatMember") and not scene.notices


async def test_a_refusal_inside_a_success(living: Scene) -> None:
    """200 with `ok: false`, as some servers say it: taken for the refusal that it is."""
    refusal = b'{"ok": false, "error_code": 400, "description": "Bad Request: message to delete not found"}'
    scene = living
    await scene.enforce()
    scene.server.answer_oddly("deleteMessage", lambda answer: (200, refusal), before_effect=True)
    await scene.server.says(scene.group, scene.ann, "HATE")
    await scene.settled()
    assert (await scene.case()).message.state == "gone"


async def test_a_server_that_does_not_wait(scene: Scene) -> None:
    """getUpdates answered empty at once: about one question a second."""
    scene.server.answer_oddly(
        "getUpdates", lambda answer: (200, b'{"ok": true, "result": []}'), 1e9, before_effect=True
    )
    await scene.server.says(scene.group, scene.ann, "good morning")  # ends the question that is open
    await asyncio.sleep(0.2)
    before = len(scene.server.called("getUpdates"))
    await asyncio.sleep(2.5)
    assert 1 <= len(scene.server.called("getUpdates")) - before <= 4
    scene.server.faults.clear()
    await scene.server.says(scene.group, scene.ann, "HATE")
    await scene.card()


@pytest.mark.parametrize("restarted", [True, False], ids=["bot restarted", "bot goes on"])
async def test_a_server_that_counts_anew(restarted: bool, tmp_path: Path) -> None:
    """Numbers begin at 1 again, some of them known: all is read, and it is said once where a number came again."""
    async with TelegramServer() as server:
        server.next_update = 1
        scene = Scene(server)

        async def some(word: str) -> None:
            for number in range(3):
                await server.says(scene.group, scene.ann, f"HATE {word} {number}")
            await scene.settled()

        def notices() -> list[str]:
            return [m.text for m in server.by_bot(scene.board) if "count its updates anew" in m.text]

        async with serving(scene, tmp_path):
            await some("before")
            if not restarted:
                server.next_update = 1
                await some("after")
                assert len(await scene.cases()) == 6
                await server.until(notices)
        if restarted:
            server.next_update = 1
            async with serving(scene, tmp_path, set_up=False):
                await some("after")
                assert len(await scene.cases()) == 6
                await server.until(notices)
        assert len(notices()) == 1


async def test_a_server_that_forgets_nothing(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """Confirmed updates come again whenever nobody names an offset: nothing is handled twice, nor asked in a circle."""
    kept: dict[int, Any] = {}
    real = scene.server._get_updates

    async def all_of_them(data: Any) -> Any:
        kept.update(scene.server.updates)
        offset = int(data.get("offset") or 0)
        if offset or not kept:
            found = await real(data)
            kept.update({one["update_id"]: one for one in found})
            return found
        return [one for number, one in sorted(kept.items())]

    monkeypatch.setattr(scene.server, "_get_updates", all_of_them)
    monkeypatch.setattr(updates, "LONG_POLL_S", 0.2)
    for number in range(5):
        await scene.server.says(scene.group, scene.ann, f"HATE {number}")
        await asyncio.sleep(0.3)
    await scene.server.until(lambda: not scene.server.updates)
    assert len(await scene.cases()) == 5
    before = len(scene.server.called("getUpdates"))
    await asyncio.sleep(2.0)
    assert len(scene.server.called("getUpdates")) - before <= 12


def test_what_is_asked_next(monkeypatch: pytest.MonkeyPatch) -> None:
    """An offset right after an answer and then none; a server that gives out old ones again keeps getting the offset,
    and is asked without it once a minute. Never in a circle without a pause."""
    now = [1000.0]
    monkeypatch.setattr(updates.time, "monotonic", lambda: now[0])
    polling = updates.Polling(None, lambda told: None)  # type: ignore[arg-type]

    def after(newest: int | None, fresh: int, count: int, took_s: float = 25.0) -> tuple[int | None, float]:
        pause_s = polling._after(updates.TakenUpdate(newest, fresh), count, took_s)
        return polling.offset, pause_s

    assert after(1000, 100, 100) == (1001, 0.0)
    assert after(None, 0, 0) == (None, 0.0)  # confirmed: the next question has no offset
    assert after(None, 0, 0, took_s=0.2) == (None, 0.8)
    assert after(3, 3, 3) == (4, 0.0)  # counts anew
    assert after(None, 0, 0) == (None, 0.0)
    assert after(None, 0, 1) == (None, 1.0)  # nothing with a number
    assert after(900, 5, 5) == (901, 0.0)
    assert after(None, 0, 0) == (None, 0.0)
    assert after(100, 0, 100)[0] == 901  # all of it confirmed long ago
    assert after(None, 0, 0) == (901, 0.0)
    now[0] += updates.LOOK_AGAIN_S + 1
    assert after(None, 0, 0) == (None, 0.0)
    assert after(100, 0, 100) == (901, 1.0)
    assert after(901, 1, 1) == (902, 0.0)


@pytest.mark.parametrize("number", [-1, 2**63, 2**200, True, 1.5, "7", None])
async def test_numbers_that_are_none(living: Scene, number: Any) -> None:
    """They are counted and in nobody's way."""
    living.server.malformed = [{"update_id": number, "message": {}}]
    await living.server.says(living.group, living.ann, "HATE")
    await living.card()
    assert "dropped" in "".join(notice.text() for notice in living.telegram.health.notices())


async def test_what_does_not_work_is_shown(scene: Scene) -> None:
    """Outage, refused cards and dropped updates: on the page and in /status, each with a number and a time."""
    server = scene.server
    scene.board.members[server.bot.id].status = "kicked"
    await server.says(scene.group, scene.ann, "HATE")
    await server.until(lambda: scene.telegram.health.notices(scene.community))
    overview = await scene.telegram.overview()
    assert any("One card waits" in fault.text() for fault in overview.faults)
    assert "One card waits" in await scene.asks(scene.owner, f"/start status_{scene.group.id}")
    assert not scene.telegram.health.notices("telegram-another")
    server.fail("getUpdates", 502, times=1e9)
    await server.says(scene.group, scene.ben, "hello")
    await server.until(lambda: scene.telegram.trouble is not None)
    assert any("Not connected since" in fault.text() for fault in (await scene.telegram.overview()).faults)
    server.faults.clear()
    await server.until(lambda: scene.telegram.trouble is None)
    assert not any("Not connected" in fault.text() for fault in scene.telegram.health.notices())


def test_a_mistake_of_ours_stays_one() -> None:
    """Also within a call: only what a library raises while it reads becomes an answer that cannot be read."""
    with pytest.raises(KeyError), read_by("telegram", "Telegram"):
        {}["id"]
    with pytest.raises(Unreadable, match="de_json"), read_by("telegram", "Telegram"):
        service.telegram.Message.de_json({"message_id": 1}, None)


@pytest.mark.parametrize("odd", ODD.values(), ids=list(ODD))
async def test_check_says_it_in_a_line(odd: Odd) -> None:
    """Whatever is answered: no error but ours."""
    async with TelegramServer() as server:
        server.answer_oddly("getMe", odd, times=1e9)
        try:
            lines = await check_access(Access(server.token, api=server.api))
        except (Unreachable, PlatformRefuses) as error:
            lines = [str(error)]
            assert "was not checked" in lines[0]
        assert lines and all("\n" not in line for line in lines)


@pytest.mark.parametrize("odd", ODD.values(), ids=list(ODD))
async def test_each_action_by_itself(living: Scene, odd: Odd) -> None:
    """Only errors of our family, and it is done where it took effect; done again it looks like once."""
    scene, telegram = living, living.telegram
    channel = scene.server.add_group("Elsewhere")
    scene.group.members[scene.server.bot.id].rights["can_manage_topics"] = True
    messages = [await scene.server.says(scene.group, scene.ann, f"hello {number}") for number in range(3)]
    await scene.settled()
    ann, them = Author(str(scene.ann.id), "Ann"), Author(str(channel.id), "Elsewhere")

    def key(what: object) -> MessageKey:
        return MessageKey("telegram", scene.community, str(scene.group.id), f"{scene.group.id}:{what}")

    async def together() -> None:
        await asyncio.gather(*(telegram.perform(Delete(), key(one.id), ann) for one in messages[1:]))

    table: list[tuple[str, Callable[[], Awaitable[object]], Callable[[], bool]]] = [
        ("deleteMessage", lambda: telegram.perform(Delete(), key(messages[0].id), ann), lambda: messages[0].deleted),
        ("deleteMessages", together, lambda: all(one.deleted for one in messages)),
        ("banChatSenderChat", lambda: telegram.perform(Ban(), key(1), them), lambda: bool(scene.group.banned_chats)),
        ("unbanChatSenderChat", lambda: telegram.undo(Ban(), key(1), them), lambda: not scene.group.banned_chats),
        ("editForumTopic", lambda: telegram.perform(Delete(), key("title-7"), ann), lambda: bool(scene.group.topics)),
        ("unbanChatMember", lambda: telegram.perform(Kick(), key(2), ann), lambda: not _is_in(scene)),
    ]
    for method, call, is_done in table:
        scene.server.answer_oddly(method, odd)
        for _ in range(2):
            with contextlib.suppress(Unreachable, Gone, MissingPermission):
                await call()
        assert is_done(), method
    assert scene.group.members[scene.ann.id].status == "left"


def _is_in(scene: Scene) -> bool:
    return scene.group.members[scene.ann.id].status == "member"


@pytest.mark.parametrize("odd", [ODD["html"], ODD["nothing in it"]], ids=["html", "nothing"])
async def test_a_webhook(odd: Odd, tmp_path: Path) -> None:
    """Set again until it is taken."""
    async with TelegramServer() as server:
        scene = Scene(server)
        scene.access = replace(scene.access, webhook_url="http://127.0.0.1:1/x", webhook_port=0, webhook_secret="s")
        server.answer_oddly("setWebhook", odd, times=2, before_effect=True)
        async with serving(scene, tmp_path):
            await server.until(lambda: server.webhook.get("url"))
