"""Discord answers late, wrongly or not at all: the bot goes on, and what it does comes later, once."""

import asyncio
import contextlib
import functools
import gc
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from bot.domain.policy import LabelPolicy, Mode, Policy
from bot.domain.setup import Setup
from bot.pipeline.policy_cache import PolicyCache
from bot.platforms.discord.events import community_of
from bot.platforms.discord.gateway import Gateway, supervise
from bot.store import Store
from bot.store.communities import Communities
from tests.bot.platforms.discord.conftest import Scene, serving
from tests.simulators.discord_server import DiscordServer, Message

EVERYTHING = LabelPolicy(alert_at=0.5, act_at=0.85, actions=("delete", "warn", "timeout", "ban"), timeout_minutes=30)
FAULTS: list[Any] = [500, 503, "429-global", "reset", "hang"]
LOST = [True, False]
"""Refused before it took effect, or the answer was lost after it did."""


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is put off is not put off for long."""
    monkeypatch.setattr("bot.pipeline.enforcement.FIRST_WAIT_S", 0.05)
    monkeypatch.setattr("bot.cases.delivery.GATHER_S", 0.05)
    monkeypatch.setattr("bot.cases.delivery.RETRY_S", 0.05)
    for place in ("actions", "reply"):
        monkeypatch.setattr(f"bot.platforms.discord.{place}.ANSWER_WITHIN_S", 0.2)
    monkeypatch.setattr("bot.platforms.discord.reply.TELL_AGAIN_S", (0.05, 0.1))
    monkeypatch.setattr(
        "bot.platforms.discord.service.supervise", functools.partial(supervise, check_every_s=0.05, first_wait_s=0.02)
    )


def of(scene: Scene, room: Any) -> list[Message]:
    """What the bot wrote in a room and did not delete."""
    return scene.server.bot_messages(room)


async def alive(scene: Scene) -> None:
    """The bot still reads, and still answers."""
    message = await scene.server.says(scene.voice, scene.ben, f"good morning {time.monotonic_ns()}")
    await scene.server.until(lambda: scene.read[message.content], timeout_s=60)
    assert "Mode:" in (await scene.runs(scene.owner, "status")).content


@pytest.mark.parametrize("before", LOST)
@pytest.mark.parametrize("fault", FAULTS)
async def test_every_action_comes_later_and_once(scene: Scene, fault: Any, before: bool) -> None:
    """Deletion, warning, time-out and ban each meet the fault once; at most one warning, one ban, one card."""
    await scene.enforce(hate=EVERYTHING)
    calls = {
        "delete": ("DELETE", r"/messages/\d+$"),
        "timeout": ("PATCH", rf"/members/{scene.ann.id}$"),
        "ban": ("PUT", rf"/bans/{scene.ann.id}$"),
        "dm": ("POST", r"/users/@me/channels$"),
        "warn": ("POST", rf"/channels/{scene.server.dm(scene.ann).id}/messages$"),
    }
    for method, path in calls.values():
        scene.server.faults.fail_rest(method, path, fault, before_effect=before)
    message = await scene.server.says(scene.lounge, scene.ann, "HATE")
    await scene.server.until(lambda: scene.ann.id in scene.guild.bans and message.deleted, timeout_s=60)
    await scene.settled()
    assert (await scene.case()).message.state in ("done", "gone")
    assert len(of(scene, scene.server.dm(scene.ann))) <= 1
    assert len([entry for entry in scene.guild.audit if entry["action_type"] == 72]) == 1
    await scene.card()
    scene.server.faults.clear()
    await alive(scene)
    assert not scene.notices


@pytest.mark.parametrize("before", LOST)
@pytest.mark.parametrize("fault", FAULTS)
async def test_a_card_is_posted_once(scene: Scene, fault: Any, before: bool) -> None:
    """However often the answer fails to come: one card, and it shows the newest state."""
    path = rf"/channels/{scene.alerts.id}/messages"
    scene.server.faults.fail_rest("POST", path, fault, times=2, before_effect=before)
    await scene.server.says(scene.lounge, scene.ann, "HATE")
    card = await scene.card()
    scene.server.faults.fail_rest("PATCH", path, fault, times=2, before_effect=before)
    await scene.server.clicks(scene.mod, card, "👍 Correct")
    await scene.server.until(lambda: "👍 correct (hate)" in str(card.embeds), timeout_s=60)
    assert await scene.card() is card and len(of(scene, scene.alerts)) == 1


@pytest.mark.parametrize("count", [3, 8])
async def test_a_burst_whose_answers_are_lost(scene: Scene, count: int) -> None:
    """A card or digest that stands there already is not posted again in another shape when more cases come."""
    path = rf"/channels/{scene.alerts.id}/messages"
    scene.server.faults.fail_rest("POST", path, "reset", times=3, before_effect=False)
    for number in range(count):
        await scene.server.says(scene.lounge, scene.ann, f"HATE {number}")
    await scene.settled()
    await scene.server.until(lambda: of(scene, scene.alerts), timeout_s=60)
    for number in range(count, count + 4):
        await scene.server.says(scene.lounge, scene.ben, f"HATE {number}")
    await scene.settled()

    async def shown() -> dict[int, str]:
        cards = {case.id: await scene.store.cards.of(case.id) for case in await scene.store.cases(scene.community)}
        return {case: card.message for case, card in cards.items() if card is not None and card.message is not None}

    async with asyncio.timeout(60):
        while len(await shown()) < count + 4:
            await asyncio.sleep(0.05)
    posted = {str(message.id) for message in of(scene, scene.alerts)}
    assert posted == set((await shown()).values())


async def test_a_card_that_fails_for_long_is_no_burst(scene: Scene) -> None:
    """Eight tries for one case are still one case: a card, no digest."""
    scene.server.faults.fail_rest("POST", rf"/channels/{scene.alerts.id}/messages", 503, times=7)
    await scene.server.says(scene.lounge, scene.ann, "HATE")
    assert "Correct" in str((await scene.card()).components)


@pytest.mark.parametrize("before", LOST)
@pytest.mark.parametrize("fault", [503, "reset"])
async def test_a_notice_comes_later(scene: Scene, fault: Any, before: bool) -> None:
    """What moderators must know is said when Discord answers again, once."""
    await scene.enforce()
    scene.lounge.overwrite(scene.guild.bot_role, deny=["manage_messages"])
    path = rf"/channels/{scene.alerts.id}/messages"
    scene.server.faults.fail_rest("POST", path, fault, times=3, before_effect=before)
    await scene.server.says(scene.lounge, scene.ann, "HATE")
    await scene.card()
    told = "Not possible: delete"
    await scene.server.until(lambda: any(told in m.content for m in of(scene, scene.alerts)), timeout_s=60)
    await asyncio.sleep(0.5)
    assert len([m for m in of(scene, scene.alerts) if told in m.content]) == 1


@pytest.mark.parametrize("fault", [500, 503, "429", "reset"])
async def test_answers_come_later(scene: Scene, fault: Any) -> None:
    """The change was made and the answer failed: the answer is sent again."""
    scene.server.faults.fail_rest("PATCH", "/webhooks/.*@original", fault, times=2)
    answer = await scene.runs(scene.owner, "mode", mode="enforce")
    assert "Enforce" in answer.content and answer.ephemeral


@pytest.mark.parametrize("before", LOST)
@pytest.mark.parametrize("fault", [500, 503, "reset", "hang"])
async def test_an_interaction_that_cannot_be_answered(scene: Scene, fault: Any, before: bool) -> None:
    """Whoever asked is told that it failed, if at all possible; the next one is answered as ever."""
    scene.server.faults.fail_rest("POST", "/callback", fault, before_effect=before)
    answer = await scene.server.runs(scene.owner, scene.lounge, "status", timeout_s=0.7)
    if answer.kind != "none" and fault != "hang":
        assert "Something went wrong" in answer.content or "Mode:" in answer.content
    await alive(scene)


@pytest.mark.parametrize("fault", [500, 503, "429", "hang", 403])
async def test_commands_that_cannot_be_registered(tmp_path: Path, fault: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Messages are read all the same, and it is tried again."""
    monkeypatch.setattr("bot.platforms.discord.service.SYNC_AGAIN_S", 0.1)
    async with DiscordServer() as server:
        server.faults.fail_rest("PUT", "/commands$", fault, times=2)
        async with serving(Scene(server), tmp_path) as scene:
            await server.says(scene.lounge, scene.ann, "HATE")
            await scene.card()
            await server.until(lambda: server.commands.get(None))
            await alive(scene)
            assert server.identified == 1


@pytest.mark.parametrize("fault", [500, 503, "429", "reset"])
async def test_a_login_that_fails(tmp_path: Path, fault: Any) -> None:
    """It is tried again, a little later."""
    async with DiscordServer() as server:
        server.faults.fail_rest("GET", "/users/@me$", fault, times=2)
        async with serving(Scene(server), tmp_path) as scene:
            await alive(scene)
            assert scene.discord.trouble is None


@pytest.mark.parametrize("fault", [503, "429", 403, "hang"])
async def test_a_greeting_that_fails(tmp_path: Path, fault: Any) -> None:
    """The owner is greeted, or a channel is, or nobody: never twice, and the bot works."""
    async with DiscordServer() as server:
        server.faults.fail_rest("POST", r"/users/@me/channels$", fault)
        async with serving(Scene(server), tmp_path, set_up=False) as scene:
            await server.says(scene.lounge, scene.ann, "HATE")
            assert len(await scene.cases()) == 1
            greetings = of(scene, server.dm(scene.owner)) + of(scene, scene.lounge) + of(scene, scene.alerts)
            assert len(greetings) == 1


async def test_the_card_channel_is_closed_for_a_while(scene: Scene) -> None:
    """Cards wait for the right to come back."""
    scene.alerts.overwrite(scene.guild.bot_role, deny=["send_messages"])
    await scene.server.says(scene.lounge, scene.ann, "HATE")
    await scene.settled()
    await asyncio.sleep(0.5)
    assert not of(scene, scene.alerts)
    scene.alerts.overwrite(scene.guild.bot_role)
    await scene.card()


async def test_the_card_channel_is_deleted(scene: Scene) -> None:
    """Status and page say that cards go nowhere; once there is another channel, those of the meantime appear."""
    scene.alerts.remove()
    await scene.server.says(scene.lounge, scene.ann, "HATE")
    await scene.settled()
    answer = await scene.runs(scene.mod, "status")
    assert "Cards go nowhere" in answer.content
    assert not (await scene.discord.overview()).places[0].has_cards
    scene.alerts = scene.guild.add_channel("alerts again")
    opened = await scene.runs(scene.owner, "setup")
    await scene.server.selects(scene.owner, opened, "Channel for cards", scene.alerts)
    await scene.server.clicks(scene.owner, opened, "Save")
    await scene.card()


async def test_a_right_is_lost_in_mid_flight(scene: Scene) -> None:
    """The check before the call still saw it; Discord refuses, and moderators are told where to turn it on."""
    await scene.enforce()
    scene.server.faults.fail_rest("DELETE", r"/messages/\d+$", 403, times=1)
    await scene.server.says(scene.lounge, scene.ann, "HATE")
    assert "Not all of this was possible" in str((await scene.card()).embeds)
    (told,) = scene.notices
    assert "Manage Messages" in told.text() and f"<#{scene.lounge.id}>" in told.text()


async def refused(scene: Scene, tmp_path: Path, until: Callable[[Scene], bool]) -> None:
    """Runs a bot that cannot connect, until it says so and half a second longer."""
    sound = scene.server.until

    async def told(condition: Any, timeout_s: float = 5.0) -> None:
        scene.server.until = sound  # type: ignore[method-assign]
        await sound(lambda: until(scene), timeout_s)
        await asyncio.sleep(0.5)

    scene.server.until = told  # type: ignore[method-assign]
    async with serving(scene, tmp_path):
        pass


async def test_a_wrong_token(tmp_path: Path) -> None:
    """The trouble says the fix, and there is one try to log in, not a hundred."""
    async with DiscordServer() as server:
        scene = Scene(server)
        scene.access = replace(scene.access, token="wrong.token")
        await refused(scene, tmp_path, lambda s: s.discord.trouble is not None and s.discord.trouble.name.endswith("n"))
        assert "Fix:" in scene.discord.trouble.text() and "token" in scene.discord.trouble.text()  # type: ignore[union-attr]
        assert len(server.called("GET", "/users/@me$")) == 1


async def test_a_token_that_is_withdrawn(scene: Scene) -> None:
    """While connected: the trouble says so as well."""
    scene.server.token = "another.token"
    scene.server.faults.close_socket(4004)
    trouble = lambda: scene.discord.trouble is not None and scene.discord.trouble.name == "discord-token"  # noqa: E731
    await scene.server.until(trouble, timeout_s=60)
    await asyncio.sleep(0.3)
    assert len(scene.server.called("GET", "/users/@me$")) == 2


async def test_without_the_intent(tmp_path: Path) -> None:
    """The trouble names the switch in the Developer Portal; no storm of connections."""
    async with DiscordServer() as server:
        server.privileged_allowed = False
        scene = Scene(server)
        await refused(
            scene, tmp_path, lambda s: s.discord.trouble is not None and s.discord.trouble.name == "discord-intent"
        )
        assert "Message Content Intent" in scene.discord.trouble.text()  # type: ignore[union-attr]
        assert len(server.called("GET", "/users/@me$")) == 1


@contextlib.contextmanager
def forgotten_is_kept() -> Iterator[None]:
    """What nobody refers to any more can still be looked at."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def sockets() -> list[aiohttp.ClientWebSocketResponse]:
    """All there are, those of the tests before as well. `isinstance` would ask lazy modules for what is deprecated."""
    return [one for one in gc.get_objects() if type(one) is aiohttp.ClientWebSocketResponse]


@pytest.mark.parametrize("how", ["reset", 503, "silence"])
async def test_a_connection_that_does_not_come_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: Any) -> None:
    """Refused for too long, or open and silent: a new one is made, and what was said meanwhile is read."""
    monkeypatch.setattr("bot.platforms.discord.service.STUCK_AFTER_S", 0.5)
    before = sockets()
    async with DiscordServer() as server, serving(Scene(server), tmp_path) as scene:
        await server.says(scene.lounge, scene.ann, "good morning")
        await scene.settled()
        first = scene.discord.client
        server.faults.refuse_connections(how="reset" if how == "silence" else how)
        server.faults.drop_socket()
        await server.until(lambda: not scene.discord.client.sound)  # type: ignore[union-attr]
        if how == "silence":
            server.faults.silence("all")
            server.faults.refuse_connections(0)
        server.remembers(scene.lounge, scene.ann, "HATE meanwhile")
        with forgotten_is_kept():
            await server.until(lambda: first.is_closed(), timeout_s=60)  # type: ignore[union-attr]
            await server.until(lambda: all(one.closed for one in sockets() if one not in before), timeout_s=2)
        await server.until(lambda: scene.discord.client is not first, timeout_s=60)
        assert scene.discord.trouble is not None and scene.discord.trouble.name == "discord-lost"
        server.faults.clear()
        await server.until(lambda: scene.read["HATE meanwhile"] == 1, timeout_s=60)
        await alive(scene)
        assert scene.discord.trouble is None


async def test_the_bot_is_thrown_out_with_work_to_do(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was put off there is given up; other servers are served on."""
    monkeypatch.setattr("bot.pipeline.enforcement.FIRST_WAIT_S", 0.5)
    await scene.enforce()
    scene.server.faults.fail_rest("DELETE", r"/messages/\d+$", 503)
    scene.server.faults.fail_rest("POST", rf"/channels/{scene.alerts.id}/messages", 503, times=3)
    message = await scene.server.says(scene.lounge, scene.ann, "HATE")
    await scene.server.until(lambda: scene.server.called("DELETE", r"/messages/\d+$"))
    await scene.server.removes_bot(scene.guild)
    await scene.settled()
    assert (await scene.store.cases(scene.community))[0].message.state == "gone" and not message.deleted
    other = scene.server.add_guild("Others", bot=False)
    hall = other.add_channel("hall")
    await scene.server.adds_bot(other)
    await scene.server.says(hall, other.owner, "good morning")
    await scene.server.until(lambda: scene.read["good morning"])


@pytest.mark.minds_time
async def test_it_stops_at_once(tmp_path: Path) -> None:
    """Cancelled while nothing at Discord answers: over within two seconds, and nothing is lost by it."""
    async with DiscordServer() as server:
        scene = Scene(server)
        async with serving(scene, tmp_path):
            await scene.enforce()
            server.faults.fail_rest("*", r"/messages", "hang", times=10**6)
            server.faults.fail_rest("*", r"/callback", "hang", times=10**6)
            for number in range(20):
                await server.says(scene.lounge, (scene.ann, scene.ben)[number % 2], f"HATE {number}")
            await scene.server.runs(scene.owner, scene.lounge, "status", timeout_s=0.3)
            server.faults.refuse_connections()
            server.faults.drop_socket()
            began = time.monotonic()
        assert time.monotonic() - began < 2.0
        server.faults.clear()
        async with serving(scene, tmp_path):
            await scene.server.until(lambda: all(m.author is server.bot for m in scene.lounge.messages.values()), 9)


@pytest.mark.parametrize("what", ["policy", "setup"])
async def test_what_is_read_while_it_is_changed(scene: Scene, monkeypatch: pytest.MonkeyPatch, what: str) -> None:
    """The change is in force, though the store answers an earlier question later."""
    server = scene.server.add_guild("Others")
    await scene.heard()
    community = community_of(server.id)
    owner: Any = Store if what == "policy" else Communities
    real, asked, go_on = getattr(owner, what), asyncio.Event(), asyncio.Event()

    async def slow(self: Any, community: str) -> Any:
        found = await real(self, community)
        asked.set()
        await go_on.wait()
        return found

    async with asyncio.TaskGroup() as group:
        await scene.settled()
        scene.pipeline.policies = PolicyCache(scene.store)
        scene.discord._setups.clear()
        monkeypatch.setattr(owner, what, slow)
        reader = scene.pipeline.policy if what == "policy" else scene.discord.setup
        group.create_task(reader(community))
        await asked.wait()
        if what == "policy":
            await scene.pipeline.set_policy(community, Policy(mode=Mode.ENFORCE))
        else:
            guild = scene.discord.guild(community)
            await scene.discord.save_setup(guild, Setup(language="ru"))  # type: ignore[arg-type]
        go_on.set()
    assert (await scene.pipeline.policy(community)).mode is Mode.ENFORCE or what == "setup"
    assert (await scene.discord.setup(community)).language == "ru" or what == "policy"


async def test_a_stop_that_the_library_swallows_comes_again() -> None:
    """`asyncio.wait_for` loses a cancellation that comes with its answer: the connection ends all the same."""
    swallowed = []

    async def serve(client: Any) -> None:
        while len(swallowed) < 2:
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                swallowed.append(client)
        await asyncio.sleep(60)

    def make() -> Any:
        return Gateway(Listener(), members_intent=False)  # type: ignore[arg-type]

    async with asyncio.timeout(60), asyncio.TaskGroup() as group:
        task = group.create_task(supervise(make, serve, lambda error: None, stuck_after_s=60))
        await asyncio.sleep(0.05)
        task.cancel()
    assert len(swallowed) == 2


class Listener:
    """Hears of nothing that counts."""

    async def disconnected(self) -> None:
        pass

    def skipped(self, event: str, data: Any) -> None:
        pass
