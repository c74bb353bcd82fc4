"""Decides which strings of a Telegram message are its author's words. Pure: it reads the JSON as it came.

A field that is not listed here is read, so a field that Telegram adds tomorrow is read, too. People, chats and other
messages inside a message are known by their shape, not by the field's name.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import telegram

from bot.domain.event import Attached
from bot.platforms.authored_text import Piece, Rules, Whose, in_order, joined, pieces

Json = Mapping[str, Any]

_ID, _CODE, _SERVICE = "an id", "a code of the platform", "a name the platform or a service gave"
_SEPARATE = "read apart, as a name or a title"
UNWRITTEN: Mapping[str, str] = {
    "*_id": _ID,
    "*_ids": _ID,
    "id": _ID,
    "username": "an address of a person or chat, which their name stands beside",
    "phone_number": "a number",
    "currency": _CODE,
    "language_code": _CODE,
    "country_codes": _CODE,
    "type": _CODE,
    "status": _CODE,
    "state": _CODE,
    "point": _CODE,
    "align": _CODE,
    "valign": _CODE,
    "codec": _CODE,
    "mime_type": _CODE,
    "date_time_format": _CODE,
    "rarity": _CODE,
    "google_place_type": _CODE,
    "foursquare_type": _CODE,
    "style": _CODE,
    "emoji": "a picture, not words; a card shows it",
    "alternative_text": "the emoji that stands for a picture",
    "unique_gift": _SERVICE,
    "theme_name": _SERVICE,
    "connected_website": _SERVICE,
    "web_app_name": _SERVICE,
    "callback_data": "what a button tells its bot; nobody sees it",
    "start_parameter": "what a link tells its bot; nobody sees it",
    "invoice_payload": "what an invoice tells its bot; nobody sees it",
    "web_app_data.data": "what a web app tells its bot; nobody sees it",
    "bot_username": "an address of a bot",
    "payload": "what a service tells its bot; nobody sees it",
    "passport_data": "encrypted",
    "invite_link": "an address of the platform",
    "forum_topic_created": _SEPARATE,
    "forum_topic_edited": _SEPARATE,
    "new_chat_title": _SEPARATE,
    "sender_tag": _SEPARATE,
    "message.author_signature": _SEPARATE,
    "sender_user_name": "another's name",
    "order_info": "an address for a parcel, told to a shop",
    "users_shared": "other people's names",
    "chat_shared": "another chat's title",
    "poll_option_deleted": "what was taken away, by whomever; it was read when it was written",
    "reply_to_story": "what a reply answers is not its author's",
}
"""Fields of which no string is the author's words, and why."""
SHOWN = frozenset({"forward_origin", "origin", "story", "chats", "media_story"})
"""Fields that say where a message comes from: a title there is another person's words that the author shows."""
_LATER = {
    "message_id",
    "chat",
    "date",
    "rich_message",
    "sender_tag",
    "from",
    "checklist_tasks_done",
    "poll_option_added",
    "poll_option_deleted",
    "guest_bot_caller_user",
    "guest_bot_caller_chat",
    "managed_bot_created",
    "live_photo",
}
QUIET = frozenset(telegram.Message.__slots__) | _LATER
"""Fields that are known: a message in which there is none but these, and no word, is no riddle."""
_MEDIA = ("photo", "video", "animation", "audio", "document", "voice", "video_note", "sticker", "story", "paid_media")
_MEDIA_MORE = ("live_photo", "dice", "location", "game", "gift", "unique_gift", "giveaway")


def words_of(message: Json) -> tuple[str, str]:
    """(what the author wrote, what others wrote and the author shows), one piece a line."""
    text_pieces = list(_pieces(message))
    return joined(text_pieces, Whose.AUTHOR), joined(text_pieces, Whose.QUOTED)


def names_in(message: Json) -> list[str]:
    """Returns the author's names beside their own: a tag, an anonymous administrator's title."""
    return [
        name for field in ("sender_tag", "author_signature") if isinstance(name := message.get(field), str) and name
    ]


def titles_in(message: Json) -> Iterator[tuple[str, bool]]:
    """(a title that its author gave, whether it is a topic's and not the group's)."""
    for field in ("forum_topic_created", "forum_topic_edited"):
        if isinstance(title := _object(message.get(field)).get("name"), str) and title:
            yield title, True
    if isinstance(title := message.get("new_chat_title"), str) and title:
        yield title, False


def doers_in(message: Json) -> Iterator[Json]:
    """Members who joined with the message or did something to it: ticked a task, added an option. Their names are
    theirs."""
    joined_now = message.get("new_chat_members")
    yield from (one for one in joined_now if is_person(one)) if isinstance(joined_now, list) else ()
    for part in ("poll", "checklist"):
        container = message.get(part)
        for items in container.values() if isinstance(container, Mapping) else ():
            for item in items if isinstance(items, list) else ():
                for name, value in item.items() if isinstance(item, Mapping) else ():
                    if name.endswith("_by_user") and is_person(value):
                        yield value


def attached_to(message: Json) -> tuple[Attached, ...]:
    """Returns the parts of a message beside words: a sticker by its emoji, a file by its name."""
    attached = []
    for kind in _MEDIA + _MEDIA_MORE:
        part = message.get(kind)
        if kind == "document" and "animation" in message:  # the same file under its former name
            continue
        if part:
            about = part if isinstance(part, Mapping) else {}
            attached.append(Attached(kind, str(about.get("emoji") or about.get("file_name") or "")))
    return tuple(attached)


def unknown_in(message: Json) -> str:
    """Returns the first unknown field of a message; "" where all are known."""
    return next((name for name, value in message.items() if name not in QUIET and value not in (None, False)), "")


def is_person(value: Any) -> bool:
    """Whether it is a user."""
    return isinstance(value, Mapping) and "is_bot" in value and "id" in value


def _pieces(message: Json) -> Iterator[Piece]:
    whose = Whose.QUOTED if _is_from_here(message.get("forward_origin"), message) else Whose.AUTHOR
    rules = Rules(UNWRITTEN, lambda name, part, now: _whose(name, part, now, message))
    for name in in_order(message):
        yield from pieces(rules, message[name], name, "message", whose)


def _whose(name: str, part: Json, now: Whose, message: Json) -> Whose | None:
    """People are not words, other messages are read by themselves, and chats are titles. An option that another member
    added is theirs, and so may be every task of a list to which all may add: Telegram does not say who added which."""
    if is_person(part) or ("message_id" in part and "chat" in part) or name == "pinned_message":
        return None
    if _is_chat(part):
        return Whose.QUOTED if now is Whose.QUOTED else None
    if name in SHOWN:
        return Whose.QUOTED
    if _added_by_another(part, message):
        return None
    if name == "quote" and "external_reply" not in message:
        return Whose.QUOTED
    if name in ("quote", "external_reply") and _is_from_here(message.get("external_reply"), message):
        return Whose.QUOTED
    if name == "tasks" and _object(message.get("checklist")).get("others_can_add_tasks"):
        return Whose.QUOTED
    return now


def _added_by_another(part: Json, message: Json) -> bool:
    adder = part.get("added_by_user") or part.get("added_by_chat")
    if not isinstance(adder, Mapping):
        return False
    author = _object(message.get("sender_chat")) or _object(message.get("from"))
    return bool(adder.get("id") != author.get("id"))


def _is_from_here(shown: Any, message: Json) -> bool:
    """Whether what is shown was written in this chat."""
    if not isinstance(shown, Mapping):
        return False
    chats = (shown.get("chat"), shown.get("sender_chat"))
    own_chat = _object(message.get("chat")).get("id")
    return any(isinstance(chat, Mapping) and chat.get("id") == own_chat for chat in chats)


def _object(value: Any) -> Json:
    return value if isinstance(value, Mapping) else {}


def _is_chat(part: Json) -> bool:
    return "id" in part and part.get("type") in ("private", "group", "supergroup", "channel")
