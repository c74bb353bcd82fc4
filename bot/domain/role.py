"""People who sign in to the page, and their roles."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum

from bot.domain.case import Case
from bot.domain.policy import Policy

OPERATOR = "operator"
"""The platform of an operator: signed in by a link from the service's terminal."""


class Role(IntEnum):
    """What a person may do in one community; each role may do what those before it may."""

    NOBODY = 0
    VIEWER = 1
    """Reads cards, policy and figures."""
    MODERATOR = 2
    """Answers cards, and lets the bot go on acting."""
    OWNER = 3
    """Changes the policy and the community's own adapter."""
    OPERATOR = 4
    """Runs the service: may do everything, also what concerns all communities."""


@dataclass(frozen=True, slots=True)
class Person:
    """A person who has signed in. `platform` is where `id` is an account: "discord", "telegram", or `OPERATOR`.

    `places` are communities that the platform named at the sign-in as the account's; its rights there are asked for
    anew.
    """

    platform: str
    id: str
    name: str
    places: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        """The account's name in the store and in config.toml: "discord:80351110224678912", or "Operator"."""
        return "Operator" if self.platform == OPERATOR else f"{self.platform}:{self.id}"


@dataclass(frozen=True, slots=True)
class Standing:
    """What an account may do in one community at this moment.

    A person cannot have the bot do what they may not do by hand: `beyond` returns the platform's rights that a policy
    in force takes and that the account lacks, `beyond_undo` those that it takes to lift what was done about a case.
    """

    role: Role
    beyond: Callable[[Policy], list[str]] = lambda policy: []
    beyond_undo: Callable[[Case], list[str]] = lambda case: []


STRANGER, WHOEVER_RUNS_IT = Standing(Role.NOBODY), Standing(Role.OPERATOR)
