"""The page's door: links from the terminal, sign-in with Discord or Telegram, sessions, signing out."""

import asyncio
import base64
import binascii
import hashlib
import hmac
import html
import json
import secrets
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

import structlog
from aiohttp import web

from bot.console.one_time_links import Links
from bot.console.origin_guard import refusal
from bot.console.provider import Attempt, Provider, SignInFailed, attempt
from bot.domain.role import OPERATOR, Person
from bot.store import KeyMissing, Store

ATTEMPT_S = 600
"""A sign-in takes ten minutes at most."""
PURPOSE = "sign-in"
PAGE = Path(__file__).with_name("static") / "sign-in.html"
log = structlog.get_logger()
routes = web.RouteTableDef()


@dataclass(frozen=True, slots=True)
class Session:
    """A signed-in browser; `token` is its cookie."""

    token: str
    person: Person

    @property
    def csrf(self) -> str:
        """The token that the page sends with each click, to show that it has read the page."""
        return hashlib.sha256(b"csrf " + self.token.encode()).hexdigest()


class SignIn:
    """Signs people in and out. `origin` is the public address behind a proxy, "" where there is none."""

    def __init__(
        self, store: Store, links: Links, providers: Sequence[Provider], origin: str = "", days: int = 7
    ) -> None:
        self.links = links
        self.providers: Mapping[str, Provider] = {provider.name: provider for provider in providers}
        self._store = store
        self._origin = urlsplit(origin)
        self._lasts = timedelta(days=days)

    async def session(self, request: web.Request) -> Session | None:
        """Returns the session of this browser, if a person has signed in with it."""
        token = request.cookies.get(self._cookie(request), "")
        account = await self._store.sessions.account(token, datetime.now(UTC)) if token else None
        return None if account is None else Session(token, Person(*account[:3], places=tuple(account[3])))

    async def begin(self, request: web.Request, person: Person) -> web.Response:
        """Signs the browser in; a session that it had before ends."""
        if (before := request.cookies.get(self._cookie(request))) is not None:
            await self._store.sessions.end(before)
        token, now = secrets.token_urlsafe(32), datetime.now(UTC)
        account = (person.platform, person.id, person.name, person.places)
        await self._store.sessions.begin(token, account, now, now + self._lasts)
        log.info("somebody signed in to the page", by=person.platform)
        response = web.Response(status=303, headers={"Location": "/"})
        self._set(response, request, self._cookie(request), token, int(self._lasts.total_seconds()))
        return response

    async def end(self, session: Session, whose: str) -> None:
        """Signs out `this` browser, all `mine`, or `everybody`."""
        if whose == "everybody":
            await self._store.sessions.end_all()
        elif whose == "mine":
            person = session.person
            await self._store.sessions.end_all_of((person.platform, person.id, person.name, person.places))
        else:
            await self._store.sessions.end(session.token)

    def keep(self, response: web.Response, request: web.Request, attempt: Attempt) -> None:
        """The browser keeps the attempt, sealed, so that only it can finish what it began."""
        text = json.dumps([PURPOSE, time.time(), attempt.provider, attempt.state, attempt.verifier, attempt.nonce])
        sealed = base64.urlsafe_b64encode(self._store.sealer.seal(text)).decode()
        self._set(response, request, self._cookie(request, "-attempt"), sealed, ATTEMPT_S)

    def kept(self, request: web.Request) -> Attempt | None:
        """The attempt that this browser began within `ATTEMPT_S`."""
        try:
            sealed = base64.urlsafe_b64decode(request.cookies.get(self._cookie(request, "-attempt"), ""))
            purpose, at, provider, state, verifier, nonce = json.loads(self._store.sealer.unseal(sealed))
        except (binascii.Error, KeyMissing, ValueError, TypeError):
            return None
        if purpose != PURPOSE or not 0 <= time.time() - at <= ATTEMPT_S:
            return None
        return Attempt(provider, state, verifier, nonce)

    def drop(self, response: web.Response, request: web.Request) -> None:
        """The attempt is over."""
        response.del_cookie(self._cookie(request, "-attempt"), path="/")

    def address(self, request: web.Request) -> str:
        """Returns the page's address by the way that this request took."""
        return (
            f"{self._origin.scheme}://{self._origin.netloc}" if self._is_public(request) else f"http://{request.host}"
        )

    def _is_public(self, request: web.Request) -> bool:
        requested = urlsplit(f"//{request.host}")
        return bool(self._origin.netloc) and (requested.hostname, requested.port or self._origin.port) == (
            self._origin.hostname,
            self._origin.port,
        )

    def _is_secure(self, request: web.Request) -> bool:
        return self._is_public(request) and self._origin.scheme == "https"

    def _cookie(self, request: web.Request, more: str = "") -> str:
        """Returns the cookie's name. Behind TLS it is one that browsers take from this host alone; else it names the
        port, because cookies know no ports."""
        if self._is_secure(request):
            return f"__Host-domovoi{more}"
        return f"domovoi-{urlsplit(f'//{request.host}').port or 80}{more}"

    def _set(self, response: web.Response, request: web.Request, name: str, value: str, seconds: int) -> None:
        secure = self._is_secure(request)
        response.set_cookie(name, value, max_age=seconds, path="/", httponly=True, samesite="Lax", secure=secure)


DOOR: web.AppKey[SignIn] = web.AppKey("door", SignIn)


async def by_link(request: web.Request) -> web.Response | None:
    """Signs in a person with a link's token as the operator; None where the link is void."""
    door = request.app[DOOR]
    if request.method != "GET" or not await asyncio.to_thread(door.links.redeem, request.query.get("token", "")):
        return None
    return await door.begin(request, Person(OPERATOR, "0", "Operator"))


@routes.get("/sign-in")
async def page(request: web.Request) -> web.Response:
    """The ways to sign in."""
    return _page(request, "That link has been used, or is too old." if "used" in request.query else "", 200)


@routes.get("/sign-in/{provider}")
async def start(request: web.Request) -> web.Response:
    """Off to the provider."""
    door, provider = request.app[DOOR], _provider(request)
    begun = attempt(provider.name)
    response = web.Response(status=303, headers={"Location": provider.address(begun, _back(request, provider))})
    door.keep(response, request, begun)
    return response


@routes.get("/sign-in/{provider}/done")
async def done(request: web.Request) -> web.Response:
    """Back from the provider, with a code or a refusal."""
    door, provider = request.app[DOOR], _provider(request)
    begun, state = door.kept(request), request.query.get("state", "")
    if (
        begun is None
        or begun.provider != provider.name
        or not hmac.compare_digest(begun.state.encode(), state.encode())
    ):
        response = _page(request, "This sign-in was not begun in this browser, or too long ago. Begin again.", 403)
    elif not (code := request.query.get("code", "")):
        response = _page(request, f"{provider.title} did not sign you in. Begin again.", 403)
    else:
        try:
            response = await door.begin(request, await provider.person(begun, code, _back(request, provider)))
        except SignInFailed as error:
            log.warning("a sign-in failed", provider=provider.name, why=str(error))
            response = _page(request, f"{error}.", 403)
    door.drop(response, request)
    return response


def _provider(request: web.Request) -> Provider:
    provider = request.app[DOOR].providers.get(request.match_info["provider"])
    if provider is None:
        raise refusal(web.HTTPNotFound, "nobody can sign in that way here")
    return provider


def _back(request: web.Request, provider: Provider) -> str:
    return f"{request.app[DOOR].address(request)}/sign-in/{provider.name}/done"


def _page(request: web.Request, problem: str, status: int) -> web.Response:
    door = request.app[DOOR]
    ways = "".join(
        f'<p><a class="primary" href="/sign-in/{one.name}">Sign in with {one.title}</a></p>'
        for one in door.providers.values()
    )
    shown = f'<p class="problem" role="alert">{html.escape(problem)}</p>' if problem else ""
    text = PAGE.read_text(encoding="utf-8").replace("{{problem}}", shown).replace("{{ways}}", ways)
    return web.Response(text=text, content_type="text/html", status=status)
