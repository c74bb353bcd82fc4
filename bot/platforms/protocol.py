"""What a platform must do, and the errors it may answer with, named after what the caller does next.

A new platform is one file with a class that fulfils `Platform`, and one line in `bot/app.py`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from bot.domain.action import Action, Alert
from bot.domain.event import Author, MessageKey
from bot.domain.notice import Notice
from bot.domain.restriction import Unchanged

if TYPE_CHECKING:
    from bot.cases.service import Desk
    from bot.domain.role import Person, Standing
    from bot.pipeline.pipeline import Moderator
    from bot.store import Case


class Platform(Protocol):
    """Performs actions. Every call may be repeated after a crash: doing it twice must look like doing it once."""

    name: str

    async def perform(self, action: Action, key: MessageKey, author: Author) -> Unchanged | None:
        """Does it, and never makes shorter what stands: that is returned instead. Raises `Gone`, `MissingPermission`,
        `RateLimited` or `Unreachable`. `Alert` is a no-op here: cards are shown."""
        ...

    async def undo(self, action: Action, key: MessageKey, author: Author) -> bool | Unchanged:
        """Takes it back where it is the bot's own; else what stands is returned. False when this platform cannot.
        Raises what `perform` raises."""
        ...


@dataclass(frozen=True, slots=True)
class Place:
    """One community as the page shows it; `problems` are rights the bot lacks there, and what comes of it."""

    community: str
    name: str
    mode: str
    has_cards: bool
    problems: tuple[Notice, ...]


@dataclass(frozen=True, slots=True)
class Overview:
    """How a platform stands: why it is silent, if it is, the link that adds the bot, where the bot is, and what else
    does not work (`bot.platforms.health`)."""

    platform: str
    trouble: Notice | None
    invite: str
    places: tuple[Place, ...]
    faults: tuple[Notice, ...] = ()


class Remote(Platform, Protocol):
    """A platform with a connection of its own, which people on it talk to."""

    adapter_of: Callable[[str], str]

    def serve(self, moderator: "Moderator", desk: "Desk") -> None:
        """Names who takes events and questions; before `run`."""
        ...

    async def run(self) -> None:
        """Keeps the connection until cancelled."""
        ...

    def show(self, case: "Case") -> None:
        """A case of this platform is new or has changed; never waits."""
        ...

    def notify(self, notice: Notice) -> None:
        """Moderators there are to know; never waits."""
        ...

    async def overview(self) -> "Overview":
        """How it stands, for the page."""
        ...

    async def communities(self, person: "Person") -> list[str]:
        """Where an account here may have a role; `standing` says which."""
        ...

    async def standing(self, community: str, person: str) -> "Standing":
        """What an account may do, by the rights it has at this moment. Raises `Unreachable`."""
        ...

    async def may_read(self, key: MessageKey, person: str) -> bool:
        """Whether the platform shows an account what was written there, at this moment. Raises `Unreachable`."""
        ...


class DryRun:
    """Shadow mode: another platform that performs only alerts."""

    def __init__(self, platform: Platform) -> None:
        self.name = platform.name
        self._platform = platform

    async def perform(self, action: Action, key: MessageKey, author: Author) -> Unchanged | None:
        """Passes alerts on and leaves the rest undone."""
        if isinstance(action, Alert):
            return await self._platform.perform(action, key, author)
        return None

    async def undo(self, action: Action, key: MessageKey, author: Author) -> bool | Unchanged:
        """Nothing was done, so there is nothing to take back."""
        return True


class Gone(Exception):
    """The message or author is not there any more; there is nothing left to do."""


class MissingPermission(Exception):
    """The bot may not do this here; tell the moderators `why`: which right is missing and how to give it."""

    def __init__(self, why: Notice) -> None:
        super().__init__(why.text())
        self.why = why


class RateLimited(Exception):
    """The platform asks to wait; try again after `retry_after_s` seconds."""

    def __init__(self, retry_after_s: float) -> None:
        super().__init__(f"asked to wait {retry_after_s} s")
        self.retry_after_s = retry_after_s


class PlatformRefuses(Exception):
    """The platform does not take the token; the message says what to do."""


class Unreachable(Exception):
    """The platform did not answer, and may have done it or not; try again later, but what people read only once."""


class Unreadable(Unreachable):
    """The platform answered, but nobody can read it; it has perhaps done it, so what people read is not sent again."""


class NotConnected(Unreachable):
    """The platform was not asked, so it has done nothing; try again later."""
