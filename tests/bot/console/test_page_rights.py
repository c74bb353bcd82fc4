"""The page's rights: every route, by whoever signs in, follows what they may do on the platform at that moment."""

import asyncio
import contextlib
import json
import os
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession, CookieJar, web
from playwright.async_api import async_playwright, expect

from bot.app import Running, service
from bot.config import Config, Console, Discord, Service, Telegram
from bot.console import access
from bot.console import live_stream as stream
from bot.console import routes as server
from bot.console.one_time_links import Links
from bot.console.rights import OPEN, RIGHTS
from bot.console.sign_in import SignIn
from bot.domain.case import Case
from bot.domain.policy import Policy
from bot.domain.role import Role
from tests.bot.signed_in import link, operator
from tests.programs import CHROMIUM
from tests.simulators.discord_server import DiscordServer
from tests.simulators.discord_server import User as DiscordUser
from tests.simulators.sign_in_provider import CLIENT, SECRET, SignInProvider
from tests.simulators.telegram_server import TelegramServer
from tests.simulators.telegram_state import User as TelegramUser

RUDE = "fuck all refugees, they are vermin"
SECRET_TEXT = "fuck all refugees, these vermin are hidden here"


@dataclass
class Town:
    """A Discord server and a Telegram group that one bot moderates, and the page."""

    running: Running
    provider: SignInProvider
    discord: DiscordServer
    telegram: TelegramServer
    people: dict[str, DiscordUser | TelegramUser]
    communities: dict[str, str]

    @contextlib.asynccontextmanager
    async def page(self, who: str) -> AsyncIterator[ClientSession]:
        """A browser in which somebody has signed in: "discord owner", "telegram plain admin", or the operator."""
        if who == "operator":
            async with operator(self.running) as session:
                yield session
            return
        way, person = who.split(" ")[0], self.people[who]
        self.provider.account = {"id": str(person.id), "username": who, "global_name": who}
        here = [guild for guild in self.discord.guilds.values() if person.id in guild.members]
        self.provider.guilds = [{"id": str(guild.id), "name": guild.name} for guild in here]
        address = f"http://127.0.0.1:{self.running.port}"
        async with ClientSession(address, cookie_jar=CookieJar(unsafe=True)) as session:
            async with session.get(f"/sign-in/{way}") as answer:
                assert answer.status == 200
            async with session.get("/api/me") as answer:
                session.headers["X-CSRF-Token"] = (await answer.json())["csrf"]
            yield session

    async def case(self, platform: str, text: str) -> Case:
        """Once it is there."""
        async with asyncio.timeout(40):
            while True:
                for case in await self.running.parts.store.cases(self.communities[platform]):
                    if case.message.text == text:
                        return case
                await asyncio.sleep(0.05)


@pytest.fixture
async def town(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Town]:
    """Rights are asked for again each time."""
    monkeypatch.setattr(access, "ASKED_AGAIN_S", 0.0)
    provider = SignInProvider()
    runner = web.AppRunner(provider.application())
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    provider.address = f"http://127.0.0.1:{runner.addresses[0][1]}"
    async with DiscordServer() as discord, TelegramServer() as telegram:
        guild, group = discord.add_guild("Friends"), telegram.add_group("Club")
        people: dict[str, Any] = {
            "discord owner": guild.owner,
            "discord moderator": discord.add_user("mo"),
            "discord viewer": discord.add_user("vi"),
            "discord member": discord.add_user("ann"),
            "discord stranger": discord.add_user("stranger"),
            "discord other owner": discord.add_guild("Elsewhere").owner,
            "telegram owner": telegram.owner(group),
            "telegram moderator": telegram.add_user("Mo"),
            "telegram manager": telegram.add_user("Ma"),
            "telegram plain admin": telegram.add_user("Pa"),
            "telegram member": telegram.add_user("Ann"),
        }
        rights = ["manage_messages", "moderate_members", "ban_members"]
        guild.add_member(people["discord moderator"], [guild.add_role("Mods", rights)])
        guild.add_member(people["discord viewer"], [guild.add_role("Auditors", ["view_audit_log"])])
        guild.add_member(people["discord member"])
        for name, given in (
            ("moderator", ["can_restrict_members"]),
            ("manager", ["can_change_info"]),
            ("plain admin", []),
        ):
            telegram.join(group, people[f"telegram {name}"], "administrator", rights=given)
        telegram.join(group, people["telegram member"])
        lounge = guild.add_channel("lounge")
        for name, token in (("DISCORD", discord.token), ("TELEGRAM", telegram.token)):
            monkeypatch.setenv(f"DOMOVOI_{name}_TOKEN", token)
            monkeypatch.setenv(f"DOMOVOI_{name}_CLIENT_SECRET", SECRET)
        config = Config(
            service=Service(port=0, data_folder=str(tmp_path / "data"), key_file=str(tmp_path / "key")),
            discord=Discord(api=discord.api, gateway=discord.gateway),
            telegram=Telegram(api=telegram.api),
            console=Console(
                discord_client_id=CLIENT,
                discord_address=provider.address,
                telegram_client_id=CLIENT,
                telegram_address=provider.address,
            ),
        )
        async with service(config) as running:
            communities = {"discord": f"discord-{guild.id}", "telegram": f"telegram-{group.id}"}
            opened = Town(running, provider, discord, telegram, people, communities)
            await telegram.adds_bot(group, people["telegram owner"])
            async with asyncio.timeout(30):
                while not all([(await one()).places for one in running.parts.platforms]):
                    await asyncio.sleep(0.1)
            await discord.says(lounge, people["discord member"], RUDE)
            await telegram.says(group, people["telegram member"], RUDE)
            yield opened
    await runner.cleanup()


ROLES = {
    "operator": {"discord": Role.OPERATOR, "telegram": Role.OPERATOR, "try-out": Role.OPERATOR},
    "discord owner": {"discord": Role.OWNER},
    "discord moderator": {"discord": Role.MODERATOR},
    "discord viewer": {"discord": Role.VIEWER},
    "discord member": {},
    "discord stranger": {},
    "discord other owner": {},
    "telegram owner": {"telegram": Role.OWNER},
    "telegram moderator": {"telegram": Role.MODERATOR},
    "telegram manager": {"telegram": Role.OWNER},
    "telegram plain admin": {"telegram": Role.VIEWER},
    "telegram member": {},
}
"""Who has which role where; nobody else has any."""
BODIES: dict[str, dict[str, Any]] = {
    "/api/cases/{case}/correct": {"label": "hate"},
    "/api/policy": Policy().model_dump(mode="json"),
    "/api/policy/preview": Policy().model_dump(mode="json"),
}
LEFT_OUT = {"/api/refresh", "/api/events", "/api/sign-out"}
"""Tried by themselves: they go on for long, or end the session."""


async def test_every_route_takes_its_role(town: Town) -> None:
    """Actor x route x community. Who lacks the role is told so and nothing happens; who has it is not refused."""
    cases = {platform: (await town.case(platform, RUDE)).id for platform in town.communities}
    communities = {**town.communities, "try-out": "try-out"}
    wrong = []
    for who, roles in ROLES.items():
        async with town.page(who) as session:
            for (method, path), right in RIGHTS.items():
                if path in LEFT_OUT or right.where == "anywhere":
                    continue
                for place, community in communities.items():
                    if right.where == "case" and place not in cases:
                        continue
                    address = path.replace("{case}", str(cases.get(place))).replace("{version}", "v0")
                    asked = {} if right.where == "case" else {"community": community}
                    body = {} if method == "GET" else {"json": BODIES.get(path, {})}
                    async with session.request(method, address, params=asked, **body) as answer:
                        may = roles.get(place, Role.NOBODY) >= right.role
                        if (answer.status not in (401, 403)) is not may or answer.status >= 500:
                            wrong.append((who, method, path, place, answer.status, await answer.text()))
    assert not wrong, "\n".join(map(str, wrong))


async def test_the_page_is_told_what_its_reader_may_call(town: Town) -> None:
    """By the same table that refuses the rest."""
    communities = {**town.communities, "try-out": "try-out"}
    for who, roles in ROLES.items():
        async with town.page(who) as session:
            for place, role in roles.items():
                async with session.get("/api/state", params={"community": communities[place]}) as answer:
                    may = set((await answer.json())["may"])
                assert may == {f"{method} {path}" for (method, path), right in RIGHTS.items() if right.role <= role}


async def test_no_route_is_forgotten(town: Town, tmp_path: Path) -> None:
    """Each is open to all or has its role; one that is neither would be refused."""
    parts = town.running.parts
    app = server.build(parts, SignIn(parts.store, Links(tmp_path), []), "")
    there = {
        ("GET" if route.method == "HEAD" else route.method, route.resource.canonical)
        for route in app.router.routes()
        if route.resource is not None
    }
    assert {one for one in there if one[1] not in OPEN} == set(RIGHTS)
    async with ClientSession(f"http://127.0.0.1:{town.running.port}") as session:
        for method, path in RIGHTS:
            async with session.request(method, path.replace("{case}", "1").replace("{version}", "v0")) as answer:
                assert answer.status == 401 and await answer.json() == {"error": "sign in first"}


async def test_a_right_that_is_taken_away_ends_at_once(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    """On the next click, and the open stream ends; a right that is given holds as soon."""
    monkeypatch.setattr(stream, "LOOK_AGAIN_S", 0.2)
    guild = next(guild for guild in town.discord.guilds.values() if guild.name == "Friends")
    mods = next(role for role in guild.roles if role.name == "Mods")
    case, here = await town.case("discord", RUDE), {"community": town.communities["discord"]}
    async with town.page("discord moderator") as session, session.get("/api/events", params=here) as feed:
        assert feed.status == 200
        mods.change(permissions=0)
        async with session.post(f"/api/cases/{case.id}/confirm", json={}) as answer:
            assert answer.status == 403
        async with asyncio.timeout(60):
            await feed.content.read()
        mods.change(permissions=["manage_messages"])
        async with session.post(f"/api/cases/{case.id}/confirm", json={}) as answer:
            assert answer.status == 200, await answer.text()
    after = await town.running.parts.store.case(case.id)
    assert after is not None and after.moderator == f"discord:{town.people['discord moderator'].id}"


async def test_nobody_has_the_page_do_what_they_may_not_do(town: Town) -> None:
    """To enforce a ban without the right to ban, and to undo one: refused with the right that is missing."""
    policy = Policy().model_dump(mode="json")
    policy["mode"], policy["hate"]["actions"] = "enforce", ["delete", "ban"]
    place = {"community": town.communities["telegram"]}
    put: dict[str, Any] = {"url": "/api/policy", "params": place, "json": policy}
    async with town.page("telegram manager") as session, session.put(**put) as answer:
        said = (await answer.json())["error"]
        assert answer.status == 403 and "restrict members" in said and "delete messages" in said
    assert (await town.running.parts.pipeline.policy(place["community"])).mode == "shadow"
    async with town.page("telegram owner") as session, session.put(**put) as answer:
        assert answer.status == 200, await answer.text()


async def test_the_page_shows_no_text_from_a_room_that_one_cannot_see(town: Town) -> None:
    """Neither in the list, nor live, nor by its number; and nobody answers what they cannot read."""
    guild = next(guild for guild in town.discord.guilds.values() if guild.name == "Friends")
    hidden = guild.add_channel("hidden")
    mods = next(role for role in guild.roles if role.name == "Mods")
    hidden.overwrite(mods, deny=["view_channel"])
    here = {"community": town.communities["discord"]}
    async with town.page("discord moderator") as session, session.get("/api/events", params=here) as feed:
        await town.discord.says(hidden, town.people["discord member"], SECRET_TEXT)  # type: ignore[arg-type]
        case = await town.case("discord", SECRET_TEXT)
        async with asyncio.timeout(60):
            while f'"id": {case.id}, '.encode() not in (line := await feed.content.readline()):
                assert b"hidden here" not in line
        assert b"hidden here" not in line and json.loads(line.removeprefix(b"data: "))["case"]["hidden"]
        async with session.get("/api/state", params=here) as answer:
            assert "hidden here" not in await answer.text()
        async with session.get("/api/card", params=here) as answer:
            assert "hidden here" not in await answer.text()
        for method, verb in (("GET", "explain"), ("POST", "confirm"), ("POST", "undo"), ("POST", "correct")):
            async with session.request(method, f"/api/cases/{case.id}/{verb}", json={"label": "hate"}) as answer:
                assert answer.status == 403 and "hidden here" not in await answer.text()
    async with town.page("discord owner") as session, session.get("/api/state", params=here) as answer:
        assert SECRET_TEXT in await answer.text()


async def test_a_platform_that_does_not_answer_gives_nobody_a_right(town: Town) -> None:
    """Also whoever had one a moment ago; the operator still sees what there is."""
    here = {"community": town.communities["discord"]}
    async with town.page("discord owner") as session:
        async with session.get("/api/state", params=here) as answer:
            assert answer.status == 200
        town.discord.faults.fail_rest("GET", r"/guilds/\d+/members/\d+$", 500, times=1000)
        async with session.get("/api/state", params=here) as answer:
            assert answer.status == 503 and "Discord does not say" in (await answer.json())["error"]
    async with town.page("operator") as session, session.get("/api/state", params=here) as answer:
        assert answer.status == 200


@pytest.mark.parametrize(
    "community", ["discord-", "discord-x", "discord-" + "9" * 400, "telegram-x", "telegram--", "é", "\0"]
)
async def test_a_community_that_is_none_is_refused(community: str, town: Town) -> None:
    """In one line, never with an error of ours."""
    for who in ("discord owner", "telegram owner"):
        async with town.page(who) as session, session.get("/api/state", params={"community": community}) as answer:
            assert answer.status == 403, await answer.text()


async def test_a_page_forgets_rights_after_a_minute(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    """Within it the platform is asked once, however many requests there are."""
    monkeypatch.setattr(access, "ASKED_AGAIN_S", 60.0)
    here = {"community": town.communities["telegram"]}
    async with town.page("telegram moderator") as session:
        before = len(town.telegram.called("getChatMember"))
        for _ in range(5):
            async with session.get("/api/advice", params=here) as answer:
                assert answer.status == 200
        assert len(town.telegram.called("getChatMember")) - before <= 1


async def test_a_moderator_signs_in_answers_a_card_and_signs_out(town: Town) -> None:
    """In a browser: the server's cards, buttons for what a moderator may, no try-out chat; a viewer has no buttons."""
    await town.case("discord", RUDE)
    shots = os.environ.get("DOMOVOI_TEST_SHOTS", "")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        for who, buttons in (("moderator", 1), ("viewer", 0)):
            person = town.people[f"discord {who}"]
            town.provider.account = {"id": str(person.id), "username": who, "global_name": who.capitalize()}
            town.provider.guilds = [{"id": town.communities["discord"].removeprefix("discord-")}]
            page = await (await browser.new_context()).new_page()
            errors: list[str] = []
            page.on("pageerror", lambda error, errors=errors: errors.append(str(error)))
            await page.goto(f"http://127.0.0.1:{town.running.port}/")
            await expect(page).to_have_url(re.compile("/sign-in$"))
            if shots:
                for width in (1280, 390):
                    await page.set_viewport_size({"width": width, "height": 800})
                    await page.screenshot(path=f"{shots}/sign-in-{width}.png")
            await page.get_by_role("link", name="Sign in with Discord").click()
            card = page.get_by_test_id("case").first
            await expect(card).to_contain_text(RUDE)
            await expect(page.get_by_test_id("who")).to_have_text(who.capitalize())
            await expect(page).to_have_title("Domovoi: Friends")
            await expect(page.get_by_test_id("send")).to_be_hidden()
            await expect(page.get_by_test_id("mode-switch")).to_be_hidden()
            await expect(card.get_by_test_id("confirm")).to_have_count(buttons)
            if buttons:
                await card.get_by_test_id("confirm").click()
                await expect(card).to_have_attribute("data-state", "confirmed")
                await expect(card).to_contain_text("Moderator confirmed: hate")
            if shots:
                for width in (1280, 390):
                    await page.set_viewport_size({"width": width, "height": 900})
                    await page.screenshot(path=f"{shots}/{who}-{width}.png")
            await page.get_by_test_id("who").click()
            if shots:
                await page.screenshot(path=f"{shots}/{who}-account.png")
            await page.get_by_test_id("sign-out").click()
            await expect(page).to_have_url(re.compile("/sign-in$"))
            await page.goto(f"http://127.0.0.1:{town.running.port}/")
            await expect(page).to_have_url(re.compile("/sign-in$"))
            assert not errors
        await browser.close()


async def test_the_operator_switches_between_communities(town: Town) -> None:
    """The try-out chat first; another one shows its own cards, and the address names it."""
    await town.case("telegram", RUDE)
    shots = os.environ.get("DOMOVOI_TEST_SHOTS", "")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        page = await browser.new_page()
        errors: list[str] = []
        page.on("pageerror", lambda error: errors.append(str(error)))
        await page.goto(link(town.running))
        await expect(page.get_by_test_id("send")).to_be_visible()
        await expect(page.get_by_test_id("case")).to_have_count(0)
        if shots:
            for width in (1280, 390):
                await page.set_viewport_size({"width": width, "height": 900})
                await page.screenshot(path=f"{shots}/operator-{width}.png")
        await page.get_by_test_id("community-switch").select_option("Club")
        await expect(page.get_by_test_id("case").first).to_contain_text(RUDE)
        await expect(page.get_by_test_id("send")).to_be_hidden()
        assert town.communities["telegram"] in page.url
        await page.reload()
        await expect(page.get_by_test_id("case").first).to_contain_text(RUDE)
        if shots:
            await page.screenshot(path=f"{shots}/operator-club.png")
        await page.set_viewport_size({"width": 1280, "height": 900})
        await page.get_by_test_id("community-switch").select_option("try-out")
        await expect(page.get_by_test_id("send")).to_be_visible()
        assert not errors
        await browser.close()
