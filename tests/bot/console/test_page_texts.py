"""What people write stays text on the page, whatever it is, and the page is worked by keyboard as by mouse."""

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from playwright.async_api import Page, ViewportSize, expect

from bot.app import Running, service
from bot.config import Config, Discord, Service
from tests.bot.browser import opened
from tests.bot.signed_in import link
from tests.simulators.discord_server import DiscordServer

RUDE = "fuck all refugees, they are vermin"
MARKUP = "<img src=x onerror=alert(1)>"
BACKWARDS = "\u202ereversed"
LONG = "w" * 90
NAMES = [MARKUP, BACKWARDS, LONG]
PHONE, DESKTOP = ViewportSize(width=390, height=844), ViewportSize(width=1280, height=900)


def settings(folder: Path) -> Service:
    return Service(port=0, data_folder=str(folder / "data"), key_file=str(folder / "keys" / "sealing.key"))


@pytest.fixture
async def running(tmp_path: Path) -> AsyncIterator[Running]:
    """The service with its try-out chat."""
    async with service(Config(service=settings(tmp_path))) as started:
        yield started


@pytest.fixture
async def page(running: Running) -> AsyncIterator[Page]:
    """The operator's page with one card."""
    async with opened(link(running)) as page:
        await page.get_by_test_id("message-input").fill(RUDE)
        await page.get_by_test_id("message-input").press("Enter")
        await expect(page.get_by_test_id("case")).to_have_count(1, timeout=30_000)
        yield page


async def shot(page: Page, name: str) -> None:
    """A picture for whoever asked for some."""
    if folder := os.environ.get("DOMOVOI_TEST_SHOTS"):
        await page.screenshot(path=f"{folder}/{name}.png")


async def fits(page: Page) -> bool:
    """Whether nothing reaches beyond its side, but for what scrolls by itself."""
    wide = """() => [...document.querySelectorAll("main .side")].flatMap((side) => [...side.querySelectorAll("*")]
        .filter((one) => !one.closest(".scroll"))
        .filter((one) => one.getBoundingClientRect().right > side.getBoundingClientRect().right + 1)
        .map((one) => one.outerHTML.slice(0, 80)))"""
    assert await page.evaluate(wide) == []
    return bool(await page.evaluate("document.documentElement.scrollWidth <= innerWidth"))


async def test_hostile_servers_are_shown_as_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The name of a server and of a member, and a message, on every part of the page, wide and narrow."""
    async with DiscordServer() as discord:
        guilds = {name: discord.add_guild(name) for name in NAMES}
        monkeypatch.setenv("DOMOVOI_DISCORD_TOKEN", discord.token)
        config = Config(service=settings(tmp_path), discord=Discord(api=discord.api, gateway=discord.gateway))
        async with service(config) as running, opened(link(running)) as page:
            async with asyncio.timeout(30):
                while len((await running.parts.platforms[0]()).places) < len(NAMES):
                    await asyncio.sleep(0.1)
            for name, guild in guilds.items():
                author = discord.add_user(name)
                guild.add_member(author, nick=name)
                await discord.says(guild.add_channel("lounge"), author, f"{RUDE} {name}")
                await page.set_viewport_size(DESKTOP)
                await page.goto(f"http://127.0.0.1:{running.port}/?community=discord-{guild.id}")
                await shows(page, name)


async def shows(page: Page, name: str) -> None:
    """A card with a hostile text, and the server's name wherever it stands."""
    card = page.get_by_test_id("case").first
    await expect(card.locator("blockquote p")).to_have_text(f"{RUDE} {name}", timeout=30_000)
    await expect(card.locator("blockquote footer")).to_have_text(name)
    await expect(page.locator("#desk-title")).to_have_text(name)
    await expect(page.get_by_test_id("place").locator("b").get_by_text(name, exact=True)).to_have_count(1)
    await expect(page.get_by_test_id("community-switch").get_by_role("option", name=name, exact=True)).to_have_count(1)
    await card.get_by_test_id("explain").click()
    await expect(card.locator(".marked")).to_contain_text(name.split()[-1])
    await page.get_by_test_id("card-preview").click()
    await expect(page.get_by_test_id("previewed").locator("pre")).to_contain_text("refugees")
    assert await page.locator("#root img, #root script").count() == 0
    for kind, size in (("desktop", DESKTOP), ("phone", PHONE)):
        await page.set_viewport_size(size)
        await shot(page, f"hostile-{NAMES.index(name)}-{kind}")
        assert await fits(page)


async def test_a_card_is_answered_by_keyboard(page: Page) -> None:
    """The focus stays on the card when its button can no longer be pressed, or is gone."""
    card = page.get_by_test_id("case")
    wrong = card.get_by_test_id("wrong")
    await card.get_by_test_id("confirm").focus()
    await page.keyboard.press("Enter")
    await expect(card).to_have_attribute("data-state", "confirmed")
    await expect(wrong).to_be_focused()
    await page.keyboard.press("Enter")
    await expect(wrong).to_have_attribute("aria-expanded", "true")
    await expect(wrong).to_be_focused()
    await card.get_by_test_id("choose-neutral").focus()
    await page.keyboard.press("Space")
    await expect(card).to_have_attribute("data-state", "corrected")
    await expect(card.get_by_test_id("choose-neutral")).to_have_count(0)
    await expect(wrong).to_be_focused()
    await page.keyboard.press("Tab")
    await expect(card.get_by_test_id("explain")).to_be_focused()


async def test_typing_is_left_alone(page: Page, running: Running) -> None:
    """While others save the policy and cards come, the form keeps what is typed; saving it keeps the others' mode."""
    field = page.locator('input[name="hate.alert_at"]')
    await field.fill("")
    await field.press_sequentially("0.")
    await page.get_by_test_id("mode-switch").click()
    await expect(page.get_by_test_id("mode")).to_have_text("enforce")
    await field.press("End")
    await field.press_sequentially("45")
    await page.get_by_role("group", name="Actions on hate").get_by_label("timeout").check()
    await expect(page.locator("#policy-state")).to_have_text("not saved yet")
    await page.get_by_test_id("policy-save").click()
    await expect(page.locator("#policy-state")).to_have_text("saved")
    saved = await running.parts.pipeline.policy("try-out")
    assert (saved.mode, saved.hate.alert_at) == ("enforce", 0.45) and "timeout" in saved.hate.actions
    await field.fill("2")
    await page.get_by_test_id("policy-save").click()
    assert await field.evaluate("field => field.validity.rangeOverflow")


async def test_a_phone_shows_one_side_at_a_time(page: Page) -> None:
    """The other side counts its new cards until it is looked at."""
    await page.set_viewport_size(PHONE)
    await expect(page.get_by_test_id("case")).to_be_hidden()
    await expect(page.locator("#unseen")).to_have_text("1 new")
    await shot(page, "phone-chat")
    await page.get_by_role("button", name="Moderators").click()
    await expect(page.get_by_test_id("case")).to_be_visible()
    await expect(page.get_by_test_id("send")).to_be_hidden()
    await expect(page.locator("#unseen")).to_be_hidden()
    await shot(page, "phone-desk")
    assert await fits(page)
    await page.get_by_role("button", name="Chat").click()
    await expect(page.get_by_test_id("send")).to_be_visible()
