"""Which rights the bot needs on a server, and which of them it lacks where."""

from collections.abc import Iterator
from dataclasses import dataclass

import discord

from bot.domain.action import Action, Ban, Delete, Kick, Timeout
from bot.domain.notice import Notice
from bot.domain.policy import Policy
from bot.domain.setup import Setup
from bot.platforms.discord.inert_markdown import inline

READING = ("view_channel", "read_message_history")
SHOWING = ("view_channel", "send_messages", "embed_links", "read_message_history")
NEEDED = (
    *READING,
    "send_messages",
    "send_messages_in_threads",
    "embed_links",
    "manage_messages",
    "moderate_members",
    "kick_members",
    "ban_members",
    "manage_nicknames",
    "manage_threads",
)
"""The rights that the invite link asks for: to read, to show cards, and to do what a policy may name."""
CHANNEL_RIGHTS = frozenset({*READING, "manage_messages", "manage_threads"})
Readable = discord.TextChannel | discord.VoiceChannel | discord.StageChannel | discord.ForumChannel


@dataclass(frozen=True, slots=True)
class Missing:
    """A right that the bot lacks; `channel` is 0 where it lacks it on the whole server."""

    right: str
    channel: int
    why: Notice


def permissions() -> discord.Permissions:
    """Exactly what is needed."""
    return discord.Permissions(**dict.fromkeys(NEEDED, True))


def invite(application: int) -> str:
    """The link that adds the bot to a server with exactly these rights."""
    return discord.utils.oauth_url(application, permissions=permissions(), scopes=("bot", "applications.commands"))


def right_for(action: Action) -> str | None:
    """The right an action takes."""
    match action:
        case Delete():
            return "manage_messages"
        case Timeout():
            return "moderate_members"
        case Kick():
            return "kick_members"
        case Ban():
            return "ban_members"
        case _:
            return None


def missing_right(guild: discord.Guild, right: str, channel: int = 0) -> Notice:
    """Names the missing right and where to turn it on, in one sentence."""
    role = inline(guild.self_role.name if guild.self_role else guild.me.display_name)
    name = Notice(f"right-{right}")
    fix = Notice("fix-channel" if channel else "fix-role", {"role": role, "right": name})
    place = Notice("missing-where", {"channel": f"<#{channel}>"}) if channel else Notice("missing-where-server")
    return Notice("missing-right", {"right": name, "where": place, "fix": fix})


def in_use(policy: Policy) -> frozenset[str]:
    """The rights that this policy's actions take."""
    wanted: list[Action] = [*policy.hate.build(), *policy.offensive.build()]
    if policy.strikes.timeout_at is not None:
        wanted.append(Timeout(1))
    if policy.strikes.ban_at is not None:
        wanted.append(Ban())
    return frozenset(right for action in wanted if (right := right_for(action)) is not None)


def self_check(guild: discord.Guild, setup: Setup, policy: Policy) -> list[Missing]:
    """Lists each missing right once: for the whole server, else for the channels that take it away."""
    return list(_missing(guild, setup, policy))


def shows_cards(guild: discord.Guild, setup: Setup) -> bool:
    """Whether a channel for cards was chosen and is still there."""
    return bool(setup.alert_room) and guild.get_channel_or_thread(int(setup.alert_room)) is not None


def readable(guild: discord.Guild) -> list[Readable]:
    """Channels in which members write, forums included."""
    return [channel for channel in guild.channels if isinstance(channel, Readable)]


def _missing(guild: discord.Guild, setup: Setup, policy: Policy) -> Iterator[Missing]:
    own_rights, acting = guild.me.guild_permissions, in_use(policy)
    wanted = [right for right in NEEDED if right in READING or right in acting]
    lacking = {right for right in wanted if not getattr(own_rights, right)}
    for right in wanted:
        if right in lacking:
            yield Missing(right, 0, missing_right(guild, right))
    alerts = guild.get_channel_or_thread(int(setup.alert_room)) if setup.alert_room else None
    for channel in readable(guild):
        if str(channel.id) in policy.exempt_rooms or str(channel.category_id) in policy.exempt_rooms:
            continue
        here = channel.permissions_for(guild.me)
        rights = [right for right in wanted if right in CHANNEL_RIGHTS and right not in lacking]
        missing = [right for right in rights if not getattr(here, right)]
        for right in missing[:1] if "view_channel" in missing else missing:
            yield Missing(right, channel.id, missing_right(guild, right, channel.id))
    if alerts is not None:
        here = alerts.permissions_for(guild.me)
        for right in SHOWING:
            if not getattr(here, right) and (right not in READING or str(alerts.id) in policy.exempt_rooms):
                yield Missing(right, alerts.id, missing_right(guild, right, alerts.id))
