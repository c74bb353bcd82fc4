"""Telegram answers late, wrongly or not at all: the bot goes on, and what it does comes later, once."""

import asyncio
import functools
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bot.cases.delivery import Pace
from bot.domain.action import Ban, Delete
from bot.domain.event import Author, MessageKey
from bot.domain.notice import Notice
from bot.domain.policy import LabelPolicy, Mode, Strikes
from bot.platforms.telegram import answers, service
from bot.platforms.telegram import rate_limits as limits
from bot.platforms.telegram import updates as updates
from bot.platforms.telegram.bot_api import Requests
from tests.bot.platforms.telegram.conftest import Scene, serving
from tests.bot.platforms.telegram.test_updates import REASON
from tests.simulators.telegram_server import TelegramServer
from tests.simulators.telegram_state import Chat, Message

EVERYTHING = LabelPolicy(alert_at=0.5, act_at=0.85, actions=("delete", "warn", "timeout", "ban"), timeout_minutes=30)
FAULTS: list[Any] = [(429, True), (500, True), (502, False), ("reset", True), ("hang", False)]
"""And whether it was refused before it took effect; else the answer was lost after it did."""
AGAIN = "May have been shown before"


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is put off is not put off for long, and nobody waits long for an answer."""
    monkeypatch.setattr("bot.pipeline.enforcement.FIRST_WAIT_S", 0.05)
    monkeypatch.setattr("bot.cases.delivery.GATHER_S", 0.05)
    monkeypatch.setattr("bot.cases.delivery.RETRY_S", 0.05)
    monkeypatch.setattr(updates, "RETRY_S", 0.05)
    monkeypatch.setattr(answers, "AGAIN_S", (0.05, 0.1, 0.2, 0.5, 1.0))
    monkeypatch.setattr(service, "Requests", functools.partial(Requests, read_timeout=0.3))
    for place in (service, updates):
        monkeypatch.setattr(place, "trouble_of", lambda error: (REASON(error)[0], 0.05))


def fail(scene: Scene, method: str, fault: Any, before: bool = True, times: float = 1) -> None:
    """The next calls fail."""
    scene.server.fail(method, fault, times, before_effect=before)


async def alive(scene: Scene) -> None:
    """The bot still reads, and still answers."""
    scene.server.faults.clear()
    text = f"good morning {time.monotonic_ns()}"
    await scene.server.says(scene.group, scene.ben, text)
    async with asyncio.timeout(60):
        while text not in "".join("".join(batch) for batch in scene.classifier.batches):
            await asyncio.sleep(0.01)
    assert "Friends" in await scene.asks(scene.owner, f"/start status_{scene.group.id}")


@pytest.fixture
async def living(scene: Scene) -> AsyncIterator[Scene]:
    """The bot; at the end it must still read and answer."""
    yield scene
    await alive(scene)


@pytest.mark.parametrize(("fault", "before"), FAULTS)
async def test_every_action_comes_later_and_once(living: Scene, fault: Any, before: bool) -> None:
    """Rights, deletion, warning, time-out and ban each meet the fault once; at most one warning, one card, unless the
    answer to the card was lost: then the second says so."""
    scene = living
    await scene.enforce(hate=EVERYTHING)
    scene.ann.started = True
    for method in (
        "getChatAdministrators",
        "getChatMember",
        "deleteMessage",
        "sendMessage",
        "restrictChatMember",
        "banChatMember",
    ):
        fail(scene, method, fault, before)
    message = await scene.server.says(scene.group, scene.ann, "HATE")
    member = scene.group.members[scene.ann.id]
    await scene.server.until(lambda: member.status == "kicked" and message.deleted, timeout_s=60)
    await scene.server.until(lambda: scene.server.by_bot(scene.board), timeout_s=60)
    await scene.settled()
    cards = scene.server.by_bot(scene.board)
    assert len(cards) <= 1 + (not before) and sum(AGAIN not in card.text for card in cards) <= 1
    assert (await scene.case()).message.state in ("done", "gone")
    assert len(scene.server.by_bot(scene.server.private(scene.ann))) <= 1
    assert not scene.notices


@pytest.mark.parametrize(("fault", "before"), FAULTS)
async def test_a_card_is_sent_and_drawn(scene: Scene, fault: Any, before: bool) -> None:
    """However often the answer fails to come: a card that may stand there twice says so, and shows the newest state."""
    fail(scene, "sendMessage", fault, before)
    await scene.server.says(scene.group, scene.ann, "HATE")
    card = (await scene.cards(1 if before else 2))[-1]
    assert (AGAIN in card.text) == (fault != 429)
    fail(scene, "editMessageText", fault, before, times=2)
    assert "Recorded: hate" in await scene.server.clicks(scene.mod, card, "👍 Correct")
    await scene.server.until(lambda: "👍 correct (hate)" in card.text, timeout_s=60)


@pytest.mark.parametrize(("fault", "before"), FAULTS)
async def test_a_greeting_comes_later(fresh: Scene, fault: Any, before: bool) -> None:
    """In a group the bot was just added to."""
    fail(fresh, "sendMessage", fault, before)
    fail(fresh, "getChatMember", fault, before)
    await fresh.server.adds_bot(fresh.group, fresh.owner)
    await fresh.server.until(lambda: fresh.server.by_bot(fresh.group))
    await asyncio.sleep(0.3)
    greetings = fresh.server.by_bot(fresh.group)
    assert len(greetings) == 1 or (len(greetings) == 2 and AGAIN in greetings[1].text)
    await alive(fresh)


@pytest.mark.parametrize(("fault", "before"), FAULTS)
async def test_a_command_is_carried_out_once(living: Scene, fault: Any, before: bool) -> None:
    """What the answer meets is no reason to do it again; one that may stand there already says so."""
    scene, chat = living, living.server.private(living.mod)
    scene.telegram.groups.choose(scene.mod.id, scene.group.id)
    for method in ("sendMessage", "getChatMember"):
        fail(scene, method, fault, before)
    await scene.server.tells(scene.mod, "/example neutral you walnut")
    await scene.server.until(lambda: scene.server.by_bot(chat))
    await asyncio.sleep(0.4)
    assert await scene.store.corrections(scene.community) == [("you walnut", "neutral")]
    answers = [message.text for message in scene.server.by_bot(chat)]
    assert sum(AGAIN not in text for text in answers) <= 1 and len(answers) <= 2
    assert all("next refresh" in text for text in answers)


@pytest.mark.parametrize("fault", [502, "reset"])
async def test_what_turns_to_and_fro_is_turned_once(living: Scene, fault: Any) -> None:
    """A topic that is left alone, a mode that is switched: not switched back because the answer failed."""
    scene = living
    scene.mod.started = True
    fail(scene, "sendMessage", fault, times=2)
    await scene.server.says(scene.group, scene.mod, "/skip", message_thread_id=7, is_topic_message=True)
    await scene.server.until(lambda: scene.server.by_bot(scene.server.private(scene.mod)))
    assert (await scene.pipeline.policy(scene.community)).exempt_rooms == {f"{scene.group.id}/7"}
    await scene.asks(scene.mod, f"/start setup_{scene.group.id}")
    screen = scene.server.by_bot(scene.server.private(scene.mod))[-1]
    fail(scene, "editMessageText", fault, times=2)
    fail(scene, "answerCallbackQuery", fault, times=2)
    await scene.server.clicks(scene.mod, screen, "Switch to enforce")
    await scene.server.until(lambda: "shadow" in str(screen.buttons))
    await asyncio.sleep(0.3)
    assert (await scene.pipeline.policy(scene.community)).mode is Mode.ENFORCE


@pytest.mark.parametrize(("fault", "before"), FAULTS)
async def test_a_click_is_carried_out_once_and_answered_as_such(living: Scene, fault: Any, before: bool) -> None:
    """Undone once: what failed afterwards does not make of it "there is nothing to undo"."""
    scene = living
    await scene.enforce(hate=LabelPolicy(alert_at=0.5, act_at=0.85, actions=("delete", "timeout")))
    await scene.server.says(scene.group, scene.ann, "HATE")
    card = await scene.card()
    await scene.settled()
    for method in ("getChatMember", "answerCallbackQuery", "sendMessage", "editMessageText"):
        fail(scene, method, fault, before)
    scene.telegram.admins.changed(scene.group.id)
    answer = await scene.server.clicks(scene.mod, card, "Undo")
    await asyncio.sleep(0.5)
    said = [call.data.get("text", "") for call in scene.server.called("answerCallbackQuery")]
    assert "Undone" in answer and all("Undone" in text for text in said), said
    assert len(scene.server.called("restrictChatMember")) == 2
    await scene.server.until(lambda: any("Post it back" in str(m.buttons) for m in scene.server.by_bot(scene.board)))


async def test_a_click_that_breaks_is_not_carried_out_twice(living: Scene, monkeypatch: Any) -> None:
    """The word is recorded, then something of ours fails: it is said, and that is all."""
    scene = living
    await scene.server.says(scene.group, scene.ann, "HATE")
    card = await scene.card()
    monkeypatch.setattr(scene.telegram.conversation.cases, "_outcome", _breaks)
    assert "may have worked" in await scene.server.clicks(scene.mod, card, "👍 Correct")
    await asyncio.sleep(0.3)
    assert len(scene.server.called("answerCallbackQuery")) == 1
    assert len(await scene.store.words((await scene.case()).id)) == 1


async def _breaks(*_: Any) -> str:
    raise RuntimeError("broken")


@pytest.mark.parametrize("method", ["getMe", "deleteWebhook"])
@pytest.mark.parametrize("fault", [502, "hang", 401])
async def test_a_start_that_fails(tmp_path: Path, method: str, fault: Any) -> None:
    """Tried again, and what was said meanwhile is handled."""
    async with TelegramServer() as server:
        server.fail(method, fault, times=2)
        scene = Scene(server)
        await server.says(scene.group, scene.ann, "HATE said before the start")
        async with serving(scene, tmp_path):
            await scene.card()
            await server.until(lambda: scene.telegram.trouble is None)


async def test_a_webhook_that_telegram_does_not_take(tmp_path: Path) -> None:
    """Tried again, and nothing else ends."""
    async with TelegramServer() as server:
        scene = Scene(server)
        scene.access = replace(scene.access, webhook_url="http://127.0.0.1:1/x", webhook_port=0, webhook_secret="s")
        server.fail("setWebhook", 502, times=2)
        async with serving(scene, tmp_path):
            await server.until(lambda: server.webhook.get("url"))


@pytest.mark.parametrize("fault", [502, 401])
async def test_telegram_is_away_for_long(living: Scene, fault: Any) -> None:
    """What was taken before is no bad update: it waits, longer than a bad one would, and no message is lost."""
    scene = living
    fail(scene, "getChatAdministrators", fault, times=1e9)
    await scene.server.says(scene.group, scene.ann, "HATE")
    await scene.server.until(lambda: len(scene.server.called("getChatAdministrators")) > updates.TRIES + 1)
    assert not await scene.store.cases(scene.community)
    scene.server.faults.clear()
    await scene.card()
    assert not any("could not be handled" in message.text for message in scene.server.by_bot(scene.board))


async def test_a_token_that_is_refused_later(living: Scene) -> None:
    """In mid-flight: it is said with its fix, the action waits, and all goes on once the token is good again."""
    scene = living
    await scene.enforce()
    fail(scene, "*", 401, times=1e9)
    message = await scene.server.says(scene.group, scene.ann, "HATE")
    await scene.server.says(scene.group, scene.ann, "hello")
    await scene.server.until(lambda: scene.telegram.trouble is not None)
    assert "@BotFather" in scene.telegram.trouble.text()  # type: ignore[union-attr]
    scene.server.faults.clear()
    await scene.server.until(lambda: message.deleted, timeout_s=60)
    await scene.server.until(lambda: scene.telegram.trouble is None)


async def test_the_moderators_chat_is_gone(living: Scene) -> None:
    """Status and page say that cards go nowhere; once the bot is back there, those of the meantime appear."""
    scene = living
    mine = scene.board.members[scene.server.bot.id]
    mine.status = "kicked"
    await scene.server.says(scene.group, scene.ann, "HATE")
    await scene.settled()
    await scene.server.until(lambda: any(call.status == 403 for call in scene.server.called("sendMessage")))
    assert "Cards go nowhere" in await scene.asks(scene.owner, f"/start status_{scene.group.id}")
    (place,) = [one for one in (await scene.telegram.overview()).places if one.community == scene.community]
    assert not place.has_cards
    mine.status = "administrator"
    await scene.server.adds_bot(scene.board, scene.owner)
    card = await scene.card()
    assert AGAIN not in card.text
    assert "Cards go to" in await scene.asks(scene.owner, f"/start status_{scene.group.id}")


async def test_thrown_out_with_actions_open(scene: Scene) -> None:
    """What waited is over; the card says so, and nothing is tried for ever."""
    await scene.enforce()
    fail(scene, "deleteMessage", 502, times=3)
    await scene.server.says(scene.group, scene.ann, "HATE")
    await scene.server.until(lambda: scene.server.called("deleteMessage"))
    scene.group.members[scene.server.bot.id].status = "kicked"
    await scene.server.adds_bot(scene.group, scene.owner)
    await scene.settled()
    assert (await scene.case()).message.state == "gone"


async def test_whoever_blocked_the_bot_troubles_nobody(living: Scene) -> None:
    """Asked, then blocked: done once, and moderators do not hear of it."""
    scene = living
    scene.telegram.groups.choose(scene.ann.id, scene.group.id)
    scene.ann.started = True
    for text in ("/privacy", "hello", "/consent yes"):
        fail(scene, "sendMessage", 403)
        await scene.server.says(scene.server.private(scene.ann), scene.ann, text)
        await scene.settled()
    async with asyncio.timeout(60):
        while await scene.store.inbox.waiting("telegram"):
            await asyncio.sleep(0.02)
    assert not any("could not be handled" in message.text for message in scene.server.by_bot(scene.board))


@pytest.mark.parametrize(("fault", "before"), FAULTS)
async def test_a_notice_comes_later(scene: Scene, fault: Any, before: bool) -> None:
    """What moderators must know is said when Telegram answers again."""
    fail(scene, "sendMessage", fault, before, times=2)
    scene.telegram.notify(Notice("notice-classifier-back", {}, scene.community))
    await scene.server.until(lambda: len(scene.server.called("sendMessage")) == 3)
    await asyncio.sleep(0.2)
    assert len(scene.server.by_bot(scene.board)) == (1 if before else 3)


async def test_a_notice_that_cannot_be_said_keeps_no_card_back(scene: Scene, monkeypatch: Any) -> None:
    """Both come at once, and the notice breaks."""
    monkeypatch.setattr("bot.cases.delivery.GATHER_S", 0.5)
    await scene.server.says(scene.group, scene.ann, "HATE")
    await scene.settled()
    scene.telegram.notify(Notice("no-such-text", {}, scene.community))
    await scene.card()


@pytest.mark.minds_time
@pytest.mark.parametrize("method", ["deleteMessage", "sendMessage", "getChatMember", "getUpdates"])
async def test_cancelled_in_the_middle(method: str, tmp_path: Path, monkeypatch: Any) -> None:
    """Ends within two seconds, whatever it waits for."""
    monkeypatch.setattr(service, "Requests", Requests)
    async with TelegramServer() as server:
        scene = Scene(server)
        async with serving(scene, tmp_path):
            await scene.enforce()
            fail(scene, method, "hang", times=1e9)
            await server.says(scene.group, scene.ann, "HATE")
            await server.says(scene.group, scene.mod, "/status")
            await server.until(lambda: server.called(method))
            ended = time.monotonic()
        assert time.monotonic() - ended < 2


class Quick:
    """A minute that takes twenty seconds."""

    S = 20.0

    @classmethod
    def in_turn_s(cls, messages: int) -> float:
        """How long so many take if each waits for its turn among twenty a minute."""
        return cls.S * (messages - 20) / 20

    @staticmethod
    def most(server: TelegramServer, chat: Chat, since: int = 0) -> int:
        """The most messages and edits in one chat that fall into one such minute."""
        at = [
            call.at
            for call in server.calls[since:]
            if call.method.lower().startswith(("send", "edit")) and str(call.data.get("chat_id")) == str(chat.id)
        ]
        return max((sum(start <= one < start + 0.9 * Quick.S for one in at) for start in at), default=0)


@pytest.fixture
def twenty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Twenty a minute as in the wild, and a minute of twenty seconds."""
    monkeypatch.setattr(service, "PER_MINUTE", 20)
    monkeypatch.setattr(limits, "MINUTE_S", Quick.S)
    monkeypatch.setattr(service, "PACE", Pace(burst=3, within_s=30.0, redraw_s=0.05))


@pytest.mark.minds_time
async def test_a_flood_of_cards_keeps_to_twenty_a_minute(twenty: None, tmp_path: Path) -> None:
    """A digest that is edited; deletions are not held up."""
    async with TelegramServer() as server, serving(Scene(server), tmp_path) as scene:
        await scene.enforce(max_actions_per_hour=1000, strikes=Strikes(timeout_at=None))
        messages: list[Message] = []
        began = time.monotonic()
        for number in range(120):
            messages.append(await server.says(scene.group, scene.ann, f"HATE {number}"))
            await asyncio.sleep(0.02)
        await server.until(lambda: all(message.deleted for message in messages))
        assert time.monotonic() - began < Quick.in_turn_s(len(messages))
        await server.until(lambda: server.called("editMessageText"))
        digests = "".join(message.text for message in server.by_bot(scene.board))
        assert "need a look" in digests
        assert Quick.most(server, scene.board) <= 20
        assert not any(AGAIN in message.text for message in server.by_bot(scene.board))


@pytest.mark.minds_time
async def test_a_flood_of_commands_and_warnings_holds_up_nothing(twenty: None, tmp_path: Path) -> None:
    """Two hundred who ask in the group, and a raid that is warned there: what is bad is deleted and silenced at once,
    and the group hears twenty a minute at most."""
    async with TelegramServer() as server, serving(Scene(server), tmp_path) as scene:
        await scene.enforce(
            hate=LabelPolicy(alert_at=0.5, act_at=0.85, actions=("delete", "warn", "timeout")),
            max_actions_per_hour=1000,
            strikes=Strikes(timeout_at=None),
        )
        people = [server.add_user(f"p{number}") for number in range(100)]
        for person in people:
            server.join(scene.group, person)
            await server.says(scene.group, person, "/privacy")
            await server.says(scene.group, person, "/learning")
        began = time.monotonic()
        messages = [await server.says(scene.group, person, "HATE") for person in people]
        await server.until(lambda: all(message.deleted for message in messages), timeout_s=60)
        await server.until(lambda: all(scene.group.members[p.id].status == "restricted" for p in people), timeout_s=60)
        assert time.monotonic() - began < Quick.in_turn_s(3 * len(people))
        assert Quick.most(server, scene.group) <= 20


async def test_a_lost_answer_looks_like_success(scene: Scene) -> None:
    """Deleted or banned twice looks like once."""
    message = await scene.server.says(scene.group, scene.ann, "hello")
    await scene.settled()
    key = MessageKey("telegram", scene.community, str(scene.group.id), f"{scene.group.id}:{message.id}")
    for _ in range(2):
        await scene.telegram.perform(Ban(), key, Author(str(scene.ann.id), "Ann"))
    await scene.telegram.perform(Delete(), key, Author(str(scene.ann.id), "Ann"))
    assert message.deleted and scene.group.members[scene.ann.id].status == "kicked"
