"""Discord's messages, nicknames and titles as our events. Pure: no call leaves this file."""

import zlib
from datetime import UTC, datetime

import discord

from bot.domain.event import NAME, NOBODY, TITLE, Author, Message, MessageKey
from bot.platforms.discord.authored_text import attached_to, unknown_in, words_of
from bot.platforms.discord.raw_events import Json, raw_of

PLATFORM = "discord"
NAMES = "names"
"""The room that nicknames are read in."""
_REPEATED = {
    discord.MessageType.auto_moderation_action,
    discord.MessageType.poll_result,
    discord.MessageType.channel_follow_add,
    discord.MessageType.stage_end,
}
"""Kinds of messages that repeat another message."""
_RENAMED = {
    discord.MessageType.channel_name_change,
    discord.MessageType.stage_start,
    discord.MessageType.stage_topic,
}
_TITLED = {discord.MessageType.thread_created, *_RENAMED}
"""Messages of the platform that say the title of a thread or a stage, and who gave it."""


def community_of(guild: int) -> str:
    """The community a server is."""
    return f"{PLATFORM}-{guild}"


def guild_of(community: str) -> int:
    """Inverts `community_of`; raises ValueError."""
    return int(community.removeprefix(f"{PLATFORM}-"))


def room_of(channel: int, parent: int | None = None) -> str:
    """A channel's room, or a thread's: "channel/thread"."""
    return str(channel) if parent is None else f"{parent}/{channel}"


def channel_of(room: str) -> int:
    """Returns the id of a room's channel or thread; 0 for the room of names."""
    last = room.rpartition("/")[2]
    return int(last) if last.isdecimal() else 0


def message_of(key: MessageKey) -> int | None:
    """The message's id, None where the key names a nickname or a title."""
    return int(key.message) if key.message.isdecimal() else None


def named_member(key: MessageKey) -> int | None:
    """Returns the member whose nickname the key names, if any."""
    return int(key.message.removeprefix(NAME)) if key.message.startswith(NAME) else None


def titled_thread(key: MessageKey) -> int | None:
    """Which thread's title the key names, if any."""
    return int(key.message.removeprefix(TITLE)) if key.message.startswith(TITLE) else None


def event_of(message: discord.Message, moderators: frozenset[str], *, wordless: bool = False) -> Message | None:
    """Turns a message into an event; None for a private message and for one without words, unless its shape is unknown.

    `moderators` are the ids of roles that moderate. With `wordless`, a message that only shows something is an event,
    too. The revision grows with the time of the last edit; its last 16 bits come from the words, because a link's
    preview arrives later without counting as an edit.
    """
    guild, raw = message.guild, raw_of(message)
    if guild is None or message.type in _REPEATED | _TITLED:
        return None
    origin = message.reference
    from_here = origin is not None and (
        origin.guild_id == guild.id or guild.get_channel_or_thread(origin.channel_id) is not None
    )
    text, quoted = words_of(raw, forwarded_from_here=from_here)
    attached = attached_to(raw)
    unreadable = "" if text or quoted or attached else unknown_in(raw)
    if not (text or quoted or unreadable or (wordless and attached)):
        return None
    edited = message.edited_at
    milliseconds = max(round((edited - message.created_at).total_seconds() * 1000), 1) if edited else 0
    revision = milliseconds << 16 | name_revision(text + quoted) & 0xFFFF
    parent = getattr(message.channel, "parent_id", None)
    key = MessageKey(PLATFORM, community_of(guild.id), room_of(message.channel.id, parent), str(message.id), revision)
    webhook = message.webhook_id is not None
    author = author_of(message.author, moderators, is_bot=webhook or message.author.bot)
    return Message(key, author, text, edited or message.created_at, quoted, attached, unreadable)


def unreadable_event(channel: discord.abc.GuildChannel | discord.Thread, number: int) -> Message:
    """A message of which nothing but its number could be read, so that the journal has it."""
    room = room_of(channel.id, getattr(channel, "parent_id", None) if isinstance(channel, discord.Thread) else None)
    key = MessageKey(PLATFORM, community_of(channel.guild.id), room, str(number))
    return Message(key, NOBODY, "", discord.utils.snowflake_time(number), unreadable="incomplete")


def name_event(member: discord.Member, moderators: frozenset[str]) -> Message:
    """The member's name on this server, read as a message."""
    return _named(member.guild.id, NAMES, f"{NAME}{member.id}", member.display_name, _member(member, moderators))


def title_event(thread: discord.Thread, owner: discord.Member | None, moderators: frozenset[str]) -> Message:
    """Turns the title of a thread or forum post into an event of `owner`; of nobody where the owner is not known."""
    room = room_of(thread.id, thread.parent_id)
    author = NOBODY if owner is None else _member(owner, moderators)
    return _named(thread.guild.id, room, f"{TITLE}{thread.id}", thread.name, author)


def renamed_title(message: discord.Message, moderators: frozenset[str]) -> Message | None:
    """Returns the title that a message of the platform tells of, as the words of the member who gave it; None for
    another message."""
    guild, channel = message.guild, message.channel
    if guild is None or message.type not in _TITLED or not message.content.strip():
        return None
    author = author_of(message.author, moderators, is_bot=message.author.bot)
    if message.type in _RENAMED:
        room, number = room_of(channel.id, getattr(channel, "parent_id", None)), channel.id
    elif message.reference is not None:
        room, number = room_of(message.reference.channel_id, channel.id), message.reference.channel_id
    else:
        return None
    return _named(guild.id, room, f"{TITLE}{number}", message.content, author, message.created_at)


def status_event(guild: int, channel: int, status: str) -> Message:
    """Turns the status of a voice channel into an event without an author: Discord does not name one."""
    return _named(guild, str(channel), f"{TITLE}{channel}", status, NOBODY)


def occasion_event(occasion: Json, creator: Author = NOBODY) -> Message | None:
    """A scheduled event's name, description and place, as `creator`'s words."""
    text, _ = words_of(occasion)
    room = str(occasion.get("channel_id") or NAMES)
    return _named(int(occasion["guild_id"]), room, f"{TITLE}{occasion['id']}", text, creator) if text else None


def name_revision(name: str) -> int:
    """The revision of a name or a title: another one is another revision."""
    return zlib.crc32(name.encode("utf-8", "surrogatepass"))


def author_of(user: discord.abc.User, moderators: frozenset[str], *, is_bot: bool) -> Author:
    """Returns the author; a webhook is no member and has no roles."""
    roles = frozenset(str(role.id) for role in getattr(user, "roles", ()))
    may: discord.Permissions | None = getattr(user, "guild_permissions", None)
    moderates = bool(roles & moderators) or (may is not None and moderates_by_right(may))
    joined: datetime | None = getattr(user, "joined_at", None)
    return Author(str(user.id), user.display_name, roles, moderates and not is_bot, is_bot, joined)


def moderates_by_right(may: discord.Permissions) -> bool:
    """Says whether these rights make a member a moderator without a role of the set-up; see `who_may`."""
    return may.administrator or may.manage_guild or may.manage_messages or may.moderate_members


def _member(member: discord.Member, moderators: frozenset[str]) -> Author:
    return author_of(member, moderators, is_bot=member.bot)


def _named(guild: int, room: str, number: str, text: str, author: Author, at: datetime | None = None) -> Message:
    key = MessageKey(PLATFORM, community_of(guild), room, number, name_revision(text))
    return Message(key, author, text, at or datetime.now(UTC))
