"""What the service and the page need of a platform with a connection of its own; what the pipeline needs of every
platform is `bot.domain.platform`.

A new platform is one folder with a class that fulfils `Remote`, and one line in `bot.platforms.configured`.
"""

from dataclasses import dataclass
from typing import Protocol

from bot.cases.service import CaseService
from bot.conversation.conversation import Conversation
from bot.domain.case import Case
from bot.domain.event import MessageKey
from bot.domain.notice import Notice
from bot.domain.platform import Platform
from bot.domain.role import Person, Standing
from bot.pipeline.pipeline import Pipeline


@dataclass(frozen=True, slots=True)
class Place:
    """One community as the page shows it; `problems` are rights that the bot lacks there."""

    community: str
    name: str
    mode: str
    has_cards: bool
    problems: tuple[Notice, ...]


@dataclass(frozen=True, slots=True)
class Overview:
    """How a platform stands: why it is silent, if it is, the link that adds the bot, the bot's communities, and other
    faults (`bot.platforms.health`)."""

    platform: str
    trouble: Notice | None
    invite: str
    places: tuple[Place, ...]
    faults: tuple[Notice, ...] = ()


class Remote(Platform, Protocol):
    """A platform with a connection of its own, which people on it talk to."""

    def serve(self, pipeline: Pipeline, case_service: CaseService, conversation: Conversation) -> None:
        """Names the parts that take events and questions; call it before `run`."""
        ...

    async def run(self) -> None:
        """Keeps the connection until cancelled."""
        ...

    def show(self, case: Case) -> None:
        """A case of this platform is new or has changed. Never waits."""
        ...

    def notify(self, notice: Notice) -> None:
        """Tells the platform's moderators. Never waits."""
        ...

    async def overview(self) -> Overview:
        """Returns how the platform stands, for the page."""
        ...

    async def communities(self, person: Person) -> list[str]:
        """Returns the communities in which an account may have a role; `standing` says which role."""
        ...

    async def standing(self, community: str, person: str) -> Standing:
        """Returns what an account may do, by its rights at this moment. Raises `Unreachable`."""
        ...

    async def may_read(self, key: MessageKey, person: str) -> bool:
        """Whether the platform shows an account what was written there, at this moment. Raises `Unreachable`."""
        ...
