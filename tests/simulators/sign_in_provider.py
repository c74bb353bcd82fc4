"""Discord's OAuth 2 and Telegram's OpenID Connect over loopback: codes, PKCE, scopes, ID tokens, and their faults."""

import base64
import hashlib
import json
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, urlencode

from aiohttp import web
from joserfc import jwt
from joserfc.jwk import RSAKey

CLIENT, SECRET = "1234567890", "a client's secret"


@dataclass
class Grant:
    """What a code stands for."""

    redirect_uri: str
    challenge: str
    nonce: str
    scope: str


@dataclass
class SignInProvider:
    """Both at once. Whoever is sent to its page is signed in as `account` at once, or refused with `refuses`."""

    account: dict[str, Any] = field(default_factory=lambda: {"id": "42", "username": "ann", "global_name": "Ann"})
    guilds: list[dict[str, Any]] = field(default_factory=list)
    refuses: str = ""
    claims: dict[str, Any] = field(default_factory=dict)
    """Put into the ID token in place of what would stand there; None takes a claim out."""
    signs_with: str = "own"
    """own | stranger (a key that nobody published) | none (no signature at all)."""
    breaks: str = ""
    """token: that address answers with a page; account: the account's does."""
    asked: list[Mapping[str, str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._grants: dict[str, Grant] = {}
        self._tokens: dict[str, str] = {}
        self._key, self._stranger = RSAKey.generate_key(2048), RSAKey.generate_key(2048)
        self.address = ""

    def application(self) -> web.Application:
        """Its routes."""
        app = web.Application()
        app.router.add_get("/oauth2/authorize", self._authorize)
        app.router.add_get("/auth", self._authorize)
        app.router.add_post("/api/v10/oauth2/token", self._token)
        app.router.add_post("/token", self._token)
        app.router.add_get("/api/v10/users/@me", self._me)
        app.router.add_get("/api/v10/users/@me/guilds", self._my_guilds)
        app.router.add_get("/.well-known/jwks.json", self._keys)
        return app

    async def _authorize(self, request: web.Request) -> web.Response:
        query = request.query
        self.asked.append(dict(query))
        assert query["response_type"] == "code" and query["client_id"] == CLIENT
        assert query["code_challenge_method"] == "S256" and len(query["state"]) >= 40
        back = {"state": query["state"]}
        if self.refuses:
            back["error"] = self.refuses
        else:
            code = secrets.token_urlsafe(16)
            nonce = query.get("nonce", "")
            self._grants[code] = Grant(query["redirect_uri"], query["code_challenge"], nonce, query["scope"])
            back["code"] = code
        raise web.HTTPFound(f"{query['redirect_uri']}?{urlencode(back)}")

    async def _token(self, request: web.Request) -> web.Response:
        if self.breaks == "token":
            return web.Response(text="<html>502</html>", status=502, content_type="text/html")
        data = await request.post()
        kind, _, given = request.headers["Authorization"].partition(" ")
        known = kind == "Basic" and base64.b64decode(given).decode() == f"{quote(CLIENT)}:{SECRET}"
        grant = self._grants.pop(str(data["code"]), None)
        digest = hashlib.sha256(str(data["code_verifier"]).encode()).digest()
        challenge = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
        if not known or grant is None or grant.challenge != challenge or grant.redirect_uri != data["redirect_uri"]:
            return web.json_response({"error": "invalid_grant"}, status=400)
        token = secrets.token_urlsafe(16)
        self._tokens[token] = grant.scope
        answer: dict[str, Any] = {
            "access_token": token,
            "token_type": "Bearer",
            "expires_in": 600,
            "scope": grant.scope,
        }
        if "openid" in grant.scope:
            answer["id_token"] = self._id_token(grant.nonce)
        return web.json_response(answer)

    def _id_token(self, nonce: str) -> str:
        now = int(time.time())
        claims: dict[str, Any] = {
            "iss": self.address,
            "aud": CLIENT,
            "sub": "a-stable-subject",
            "id": int(self.account["id"]),
            "name": self.account["global_name"],
            "iat": now,
            "exp": now + 600,
            "nonce": nonce,
        }
        changed = {**claims, **self.claims}
        kept = {name: value for name, value in changed.items() if value is not None}
        if self.signs_with == "none":
            parts = [base64.urlsafe_b64encode(json.dumps(part).encode()) for part in ({"alg": "none"}, kept)]
            return ".".join(part.rstrip(b"=").decode() for part in parts) + "."
        key = self._key if self.signs_with == "own" else self._stranger
        return jwt.encode({"alg": "RS256", "kid": self._key.thumbprint()}, kept, key)

    async def _keys(self, _: web.Request) -> web.Response:
        return web.json_response({"keys": [{**self._key.as_dict(private=False), "kid": self._key.thumbprint()}]})

    async def _me(self, request: web.Request) -> web.Response:
        if self.breaks == "account":
            return web.Response(text="[" * 200_000, content_type="application/json")
        scope = self._tokens.get(request.headers["Authorization"].removeprefix("Bearer "), "")
        return web.json_response(
            self.account if "identify" in scope else {}, status=200 if "identify" in scope else 401
        )

    async def _my_guilds(self, request: web.Request) -> web.Response:
        scope = self._tokens.get(request.headers["Authorization"].removeprefix("Bearer "), "")
        return web.json_response(self.guilds if "guilds" in scope else [])
