"""Telegram's messages, names and topic titles as our events. Pure: read from an update as it came, in JSON.

Reading the JSON and not the library's objects means that a field Telegram adds tomorrow inside a poll or a checklist is
read as well, and that a message the library cannot parse is not lost.
"""

import zlib
from collections.abc import Iterator, Mapping
from typing import Any

from bot.events import Author, Message, MessageKey
from bot.platforms.telegram.moments import moment

PLATFORM = "telegram"
NAMES = "names"
"""The room that names are read in."""
_NAME, _TITLE = "name-", "title-"
Json = Mapping[str, Any]

WRITTEN = (
    "text",
    "caption",
    "poll",
    "quote",
    "external_reply",
    "document",
    "audio",
    "video",
    "animation",
    "contact",
    "venue",
    "game",
    "invoice",
    "checklist",
    "checklist_tasks_added",
    "poll_option_added",
    "giveaway",
    "gift",
    "reply_markup",
    "author_signature",
    "new_chat_title",
)
"""Parts of a message in which its author's words can be. What a reply answers to is not among them; a quote the author
chose to show is."""
_WORDS = frozenset(
    {
        "text",
        "caption",
        "title",
        "question",
        "description",
        "explanation",
        "option_text",
        "file_name",
        "performer",
        "address",
        "first_name",
        "last_name",
        "prize_description",
    }
)
_NOT_THEIRS = frozenset({"origin", "chat", "entities", "url", "callback_data", "thumbnail", "from"})


def community_of(chat: int) -> str:
    """The community a chat is, unless it was linked with another."""
    return f"{PLATFORM}-{chat}"


def chat_named(community: str) -> int:
    """The inverse of `community_of`; raises ValueError."""
    return int(community.removeprefix(f"{PLATFORM}-"))


def room_of(message: Json) -> str:
    """The chat, or "chat/topic"."""
    chat, topic = message["chat"]["id"], message.get("message_thread_id")
    return f"{chat}/{topic}" if topic is not None and message.get("is_topic_message") else str(chat)


def chat_of(room: str) -> int:
    """The chat a room lies in."""
    return int(room.partition("/")[0])


def topic_of(room: str) -> int | None:
    """The room's topic, if it is one."""
    topic = room.partition("/")[2]
    return int(topic) if topic else None


def number_of(key: MessageKey) -> int | None:
    """The message's number in its chat, None where the key names a person or a topic."""
    number = key.message.rpartition(":")[2]
    return int(number) if number.isdecimal() else None


def titled(key: MessageKey) -> int | None:
    """Which topic's title the key names, if any."""
    number = key.message.rpartition(":")[2]
    return int(number.removeprefix(_TITLE)) if number.startswith(_TITLE) else None


def in_group(message: Json) -> bool:
    """Whether a message was written where people are moderated."""
    return message.get("chat", {}).get("type") in ("group", "supergroup")


def event_of(message: Json, community: str, admins: frozenset[int]) -> Message | None:
    """The message as an event; None for one in which nobody wrote anything.

    `admins` are the ids of the chat's administrators and of its linked channel. The revision grows with the time of the
    last edit; its last 16 bits come from the text, for edits within one second.
    """
    text = text_of(message)
    if not text:
        return None
    edited = message.get("edit_date") or 0
    revision = max(edited - message["date"], 0) << 16 | _hash(text) & 0xFFFF if edited else _hash(text) & 0xFFFF
    chat = message["chat"]["id"]
    key = MessageKey(PLATFORM, community, room_of(message), f"{chat}:{message['message_id']}", revision)
    return Message(key, author_of(message, admins), text, moment(edited or message.get("date")))


def other_events(message: Json, community: str, admins: frozenset[int]) -> list[Message]:
    """Names of whoever wrote or joined, and a topic's title."""
    chat, now = message["chat"]["id"], moment(message.get("edit_date") or message.get("date"))
    author, found = author_of(message, admins), []
    people = [author, *(_user(user, admins) for user in message.get("new_chat_members", ()))]
    for person in people:
        if person.name and not person.is_bot:
            key = MessageKey(PLATFORM, community, NAMES, f"{chat}:{_NAME}{person.id}", _hash(person.name))
            found.append(Message(key, person, person.name, now))
    topic = message.get("forum_topic_created") or message.get("forum_topic_edited") or {}
    if (title := topic.get("name")) and (number := message.get("message_thread_id")):
        key = MessageKey(PLATFORM, community, f"{chat}/{number}", f"{chat}:{_TITLE}{number}", _hash(title))
        found.append(Message(key, author, title, now))
    return found


def author_of(message: Json, admins: frozenset[int]) -> Author:
    """Who wrote it: a user, or a chat in whose name somebody wrote.

    An anonymous administrator writes in the name of the group itself, and what the linked channel posts or comments is
    its owner's: both moderate. `admins` has the linked channel's id. Any other channel is an author like others.
    """
    if (sender := message.get("sender_chat")) is not None:
        own = sender["id"] in (message["chat"]["id"], *admins) or bool(message.get("is_automatic_forward"))
        return Author(str(sender["id"]), str(sender.get("title") or sender.get("username") or ""), is_moderator=own)
    return _user(message.get("from") or {"id": 0}, admins)


def text_of(message: Json) -> str:
    """Everything the author wrote, one piece a line."""
    pieces = (piece for part in WRITTEN if part in message for piece in _pieces(part, message[part]))
    return "\n".join(dict.fromkeys(piece for piece in pieces if piece.strip()))


def is_channel(author: Author) -> bool:
    """Whether an author is a chat and no person."""
    return author.id.startswith("-")


def _user(user: Json, admins: frozenset[int]) -> Author:
    name = " ".join(part for part in (user.get("first_name"), user.get("last_name")) if part)
    name = name or str(user.get("username") or "")
    is_bot = bool(user.get("is_bot"))
    return Author(str(user["id"]), name, is_moderator=user["id"] in admins and not is_bot, is_bot=is_bot)


def _pieces(name: str, value: Any) -> Iterator[str]:
    """Strings under the names of `_WORDS`, at any depth; a part that is itself a string is one."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for key, inner in value.items():
            if key in _NOT_THEIRS:
                continue
            if not isinstance(inner, str) or key in _WORDS:
                yield from _pieces(key, inner)
    elif isinstance(value, list):
        for inner in value:
            if not isinstance(inner, str):
                yield from _pieces(name, inner)


def _hash(text: str) -> int:
    return zlib.crc32(text.encode("utf-8", "surrogatepass"))
