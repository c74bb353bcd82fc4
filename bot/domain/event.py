"""Events of a platform in our own terms. Plain data: no I/O, no clock, no platform types."""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

NAME, TITLE = "name-", "title-"
EXAMPLES = "examples"
"""The room of texts that were typed to teach."""
"""The beginning of a name's or a title's key, behind the chat where that is part of it."""


class Kind(StrEnum):
    """The kind of a text: a message, a person's name, or the title of a place (a thread, a topic, an occasion)."""

    MESSAGE = "message"
    NAME = "name"
    TITLE = "title"


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
        """(platform, community, message): it finds the message, in whatever room and revision."""
        return self.platform, self.community, self.message

    @property
    def rooms(self) -> frozenset[str]:
        """The room and those it lies in."""
        return frozenset(self.room.split("/")) | {self.room}

    @property
    def kind(self) -> Kind:
        """Whether it names a message, a name or a title."""
        number = self.message.rpartition(":")[2]
        return Kind.NAME if number.startswith(NAME) else Kind.TITLE if number.startswith(TITLE) else Kind.MESSAGE


@dataclass(frozen=True, slots=True)
class Author:
    """The author of a message. `id` is the platform's own; the store keeps it only while an action is open. `joined_at`
    is when they came to the community, where the platform says so."""

    id: str
    name: str
    roles: frozenset[str] = field(default_factory=frozenset)
    is_moderator: bool = False
    is_bot: bool = False
    joined_at: datetime | None = field(default=None, compare=False)


NOBODY = Author("", "")
"""An author of whom nothing is known; no text is laid to them."""


@dataclass(frozen=True, slots=True)
class Attached:
    """Something without words in a message: its kind ("photo", "sticker", …) and its file name or emoji, if any."""

    kind: str
    name: str = ""


@dataclass(frozen=True, slots=True)
class Message:
    """A message was written or edited.

    `text` holds its author's words alone. `quoted` holds words of others that the author shows: it may be flagged, and
    is never laid to the author. `unreadable` names the kind of a message of unknown shape.
    """

    key: MessageKey
    author: Author
    text: str
    sent_at: datetime
    quoted: str = ""
    attached: tuple[Attached, ...] = ()
    unreadable: str = ""


@dataclass(frozen=True, slots=True)
class Deletion:
    """A message was deleted by another person."""

    key: MessageKey


Event = Message | Deletion
