"""Who is signed in to the page, and what a role is."""

from dataclasses import dataclass
from enum import IntEnum

OPERATOR = "operator"
"""The platform of whoever runs the service: signed in by a link from its terminal."""


class Role(IntEnum):
    """What somebody may do in one community; each role may do what those before it may."""

    NOBODY = 0
    VIEWER = 1
    """Reads cards, policy and figures."""
    MODERATOR = 2
    """Answers cards, and lets the bot go on acting."""
    OWNER = 3
    """Changes the policy and the community's own adapter."""
    OPERATOR = 4
    """Whoever runs the service: everything, also what concerns all communities."""


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody who has signed in. `platform` is where `id` is an account: "discord", "telegram", or `OPERATOR`.

    `places` are communities the platform named at the sign-in as the account's; what it may do there is asked anew.
    """

    platform: str
    id: str
    name: str
    places: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        """How the store and config.toml name the account: "discord:80351110224678912"."""
        return f"{self.platform}:{self.id}"
