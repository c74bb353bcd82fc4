"""No update is lost, none is handled twice, and nothing Telegram sends or answers ends the bot."""

import asyncio
import random
import sys
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession

from bot.domain.policy import Mode, Policy
from bot.platforms.telegram import service
from bot.platforms.telegram import updates as updates
from bot.store import Sealer, Store
from tests.bot.platforms.telegram.conftest import Scene, serving
from tests.journal import unfinished
from tests.simulators.telegram_server import TelegramServer

ROOT = Path(__file__).parents[4]


@asynccontextmanager
async def victim(server: TelegramServer, folder: Path) -> AsyncIterator[asyncio.subprocess.Process]:
    """The bot as a process that will be killed."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "tests.bot.platforms.telegram.victim", str(folder), server.api, server.token),
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def test_killed_again_and_again_four_hundred_are_handled_once(tmp_path: Path) -> None:
    """400 queued updates, SIGKILL at seeded moments: each message is in the journal once and done, each hateful one is
    deleted, each warned author was warned at most once."""
    chance = random.Random(7)
    async with TelegramServer() as server:
        scene = Scene(server)
        async with Store.open(tmp_path / "domovoi.db", Sealer(bytes(range(32)))) as store:
            now = datetime.now(UTC)
            setup = {"alert_room": str(scene.board.id), "done": True, "warn": "place"}
            await store.communities.greet(scene.community, "telegram", "Friends", now)
            await store.communities.save(scene.community, "telegram", "Friends", setup, now)
            hate = Policy().hate.model_copy(update={"actions": ("delete", "warn")})
            policy = Policy(mode=Mode.ENFORCE, hate=hate, max_actions_per_hour=1000)
            await store.save_policy(scene.community, policy, now)
        people = [server.add_user(f"p{n}") for n in range(20)]
        said = []
        for number in range(400):
            text = f"HATE {number}" if number % 10 == 0 else f"hello {number}"
            said.append(await server.says(scene.group, people[number % 20], text))
        kills = 0
        while kills < 5 or (server.updates and kills < 8):
            async with victim(server, tmp_path) as process:
                await asyncio.wait_for(process.stdout.readline(), 30)  # type: ignore[union-attr]
                await asyncio.sleep(chance.uniform(0.0, 0.2))
                process.kill()
                kills += 1
        async with victim(server, tmp_path), Store.open(tmp_path / "domovoi.db", Sealer(bytes(range(32)))) as store:
            async with asyncio.timeout(60):
                while server.updates or await unfinished(store, "telegram") or await store.inbox.waiting("telegram"):
                    await asyncio.sleep(0.1)
            rows = [
                row
                for row in await store.messages(scene.community, datetime(2020, 1, 1, tzinfo=UTC))
                if ":name-" not in row.key.message
            ]
        assert Counter(row.text for row in rows) == Counter(message.text for message in said)
        assert {row.state for row in rows} <= {"done", "gone"}
        assert all(message.deleted == message.text.startswith("HATE") for message in said)
        warned = Counter(message.text.split("</a>")[0] for message in server.by_bot(scene.group))
        assert sum(warned.values()) <= 40 and kills >= 5, kills
        sure = [m.text for m in server.by_bot(scene.board) if "<pre>" in m.text and "shown before" not in m.text]
        assert len(set(sure)) == len(sure)


async def test_an_update_is_on_disk_before_it_is_confirmed(scene: Scene, monkeypatch: Any) -> None:
    """While the store takes nothing, Telegram keeps it; afterwards it is handled once."""
    monkeypatch.setattr(scene.store.inbox, "take", fails := Failing(scene.store.inbox.take, 2))
    scene.telegram.updates = scene.telegram.updates
    await scene.server.says(scene.group, scene.ann, "HATE")
    await scene.server.until(lambda: fails.failed == 1)
    assert scene.server.waiting == 1
    await scene.card()
    await scene.settled()
    assert scene.server.waiting == 0 and len(await scene.cases()) == 1


class Failing:
    """The first calls fail as on a full disk."""

    def __init__(self, call: Any, times: int) -> None:
        self.call, self.times, self.failed = call, times, 0

    async def __call__(self, *arguments: Any) -> Any:
        if self.failed < self.times and arguments[1]:
            self.failed += 1
            raise OSError("no space left on device")
        return await self.call(*arguments)


async def test_repeated_and_reordered_updates_are_handled_once(scene: Scene) -> None:
    """The same number again, in the same answer and in a later one; newest first."""
    scene.server.shuffled, scene.server.repeat = True, 5
    messages = [await scene.server.says(scene.group, scene.ann, f"HATE {n}") for n in range(10)]
    await scene.settled()
    numbers = range(1000, 1010)
    for number, message in zip(numbers, messages, strict=True):
        scene.server.push({"message": message.data}, number=number)
    await asyncio.sleep(0.3)
    scene.server.updates.clear()
    await scene.settled()
    assert sorted(case.message.text for case in await scene.cases()) == sorted(message.text for message in messages)


async def test_malformed_updates_are_in_nobodys_way(scene: Scene, monkeypatch: Any) -> None:
    """Garbage with and without a number: tried, set aside, told once each; what comes after is handled."""
    monkeypatch.setattr(updates, "RETRY_S", 0.01)
    scene.server.malformed = ["text", None, {"no": "number"}, {"update_id": "x"}, 7]
    broken = ({"message": {"chat": None}}, {"message": 7}, {"callback_query": []}, {"my_chat_member": {"chat": 1}})
    for update in broken:
        scene.server.push(update)
    scene.server.push({"something_new": {"of": "tomorrow"}})
    await scene.server.says(scene.group, scene.ann, "HATE")
    await scene.card()

    def told() -> int:
        return "".join(message.text for message in scene.server.by_bot(scene.board)).count("could not be handled")

    await scene.server.until(lambda: told() >= len(broken))
    await scene.settled()
    assert told() == len(broken)
    assert not await scene.store.inbox.waiting("telegram")


@pytest.mark.parametrize("status", [401, 404, 409, 429, 500, 502, "reset"])
async def test_polling_survives_what_telegram_answers(status: int | str, scene: Scene, monkeypatch: Any) -> None:
    """Each error is said with its fix, waited out, and what came meanwhile is handled."""
    monkeypatch.setattr(updates, "trouble_of", lambda error: (REASON(error)[0], 0.05))
    scene.server.fail("getUpdates", status, times=2)
    await scene.server.says(scene.group, scene.ann, "hello")  # ends the question that is open
    await scene.server.says(scene.group, scene.ann, "HATE")
    await scene.card()
    await scene.server.until(lambda: scene.telegram.trouble is None)


REASON = updates.trouble_of


def test_each_error_says_what_to_do() -> None:
    """A refused token, another program, a request for patience."""
    from telegram.error import Conflict, InvalidToken, NetworkError, RetryAfter

    assert "@BotFather" in REASON(InvalidToken())[0].text()
    assert "one program" in REASON(Conflict("x"))[0].text()
    assert REASON(RetryAfter(7))[1] == 7.0
    assert "lost" in REASON(NetworkError("gone"))[0].text() and REASON(NetworkError("gone"))[1] is None


async def test_a_failed_start_is_tried_again(tmp_path: Path, monkeypatch: Any) -> None:
    """Telegram is away when the bot starts: it says so, and is there once Telegram is."""
    monkeypatch.setattr(service, "trouble_of", lambda error: (REASON(error)[0], 0.05))
    async with TelegramServer() as server:
        scene = Scene(server)
        server.fail("getMe", 502, times=3)
        server.fail("getMe", "reset", times=2)
        await server.says(scene.group, scene.ann, "HATE said before the start")
        async with serving(scene, tmp_path):
            await scene.card()
            assert len(server.called("getMe")) >= 6


async def test_a_webhook_takes_updates_with_the_secret_only(tmp_path: Path) -> None:
    """Committed before it is answered; without the secret, or unreadable, nothing is."""
    async with TelegramServer() as server:
        scene = Scene(server)
        port = 0
        async with _free_port() as found:
            port = found
        url = f"http://127.0.0.1:{port}/hook"
        scene.access = replace(scene.access, webhook_url=url, webhook_port=port, webhook_secret="s3cret")
        async with serving(scene, tmp_path), ClientSession() as session:
            await server.until(lambda: server.webhook.get("url") == url)
            assert server.webhook["secret_token"] == "s3cret"
            message = server.write(scene.group, scene.ann, "HATE")
            update = {"update_id": 5, "message": message.data}
            for secret, body, status in (
                ("wrong", update, 403),
                ("", update, 403),
                ("s3cret", "{", 400),
                ("s3cret", update, 200),
                ("s3cret", update, 200),
            ):
                data = {"json": body} if isinstance(body, dict) else {"data": body}
                headers = {"X-Telegram-Bot-Api-Secret-Token": secret} if secret else {}
                async with session.post(url, headers=headers, **data) as answer:
                    assert answer.status == status
            await scene.card()
            assert len(await scene.store.cases(scene.community)) == 1


@asynccontextmanager
async def _free_port() -> AsyncIterator[int]:
    listener = await asyncio.start_server(lambda reader, writer: None, "127.0.0.1", 0)
    try:
        yield listener.sockets[0].getsockname()[1]
    finally:
        listener.close()
        await listener.wait_closed()


async def test_a_group_that_becomes_a_supergroup_stays_what_it_was(scene: Scene) -> None:
    """Same policy, same set-up, same cases; an action on a message from before finds its way; known after a restart."""
    await scene.enforce()
    await scene.server.says(scene.group, scene.ann, "HATE before")
    await scene.card()
    new = await scene.server.migrates(scene.group)
    message = await scene.server.says(new, scene.ann, "HATE after")
    await scene.server.until(lambda: message.deleted)
    assert {case.message.text for case in await scene.cases()} == {"HATE before", "HATE after"}
    assert scene.telegram.groups.community_of(new.id) == scene.community


async def test_a_chat_that_moved_unheard_is_followed(scene: Scene) -> None:
    """Only Telegram's refusal says so: the action waits and is done under the new number."""
    await scene.enforce()
    scene.group.migrated_to = scene.server.add_group("Friends").id
    new = scene.server.chats[scene.group.migrated_to]
    new.members = scene.group.members
    message = await scene.server.says(scene.group, scene.ann, "HATE")
    new.messages[message.id] = message
    await scene.server.until(lambda: message.deleted, timeout_s=60)


async def test_the_token_is_in_no_log(scene: Scene, caplog: Any) -> None:
    """Addresses that hold it are not written down."""
    with caplog.at_level("DEBUG"):
        await scene.server.says(scene.group, scene.ann, "HATE")
        scene.server.fail("getUpdates", 502, times=1)
        await scene.server.says(scene.group, scene.ann, "hello")
        await scene.card()
    assert scene.server.token not in caplog.text
