"""The log of a whole service, while both platforms misbehave: every line is stamped, none has a token, and a lost
connection is heard of."""

import asyncio
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from bot.app import Running, service
from bot.config import Config, Discord, Service, Telegram
from bot.platforms.telegram import updates as updates
from bot.process import logs
from tests.bot.process.test_logs import STAMPED
from tests.simulators.discord_server import DiscordServer
from tests.simulators.telegram_server import TelegramServer

OWN_WORDS = "a member's own words, which nobody could parse"


@asynccontextmanager
async def both(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[tuple[Running, DiscordServer, TelegramServer]]:
    """The service, connected to both."""
    async with DiscordServer() as discord, TelegramServer() as telegram:
        for name, token in (("DISCORD", discord.token), ("TELEGRAM", telegram.token)):
            monkeypatch.setenv(f"DOMOVOI_{name}_TOKEN", token)
        config = Config(
            service=Service(port=0, data_folder=str(tmp_path / "data"), key_file=str(tmp_path / "key")),
            discord=Discord(api=discord.api, gateway=discord.gateway),
            telegram=Telegram(api=telegram.api),
        )
        discord.add_guild("Friends")
        async with service(config) as running:
            logs.watch(asyncio.get_running_loop())
            yield running, discord, telegram


async def until_said(capsys: pytest.CaptureFixture[str], said: list[str], *wanted: str) -> None:
    """Once every one of these was logged."""
    async with asyncio.timeout(40):
        while True:
            said += capsys.readouterr().out.splitlines()
            if all(any(re.search(one, line) for line in said) for one in wanted):
                return
            await asyncio.sleep(0.05)


def checked(said: list[str], *tokens: str) -> None:
    """Every line is stamped, and none of them has a token or a part of one."""
    for line in said:
        assert STAMPED.fullmatch(line), line
        for token in tokens:
            for part in (token, *re.findall(r"[\w-]{12,}", token)):
                assert part not in line, line


async def test_a_lost_gateway_is_heard_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Closed, reset, invalidated: that it is tried again is said, and that it is back."""
    said: list[str] = []
    async with both(tmp_path, monkeypatch) as (_, discord, telegram):
        await until_said(capsys, said, "connected to Discord", "connected to Gateway")
        breaks: list[Callable[[], Any]] = [
            discord.faults.drop_socket,
            lambda: discord.faults.close_socket(4000),
            lambda: discord.faults.invalid_session(False),
        ]
        for one in breaks:
            capsys.readouterr()
            heard: list[str] = []
            one()
            await until_said(capsys, heard, "RESUMED|connected to Gateway", "by=discord")
            said += heard
        discord.faults.refuse_connections(2)
        discord.faults.drop_socket()
        await until_said(capsys, said, "Attempting a reconnect")
        checked(said, discord.token, telegram.token)


async def test_a_page_that_quotes_the_address_does_not_leak_the_token(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A server's error page with the path in it, a body that is cut off, a redirect: as JSON and as HTML."""
    said: list[str] = []
    monkeypatch.setattr(updates, "LONG_POLL_S", 0)
    monkeypatch.setattr(updates, "RETRY_S", 0.05)
    async with both(tmp_path, monkeypatch) as (_, discord, telegram):
        path = f"/bot{telegram.token}/getUpdates"
        bodies = [
            (502, f"<html><h1>502</h1>cannot reach http://127.0.0.1{path}</html>"),
            (200, f'{{"ok": true, "result": [{{"message": {{"text": "{OWN_WORDS}", "path": "{path}'),
            (500, path.replace(":", "%3A")),
            (404, f'{{"ok": false, "error_code": 404, "description": "no such path: {path}"}}'),  # then a minute's rest
        ]
        for status, body in bodies:
            telegram.answer_oddly("getUpdates", lambda _, status=status, body=body: (status, body.encode()))
        async with asyncio.timeout(60):
            while any(fault.times > 0 for fault in telegram.faults):
                await asyncio.sleep(0.05)
        await asyncio.sleep(0.2)
        said += capsys.readouterr().out.splitlines()
    assert said
    checked(said, discord.token, telegram.token)
    assert not any("own words" in line for line in said)
