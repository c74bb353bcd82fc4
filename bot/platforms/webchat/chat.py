"""The try-out chat: a real platform with one room and a few people, all of them played by the person who opened the
page."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import count
from secrets import token_hex

from bot.domain.action import Action, Ban, Delete, Kick, Timeout, Warn
from bot.domain.event import Author, Message, MessageKey
from bot.domain.platform import Gone
from bot.domain.restriction import OwnRestriction, Restriction, Unchanged, others, remaining, to_release, to_restrict
from bot.platforms.restriction_calls import end_of

COMMUNITY, ROOM = "try-out", "lounge"
MAX_CHARACTERS = 4000
KEPT_MESSAGES = 500

PEOPLE = (
    Author("ann", "Ann"),
    Author("ben", "Ben"),
    Author("cem", "Cem"),
    Author("dana", "Dana (moderator)", frozenset({"moderator"}), is_moderator=True),
)
OWN = Author("domovoi", "Domovoi", is_bot=True)


@dataclass(frozen=True, slots=True)
class Posted:
    """A message as the room shows it."""

    id: str
    person: str
    name: str
    text: str
    sent_at: datetime
    state: str = "shown"  # shown | removed | restored
    note: str = ""


class Refused(Exception):
    """The chat does not take this message; the text says why and what to do."""


class WebChat:
    """The room's messages (the last `KEPT_MESSAGES`, in memory) and who may not write at the moment."""

    name = "webchat"

    def __init__(self, changed: Callable[[Posted], None]) -> None:
        self._changed = changed
        self._people = {person.id: person for person in PEOPLE}
        self._own: dict[str, list[OwnRestriction]] = {}
        self._prefix, self._count = token_hex(4), count(1)
        self.messages: dict[str, Posted] = {}

    async def basis_of(self, community: str) -> str:
        """Texts typed here were written by the moderator who plays all people."""
        return "authored"

    def compose(self, person: str, text: str, now: datetime) -> Message:
        """Makes the event of a typed message, which is not shown yet; raises `Refused`."""
        author = self._people.get(person)
        if author is None:
            raise Refused(f'nobody is called "{person}" here; pick one of: {", ".join(self._people)}')
        if not text.strip():
            raise Refused("the message is empty; type something first")
        if len(text) > MAX_CHARACTERS:
            raise Refused(f"the message has {len(text):,} characters; at most {MAX_CHARACTERS:,} fit, shorten it")
        if (standing := self._standing(person, now)).kind != "none":
            raise Refused(f"{author.name} may not write {_until(standing)}; a moderator can undo that")
        key = MessageKey(self.name, COMMUNITY, ROOM, f"{self._prefix}-{next(self._count)}")
        return Message(key, author, text, now)

    def show(self, event: Message) -> None:
        """Puts the message into the room."""
        author = event.author
        self._put(Posted(event.key.message, author.id, author.name, event.text, event.sent_at))

    def answer(self, text: str) -> None:
        """Puts an answer of the bot into the room; it is not read as a message."""
        number = f"{self._prefix}-{next(self._count)}"
        self._put(Posted(number, OWN.id, OWN.name, text, datetime.now(UTC)))

    async def perform(self, action: Action, key: MessageKey, author: Author) -> Unchanged | None:
        """Performs the action on the room's own state; raises `Gone` for a deletion of a message that is not there any
        more."""
        match action:
            case Delete() if key.message not in self.messages:
                raise Gone(key.message)
            case Delete():
                self._update(key, state="removed")
            case Warn():
                self._update(key, note="warned")
            case Timeout(minutes=minutes):
                return self._restrict(key, author, action, Restriction("timeout", end_of(timedelta(minutes=minutes))))
            case Ban(hours=hours):
                length = timedelta(hours=hours) if hours is not None else None
                return self._restrict(key, author, action, Restriction("ban", end_of(length)))
            case Kick():
                self._update(key, note="kicked")
            case _:
                pass
        return None

    async def undo(self, action: Action, key: MessageKey, author: Author) -> bool | Unchanged:
        """Takes back deletions, timeouts and bans; a warning was read already."""
        match action:
            case Delete():
                self._update(key, state="restored")
            case Timeout() | Ban():
                now, own = datetime.now(UTC), self._own.get(author.id, [])
                change = to_release(self._standing(author.id, now), own, key.message, action.name, now)
                self._own[author.id] = others(own, key.message, action.name)
                self._update(key, note="")
                return change.unchanged or True
            case _:
                return False
        return True

    def _put(self, posted: Posted) -> None:
        self.messages[posted.id] = posted
        while len(self.messages) > KEPT_MESSAGES:
            del self.messages[next(iter(self.messages))]
        self._changed(posted)

    def _standing(self, person: str, now: datetime) -> Restriction:
        return remaining(self._own.get(person, []), now)

    def _restrict(self, key: MessageKey, author: Author, action: Action, wanted: Restriction) -> Unchanged | None:
        now, own = datetime.now(UTC), self._own.setdefault(author.id, [])
        planned = OwnRestriction(key.message, key.revision, action.name, wanted)
        change = to_restrict(self._standing(author.id, now), planned, own, now)
        if change.keep is not None:
            kept = others(own, key.message, action.name)
            self._own[author.id] = [*kept, replace(change.keep, is_set=True)]
        self._update(key, note=f"timed out {_until(self._standing(author.id, now))}")
        return change.unchanged

    def _update(self, key: MessageKey, *, state: str | None = None, note: str | None = None) -> None:
        if (posted := self.messages.get(key.message)) is not None:
            posted = replace(posted, state=state or posted.state, note=posted.note if note is None else note)
            self.messages[posted.id] = posted
            self._changed(posted)


def _until(standing: Restriction) -> str:
    return f"until {standing.until:%Y-%m-%d %H:%M} UTC" if standing.until else "for good"
