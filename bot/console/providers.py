"""Signs people in with Discord and Telegram: the code flow of OAuth 2 with PKCE (RFC 6749, RFC 7636).

Discord's token is used once, to ask for the account. Telegram answers with an ID token (OpenID Connect 1.0), whose
signature, issuer, audience, age and nonce are checked; its older widget is no longer documented as current.
"""

import asyncio
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import httpx2
from authlib.integrations.base_client import OAuthError
from authlib.integrations.httpx_client import AsyncOAuth2Client
from authlib.oidc.core import CodeIDToken
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from bot.config import BadConfig, Config
from bot.console.provider import Attempt, Provider, SignInFailed
from bot.domain.role import Person

ANSWER_WITHIN_S = 15.0
LARGEST_ANSWER = 2**20
"""The largest answer that is read, in bytes; the account, its token and the keys are a few thousand."""
ALGORITHMS = ("RS256", "ES256", "EdDSA")
LEEWAY_S = 60
"""The clocks may differ by so many seconds."""
LONGEST_NAME = 64
MOST_PLACES = 200
"""Servers an account can be on, as Discord allows."""
OLDEST_S = 300
"""An ID token is new when it comes."""


class DiscordProvider:
    """Scopes identify and guilds."""

    name, title = "discord", "Discord"

    def __init__(self, client: str, secret: str, address: str) -> None:
        self._client, self._secret = client, secret
        self._authorize, self._api = f"{address}/oauth2/authorize", f"{address}/api/v10"

    def address(self, attempt: Attempt, back: str) -> str:
        """Discord's page that asks whether this application may know the account."""
        client = _client(self._client, self._secret, "identify guilds", back)
        return _address(client, self._authorize, attempt)

    async def person(self, attempt: Attempt, code: str, back: str) -> Person:
        """Asks `/users/@me`; the token is not kept."""
        async with _client(self._client, self._secret, "identify guilds", back) as client:
            token = await _token(client, f"{self._api}/oauth2/token", attempt, code, self.title)
            if "identify" not in str(token.get("scope", "identify")).split():
                raise SignInFailed("Discord did not let the page know who you are; sign in again and allow it")
            answer = await _object(client, f"{self._api}/users/@me", self.title)
            guilds = await _json(client, f"{self._api}/users/@me/guilds", self.title)
        number, name = str(answer.get("id", "")), answer.get("global_name") or answer.get("username")
        listed = [one.get("id") for one in guilds if isinstance(one, dict)] if isinstance(guilds, list) else []
        places = [f"discord-{one}" for one in listed if isinstance(one, str) and one.isdecimal()]
        return replace(_person(self.name, number, name, self.title), places=tuple(places[:MOST_PLACES]))


class TelegramProvider:
    """Signs in with OpenID Connect; the claim `id` is the account's number in the Bot API."""

    name, title = "telegram", "Telegram"

    def __init__(self, client: str, secret: str, address: str) -> None:
        self._client, self._secret, self._issuer = client, secret, address

    def address(self, attempt: Attempt, back: str) -> str:
        """Telegram's page that asks whether this bot may know the account."""
        client = _client(self._client, self._secret, "openid profile", back)
        return _address(client, f"{self._issuer}/auth", attempt, nonce=attempt.nonce)

    async def person(self, attempt: Attempt, code: str, back: str) -> Person:
        """Reads the person from the ID token."""
        async with _client(self._client, self._secret, "openid profile", back) as client:
            token = await _token(client, f"{self._issuer}/token", attempt, code, self.title)
            keys = await _object(client, f"{self._issuer}/.well-known/jwks.json", self.title, withhold_token=True)
        claims = self._claims(str(token.get("id_token", "")), keys, attempt.nonce)
        return _person(self.name, str(claims.get("id", "")), claims.get("name"), self.title)

    def _claims(self, token: str, keys: Mapping[str, Any], nonce: str) -> Mapping[str, Any]:
        """Raises `SignInFailed` where anything about the token is not as it must be."""
        options = {"iss": {"essential": True, "value": self._issuer}, "aud": {"essential": True, "value": self._client}}
        try:
            read = jwt.decode(token, KeySet.import_key_set(keys), algorithms=list(ALGORITHMS))  # type: ignore[arg-type]
            claims = CodeIDToken(read.claims, read.header, options, {"nonce": nonce, "client_id": self._client})
            claims.validate(leeway=LEEWAY_S)
            if time.time() - float(claims["iat"]) > OLDEST_S:
                raise ValueError("it is too old")
        except (JoseError, ValueError, TypeError, KeyError, AttributeError) as error:
            raise SignInFailed(f"Telegram's answer cannot be believed ({error}); sign in again") from None
        return dict(claims)


def providers(config: Config) -> Sequence[Provider]:
    """Those that config.toml sets up. Raises `BadConfig` for one that is set up by half."""
    console = config.console
    pairs = {
        "discord": (console.discord_client_id, console.discord_secret),
        "telegram": (console.telegram_client_id, console.telegram_secret),
    }
    for name, (client, secret) in pairs.items():
        if bool(client) != bool(secret):
            lacks = f"DOMOVOI_{name.upper()}_CLIENT_SECRET or {name}_secret_file" if client else f"{name}_client_id"
            raise BadConfig(f"sign-in with {name.capitalize()} lacks {lacks} (under [console] in config.toml)")
    made: list[Provider] = []
    if console.discord_client_id:
        made.append(DiscordProvider(*pairs["discord"], console.discord_address))
    if console.telegram_client_id:
        made.append(TelegramProvider(*pairs["telegram"], console.telegram_address))
    return made


def _client(client: str, secret: str, scope: str, back: str) -> Any:
    return AsyncOAuth2Client(
        client, secret, scope=scope, redirect_uri=back, code_challenge_method="S256", timeout=ANSWER_WITHIN_S
    )


def _address(client: Any, page: str, attempt: Attempt, **more: str) -> str:
    address, _ = client.create_authorization_url(page, state=attempt.state, code_verifier=attempt.verifier, **more)
    return str(address)


async def _token(client: Any, address: str, attempt: Attempt, code: str, title: str) -> Mapping[str, Any]:
    try:
        async with asyncio.timeout(ANSWER_WITHIN_S):
            token = await client.fetch_token(
                address, code=code, code_verifier=attempt.verifier, grant_type="authorization_code"
            )
    except OAuthError as error:
        raise SignInFailed(f"{title} does not take this sign-in ({error.error}); sign in again") from None
    except (httpx2.HTTPError, TimeoutError, ValueError, TypeError, KeyError) as error:
        raise SignInFailed(f"{title} does not answer ({type(error).__name__}); try again later") from None
    return dict(token)


async def _object(client: Any, address: str, title: str, **options: bool) -> Mapping[str, Any]:
    answer = await _json(client, address, title, **options)
    if not isinstance(answer, dict):
        raise SignInFailed(f"{title}'s answer cannot be read; try again later")
    return answer


async def _json(client: Any, address: str, title: str, **options: bool) -> Any:
    """Reads an answer of bounded size."""
    try:
        async with asyncio.timeout(ANSWER_WITHIN_S), client.stream("GET", address, **options) as response:
            response.raise_for_status()
            raw = b""
            async for piece in response.aiter_bytes():
                raw += piece
                if len(raw) > LARGEST_ANSWER:
                    raise ValueError("too long")
        return json.loads(raw)
    except (httpx2.HTTPError, OAuthError, TimeoutError, ValueError, RecursionError) as error:
        raise SignInFailed(f"{title} does not answer ({type(error).__name__}); try again later") from None


def _person(platform: str, number: str, name: object, title: str) -> Person:
    if not (number.isascii() and number.isdecimal() and len(number) <= 20):
        raise SignInFailed(f"{title} did not say whose account this is; try again later")
    shown = name if isinstance(name, str) and name.strip() else f"{title} {number}"
    return Person(platform, number, shown.strip()[:LONGEST_NAME])
