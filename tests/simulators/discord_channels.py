"""What the simulated Discord remembers, second part: channels, threads, direct messages, and what is written there."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import datetime
from typing import TYPE_CHECKING, Any

from . import discord_permissions as perms
from .discord_state import (
    EPHEMERAL,
    GUILDS,
    HAS_THREAD,
    KINDS,
    Author,
    Json,
    Member,
    Person,
    Role,
    User,
    Webhook,
    World,
    at_of,
    now,
)

if TYPE_CHECKING:
    from .discord_guild import Guild


class Channel:
    """A channel in a guild; `Thread` and `DM` are further kinds."""

    guild: Guild | None = None

    def __init__(self, world: World, id: int, name: str, kind: int) -> None:
        self.world, self.id, self.name, self.kind = world, id, name, kind
        self.parent: Channel | None = None
        self.topic: str | None = None
        self.slowmode_s = 0
        self.nsfw = False
        self.position = 0
        self.overwrites: dict[int, tuple[int, int, int]] = {}  # target id -> (0 role | 1 member, allow, deny)
        self.messages: dict[int, Message] = {}
        self.tags: list[Json] = []
        self.gone = False
        self.archived_at = now()
        self._bot_permissions = (-1, 0)
        world.channels[id] = self

    @property
    def is_thread(self) -> bool:
        return False

    @property
    def speakable(self) -> bool:
        """Whether messages can be in it."""
        return self.kind not in (KINDS["category"], KINDS["forum"])

    @property
    def last_message_id(self) -> str | None:
        return str(max(self.messages)) if self.messages else None

    @property
    def mention(self) -> str:
        return f"<#{self.id}>"

    def bot_permissions(self) -> int:
        """The bot's permissions here, remembered until something about them changes."""
        guild = self.guild
        if guild is None:
            return perms.ALL
        until = guild.bot_member.communication_disabled_until if guild.bot_member else None
        if until is None and self._bot_permissions[0] == guild.version:
            return self._bot_permissions[1]
        value = guild.permissions(guild.bot_member, self) if guild.bot_member else 0
        self._bot_permissions = (guild.version, value)
        return value

    def payload(self) -> Json:
        assert self.guild is not None
        data: Json = {
            "id": str(self.id),
            "type": self.kind,
            "guild_id": str(self.guild.id),
            "name": self.name,
            "position": self.position,
            "topic": self.topic,
            "nsfw": self.nsfw,
            "parent_id": str(self.parent.id) if self.parent else None,
            "rate_limit_per_user": self.slowmode_s,
            "last_message_id": self.last_message_id,
            "flags": 0,
            "permission_overwrites": [
                {"id": str(target), "type": type, "allow": str(allow), "deny": str(deny)}
                for target, (type, allow, deny) in self.overwrites.items()
            ],
        }
        if self.kind in (KINDS["voice"], KINDS["stage"]):
            data |= {"bitrate": 64000, "user_limit": 0, "rtc_region": None}
        if self.kind == KINDS["forum"]:
            data |= {"available_tags": self.tags, "default_reaction_emoji": None, "default_sort_order": None}
        return data

    def changed(self) -> None:
        """CHANNEL_UPDATE."""
        assert self.guild is not None
        self.guild.changed()
        self.world.dispatch("CHANNEL_UPDATE", self.payload(), guild=self.guild, intent=GUILDS)

    def change(self, **fields: Any) -> None:
        """Set `name`, `topic`, `nsfw`, `slowmode_s` or `parent` (and for threads `archived`, `locked`), and tell."""
        for name, value in fields.items():
            if not hasattr(self, name):
                raise TypeError(name)
            if name == "archived" and value != getattr(self, name):
                self.archived_at = now()  # when that was last changed, either way
            setattr(self, name, value)
        self.changed()

    def overwrite(self, target: Role | Member, *, allow: perms.Given = 0, deny: perms.Given = 0) -> None:
        """Set what this role or member may do and may not do here; both empty removes the overwrite."""
        entry = (0 if isinstance(target, Role) else 1, perms.bits(allow), perms.bits(deny))
        if entry[1:] == (0, 0):
            self.overwrites.pop(target.id, None)
        else:
            self.overwrites[target.id] = entry
        self.changed()

    def remove(self) -> None:
        """CHANNEL_DELETE (or THREAD_DELETE); threads go with their channel."""
        assert self.guild is not None
        self.guild.channels.pop(self.id, None)
        self.world.channels.pop(self.id, None)
        self.gone = True
        for thread in [t for t in self.guild.threads.values() if t.parent is self]:
            thread.gone = True
            self.guild.threads.pop(thread.id)
            self.world.channels.pop(thread.id)
        self.world.dispatch("CHANNEL_DELETE", self.payload(), guild=self.guild, intent=GUILDS)

    def add_tag(self, name: str) -> Json:
        """A tag that posts in this forum can carry."""
        tag = {"id": str(self.world.snowflake()), "name": name, "moderated": False, "emoji_id": None}
        self.tags.append(tag | {"emoji_name": None})
        return self.tags[-1]

    def add_thread(
        self,
        name: str,
        owner: Person,
        *,
        private: bool = False,
        archived: bool = False,
        message: Message | None = None,
        tags: Iterable[Json] = (),
    ) -> Thread:
        """A new thread (THREAD_CREATE); from a message if one is given. For a forum post see `server.posts`."""
        assert self.guild is not None
        kind = 12 if private else 10 if self.kind == KINDS["news"] else 11
        thread = Thread(self.world, message.id if message else self.world.snowflake(), name, kind)
        thread.guild, thread.parent, thread.owner_id, thread.archived = self.guild, self, owner.id, archived
        thread.member_ids.add(owner.id)
        thread.applied_tags = [tag["id"] for tag in tags]
        self.guild.threads[thread.id] = thread
        if message is not None:
            message.data["thread"] = thread.payload()
            message.data["flags"] = message.data.get("flags", 0) | HAS_THREAD
        data = thread.payload() | {"newly_created": True}
        self.world.dispatch("THREAD_CREATE", data, guild=self.guild, channel=thread, intent=GUILDS)
        return thread


class Thread(Channel):
    """A thread, or a post in a forum."""

    def __init__(self, world: World, id: int, name: str, kind: int) -> None:
        super().__init__(world, id, name, kind)
        self.owner_id = 0
        self.archived = self.locked = False
        self.member_ids: set[int] = set()
        self.applied_tags: list[str] = []
        self.sent = 0

    @property
    def is_thread(self) -> bool:
        return True

    def payload(self) -> Json:
        assert self.guild is not None and self.parent is not None
        data: Json = {
            "id": str(self.id),
            "type": self.kind,
            "guild_id": str(self.guild.id),
            "parent_id": str(self.parent.id),
            "owner_id": str(self.owner_id),
            "name": self.name,
            "message_count": len(self.messages),
            "total_message_sent": self.sent,
            "member_count": len(self.member_ids),
            "rate_limit_per_user": self.slowmode_s,
            "last_message_id": self.last_message_id,
            "flags": 0,
            "applied_tags": self.applied_tags,
            "thread_metadata": {
                "archived": self.archived,
                "locked": self.locked,
                "auto_archive_duration": 4320,
                "archive_timestamp": self.archived_at.isoformat(),
                "create_timestamp": at_of(self.id).isoformat(),
                "invitable": True,
            },
        }
        if self.world.bot.id in self.member_ids:
            data["member"] = self.member_payload(self.world.bot.id)
        return data

    def member_payload(self, user_id: int) -> Json:
        return {"id": str(self.id), "user_id": str(user_id), "join_timestamp": now().isoformat(), "flags": 0}

    def changed(self) -> None:
        """THREAD_UPDATE."""
        self.world.dispatch("THREAD_UPDATE", self.payload(), guild=self.guild, channel=self, intent=GUILDS)

    def remove(self) -> None:
        """THREAD_DELETE."""
        assert self.guild is not None and self.parent is not None
        self.guild.threads.pop(self.id, None)
        self.world.channels.pop(self.id, None)
        self.gone = True
        data = {
            "id": str(self.id),
            "guild_id": str(self.guild.id),
            "parent_id": str(self.parent.id),
            "type": self.kind,
        }
        self.world.dispatch("THREAD_DELETE", data, guild=self.guild, channel=self.parent, intent=GUILDS)


class DM(Channel):
    """The direct messages between one user and the bot."""

    def __init__(self, world: World, id: int, user: User) -> None:
        super().__init__(world, id, "", KINDS["dm"])
        self.user = user

    def payload(self) -> Json:
        return {
            "id": str(self.id),
            "type": 1,
            "last_message_id": self.last_message_id,
            "recipients": [self.user.payload()],
            "flags": 0,
        }


class Message:
    """A message; `data` is its wire form (as REST gives it), changed in place by edits."""

    __slots__ = ("author", "channel", "data", "deleted", "id", "interaction")

    def __init__(self, id: int, channel: Channel, author: User, data: Json) -> None:
        self.id, self.channel, self.author, self.data = id, channel, author, data
        self.deleted = False
        self.interaction: Any = None  # the interaction it answers

    @property
    def content(self) -> str:
        return self.data["content"]

    @property
    def embeds(self) -> list[Json]:
        return self.data["embeds"]

    @property
    def components(self) -> list[Json]:
        return self.data["components"]

    @property
    def flags(self) -> int:
        return self.data["flags"]

    @property
    def ephemeral(self) -> bool:
        return bool(self.flags & EPHEMERAL)

    def event(self) -> Json:
        """As MESSAGE_CREATE and MESSAGE_UPDATE carry it: with the guild and the author as a member of it."""
        guild = self.channel.guild
        if guild is None:
            return self.data | {"channel_type": 1}
        data = self.data | {"guild_id": str(guild.id), "channel_type": self.channel.kind}
        member = guild.members.get(self.author.id) if "webhook_id" not in self.data else None
        if member is not None:
            data["member"] = member.partial()
        return data

    def without_content(self) -> Json:
        """What a bot without the message-content intent sees of somebody else's message."""
        data = self.event() | {"content": "", "embeds": [], "attachments": [], "components": []}
        for key in ("poll", "message_snapshots", "sticker_items"):
            data.pop(key, None)
        return data

    def open_to(self, bot: User) -> bool:
        """Whether the bot sees the content even without the intent: its own, direct, or a mention of it."""
        return (
            self.author is bot
            or self.channel.guild is None
            or any(user["id"] == str(bot.id) for user in self.data["mentions"])
        )


MENTION = re.compile(r"<@!?(\d+)>")
ROLE_MENTION = re.compile(r"<@&(\d+)>")


def mentions_in(content: str, users: dict[int, User]) -> Json:
    """The fields of a message that follow from its text."""
    ids = dict.fromkeys(map(int, MENTION.findall(content))) if "<@" in content else {}
    return {
        "mention_everyone": "@everyone" in content or "@here" in content,
        "mentions": [users[number].payload() for number in ids if number in users],
        "mention_roles": ROLE_MENTION.findall(content),
    }


def write(
    world: World,
    channel: Channel,
    author: Author,
    content: str,
    *,
    users: dict[int, User],
    at: datetime | None = None,
    id: int | None = None,
    **fields: Any,
) -> Message:
    """A new message in wire form, not yet kept anywhere. `fields` are further or different fields of it."""
    id = id or world.snowflake(at)
    data: Json = {
        "id": str(id),
        "channel_id": str(channel.id),
        "type": 0,
        "content": content,
        "timestamp": (at or at_of(id)).isoformat(),
        "edited_timestamp": None,
        "tts": False,
        "attachments": [],
        "embeds": [],
        "components": [],
        "pinned": False,
        "flags": 0,
    }
    if isinstance(author, Webhook):
        speaker = User(author.id, fields.pop("username", author.name), bot=True)
        data["webhook_id"] = str(author.id)
    else:
        speaker = author.user if isinstance(author, Member) else author
    data["author"] = speaker.payload()
    data |= mentions_in(content, users) | fields
    return Message(id, channel, speaker, data)
