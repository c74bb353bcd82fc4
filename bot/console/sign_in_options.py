"""How people sign in: what a provider is, and which ones are set up."""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from bot.config import BadConfig, Config
from bot.console.origin_guard import LOCAL
from bot.domain.role import Person


class SignInFailed(Exception):
    """The provider did not say who this is; the message is one line for whoever signs in."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """What a sign-in under way is known by: `state` goes through the browser, `verifier` never leaves the service."""

    provider: str
    state: str
    verifier: str
    nonce: str


def attempt(provider: str) -> Attempt:
    """A new one; every value has at least 256 random bits."""
    return Attempt(provider, secrets.token_urlsafe(32), secrets.token_urlsafe(48), secrets.token_urlsafe(32))


class Provider(Protocol):
    """Somebody who says who people are."""

    name: str
    title: str

    def address(self, attempt: Attempt, back: str) -> str:
        """Where the browser goes to; it comes back to `back` with a code."""
        ...

    async def person(self, attempt: Attempt, code: str, back: str) -> Person:
        """Whose code this is. Raises `SignInFailed`."""
        ...


def ways_in(config: Config) -> Sequence[Provider]:
    """How people sign in. Raises `BadConfig` where others could reach the page and nobody could sign in."""
    console, host = config.console, config.service.host
    ways: Sequence[Provider] = ()
    if any((console.discord_client_id, console.discord_secret, console.telegram_client_id, console.telegram_secret)):
        from bot.console.providers import providers  # with a library that takes a moment

        ways = providers(config)
    if host not in LOCAL and not ways:
        raise BadConfig(
            f'host = "{host}" under [service] opens the page to others, and nobody could sign in: set up a sign-in '
            f'under [console] (docs/operations.md), or take host = "127.0.0.1" and put a proxy before it'
        )
    return ways
