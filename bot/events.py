"""What happens on a platform, in our own terms. Plain data: no I/O, no clock, no platform types."""

from dataclasses import dataclass, field
from datetime import datetime


@dataclass(frozen=True, slots=True)
class MessageKey:
    """Names one revision of one message. An edit is the same message with a higher revision.

    A room inside another (a thread in a channel) is named by the path to it, "channel/thread".
    """

    platform: str
    community: str
    room: str
    message: str
    revision: int = 0

    @property
    def address(self) -> tuple[str, str, str]:
        """(platform, community, message): what finds the message, in whatever room and revision."""
        return self.platform, self.community, self.message

    @property
    def rooms(self) -> frozenset[str]:
        """The room and those it lies in."""
        return frozenset(self.room.split("/")) | {self.room}


@dataclass(frozen=True, slots=True)
class Author:
    """Who wrote a message. `id` is the platform's own; the store keeps it only while an action is open. `joined_at` is
    when they came to the community, where the platform says so."""

    id: str
    name: str
    roles: frozenset[str] = field(default_factory=frozenset)
    is_moderator: bool = False
    is_bot: bool = False
    joined_at: datetime | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class Message:
    """A message was written or edited."""

    key: MessageKey
    author: Author
    text: str
    sent_at: datetime


@dataclass(frozen=True, slots=True)
class Deletion:
    """A message was deleted by somebody else."""

    key: MessageKey


Event = Message | Deletion
