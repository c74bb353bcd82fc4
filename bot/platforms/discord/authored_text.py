"""Decides which strings of a Discord message are its author's words. Pure: it reads the JSON as it came.

A field that is not listed here is read, so a field that Discord adds tomorrow is read, too. People and other messages
inside a message are known by their shape, not by the field's name.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import discord

from bot.domain.event import Attached
from bot.platforms.authored_text import Piece, Rules, Whose, joined, pieces

Json = Mapping[str, Any]

_ID, _CODE, _MOMENT, _PICTURE = "an id", "a code of the platform", "a moment", "an address of a picture or file"
_OTHERS, _SEPARATE = "other people's", "read apart, as a name or a title"
UNWRITTEN: Mapping[str, str] = {
    "*_id": _ID,
    "*_ids": _ID,
    "id": _ID,
    "nonce": _ID,
    "timestamp": _MOMENT,
    "*_timestamp": _MOMENT,
    "*_at": _MOMENT,
    "*_time": _MOMENT,
    "expiry": _MOMENT,
    "recurrence_rule": _MOMENT,
    "type": _CODE,
    "*_type": _CODE,
    "*_locale": _CODE,
    "hash": _CODE,
    "waveform": _CODE,
    "tags": _CODE,
    "avatar": _PICTURE,
    "icon": _PICTURE,
    "banner": _PICTURE,
    "cover_image": _PICTURE,
    "message.image": _PICTURE,
    "*_url": _PICTURE,
    **{f"{part}.url": _PICTURE for part in ("attachments", "image", "thumbnail", "video", "media", "file")},
    **{
        f"{part}.placeholder": "a picture in few letters"
        for part in ("attachments", "image", "thumbnail", "video", "media", "file")
    },
    "custom_id": "what a button tells its bot; nobody sees it",
    "options.value": "what a menu tells its bot; nobody sees it",
    "emoji": "a picture, not words",
    "reactions": _OTHERS,
    "mention_roles": _OTHERS,
    "mention_channels": _OTHERS,
    "resolved": _OTHERS,
    "call": _OTHERS,
    "results": _OTHERS,
    "referenced_message": "what a reply answers is not its author's",
    "message_reference": _ID,
    "application": "a program's own description",
    "interaction": "a command's name",
    "interaction_metadata": "a command's name",
    "role_subscription_data": "a name from the server's shop",
    "purchase_notification": "a name from the server's shop",
    "colors": _CODE,
    "member": _SEPARATE,
    "thread": _SEPARATE,
}
"""Fields of which no string is the author's words, and why."""
_FIELDS = (
    "activity application application_id attachments author call channel_id channel_type components content"
    " edited_timestamp embeds flags guild_id id interaction interaction_metadata member mention_channels"
    " mention_everyone mention_roles mentions message_reference message_snapshots nonce pinned poll position"
    " purchase_notification reactions referenced_message resolved role_subscription_data shared_client_theme"
    " soundboard_sounds sticker_items stickers thread timestamp tts type webhook_id"
)
KNOWN = frozenset(_FIELDS.split())
"""Fields that are known: a message in which there is none but these, and no word, is no riddle."""
_EMBEDS = {"image": "photo", "gifv": "animation", "video": "video"}
_PICTURES = {11: "photo", 12: "photo", 13: "document"}
_KINDS = {"image": "photo", "video": "video", "audio": "audio"}


def words_of(message: Json, *, forwarded_from_here: bool = False) -> tuple[str, str]:
    """Returns (the author's words, words of others that the author shows), one piece a line.

    A forward from elsewhere counts as the author's words. `forwarded_from_here` marks a forward of another member's
    message; it counts as quoted, and so does a line behind ">" that stands in the message a reply answers.
    """

    def whose(name: str, part: Json, now: Whose) -> Whose | None:
        if ("username" in part and "id" in part) or ("author" in part and "channel_id" in part):
            return None
        return Whose.QUOTED if name == "message_snapshots" and forwarded_from_here else now

    own = {name: value for name, value in message.items() if name != "author"}
    own["content"], repeated = _without_repeated(str(message.get("content") or ""), message)
    text_pieces = list(pieces(Rules(UNWRITTEN, whose), own, "message"))
    text_pieces += [Piece(line, Whose.QUOTED) for line in repeated]
    return joined(text_pieces, Whose.AUTHOR), joined(text_pieces, Whose.QUOTED)


def attached_to(message: Json) -> tuple[Attached, ...]:
    """Returns the parts of a message beside words: files by their names, stickers, pictures behind links and in
    components."""
    files = [*message.get("attachments", ())]
    embeds = [_EMBEDS[kind] for one in message.get("embeds", ()) if (kind := one.get("type")) in _EMBEDS]
    pictures = [_PICTURES[kind] for kind in _types(message.get("components", ())) if kind in _PICTURES]
    stickers = message.get("sticker_items") or message.get("stickers") or ()
    attached = [Attached(_kind_of(file), str(file.get("filename") or "")) for file in files]
    attached += [Attached("sticker", str(sticker.get("name") or "")) for sticker in stickers]
    return (*attached, *(Attached(kind) for kind in embeds + pictures))


def unknown_in(message: Json) -> str:
    """Returns the unknown part of a message: its type, a field or a component; "" where all is known."""
    if message.get("type", 0) not in [kind.value for kind in discord.MessageType]:
        return f"type {message.get('type')}"
    components = [kind.value for kind in discord.ComponentType]
    strange = (f"component {one}" for one in _types(message.get("components", ())) if one not in components)
    fields = (name for name, value in message.items() if name not in KNOWN and value)
    return next(strange, next(fields, ""))


def _without_repeated(content: str, message: Json) -> tuple[str, list[str]]:
    """The content without the lines that only repeat what it answers, and those lines."""
    answered = message.get("referenced_message")
    answered_text = str(answered.get("content") or "") if isinstance(answered, Mapping) else ""
    kept: list[str] = []
    repeated: list[str] = []
    for line in content.split("\n"):
        inside = line.lstrip("> ").strip() if line.startswith("> ") else ""
        (repeated if inside and inside in answered_text else kept).append(line)
    return "\n".join(kept), [line.lstrip("> ").strip() for line in repeated]


def _kind_of(file: Json) -> str:
    kind = str(file.get("content_type") or "").partition("/")[0]
    return "voice" if file.get("waveform") else _KINDS.get(kind, "document")


def _types(components: Any) -> Iterator[Any]:
    for component in components if isinstance(components, list | tuple) else ():
        if isinstance(component, Mapping):
            yield component.get("type")
            yield from _types(component.get("components"))
