"""What the simulated Discord remembers, first part: people and roles. No sockets here or in `discord_channels` and
`discord_guild`.

Every change made by a method here also dispatches its gateway event through `World`, at once and in order; before
the bot is connected nobody listens, so the same methods set a scene and change it in mid-flight.
Objects carry integer ids; `payload()` is the wire form, with ids as strings.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Protocol

from . import discord_permissions as perms

if TYPE_CHECKING:
    from .discord_channels import Channel, Message
    from .discord_guild import Guild

DISCORD_EPOCH_MS = 1_420_070_400_000
KINDS = {"text": 0, "dm": 1, "voice": 2, "category": 4, "news": 5, "stage": 13, "forum": 15}
EPHEMERAL, LOADING, HAS_THREAD, COMPONENTS_V2 = 1 << 6, 1 << 7, 1 << 5, 1 << 15

GUILDS, GUILD_MEMBERS, GUILD_MODERATION, WEBHOOKS, GUILD_PRESENCES = 1 << 0, 1 << 1, 1 << 2, 1 << 5, 1 << 8
GUILD_MESSAGES, TYPING, DIRECT_MESSAGES, MESSAGE_CONTENT = 1 << 9, 1 << 11, 1 << 12, 1 << 15
REACTIONS, SCHEDULED_EVENTS = 1 << 10, 1 << 16
PRIVILEGED = GUILD_MEMBERS | GUILD_PRESENCES | MESSAGE_CONTENT

Json = dict[str, Any]


class World(Protocol):
    """What state needs from the server around it."""

    bot: User
    application_id: int
    channels: dict[int, Channel]

    def snowflake(self, at: datetime | None = None) -> int: ...
    def add_user(self, name: str) -> User: ...
    def dispatch(
        self,
        event: str,
        data: Any,
        *,
        guild: Guild | None = None,
        channel: Channel | None = None,
        intent: int = 0,
        message: Message | None = None,
    ) -> None: ...


def now() -> datetime:
    return datetime.now(UTC)


def at_of(snowflake: int) -> datetime:
    """The moment a snowflake was made."""
    return datetime.fromtimestamp(((snowflake >> 22) + DISCORD_EPOCH_MS) / 1000, UTC)


class User:
    """An account. `dms_closed`: direct messages to it are refused with 50007."""

    def __init__(self, id: int, name: str, *, bot: bool = False, dms_closed: bool = False, locale: str = "en-US"):
        self.id, self.name, self.bot, self.dms_closed, self.locale = id, name, bot, dms_closed, locale
        self.global_name: str | None = None if bot else name.title()

    @property
    def mention(self) -> str:
        return f"<@{self.id}>"

    def payload(self) -> Json:
        return {
            "id": str(self.id),
            "username": self.name,
            "global_name": self.global_name,
            "discriminator": "0",
            "avatar": None,
            "bot": self.bot,
            "public_flags": 0,
        }


class Webhook:
    """An incoming webhook: something that speaks in a channel under any name."""

    def __init__(self, id: int, channel: Channel, name: str, token: str) -> None:
        self.id, self.channel, self.name, self.token = id, channel, name, token

    def payload(self) -> Json:
        guild = self.channel.guild
        return {
            "id": str(self.id),
            "type": 1,
            "channel_id": str(self.channel.id),
            "guild_id": str(guild.id) if guild else None,
            "name": self.name,
            "avatar": None,
            "token": self.token,
            "application_id": None,
        }


class Role:
    """A role; its position is its place in `guild.roles`."""

    def __init__(self, guild: Guild, id: int, name: str, permissions: int, *, bot_id: int | None = None) -> None:
        self.guild, self.id, self.name, self.permissions, self.bot_id = guild, id, name, permissions, bot_id

    @property
    def position(self) -> int:
        return self.guild.roles.index(self)

    @property
    def mention(self) -> str:
        return f"<@&{self.id}>"

    def payload(self) -> Json:
        colors = {"primary_color": 0, "secondary_color": None, "tertiary_color": None}
        role = {
            "id": str(self.id),
            "name": self.name,
            "color": 0,
            "colors": colors,
            "hoist": False,
            "icon": None,
            "unicode_emoji": None,
            "position": self.position,
            "permissions": str(self.permissions),
            "managed": self.bot_id is not None,
            "mentionable": False,
            "flags": 0,
        }
        return role if self.bot_id is None else role | {"tags": {"bot_id": str(self.bot_id)}}

    def change(self, *, name: str | None = None, permissions: perms.Given | None = None) -> None:
        """GUILD_ROLE_UPDATE with a new name or new permissions."""
        self.name = self.name if name is None else name
        self.permissions = self.permissions if permissions is None else perms.bits(permissions)
        self.guild.role_event("GUILD_ROLE_UPDATE", self)

    def allow(self, permissions: perms.Given) -> None:
        """Give these permissions in addition."""
        self.change(permissions=self.permissions | perms.bits(permissions))

    def deny(self, permissions: perms.Given) -> None:
        """Take these permissions away."""
        self.change(permissions=self.permissions & ~perms.bits(permissions))

    def remove(self) -> None:
        """GUILD_ROLE_DELETE; members lose it."""
        self.guild.roles.remove(self)
        for member in self.guild.members.values():
            if self in member.roles:
                member.roles.remove(self)
        self.guild.changed()
        data = {"guild_id": str(self.guild.id), "role_id": str(self.id)}
        self.guild.world.dispatch("GUILD_ROLE_DELETE", data, guild=self.guild, intent=GUILDS)


class Member:
    """A user in one guild."""

    def __init__(self, guild: Guild, user: User, roles: list[Role], nick: str | None, joined_at: datetime) -> None:
        self.guild, self.user, self.roles, self.nick, self.joined_at = guild, user, roles, nick, joined_at
        self.communication_disabled_until: datetime | None = None

    @property
    def id(self) -> int:
        return self.user.id

    @property
    def mention(self) -> str:
        return self.user.mention

    @property
    def timed_out(self) -> bool:
        return self.communication_disabled_until is not None and self.communication_disabled_until > now()

    @property
    def rank(self) -> tuple[bool, int, int]:
        """Larger is higher: the owner, then the highest role, then (among equals) the older role id."""
        top = max(self.roles, key=lambda role: role.position, default=self.guild.everyone)
        return self.id == self.guild.owner.id, top.position, -top.id

    def permissions(self, channel: Channel | None = None) -> int:
        """What this member may do in the channel, or in the guild as a whole."""
        return self.guild.permissions(self, channel)

    def partial(self) -> Json:
        """As it rides along with a message: without the user."""
        until = self.communication_disabled_until
        return {
            "roles": [str(role.id) for role in self.roles],
            "nick": self.nick,
            "avatar": None,
            "joined_at": self.joined_at.isoformat(),
            "premium_since": None,
            "pending": False,
            "deaf": False,
            "mute": False,
            "flags": 0,
            "communication_disabled_until": until.isoformat() if until else None,
        }

    def payload(self) -> Json:
        return self.partial() | {"user": self.user.payload()}

    def change(self, **fields: Any) -> None:
        """GUILD_MEMBER_UPDATE with new `nick`, `roles` or `communication_disabled_until`."""
        for name, value in fields.items():
            if name not in ("nick", "roles", "communication_disabled_until"):
                raise TypeError(name)
            setattr(self, name, list(value) if name == "roles" else value)
        self.guild.changed()
        intent = 0 if self.user is self.guild.world.bot else GUILD_MEMBERS
        data = self.payload() | {"guild_id": str(self.guild.id)}
        self.guild.world.dispatch("GUILD_MEMBER_UPDATE", data, guild=self.guild, intent=intent)


Person = User | Member
Author = User | Member | Webhook
