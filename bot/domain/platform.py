"""What the pipeline needs of a platform, and the platform's errors, named after what the caller does next."""

from typing import Protocol

from bot.domain.action import Action, Alert
from bot.domain.event import Author, MessageKey
from bot.domain.notice import Notice
from bot.domain.restriction import Unchanged


class Platform(Protocol):
    """Performs actions. Every call may be repeated after a crash: doing it twice must look like doing it once."""

    name: str

    async def perform(self, action: Action, key: MessageKey, author: Author) -> Unchanged | None:
        """Does it, and never makes shorter what stands: that is returned instead. Raises `Gone`, `MissingPermission`,
        `RateLimited` or `Unreachable`. `Alert` is a no-op here: cards are shown."""
        ...

    async def undo(self, action: Action, key: MessageKey, author: Author) -> bool | Unchanged:
        """Takes an action back where it is the bot's own; else returns what stands. False when this platform cannot.
        Raises what `perform` raises."""
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


class PlatformError(Exception):
    """A platform did not do what it was asked to do; each kind says what the caller does next."""


class Gone(PlatformError):
    """The message or author is not there any more; there is nothing left to do."""


class MissingPermission(PlatformError):
    """The bot may not do this here; tell the moderators `why`: which right is missing and how to give it."""

    def __init__(self, why: Notice) -> None:
        super().__init__(why.text())
        self.why = why


class RateLimited(PlatformError):
    """The platform asks to wait; try again after `retry_after_s` seconds."""

    def __init__(self, retry_after_s: float) -> None:
        super().__init__(f"asked to wait {retry_after_s} s")
        self.retry_after_s = retry_after_s


class PlatformRefuses(PlatformError):
    """The platform does not take the token; the message says what to do."""


class Unreachable(PlatformError):
    """The platform did not answer, and may have done it or not; try again later, but send people's messages only
    once."""


class Unreadable(Unreachable):
    """The platform's answer cannot be read; it may have done it, so messages to people are not sent again."""


class NotConnected(Unreachable):
    """The platform was not asked, so it has done nothing; try again later."""
