"""The whole service as its owner starts it: another process, the real model, the simulated Discord."""

import asyncio
import contextlib
import os
import re
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from bot.domain.platform import PlatformRefuses, Unreachable
from bot.platforms.discord import Access
from bot.platforms.discord.check import check_access
from tests.bot.platforms.discord.conftest import Scene, by_name
from tests.bot.signed_in import by_link
from tests.simulators.discord_server import DiscordServer

ROOT = Path(__file__).parents[4]
HATEFUL = "fuck all refugees, they are vermin"


def environment(server: DiscordServer, path: Path) -> dict[str, str]:
    """What the process is told: where to keep its things, and where Discord is."""
    return {
        **os.environ,
        "DOMOVOI_DATA": str(path / "data"),
        "DOMOVOI_KEY_FILE": str(path / "keys" / "sealing.key"),
        "DOMOVOI_PORT": "0",
        "DOMOVOI_DISCORD_TOKEN": server.token,
        "DOMOVOI_DISCORD_API": server.api,
        "DOMOVOI_DISCORD_GATEWAY": server.gateway,
    }


@asynccontextmanager
async def started(
    server: DiscordServer, path: Path, **more: str
) -> AsyncIterator[tuple[asyncio.subprocess.Process, str]]:
    """`python -m bot run` with more in its environment, and the link it prints."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "bot", "run"),
        cwd=ROOT,
        env=environment(server, path) | more,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    assert process.stdout is not None
    try:
        async with asyncio.timeout(60):
            while not (found := re.search(r"http://\S+token=\S+", (await process.stdout.readline()).decode())):
                pass
        yield process, found[0]
    finally:
        if process.returncode is None:
            process.terminate()
        async with asyncio.timeout(60):
            await process.communicate()


async def test_from_the_first_start_to_a_removed_message(tmp_path: Path) -> None:
    """Greeted, set up, a card from the real model, enforce, removed, undone; SIGTERM ends it within seconds."""
    async with DiscordServer() as server:
        scene = Scene(server)
        async with started(server, tmp_path) as (process, link), contextlib.AsyncExitStack() as stack:
            await server.until(lambda: by_name(server, "setup"), timeout_s=60)
            await server.until(lambda: server.dm(scene.owner).messages, timeout_s=60)
            screen = await scene.runs(scene.owner, "setup")
            await server.selects(scene.owner, screen, "Channel for cards", scene.alerts)
            assert "Saved" in (await server.clicks(scene.owner, screen, "Save")).content
            message = await server.says(scene.lounge, scene.ann, HATEFUL)
            card = await scene.card()
            assert HATEFUL in card.embeds[0]["description"] and "hate" in card.embeds[0]["title"]
            assert not message.deleted
            assert "Enforce" in (await scene.runs(scene.owner, "mode", mode="enforce")).content
            second = await server.says(scene.lounge, scene.ben, HATEFUL + ", all of them")
            await server.until(lambda: second.deleted, timeout_s=60)
            explained = await server.clicks(scene.owner, card, "Explain")
            assert "`vermin`" in explained.content or "`refugees,`" in explained.content
            page = await stack.enter_async_context(by_link(link))
            async with page.get("/api/platforms") as answer:
                (discord,) = (await answer.json())["platforms"]
            (place,) = discord["places"]
            assert place["name"] == "Friends" and place["mode"] == "enforce" and not place["problems"]
            assert "scope=bot" in discord["invite"] and not discord["trouble"] and not discord["faults"]
            server.faults.refuse_connections()
            server.faults.drop_socket()
            async with asyncio.timeout(60):
                while not discord["faults"]:
                    async with page.get("/api/platforms") as answer:
                        (discord,) = (await answer.json())["platforms"]
            assert "Not connected since" in discord["faults"][0]
            began = asyncio.get_running_loop().time()
            process.terminate()
            async with asyncio.timeout(10):
                await process.wait()
            assert process.returncode == 0 and asyncio.get_running_loop().time() - began < 10
        assert server.missed_heartbeats() == 0


async def test_check_prints_the_invitation_or_what_is_wrong(tmp_path: Path) -> None:
    """A good token: who it is and the link. A wrong one: one line with the fix, status 2."""
    async with DiscordServer(bot_name="warden") as server:

        async def check(token: str) -> tuple[int | None, str]:
            told = {**environment(server, tmp_path), "DOMOVOI_DISCORD_TOKEN": token, "COLUMNS": "400"}
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                *("-m", "bot", "check"),
                cwd=ROOT,
                env=told,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.STDOUT,
            )
            output, _ = await process.communicate()
            return process.returncode, output.decode()

        status, output = await check(server.token)
        assert status == 0 and "warden" in output and f"client_id={server.application_id}" in output
        status, output = await check("wrong.token")
        assert status == 2 and "make a new one" in output and "Traceback" not in output
        server.privileged_allowed = False
        lines = await check_access(Access(server.token, api=server.api))
        assert "Message Content Intent is off" in "\n".join(lines)
        with pytest.raises(PlatformRefuses, match="refuses the token"):
            await check_access(Access("wrong.token", api=server.api))


async def test_a_discord_that_is_away_is_said_with_the_link() -> None:
    """Which is made from the token itself."""
    with pytest.raises(Unreachable, match=r"cannot be reached.*client_id=1574858475450662920"):
        await check_access(Access("MTU3NDg1ODQ3NTQ1MDY2MjkyMA.x.y", api="http://127.0.0.1:9/api/v10"))
