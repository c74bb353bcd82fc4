"""The page's door: links, Discord's OAuth 2, Telegram's OpenID Connect, sessions; the provider is simulated."""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession, CookieJar, web

from bot.app import Running, service
from bot.config import BadConfig, Config, Console, Service
from tests.bot.signed_in import operator
from tests.simulators.sign_in_provider import CLIENT, SECRET, SignInProvider


@pytest.fixture
async def provider() -> AsyncIterator[SignInProvider]:
    """Discord and Telegram as those who say who people are."""
    simulated = SignInProvider()
    runner = web.AppRunner(simulated.application())
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    simulated.address = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield simulated
    await runner.cleanup()


def settings(folder: Path, **service: Any) -> Service:
    return Service(**{"port": 0, "data_folder": str(folder / "data"), "key_file": str(folder / "key")} | service)


@pytest.fixture
async def running(provider: SignInProvider, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Running]:
    """The service, with both sign-ins set up."""
    for name in ("DISCORD", "TELEGRAM"):
        monkeypatch.setenv(f"DOMOVOI_{name}_CLIENT_SECRET", SECRET)
    console = Console(
        discord_client_id=CLIENT,
        discord_address=provider.address,
        telegram_client_id=CLIENT,
        telegram_address=provider.address,
        operators=["discord:7"],
    )
    async with service(Config(service=settings(tmp_path), console=console)) as started:
        yield started


@asynccontextmanager
async def browser(running: Running) -> AsyncIterator[ClientSession]:
    """One with its own cookies, which follows redirects."""
    address = f"http://127.0.0.1:{running.port}"
    async with ClientSession(address, cookie_jar=CookieJar(unsafe=True)) as session:
        yield session


async def status(session: ClientSession, path: str = "/api/me") -> int:
    async with session.get(path) as answer:
        return answer.status


@pytest.mark.parametrize("way", ["discord", "telegram"])
async def test_somebody_signs_in(way: str, running: Running, provider: SignInProvider) -> None:
    """Through the provider and back: a session under their own name, which may do nothing where they have no rights."""
    async with browser(running) as session:
        async with session.get(f"/sign-in/{way}") as answer:
            assert answer.url.path == "/" and answer.status == 200
        async with session.get("/api/me") as answer:
            me = await answer.json()
            assert me["name"] == "Ann" and me["communities"] == [] and not me["is_operator"]
        async with session.get("/api/state") as answer:
            assert answer.status == 403 and "you moderate no community" in (await answer.json())["error"]
        async with session.get("/api/state", params={"community": "try-out"}) as answer:
            assert answer.status == 403
    scopes = {"discord": "identify guilds", "telegram": "openid profile"}
    assert provider.asked[0]["scope"] == scopes[way] and provider.asked[0]["state"]


async def test_an_account_named_by_the_operator_is_one(running: Running, provider: SignInProvider) -> None:
    """`operators` in config.toml: the same number on another platform is another account."""
    provider.account["id"] = "7"
    for way, expected in (("discord", True), ("telegram", False)):
        async with browser(running) as session:
            await status(session, f"/sign-in/{way}")
            async with session.get("/api/me") as answer:
                assert (await answer.json())["is_operator"] is expected


CHANGES = {
    "too old": {"iat": int(time.time()) - 301},
    "expired": {"exp": int(time.time()) - 120},
    "of another issuer": {"iss": "https://evil.example"},
    "for another client": {"aud": "999"},
    "with another sign-in's nonce": {"nonce": "n" * 43},
    "without a nonce": {"nonce": None},
    "without a number": {"id": None},
    "with a name for a number": {"id": "ann"},
    "with a negative number": {"id": -42},
    "without a time": {"iat": None},
    "with a time that is none": {"iat": "now"},
}


@pytest.mark.parametrize("change", CHANGES)
async def test_an_id_token_that_is_not_as_it_must_be_signs_nobody_in(
    change: str, running: Running, provider: SignInProvider
) -> None:
    provider.claims = CHANGES[change]
    async with browser(running) as session:
        assert await status(session, "/sign-in/telegram") == 403
        assert await status(session) == 401


@pytest.mark.parametrize("signs_with", ["stranger", "none"])
async def test_an_id_token_that_somebody_else_signed_is_refused(
    signs_with: str, running: Running, provider: SignInProvider
) -> None:
    """By a key that Telegram never published, or by nobody."""
    provider.signs_with = signs_with
    async with browser(running) as session:
        assert await status(session, "/sign-in/telegram") == 403
        assert await status(session) == 401


@pytest.mark.parametrize("breaks", ["token", "account"])
async def test_a_provider_that_answers_oddly_signs_nobody_in(
    breaks: str, running: Running, provider: SignInProvider
) -> None:
    """An error page, or brackets without end: one line, and no session."""
    provider.breaks = breaks
    async with browser(running) as session:
        async with session.get("/sign-in/discord") as answer:
            assert answer.status == 403 and "try again later" in await answer.text()
        assert await status(session) == 401


async def test_who_refuses_at_the_provider_can_begin_again(running: Running, provider: SignInProvider) -> None:
    provider.refuses = "access_denied"
    async with browser(running) as session:
        async with session.get("/sign-in/discord") as answer:
            assert answer.status == 403 and "Begin again" in await answer.text()
        provider.refuses = ""
        assert await status(session, "/sign-in/discord") == 200 and await status(session) == 200


async def test_a_sign_in_that_somebody_else_began_is_refused(running: Running, provider: SignInProvider) -> None:
    """An attacker's code in a victim's browser, with a state of its own, without one, and of another provider."""
    async with browser(running) as attacker, browser(running) as victim:
        async with attacker.get("/sign-in/discord", allow_redirects=False) as answer:
            asked = answer.headers["Location"]
        async with attacker.get(asked, allow_redirects=False) as answer:
            back = answer.headers["Location"]
        assert await status(victim, back) == 403  # a browser that began nothing
        async with victim.get("/sign-in/discord", allow_redirects=False):
            pass
        assert await status(victim, back) == 403  # one that began another
        async with victim.get("/sign-in/discord", allow_redirects=False):
            pass
        assert await status(victim, back.split("&state")[0].split("state")[0]) == 403
        assert await status(attacker, back.replace("/discord/", "/telegram/")) == 403
        assert await status(victim) == 401 and await status(attacker) == 401


async def test_a_code_serves_once(running: Running, provider: SignInProvider) -> None:
    """Coming back by the browser's history signs nobody in again."""
    async with browser(running) as session:
        async with session.get("/sign-in/discord", allow_redirects=False) as answer:
            asked = answer.headers["Location"]
        async with session.get(asked, allow_redirects=False) as answer:
            back = answer.headers["Location"]
        assert await status(session, back) == 200
        assert await status(session, back) == 403
        assert await status(session) == 200  # who is in stays in


async def test_signing_out_ends_what_it_says(running: Running, provider: SignInProvider) -> None:
    """This browser; all of one account; everybody, which only the operator may."""
    async with (
        browser(running) as one,
        browser(running) as two,
        browser(running) as other,
        operator(running) as boss,
    ):
        for session in (one, two):
            await status(session, "/sign-in/discord")
        provider.account["id"] = "43"
        await status(other, "/sign-in/discord")

        async def sign_out(session: ClientSession, whose: str) -> int:
            async with session.get("/api/me") as answer:
                token = (await answer.json()).get("csrf", "")
            headers = {"X-CSRF-Token": token}
            async with session.post("/api/sign-out", json={"whose": whose}, headers=headers) as answer:
                return answer.status

        assert await sign_out(other, "everybody") == 403
        assert await sign_out(one, "this") == 200
        assert [await status(session) for session in (one, two, other)] == [401, 200, 200]
        provider.account["id"] = "42"
        await status(one, "/sign-in/discord")
        assert await sign_out(two, "mine") == 200
        assert [await status(session) for session in (one, two, other)] == [401, 401, 200]
        assert await sign_out(boss, "everybody") == 200
        assert await status(other) == 401 and await status(boss) == 401


async def test_the_session_is_kept_from_scripts_and_other_sites(running: Running) -> None:
    """HttpOnly, SameSite, a name of its own for this port; the store does not have what the browser has."""
    async with browser(running) as session:
        params = {"token": running.links.issue()}
        async with session.get("/", params=params, allow_redirects=False) as answer:
            (cookie,) = answer.cookies.values()
            assert cookie.key == f"domovoi-{running.port}" and cookie["httponly"] and cookie["samesite"] == "Lax"
        assert await status(session) == 200
    stored = b"".join(file.read_bytes() for file in running.links.folder.parent.glob("domovoi.db*"))
    assert stored and cookie.value.encode() not in stored


async def test_a_link_signs_in_one_browser(running: Running) -> None:
    """The next one is told so; a reload of the first one's address does not sign it out."""
    token = running.links.issue()
    async with browser(running) as first, browser(running) as second:
        async with first.get("/", params={"token": token}) as answer:
            assert answer.status == 200 and "csrf-token" in await answer.text()
        async with second.get("/", params={"token": token}) as answer:
            assert answer.url.path == "/sign-in" and "has been used" in await answer.text()
        async with first.get("/", params={"token": token}) as answer:
            assert answer.url.path == "/" and "csrf-token" in await answer.text()
        async with second.head("/", params={"token": (fresh := running.links.issue())}):
            pass
        async with second.get("/", params={"token": fresh}) as answer:  # a preview of the link used nothing up
            assert answer.url.path == "/"


@pytest.mark.parametrize("host", [".".join("0000"), "::", "192.0.2.1", "example.org"])
async def test_a_page_open_to_others_needs_a_sign_in(host: str, tmp_path: Path) -> None:
    """Refused before anything is opened, with the fix."""
    with pytest.raises(BadConfig, match=r"nobody could sign in.*\[console\]"):
        async with service(Config(service=settings(tmp_path, host=host))):
            pass
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize("name", ["discord", "telegram"])
async def test_half_a_sign_in_is_refused_with_what_is_missing(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A client without its secret, and a secret without its client."""
    half = Console(**{f"{name}_client_id": CLIENT})  # type: ignore[arg-type]
    with pytest.raises(BadConfig, match=f"lacks DOMOVOI_{name.upper()}_CLIENT_SECRET"):
        async with service(Config(service=settings(tmp_path), console=half)):
            pass
    monkeypatch.setenv(f"DOMOVOI_{name.upper()}_CLIENT_SECRET", SECRET)
    with pytest.raises(BadConfig, match=f"lacks {name}_client_id"):
        async with service(Config(service=settings(tmp_path))):
            pass
