"""Discord, or a server in its place, answers what nobody expects: nothing ends, is lost or comes twice."""

import asyncio
import functools
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from bot.domain.notice import Notice
from bot.domain.platform import PlatformRefuses, Unreachable
from bot.domain.policy import LabelPolicy, Strikes
from bot.platforms.discord import Access
from bot.platforms.discord.check import check_access
from bot.platforms.discord.gateway import supervise
from bot.platforms.discord.rate_limits import LONGEST_WAIT_S, UNKNOWN_WAIT_S, requested_wait
from tests.bot.platforms.discord.conftest import Scene, serving
from tests.bot.platforms.discord.test_faults import alive, of
from tests.simulators.discord_server import DiscordServer
from tests.simulators.odd_bodies import ODD, Odd

EVERYTHING = LabelPolicy(alert_at=0.5, act_at=0.85, actions=("delete", "warn", "timeout", "ban"), timeout_minutes=30)
HTML = {"Content-Type": "text/html"}
AGAIN = "May have been shown before"


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is put off is not put off for long."""
    monkeypatch.setattr("bot.pipeline.enforcement.FIRST_WAIT_S", 0.05)
    monkeypatch.setattr("bot.cases.delivery.GATHER_S", 0.05)
    monkeypatch.setattr("bot.cases.delivery.RETRY_S", 0.05)
    monkeypatch.setattr("bot.cases.delivery.BROKEN_RETRY_S", 0.05)
    for place in ("actions", "reply"):
        monkeypatch.setattr(f"bot.platforms.discord.{place}.ANSWER_WITHIN_S", 2.0)
    monkeypatch.setattr("bot.platforms.discord.reply.TELL_AGAIN_S", (0.05, 0.1))
    monkeypatch.setattr("bot.platforms.discord.service.EVERY_S", 0.2)
    monkeypatch.setattr("bot.platforms.discord.service.SYNC_AGAIN_S", 0.1)
    monkeypatch.setattr(
        "bot.platforms.discord.service.supervise", functools.partial(supervise, check_every_s=0.05, first_wait_s=0.02)
    )


@pytest.mark.parametrize("odd", ODD.values(), ids=list(ODD))
async def test_every_call_once(scene: Scene, odd: Odd) -> None:
    """From the message to the moderator's word: all actions are done, at most one warning and one card; nobody hears of
    what was not possible."""
    await scene.enforce(hate=EVERYTHING, strikes=Strikes(timeout_at=None))
    refused, faults = odd({})[0] == 400, scene.server.faults
    calls = [
        ("DELETE", r"/messages/\d+$"),
        ("GET", rf"/members/{scene.ann.id}$"),
        ("PATCH", rf"/members/{scene.ann.id}$"),
        ("PUT", rf"/bans/{scene.ann.id}$"),
        ("POST", rf"/channels/{scene.alerts.id}/messages"),
        ("PATCH", rf"/channels/{scene.alerts.id}/messages"),
        ("POST", r"/callback$"),
        ("PATCH", r"/webhooks/.*@original"),
    ]
    if not refused:
        calls += [("POST", r"/users/@me/channels$"), ("POST", rf"/channels/{scene.server.dm(scene.ann).id}/messages$")]
    if refused:
        calls = [call for call in calls if call[0] not in ("DELETE", "PATCH", "PUT", "GET")]
    for method, path in calls:
        faults.answer_oddly(method, path, odd, before_effect=refused)
    message = await scene.server.says(scene.lounge, scene.ann, "HATE")
    await scene.server.until(lambda: scene.ann.id in scene.guild.bans and message.deleted, timeout_s=60)
    await scene.settled()
    assert (await scene.case()).message.state in ("done", "gone") and not scene.notices
    assert len(of(scene, scene.server.dm(scene.ann))) <= 1
    assert len([entry for entry in scene.guild.audit if entry["action_type"] == 72]) == 1
    card = await scene.card()
    faults.clear()
    await scene.server.clicks(scene.mod, card, "👍 Correct")
    await scene.server.until(lambda: "👍 correct (hate)" in str(card.embeds), timeout_s=60)
    await alive(scene)
    assert scene.server.identified == 1


async def test_a_card_whose_answer_nobody_can_read(scene: Scene) -> None:
    """For ever: the card is asked for twice, a notice once, and other rooms are moderated."""
    path = rf"/channels/{scene.alerts.id}/messages"
    scene.server.faults.answer_oddly("POST", path, ODD["nothing in it"], times=1e9)
    await scene.enforce()
    message = await scene.server.says(scene.lounge, scene.ann, "HATE")
    await scene.server.until(lambda: message.deleted)
    await scene.shown()
    asked = len(scene.server.called("POST", path))
    scene.discord.notify(Notice("notice-classifier-back", {}, scene.community))
    await scene.server.until(lambda: len(scene.server.called("POST", path)) > asked)
    await asyncio.sleep(0.6)
    assert asked == 2 and len(scene.server.called("POST", path)) == 3
    card = await scene.card()
    assert "Recorded" in (await scene.server.clicks(scene.mod, card, "👍 Correct")).content


@pytest.mark.parametrize("odd", ODD.values(), ids=list(ODD))
async def test_a_login(odd: Odd, tmp_path: Path) -> None:
    """The account and the application: it is tried again, and the trouble says that the answer could not be read."""
    async with DiscordServer() as server:
        server.faults.answer_oddly("GET", r"/users/@me$", odd, times=2)
        server.faults.answer_oddly("GET", r"/applications/@me$", odd, times=2)
        async with serving(Scene(server), tmp_path) as scene:
            await alive(scene)
            assert scene.discord.trouble is None


@pytest.mark.parametrize("odd", ODD.values(), ids=list(ODD))
async def test_commands_that_come_back_without_ids(odd: Odd, tmp_path: Path) -> None:
    """The connection is kept, messages are read, it is shown and tried again."""
    async with DiscordServer() as server:
        server.faults.answer_oddly("PUT", r"/commands$", odd, times=2)
        async with serving(Scene(server), tmp_path) as scene:
            await server.says(scene.lounge, scene.ann, "HATE")
            await scene.card()
            await server.until(lambda: len(server.called("PUT", r"/commands$")) >= (1 if _good(odd) else 3))
            await server.until(lambda: not scene.discord.health.notices())
            assert server.identified == 1
            await alive(scene)


def _good(odd: Odd) -> bool:
    """Whether a list of commands comes out of it."""
    return odd in (ODD["more and later"], ODD["list"], ODD["nothing in it"])


async def test_commands_that_are_refused_are_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In /status, until it works."""
    monkeypatch.setattr("bot.platforms.discord.service.SYNC_AGAIN_S", 60.0)
    async with DiscordServer() as server:
        scene = Scene(server)
        async with serving(scene, tmp_path):
            pass
        server.faults.answer_oddly("PUT", r"/commands$", ODD["twisted"])
        async with serving(scene, tmp_path):
            await server.until(lambda: scene.discord.health.notices())
            assert "does not take my commands" in (await scene.runs(scene.owner, "status")).content


WAIT_S = 1583
ASKED: Mapping[str, tuple[dict[str, str], bytes]] = {
    "header": (HTML | {"Retry-After": str(WAIT_S)}, b"<html>error code: 1015</html>"),
    "body": ({"Content-Type": "application/json"}, json.dumps({"retry_after": WAIT_S}).encode()),
    "both": ({"Content-Type": "application/json", "Retry-After": "9"}, json.dumps({"retry_after": WAIT_S}).encode()),
    "with via": ({"Content-Type": "application/json", "Via": "1.1"}, json.dumps({"retry_after": WAIT_S}).encode()),
}


@pytest.mark.parametrize("where", ASKED)
async def test_a_wait_is_obeyed_wherever_it_stands(scene: Scene, where: str) -> None:
    """Asked once, and then not before it is over; for this channel alone, and no breaker opens."""
    headers, body = ASKED[where]
    path = rf"/channels/{scene.lounge.id}/messages/\d+$"
    scene.server.faults.answer_oddly("DELETE", path, lambda _: (429, body), 1e9, before_effect=True, headers=headers)
    await scene.enforce(max_actions_per_hour=1000, strikes=Strikes(timeout_at=None))
    for number in range(10):
        await scene.server.says(scene.lounge, scene.ann, f"HATE {number}")
        await asyncio.sleep(0.05)
    elsewhere = await scene.server.says(scene.voice, scene.ben, "HATE elsewhere")
    await scene.server.until(lambda: elsewhere.deleted)
    await asyncio.sleep(0.5)
    assert len(scene.server.called("DELETE", path)) == 1
    assert scene.discord.circuit_breaker.wait_s() == 0.0
    (bucket,) = scene.discord._rate_limits._until
    assert scene.discord._rate_limits.left_s(bucket) > WAIT_S - 30


async def test_an_answer_waits_as_long_as_discord_asks(scene: Scene) -> None:
    """A 429 without `Via` on the way to whoever asked: said once it is over, and not before."""
    path = r"/webhooks/\d+/[^/]+/messages/@original$"
    headers = {"Retry-After": "1"}
    scene.server.faults.answer_oddly("PATCH", path, lambda _: (429, b"<html>"), 1, before_effect=True, headers=headers)
    answer = await scene.runs(scene.mod, "status")
    await scene.server.until(lambda: "Mode:" in answer.content, timeout_s=60)
    assert len(scene.server.called("PATCH", path)) == 2


@pytest.mark.parametrize(
    ("headers", "body", "wait_s", "everywhere"),
    [
        ({"Retry-After": "1583"}, b"<html>", 1583.0, False),
        ({}, b'{"retry_after": 0.7}', 0.7, False),
        ({"Retry-After": "3"}, b'{"retry_after": 2.5, "global": true}', 2.5, True),
        ({"X-RateLimit-Global": "true", "Retry-After": "3"}, b"[]", 3.0, True),
        ({"X-RateLimit-Reset-After": "4.5"}, b"", 4.5, False),
        ({"Retry-After": "Wed, 21 Oct 2026 07:28:00 GMT"}, b"null", UNKNOWN_WAIT_S, False),
        ({"Retry-After": "nan"}, b'{"retry_after": "inf"}', UNKNOWN_WAIT_S, False),
        ({"Retry-After": "-1"}, b'{"retry_after": null}', UNKNOWN_WAIT_S, False),
        ({}, b'{"retry_after": {"a": 1}}', UNKNOWN_WAIT_S, False),
        ({"Retry-After": str(LONGEST_WAIT_S * 2)}, b"[" * 100_000, UNKNOWN_WAIT_S, False),
    ],
)
def test_how_long_a_wait_is(headers: dict[str, str], body: bytes, wait_s: float, everywhere: bool) -> None:
    """In the body, in a header, or nowhere."""
    assert requested_wait(headers, body) == (wait_s, everywhere)


@pytest.mark.parametrize("data", ['{"id": "%s", "channel_id": "%s"}', '{"id": null, "channel_id": "%s", "author": 7}'])
async def test_an_event_that_cannot_be_read(scene: Scene, data: str) -> None:
    """Its room is read again: the message is not lost, and it is counted for whoever looks."""
    await scene.server.says(scene.lounge, scene.ben, "good morning")
    await scene.settled()
    message = scene.server.remembers(scene.lounge, scene.ann, "HATE")
    places = (message.id, scene.lounge.id) if "%s" in data[:12] else (scene.lounge.id,)
    scene.server.faults.malformed("MESSAGE_CREATE", data % places)
    await scene.card()
    assert [case.message.text for case in await scene.cases()] == ["HATE"]
    answer = await scene.runs(scene.owner, "status")
    assert "One event could not be understood" in answer.content


async def test_events_of_no_room_are_in_nobodys_way(scene: Scene) -> None:
    """Counted, and nothing waits for them."""
    for event, data in (("GUILD_ROLE_UPDATE", "7"), ("MESSAGE_CREATE", "[]"), ("MESSAGE_CREATE", '{"channel_id":"1"}')):
        scene.server.faults.malformed(event, data)
    await scene.server.until(lambda: any("3 events" in one.text() for one in scene.discord.health.notices()))
    assert not scene.discord.missed_messages.on_hold
    await alive(scene)


def _broken(number: int, how: str) -> Odd:
    """A page of the history in which one message is not as it should be."""

    def odd(answer: Any) -> tuple[int, bytes]:
        broken = [one for one in answer if isinstance(one, dict) and one.get("content") == f"HATE {number}"]
        for one in broken:
            if how == "attachments":
                one |= {"attachments": [{}], "embeds": 7}
            elif how == "type":
                del one["type"]
            elif how == "author":
                one["author"] = None
            elif how == "number":
                one["id"] = None
            else:
                answer[answer.index(one)] = how
        return 200, json.dumps(answer).encode()

    return odd


@pytest.mark.parametrize(
    ("how", "is_read"), [("attachments", True), ("type", True), ("author", False), ("number", False), ("text", False)]
)
async def test_a_message_that_cannot_be_read_back(scene: Scene, how: str, is_read: bool) -> None:
    """After an outage: by its text alone where that can be read, else skipped and counted. No room is held for it."""
    await scene.server.says(scene.lounge, scene.ann, "good morning")
    await scene.settled()
    path = rf"/channels/{scene.lounge.id}/messages$"
    scene.server.faults.answer_oddly("GET", path, _broken(1, how), times=1e9)
    for number in range(3):
        scene.server.remembers(scene.lounge, scene.ann, f"HATE {number}")
    scene.server.faults.invalid_session(False)
    await scene.server.until(lambda: scene.read["HATE 2"] == 1, timeout_s=60)
    await scene.heard()
    await scene.server.until(lambda: not scene.discord.missed_messages.on_hold)
    assert scene.read["HATE 0"] == 1 and scene.read["HATE 1"] == is_read
    counted = "".join(notice.text() for notice in scene.discord.health.notices())
    assert ("was skipped" in counted) != is_read
    await scene.settled()
    rows = [one.row for one in await scene.store.left(range(1, 100), ("done",))]
    assert sum(row.unreadable == "incomplete" for row in rows) == (how == "author")  # the others have no number
    scene.server.faults.clear()
    await alive(scene)


@pytest.mark.parametrize("odd", ODD.values(), ids=list(ODD))
async def test_a_history_that_is_none(scene: Scene, odd: Odd) -> None:
    """The room is held for a moment only, and what was said is read once."""
    await scene.server.says(scene.lounge, scene.ann, "good morning")
    await scene.settled()
    scene.server.faults.answer_oddly("GET", rf"/channels/{scene.lounge.id}/messages$", odd, times=5)
    scene.server.remembers(scene.lounge, scene.ann, "HATE meanwhile")
    scene.server.faults.invalid_session(False)
    await scene.server.until(lambda: scene.server.identified == 2)
    if odd is not ODD["list"]:  # which says that nothing was said
        await scene.server.until(lambda: scene.read["HATE meanwhile"] == 1, timeout_s=60)
    await scene.server.until(lambda: not scene.discord.missed_messages.on_hold, timeout_s=60)
    await scene.settled()


@pytest.mark.parametrize("path", [r"/users/@me$", r"/applications/@me$"])
@pytest.mark.parametrize("odd", ODD.values(), ids=list(ODD))
async def test_check_says_it_in_a_line(odd: Odd, path: str) -> None:
    """Whatever is answered: no error but ours."""
    async with DiscordServer() as server:
        server.faults.answer_oddly("GET", path, odd, times=1e9)
        try:
            lines = await check_access(Access(server.token, api=server.api, gateway=server.gateway))
        except (Unreachable, PlatformRefuses) as error:
            lines = [str(error)]
            assert "was not checked" in lines[0]
        assert lines and all("\n" not in line for line in lines)


async def test_a_short_outage_and_refused_cards_are_shown(scene: Scene) -> None:
    """At once on the page: the platform's own trouble comes only after two minutes."""

    async def shown(what: str) -> bool:
        return any(what in fault.text() for fault in (await scene.discord.overview()).faults)

    scene.server.faults.refuse_connections()
    scene.server.faults.drop_socket()
    async with asyncio.timeout(60):
        while not await shown("Not connected since"):
            await asyncio.sleep(0.01)
    scene.server.faults.clear()
    await scene.heard()
    async with asyncio.timeout(60):
        while await shown("Not connected since"):
            await asyncio.sleep(0.01)
    scene.server.faults.fail_rest("POST", rf"/channels/{scene.alerts.id}/messages", 403)
    await scene.server.says(scene.lounge, scene.ann, "HATE")
    async with asyncio.timeout(60):
        while not await shown("One card waits"):
            await asyncio.sleep(0.01)
    assert "One card waits" in (await scene.runs(scene.owner, "status")).content
