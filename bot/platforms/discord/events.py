"""Discord's messages, nicknames and thread titles as our events. Pure: no call leaves this file.

`discord.Message` is taken as a duck here: a message snapshot (a forward) has the same fields, but for the author.
"""

import zlib
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Any

import discord

from bot.events import Author, Message, MessageKey

PLATFORM = "discord"
NAMES = "names"
"""The room that nicknames are read in."""
_NAME, _TITLE = "name-", "title-"
_OF_OUR_OWN = {discord.MessageType.auto_moderation_action, discord.MessageType.poll_result}
"""Messages that repeat what another message said."""


def community_of(guild: int) -> str:
    """The community a server is."""
    return f"{PLATFORM}-{guild}"


def guild_of(community: str) -> int:
    """The inverse of `community_of`; raises ValueError."""
    return int(community.removeprefix(f"{PLATFORM}-"))


def room_of(channel: int, parent: int | None = None) -> str:
    """A channel's room, or a thread's: "channel/thread"."""
    return str(channel) if parent is None else f"{parent}/{channel}"


def channel_of(room: str) -> int:
    """The channel or thread a room is; 0 for the room of names."""
    last = room.rpartition("/")[2]
    return int(last) if last.isdecimal() else 0


def message_of(key: MessageKey) -> int | None:
    """The message's id, None where the key names a nickname or a title."""
    return int(key.message) if key.message.isdecimal() else None


def named(key: MessageKey) -> int | None:
    """Whose nickname the key names, if any."""
    return int(key.message.removeprefix(_NAME)) if key.message.startswith(_NAME) else None


def titled(key: MessageKey) -> int | None:
    """Which thread's title the key names, if any."""
    return int(key.message.removeprefix(_TITLE)) if key.message.startswith(_TITLE) else None


def event_of(message: discord.Message, moderators: frozenset[str]) -> Message | None:
    """The message as an event; None for a private one and for one in which nobody wrote anything.

    `moderators` are the ids of roles that moderate. The revision grows with the time of the last edit; its last 16 bits
    come from the text, because a link's preview arrives later without counting as an edit.
    """
    guild, text = message.guild, text_of(message)
    if guild is None or not text or message.type in _OF_OUR_OWN:
        return None
    edited = message.edited_at
    milliseconds = max(round((edited - message.created_at).total_seconds() * 1000), 1) if edited else 0
    revision = milliseconds << 16 | zlib.crc32(text.encode("utf-8", "surrogatepass")) & 0xFFFF
    parent = getattr(message.channel, "parent_id", None)
    key = MessageKey(PLATFORM, community_of(guild.id), room_of(message.channel.id, parent), str(message.id), revision)
    webhook = message.webhook_id is not None
    author = author_of(message.author, moderators, is_bot=webhook or message.author.bot)
    return Message(key, author, text, edited or message.created_at)


def name_event(member: discord.Member, moderators: frozenset[str]) -> Message:
    """The member's name on this server, read as a message."""
    name, now = member.display_name, datetime.now(UTC)
    revision = name_revision(name)
    key = MessageKey(PLATFORM, community_of(member.guild.id), NAMES, f"{_NAME}{member.id}", revision)
    return Message(key, author_of(member, moderators, is_bot=member.bot), name, now)


def title_event(thread: discord.Thread, owner: discord.Member | None, moderators: frozenset[str]) -> Message:
    """A thread's or forum post's title, read as a message of whoever opened it."""
    revision = name_revision(thread.name)
    room = room_of(thread.id, thread.parent_id)
    key = MessageKey(PLATFORM, community_of(thread.guild.id), room, f"{_TITLE}{thread.id}", revision)
    author = Author(str(thread.owner_id or 0), str(thread.owner_id or ""))
    if owner is not None:
        author = author_of(owner, moderators, is_bot=owner.bot)
    return Message(key, author, thread.name, datetime.now(UTC))


def name_revision(name: str) -> int:
    """The revision of a name or a title: another one is another revision."""
    return zlib.crc32(name.encode("utf-8", "surrogatepass"))


def author_of(user: discord.abc.User, moderators: frozenset[str], *, is_bot: bool) -> Author:
    """Who wrote something; a webhook's author is no member and has no roles."""
    roles = frozenset(str(role.id) for role in getattr(user, "roles", ()))
    may: discord.Permissions | None = getattr(user, "guild_permissions", None)
    moderates = bool(roles & moderators) or (may is not None and moderates_by_right(may))
    joined: datetime | None = getattr(user, "joined_at", None)
    return Author(str(user.id), user.display_name, roles, moderates and not is_bot, is_bot, joined)


def moderates_by_right(may: discord.Permissions) -> bool:
    """Whether these rights make somebody a moderator without any role of the set-up."""
    return may.administrator or may.manage_guild or may.manage_messages or may.moderate_members


def text_of(message: discord.Message) -> str:
    """Everything somebody wrote in a message, one piece a line: content, forwards, embeds, poll, names of attachments
    and stickers, components. What a reply answers to is not the author's."""
    return "\n".join(dict.fromkeys(piece for piece in _pieces(message) if piece and piece.strip()))


def _pieces(message: Any) -> Iterator[str | None]:
    yield message.content
    for snapshot in getattr(message, "message_snapshots", ()):
        yield from _pieces(snapshot)
    for embed in message.embeds:
        yield from (embed.author.name, embed.title, embed.description)
        for field in embed.fields:
            yield from (field.name, field.value)
        yield from (embed.footer.text, embed.provider.name)
    if (poll := getattr(message, "poll", None)) is not None:
        yield poll.question
        yield from (answer.text for answer in poll.answers)
    for attachment in message.attachments:
        yield from (attachment.title, attachment.filename, attachment.description)
    yield from (sticker.name for sticker in message.stickers)
    yield from _written(message.components)


def _written(components: Iterable[Any]) -> Iterator[str | None]:
    """What people read in components, at any depth."""
    for component in components:
        for field in ("content", "label", "placeholder", "description", "name"):
            if isinstance(text := getattr(component, field, None), str):
                yield text
        for inside in ("children", "components", "items", "options"):
            if isinstance(more := getattr(component, inside, None), list | tuple):
                yield from _written(more)
        if (accessory := getattr(component, "accessory", None)) is not None:
            yield from _written([accessory])
