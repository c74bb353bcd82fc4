"""What the simulated Discord remembers, third part: guilds, and what everybody may do in them."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from . import discord_permissions as perms
from .discord_channels import Channel, Thread
from .discord_state import (
    GUILD_MEMBERS,
    GUILD_MODERATION,
    GUILDS,
    KINDS,
    Json,
    Member,
    Person,
    Role,
    User,
    World,
    now,
)


class Guild:
    """A server full of people. `guild.bot_member` is None while the bot is not in it."""

    def __init__(self, world: World, id: int, name: str, owner: User) -> None:
        self.world, self.id, self.name, self.owner = world, id, name, owner
        self.locale = "en-US"
        self.roles = [Role(self, id, "@everyone", perms.EVERYONE)]
        self.channels: dict[int, Channel] = {}
        self.threads: dict[int, Thread] = {}
        self.occasions: dict[str, Json] = {}
        self.members: dict[int, Member] = {}
        self.bans: dict[int, tuple[User, str | None]] = {}
        self.audit: list[Json] = []  # newest last
        self.unavailable = False
        self.version = 0

    @property
    def everyone(self) -> Role:
        return self.roles[0]

    @property
    def bot_member(self) -> Member | None:
        return self.members.get(self.world.bot.id)

    @property
    def bot_role(self) -> Role:
        """The managed role that came with the bot."""
        return next(role for role in self.roles if role.bot_id == self.world.bot.id)

    def changed(self) -> None:
        """Something that permissions depend on is different now."""
        self.version += 1

    def role_event(self, event: str, role: Role) -> None:
        self.changed()
        data = {"guild_id": str(self.id), "role": role.payload()}
        self.world.dispatch(event, data, guild=self, intent=GUILDS)

    def add_role(
        self,
        name: str,
        permissions: perms.Given = 0,
        *,
        above_bot: bool = False,
        position: int | None = None,
        bot_id: int | None = None,
    ) -> Role:
        """A new role at the bottom, as Discord puts it; `above_bot` puts it at the top, out of the bot's reach."""
        role = Role(self, self.world.snowflake(), name, perms.bits(permissions), bot_id=bot_id)
        at = position if position is not None else len(self.roles) if above_bot else 1
        self.roles.insert(at, role)
        self.role_event("GUILD_ROLE_CREATE", role)
        for moved in self.roles[at + 1 :]:
            self.role_event("GUILD_ROLE_UPDATE", moved)
        return role

    def add_channel(self, name: str, kind: str = "text", *, parent: Channel | None = None) -> Channel:
        """A new channel (CHANNEL_CREATE): text, news, forum, category, voice or stage."""
        channel = Channel(self.world, self.world.snowflake(), name, KINDS[kind])
        channel.guild, channel.parent, channel.position = self, parent, len(self.channels)
        if parent is not None:
            channel.overwrites = dict(parent.overwrites)
        self.channels[channel.id] = channel
        self.world.dispatch("CHANNEL_CREATE", channel.payload(), guild=self, intent=GUILDS)
        return channel

    def add_member(
        self,
        user: Person | str,
        roles: Iterable[Role] = (),
        *,
        nick: str | None = None,
        joined_at: datetime | None = None,
    ) -> Member:
        """Somebody joins (GUILD_MEMBER_ADD); a name makes a new user."""
        if isinstance(user, str):
            user = self.world.add_user(user)
        account = user.user if isinstance(user, Member) else user
        member = self.members[account.id] = Member(self, account, list(roles), nick, joined_at or now())
        data = member.payload() | {"guild_id": str(self.id)}
        self.world.dispatch("GUILD_MEMBER_ADD", data, guild=self, intent=GUILD_MEMBERS)
        return member

    def remove_member(self, person: Person) -> None:
        """Somebody leaves (GUILD_MEMBER_REMOVE). For the bot itself see `server.removes_bot`."""
        member = self.members.pop(person.id)
        data = {"guild_id": str(self.id), "user": member.user.payload()}
        self.world.dispatch("GUILD_MEMBER_REMOVE", data, guild=self, intent=GUILD_MEMBERS)

    def ban(self, user: User, reason: str | None = None) -> None:
        """GUILD_BAN_ADD, and GUILD_MEMBER_REMOVE when they were here."""
        self.bans[user.id] = (user, reason)
        data = {"guild_id": str(self.id), "user": user.payload()}
        self.world.dispatch("GUILD_BAN_ADD", data, guild=self, intent=GUILD_MODERATION)
        if user.id in self.members:
            self.remove_member(user)

    def unban(self, user: User) -> None:
        """GUILD_BAN_REMOVE."""
        del self.bans[user.id]
        data = {"guild_id": str(self.id), "user": user.payload()}
        self.world.dispatch("GUILD_BAN_REMOVE", data, guild=self, intent=GUILD_MODERATION)

    def log(
        self,
        action: int,
        by: User,
        target: int | None,
        *,
        reason: str | None = None,
        changes: list[Json] | None = None,
        options: Json | None = None,
    ) -> Json:
        """An audit log entry (20 kick, 22 ban, 23 unban, 24 member update, 28 bot added, 72/73 messages deleted)."""
        entry: Json = {
            "id": str(self.world.snowflake()),
            "user_id": str(by.id),
            "target_id": str(target) if target else None,
            "action_type": action,
        }
        entry |= {
            key: value for key, value in (("reason", reason), ("changes", changes), ("options", options)) if value
        }
        self.audit.append(entry)
        bot = self.bot_member
        if bot is not None and bot.permissions() & perms.BIT["view_audit_log"]:
            data = entry | {"guild_id": str(self.id)}
            self.world.dispatch("GUILD_AUDIT_LOG_ENTRY_CREATE", data, guild=self, intent=GUILD_MODERATION)
        return entry

    def permissions(self, member: Member, channel: Channel | None = None) -> int:
        """Base permissions, then the overwrites for @everyone, for roles together, for the member; then time-out."""
        if member.id == self.owner.id:
            return perms.ALL
        value = self.everyone.permissions
        for role in member.roles:
            value |= role.permissions
        if value & perms.ADMIN:
            return perms.ALL
        if channel is not None:
            holder = channel.parent if channel.is_thread and channel.parent else channel
            none = (0, 0, 0)
            _, allow, deny = holder.overwrites.get(self.id, none)
            value = value & ~deny | allow
            entries = [holder.overwrites.get(role.id, none) for role in member.roles]
            for _, _, deny in entries:
                value &= ~deny
            for _, allow, _ in entries:
                value |= allow
            _, allow, deny = holder.overwrites.get(member.id, none)
            value = value & ~deny | allow
        if member.timed_out:
            value &= perms.TIMED_OUT_MAY
        if channel is not None:
            if not value & perms.BIT["send_messages_in_threads" if channel.is_thread else "send_messages"]:
                value &= ~perms.NEEDS_SEND
            if not value & perms.VIEW:
                value &= perms.GUILD_WIDE
        return value

    def sees(self, member: Member, channel: Channel) -> bool:
        """Whether this member can see the channel; a private thread only from inside, or with manage_threads."""
        value = member.permissions(channel)
        if isinstance(channel, Thread) and channel.kind == 12 and member.id not in channel.member_ids:
            return bool(value & perms.VIEW and value & perms.BIT["manage_threads"])
        return bool(value & perms.VIEW)

    def summary(self) -> Json:
        """GET /guilds/{id}: without members and channels."""
        return {
            "id": str(self.id),
            "name": self.name,
            "icon": None,
            "splash": None,
            "discovery_splash": None,
            "owner_id": str(self.owner.id),
            "afk_channel_id": None,
            "afk_timeout": 300,
            "verification_level": 1,
            "default_message_notifications": 1,
            "explicit_content_filter": 0,
            "roles": [role.payload() for role in self.roles],
            "emojis": [],
            "stickers": [],
            "features": [],
            "mfa_level": 0,
            "nsfw_level": 0,
            "application_id": None,
            "system_channel_id": None,
            "system_channel_flags": 0,
            "rules_channel_id": None,
            "public_updates_channel_id": None,
            "vanity_url_code": None,
            "description": None,
            "banner": None,
            "premium_tier": 0,
            "premium_subscription_count": 0,
            "preferred_locale": self.locale,
            "max_members": 500000,
            "region": "",
        }

    def payload(self, *, members: bool) -> Json:
        """GUILD_CREATE: everything; of the members only the bot unless `members`."""
        bot = self.bot_member
        assert bot is not None
        shown = list(self.members.values()) if members else [bot]
        return self.summary() | {
            "joined_at": bot.joined_at.isoformat(),
            "large": len(self.members) > 250,
            "member_count": len(self.members),
            "members": [member.payload() for member in shown],
            "channels": [channel.payload() for channel in self.channels.values()],
            "threads": [t.payload() for t in self.threads.values() if not t.archived and self.sees(bot, t)],
            "presences": [],
            "voice_states": [],
            "stage_instances": [],
            "guild_scheduled_events": list(self.occasions.values()),
            "soundboard_sounds": [],
        }
