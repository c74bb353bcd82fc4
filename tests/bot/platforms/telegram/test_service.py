"""The whole service as its owner starts it, with both platforms: another process, the real model."""

import asyncio
import sys
from pathlib import Path

from tests.bot.platforms.discord.conftest import Scene as DiscordScene
from tests.bot.platforms.discord.test_service import HATEFUL, environment, started
from tests.bot.platforms.telegram.conftest import Scene
from tests.bot.platforms.telegram.test_onboarding import board_link, screen
from tests.bot.signed_in import by_link
from tests.simulators.discord_server import DiscordServer
from tests.simulators.telegram_server import TelegramServer


async def test_from_the_first_start_to_a_removed_message(tmp_path: Path) -> None:
    """Added, set up in private, a card from the real model, enforce, removed; linked with Discord; SIGTERM ends it."""
    async with DiscordServer() as discord, TelegramServer() as server:
        scene, other = Scene(server), DiscordScene(discord)
        more = {"DOMOVOI_TELEGRAM_TOKEN": server.token, "DOMOVOI_TELEGRAM_API": server.api}
        async with started(discord, tmp_path, **more) as (process, link):
            await server.until(lambda: server.called("deleteWebhook"), timeout_s=60)
            await server.adds_bot(scene.group, scene.owner)
            await server.until(lambda: server.by_bot(scene.group), timeout_s=60)
            shown = await screen(scene, scene.owner)
            await server.says(scene.board, scene.owner, f"/start {board_link(shown)}")
            await server.until(lambda: server.by_bot(scene.board), timeout_s=60)
            message = await server.says(scene.group, scene.ann, HATEFUL)
            card = await scene.card()
            assert HATEFUL in card.text and "<b>hate" in card.text and not message.deleted
            await server.clicks(scene.owner, shown, "Switch to enforce")
            second = await server.says(scene.group, scene.ben, HATEFUL + ", all of them")
            await server.until(lambda: second.deleted, timeout_s=60)
            await discord.until(lambda: discord.live_sessions(), timeout_s=60)
            code = (await other.runs(other.owner, "link")).content.split("`/link ")[1].split("`")[0]
            assert "Linked" in await scene.asks(scene.owner, f"/link {code}")
            await server.says(scene.group, scene.ann, HATEFUL + ", once more")
            await scene.cards(3)
            elsewhere = await other.runs(other.owner, "case", number=3)
            assert "no case 3" in elsewhere.content and "once more" in await scene.asks(scene.owner, "/case 3")
            async with by_link(link) as page, page.get("/api/platforms") as answer:
                found = {one["platform"]: one for one in (await answer.json())["platforms"]}
            assert "startgroup=" in found["telegram"]["invite"]
            assert {place["name"] for place in found["telegram"]["places"]} >= {"Friends"}
            process.terminate()
            async with asyncio.timeout(10):
                await process.wait()
            assert process.returncode == 0


async def test_check_says_how_both_are(tmp_path: Path) -> None:
    """Two logins, two links."""
    async with DiscordServer() as discord, TelegramServer() as server:
        told = environment(discord, tmp_path) | {
            "DOMOVOI_TELEGRAM_TOKEN": server.token,
            "DOMOVOI_TELEGRAM_API": server.api,
        }
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-m", "bot", "check"),
            cwd=Path(__file__).parents[4],
            env=told | {"COLUMNS": "400"},
            stdout=asyncio.subprocess.PIPE,
        )
        output = (await process.communicate())[0].decode()
        assert process.returncode == 0 and "oauth2/authorize" in output and "startgroup=hello" in output
