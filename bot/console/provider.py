"""Defines a provider: a service that says who a person is when they sign in."""

import secrets
from dataclasses import dataclass
from typing import Protocol

from bot.domain.role import Person


class SignInFailed(Exception):
    """The provider did not say who the person is; the message is one line for that person."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """Identifies a sign-in under way: `state` goes through the browser, `verifier` never leaves the service."""

    provider: str
    state: str
    verifier: str
    nonce: str


def attempt(provider: str) -> Attempt:
    """Makes a new one; every value has at least 256 random bits."""
    return Attempt(provider, secrets.token_urlsafe(32), secrets.token_urlsafe(48), secrets.token_urlsafe(32))


class Provider(Protocol):
    """A service that says who people are."""

    name: str
    title: str

    def address(self, attempt: Attempt, back: str) -> str:
        """Returns the address that the browser goes to; the browser comes back to `back` with a code."""
        ...

    async def person(self, attempt: Attempt, code: str, back: str) -> Person:
        """Returns the person to whom this code belongs. Raises `SignInFailed`."""
        ...
