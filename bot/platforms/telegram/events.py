"""Telegram's messages, names and titles as our events. Pure: read from an update as it came, in JSON.

Reading the JSON and not the library's objects means that a field Telegram adds tomorrow is read as well, and that a
message the library cannot parse is not lost.
"""

import zlib
from collections.abc import Mapping
from typing import Any

from bot.domain.event import NAME, TITLE, Author, Message, MessageKey
from bot.platforms.telegram.authored_text import attached_to, doers_in, names_in, titles_in, unknown_in, words_of
from bot.platforms.telegram.moments import moment

PLATFORM = "telegram"
NAMES = "names"
"""The room that names are read in."""
Json = Mapping[str, Any]


def community_of(chat: int) -> str:
    """The community a chat is, unless it was linked with another."""
    return f"{PLATFORM}-{chat}"


def chat_named(community: str) -> int:
    """Inverts `community_of`; raises ValueError."""
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


def titled_topic(key: MessageKey) -> int | None:
    """Which topic's title the key names, if any."""
    number = key.message.rpartition(":")[2]
    return int(number.removeprefix(TITLE)) if number.startswith(TITLE) else None


def in_group(message: Json) -> bool:
    """Whether a message was written where people are moderated."""
    return message.get("chat", {}).get("type") in ("group", "supergroup")


def event_of(message: Json, community: str, admins: frozenset[int], *, wordless: bool = False) -> Message | None:
    """Turns a message into an event; None for a message without words, unless its shape is unknown.

    `admins` are the ids of the chat's administrators and of its linked channel. With `wordless`, a message that only
    shows something is an event, too. The revision grows with the time of the last edit; its last 16 bits come from the
    words, for edits within one second.
    """
    text, quoted = words_of(message)
    attached = attached_to(message)
    unreadable = "" if text or quoted or attached or any(titles_in(message)) else unknown_in(message)
    if not (text or quoted or unreadable or (wordless and attached)):
        return None
    edited, mark = message.get("edit_date") or 0, _hash(text + quoted) & 0xFFFF
    revision = max(edited - message["date"], 0) << 16 | mark if edited else mark
    key = key_of(message, community, revision)
    sent_at = moment(edited or message.get("date"))
    return Message(key, author_of(message, admins), text, sent_at, quoted, attached, unreadable)


def key_of(message: Json, community: str, revision: int = 0) -> MessageKey:
    """The message's name in the journal."""
    number = f"{message['chat']['id']}:{message['message_id']}"
    return MessageKey(PLATFORM, community, room_of(message), number, revision)


def other_events(message: Json, community: str, admins: frozenset[int]) -> list[Message]:
    """Returns events of the names of people who wrote, joined or changed something, and of titles: a topic's, the
    group's."""
    chat, now = message["chat"]["id"], moment(message.get("edit_date") or message.get("date"))
    author, events = author_of(message, admins), []

    def read(person: Author, room: str, number: str, text: str) -> None:
        key = MessageKey(PLATFORM, community, room, f"{chat}:{number}", _hash(text))
        events.append(Message(key, person, text, now))

    for person in dict.fromkeys([author, *(_user(user, admins) for user in doers_in(message))]):
        if person.name and not person.is_bot:
            read(person, NAMES, f"{NAME}{person.id}", person.name)
    for more in names_in(message):
        read(author, NAMES, f"{NAME}{author.id}-{_hash(more) & 0xFFFF}", more)
    for title, of_topic in titles_in(message):
        number = (message.get("message_thread_id") or 0) if of_topic else 0
        read(author, f"{chat}/{number}" if number else str(chat), f"{TITLE}{number}", title)
    return events


def author_of(message: Json, admins: frozenset[int]) -> Author:
    """Returns the author: a user, or a chat in whose name a person wrote.

    An anonymous administrator writes in the name of the group itself, and the linked channel's posts and comments are
    its owner's: both moderate. `admins` has the linked channel's id. Any other channel is an ordinary author.
    """
    if (sender := message.get("sender_chat")) is not None:
        own = sender["id"] in (message["chat"]["id"], *admins) or bool(message.get("is_automatic_forward"))
        return Author(str(sender["id"]), str(sender.get("title") or sender.get("username") or ""), is_moderator=own)
    return _user(message.get("from") or {"id": 0}, admins)


def text_of(message: Json) -> str:
    """Everything the author wrote, one piece a line."""
    return words_of(message)[0]


def album_of(message: Json) -> str | None:
    """The album the message is an item of."""
    album = message.get("media_group_id")
    return str(album) if album else None


def is_channel(author: Author) -> bool:
    """Whether an author is a chat and no person."""
    return author.id.startswith("-")


def _user(user: Json, admins: frozenset[int]) -> Author:
    name = " ".join(part for part in (user.get("first_name"), user.get("last_name")) if part)
    name = name or str(user.get("username") or "")
    is_bot = bool(user.get("is_bot"))
    return Author(str(user["id"]), name, is_moderator=user["id"] in admins and not is_bot, is_bot=is_bot)


def _hash(text: str) -> int:
    return zlib.crc32(text.encode("utf-8", "surrogatepass"))
