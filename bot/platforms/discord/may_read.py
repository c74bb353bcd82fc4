"""Whether a member of a server may read what was written in one of its rooms."""

import discord

from bot.domain.event import EXAMPLES, MessageKey
from bot.domain.platform import Gone, MissingPermission, PlatformError, RateLimited, Unreachable
from bot.platforms.discord.actions import refusals
from bot.platforms.discord.events import NAMES, PLATFORM, channel_of, community_of

Readable = discord.TextChannel | discord.Thread | discord.VoiceChannel | discord.StageChannel


async def can_see_channel(guild: discord.Guild, member: discord.Member, channel: Readable) -> bool:
    """Says whether a member can read in a channel. A private thread is read by its members and by members who manage
    threads."""
    try:
        permissions = channel.permissions_for(member)
    except discord.ClientException:  # a thread in a channel that I do not see
        return False
    if not (permissions.view_channel and permissions.read_message_history):
        return False
    if isinstance(channel, discord.Thread) and channel.is_private() and not permissions.manage_threads:
        try:
            async with refusals(guild, "view_channel", channel.id):
                await channel.fetch_member(member.id)
        except PlatformError:
            return False
    return True


async def may_read(guild: discord.Guild, member: discord.Member, key: MessageKey) -> bool:
    """Says whether a moderator may read a text from this room. Names and typed examples are for all moderators. A room
    that is gone has no list of readers, so it takes a member who can read every room. Texts of another platform are not
    shown."""
    if key.platform != PLATFORM or key.community != community_of(guild.id):
        return False
    if key.room in (NAMES, EXAMPLES):
        return True
    number = channel_of(key.room)
    channel = guild.get_channel_or_thread(number)
    if channel is None:  # gone, or a thread that is archived
        try:
            async with refusals(guild, "view_channel", number):
                channel = await guild.fetch_channel(number)
        except Gone:
            return _sees_all(guild, member, key.room)
        except (MissingPermission, RateLimited, Unreachable):
            return False
    if isinstance(channel, Readable):
        return await can_see_channel(guild, member, channel)
    return channel.permissions_for(member).view_channel


def _sees_all(guild: discord.Guild, member: discord.Member, room: str) -> bool:
    """Whether nothing is hidden from a member: on the server, or in the channel whose thread is gone."""
    if member.guild_permissions.administrator:
        return True
    parent, _, thread = room.rpartition("/")
    channel = guild.get_channel(int(parent)) if thread and parent.isdecimal() else None
    if channel is None:
        return False
    permissions = channel.permissions_for(member)
    return permissions.view_channel and permissions.read_message_history and permissions.manage_threads
