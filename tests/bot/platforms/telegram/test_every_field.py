"""Every text-bearing field of the Bot API that the library knows, nested ones too: read, or known to be nobody's
words."""

import itertools
import re
from collections.abc import Iterator
from typing import Any

import pytest
import telegram

from bot.platforms.authored_text import Rules
from bot.platforms.telegram.authored_text import UNWRITTEN, words_of
from bot.platforms.telegram.events import other_events

MARK = "MARKED words"
HERE = {"id": -100, "type": "supergroup", "title": "Friends"}
ANN = {"id": 5, "is_bot": False, "first_name": "Ann"}
ANOTHERS = (telegram.User, telegram.Chat, telegram.MaybeInaccessibleMessage, telegram.Message)
SHAPES: dict[type, dict[str, Any]] = {
    telegram.User: {"id": 8, "is_bot": False, "first_name": "Ben"},
    telegram.Chat: {"id": -5, "type": "channel", "title": "Club"},
    telegram.MaybeInaccessibleMessage: {"message_id": 3, "date": 1, "chat": HERE},
    telegram.Message: {"message_id": 3, "date": 1, "chat": HERE},
}
"""How one knows what an object is."""
Path = tuple[tuple[str, type, bool], ...]


def fields(kind: type) -> Iterator[tuple[str, str]]:
    """(name in JSON, annotation) of a class of the library, its subclasses' too."""
    for one in [kind, *kind.__subclasses__()]:
        for name, hint in getattr(one.__init__, "__annotations__", {}).items():
            if name not in ("return", "api_kwargs", "bot"):
                yield {"from_user": "from"}.get(name, name), str(hint)


def paths(kind: type, above: Path = ()) -> Iterator[Path]:
    """Every way to a string, from a message down; a class inside itself is not entered again."""
    for name, hint in dict(fields(kind)).items():
        bare = re.sub(r"dict\[str, .*?\]", "", hint)
        listed = re.search(r"\b(Sequence|tuple|list)\b", bare) is not None
        if re.search(r"\bstr\b", bare):
            yield (*above, (name, str, listed))
        inner = [getattr(telegram, word, None) for word in re.findall(r"[A-Z]\w+", hint)]
        for one in inner:
            if isinstance(one, type) and issubclass(one, telegram.TelegramObject):
                known = {there for _, there, _ in above}
                if one not in known and len(above) < 6 and not (above and issubclass(kind, ANOTHERS)):
                    yield from paths(one, (*above, (name, one, listed)))


def payload(path: Path) -> Any:
    """The message in which only this string is marked."""
    (name, kind, listed), rest = path[0], path[1:]
    value = {**SHAPES.get(kind, {}), **payload(rest)} if rest else MARK
    return {name: [value] if listed else value}


def is_anothers(path: Path) -> bool:
    """Whether it lies in a person, a chat or another message."""
    return any(issubclass(kind, ANOTHERS) for _, kind, _ in path)


PATHS = {".".join(name for name, _, _ in path): path for path in paths(telegram.Message)}


def test_the_walk_finds_what_there_is() -> None:
    """So that it does not pass for want of fields."""
    assert len(PATHS) > 400
    assert {"text", "poll.options.text", "checklist.tasks.text", "external_reply.poll.question"} <= PATHS.keys()
    assert {"forward_origin.sender_user_name", "giveaway.prize_description", "gift.text"} <= PATHS.keys()


@pytest.mark.parametrize("field", PATHS)
def test_a_field_is_read_or_known_to_be_nobodys_words(field: str) -> None:
    """In its author's words, in what the author shows, as a name or title, or with a reason in the list."""
    path = PATHS[field]
    message = {"message_id": 1, "date": 1, "chat": HERE, "from": ANN, "message_thread_id": 7} | payload(path)
    if field.startswith(("chat.", "from.", "sender_chat.")):
        return
    own, shown = words_of(message)
    names = [event.text for event in other_events(message, "c", frozenset())]
    rules = Rules(UNWRITTEN, lambda name, part, whose: whose)
    parts = ["message", *(name for name, _, _ in path)]
    reasons = [rules.why_unwritten(part, name) for part, name in itertools.pairwise(parts)]
    if any(reasons) or is_anothers(path):
        assert MARK not in own
    else:
        assert MARK in own or MARK in shown or MARK in names


def test_every_reason_has_its_field() -> None:
    """What nobody sends any more, or what is newer than the library, is named here."""
    newer = {
        "align",
        "valign",
        "codec",
        "date_time_format",
        "rarity",
        "style",
        "alternative_text",
        "sender_tag",
        "payload",
        "bot_username",
        "state",
        "status",
        "language_code",
        "web_app_data.data",
        "message.author_signature",
        "id",
        "invite_link",
    }
    names = {name for field in PATHS for name in field.split(".")}
    known = {name for name in UNWRITTEN if "*" not in name}
    assert known - names <= newer
