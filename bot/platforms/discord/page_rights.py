"""Asks Discord for the page what an account may do on a server; a click would bring the rights along."""

import discord

from bot.domain.event import MessageKey
from bot.domain.platform import Gone, MissingPermission, NotConnected, RateLimited, Unreachable
from bot.domain.role import STRANGER, Role, Standing
from bot.platforms.discord.actions import refusals
from bot.platforms.discord.bot import DiscordBot
from bot.platforms.discord.may_read import may_read
from bot.platforms.discord.who_may import Level, level_of, rights_beyond, rights_beyond_undo

ROLES = {Level.MANAGER: Role.OWNER, Level.MODERATOR: Role.MODERATOR}


async def standing(bot: DiscordBot, community: str, person: int) -> Standing:
    """Returns the standing of an account. An account that may only look into the audit log is a viewer. Raises
    `Unreachable`."""
    if (guild_and_member := await _member(bot, community, person)) is None:
        return STRANGER
    _, member = guild_and_member
    may, setup = member.guild_permissions, await bot.setup(community)
    role = ROLES.get(level_of(may, member, setup), Role.VIEWER if may.view_audit_log else Role.NOBODY)
    return Standing(
        role, lambda policy: rights_beyond(member, policy), lambda case: rights_beyond_undo(member, case, setup)
    )


async def may_read_message(bot: DiscordBot, key: MessageKey, person: int) -> bool:
    """Raises `Unreachable`."""
    guild_and_member = await _member(bot, key.community, person)
    return guild_and_member is not None and await may_read(*guild_and_member, key)


async def _member(bot: DiscordBot, community: str, person: int) -> tuple[discord.Guild, discord.Member] | None:
    """Returns the member; None for an account that is not on the server, or where the bot is not."""
    if bot.client is None:
        raise NotConnected("not connected to Discord")
    try:
        guild = bot.guild(community)
    except ValueError:
        guild = None
    if guild is None:
        return None
    try:
        async with refusals(guild, None, 0):
            return guild, await guild.fetch_member(person)
    except Gone:
        return None
    except (MissingPermission, RateLimited) as error:
        raise Unreachable(str(error)) from error
