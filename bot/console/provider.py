"""What a provider is: somebody who says who people are when they sign in."""

import secrets
from dataclasses import dataclass
from typing import Protocol

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
