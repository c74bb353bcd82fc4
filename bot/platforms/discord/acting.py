"""Our actions as Discord's calls, with Discord's limits checked before the call and its errors in our family."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta

import aiohttp
import discord
import structlog

from bot.actions import Action, Ban, Delete, Kick, Timeout, Warn
from bot.breaker import Breaker
from bot.events import Author, Kind, MessageKey
from bot.language import say
from bot.notices import Notice
from bot.platforms.base import Gone, MissingPermission, NotConnected, RateLimited, Unreachable
from bot.platforms.discord.events import PLATFORM, channel_of, guild_of, message_of, named, titled
from bot.platforms.discord.inert import inline
from bot.platforms.discord.rights import missing_right, right_for
from bot.platforms.grouping import Grouping
from bot.setup import Setup
from bot.store.lifts import Lift, Lifts

BULK = 100
BULK_WITHIN = timedelta(days=14) - timedelta(minutes=5)
"""Discord deletes at most 100 messages in one call, none older than 14 days."""
ANSWER_WITHIN_S = 30.0
DM_CLOSED = 50007
NO_ACCESS = {50001, 50013}

log = structlog.get_logger()
Deletable = discord.TextChannel | discord.VoiceChannel | discord.StageChannel | discord.Thread


class Acting:
    """Performs actions. `connected` gives the client of the moment, None while there is none; `setup_of` a community's
    set-up."""

    def __init__(
        self,
        connected: Callable[[], discord.Client | None],
        setup_of: Callable[[str], Awaitable[Setup]],
        lifts: Lifts,
        breaker: Breaker,
    ) -> None:
        self._connected = connected
        self._setup_of = setup_of
        self._lifts = lifts
        self._breaker = breaker
        self._young: Grouping[int] = Grouping(BULK)
        self._old: Grouping[int] = Grouping(1)

    async def perform(self, action: Action, key: MessageKey, author: Author) -> None:
        """Raises `Gone`, `MissingPermission`, `RateLimited` or `Unreachable`. Doing it twice looks like once."""
        client, guild = self._guild(key)
        setup = await self._setup_of(key.community)
        reason = say(setup.language, "reason-action", message=key.message)
        async with refusals(guild, right_for(action), channel_of(key.room)):
            match action:
                case Delete():
                    await self._delete(client, guild, key, reason)
                case Warn():
                    await self._warn(guild, key, author, setup)
                case Timeout(minutes=minutes):
                    member = await self._member(guild, author, "moderate_members")
                    if member.guild_permissions.administrator:
                        raise MissingPermission(Notice("missing-immune"))
                    await member.timeout(timedelta(minutes=minutes), reason=reason)
                case Kick():
                    await (await self._member(guild, author, "kick_members")).kick(reason=reason)
                case Ban(hours=hours):
                    with contextlib.suppress(discord.NotFound):  # who has left can be banned as well
                        await self._member(guild, author, "ban_members")
                    if hours is None:
                        await self._lifts.forget(PLATFORM, key.community, author.id)
                    else:  # planned first: a crash in between must not leave a ban for good
                        due = datetime.now(UTC) + timedelta(hours=hours)
                        await self._lifts.plan(Lift(PLATFORM, key.community, author.id, due))
                    await guild.ban(discord.Object(int(author.id)), reason=reason, delete_message_seconds=0)
                case _:
                    pass

    async def undo(self, action: Action, key: MessageKey, author: Author) -> bool:
        """Lifts a timeout or a ban, gives a nickname back; a deleted message cannot be brought back by anybody."""
        _, guild = self._guild(key)
        setup = await self._setup_of(key.community)
        reason = say(setup.language, "reason-undo")
        async with refusals(guild, right_for(action), channel_of(key.room)):
            match action:
                case Timeout():
                    await (await self._member(guild, author, "moderate_members")).timeout(None, reason=reason)
                case Ban():
                    with contextlib.suppress(discord.NotFound):  # there is none, or none any more
                        await guild.unban(discord.Object(int(author.id)), reason=reason)
                    await self._lifts.forget(PLATFORM, key.community, author.id)
                case Delete() if named(key) is not None:
                    member = await self._member(guild, author, "manage_nicknames")
                    await member.edit(nick=author.name[:32], reason=reason)
                case _:
                    return False
        return True

    async def lift(self, lift: Lift) -> None:
        """A ban of ours is over; one that somebody else has put on since then stays. Raises `MissingPermission`,
        `RateLimited` or `Unreachable`."""
        key, member = MessageKey(PLATFORM, lift.community, "", ""), discord.Object(int(lift.member))
        with contextlib.suppress(Gone):
            _, guild = self._guild(key)
            reason = say((await self._setup_of(lift.community)).language, "reason-lift")
            async with refusals(guild, "ban_members", 0):
                ban = await guild.fetch_ban(member)
                if (ban.reason or "").startswith("Domovoi:"):
                    await guild.unban(member, reason=reason)
        await self._lifts.forget(PLATFORM, lift.community, lift.member)

    def _guild(self, key: MessageKey) -> tuple[discord.Client, discord.Guild]:
        self._breaker.check()
        client = self._connected()
        if client is None or not client.is_ready():
            raise NotConnected("not connected to Discord")
        guild = client.get_guild(guild_of(key.community))
        if guild is None:
            raise Gone(key.community)
        if guild.unavailable:
            raise NotConnected("the server is unavailable at the moment")
        return client, guild

    async def _member(self, guild: discord.Guild, author: Author, right: str) -> discord.Member:
        """The author, if the bot may act on them at all; raises `Gone` and `MissingPermission`."""
        if not getattr(guild.me.guild_permissions, right):
            raise MissingPermission(missing_right(guild, right))
        member = guild.get_member(int(author.id)) or await guild.fetch_member(int(author.id))
        if member.id == guild.owner_id:
            raise MissingPermission(Notice("missing-immune"))
        if member.top_role >= guild.me.top_role:
            role = guild.self_role.name if guild.self_role else guild.me.top_role.name
            raise MissingPermission(Notice("missing-order", {"fix": Notice("fix-order", {"role": inline(role)})}))
        return member

    async def _delete(self, client: discord.Client, guild: discord.Guild, key: MessageKey, reason: str) -> None:
        if (user := named(key)) is not None:
            member = guild.get_member(user) or await guild.fetch_member(user)
            if member.nick is None:
                raise MissingPermission(Notice("missing-name"))
            await (await self._member(guild, Author(str(user), ""), "manage_nicknames")).edit(nick=None, reason=reason)
            return
        channel = guild.get_channel_or_thread(channel_of(key.room))
        if channel is None:
            channel = await guild.fetch_channel(channel_of(key.room))
        if titled(key) is not None and isinstance(channel, discord.Thread):
            name = say((await self._setup_of(key.community)).language, "title-removed")
            await channel.edit(name=name, reason=reason)
            return
        message = message_of(key)
        if message is None or not isinstance(channel, Deletable):
            raise Gone(key.message)
        if not channel.permissions_for(guild.me).manage_messages:
            raise MissingPermission(missing_right(guild, "manage_messages", channel.id))

        async def delete(numbers: list[int]) -> None:
            self._breaker.check()  # a call for many that fails is tried one by one, as long as not too much was refused
            if len(numbers) == 1:
                await client.http.delete_message(channel.id, numbers[0], reason=reason)
            else:
                await channel.delete_messages([discord.Object(number) for number in numbers], reason=reason)

        young = discord.utils.snowflake_time(message) > datetime.now(UTC) - BULK_WITHIN
        await (self._young if young else self._old).do(str(channel.id), message, delete)

    async def _warn(self, guild: discord.Guild, key: MessageKey, author: Author, setup: Setup) -> None:
        """In private, or in the room where that is wished or the author takes no private messages. Nobody is warned
        about a name."""
        if key.kind is not Kind.MESSAGE:
            raise Gone(key.message)
        room, user = f"<#{channel_of(key.room)}>", int(author.id)
        nonce = f"warn-{key.message}"[:25]
        if setup.warn == "dm":
            text = say(setup.language, "warn-author", room=room, server=inline(guild.name))
            try:
                member = guild.get_member(user) or await guild.fetch_member(user)
                await member.send(text, nonce=nonce, allowed_mentions=discord.AllowedMentions.none())
                return
            except discord.Forbidden as error:
                if error.code != DM_CLOSED:
                    raise
        channel = guild.get_channel_or_thread(channel_of(key.room))
        if not isinstance(channel, Deletable):
            raise Gone(key.room)
        text = say(setup.language, "warn-author-here", author=f"<@{user}>")
        only = discord.AllowedMentions(everyone=False, roles=False, users=[discord.Object(user)])
        await channel.send(text, nonce=nonce, allowed_mentions=only)


@contextlib.asynccontextmanager
async def refusals(guild: discord.Guild | None, right: str | None, channel: int) -> AsyncIterator[None]:
    """Discord's errors as ours; a call that takes longer than `ANSWER_WITHIN_S` counts as unanswered."""
    try:
        async with asyncio.timeout(ANSWER_WITHIN_S):
            yield
    except discord.NotFound as error:
        raise Gone(str(error.code)) from error
    except discord.Forbidden as error:
        if guild is not None and error.code in NO_ACCESS and right is not None:
            raise MissingPermission(missing_right(guild, right, channel)) from error
        raise MissingPermission(Notice("missing-refused", {"code": error.code, "text": error.text})) from error
    except discord.RateLimited as error:
        raise RateLimited(error.retry_after) from error
    except discord.HTTPException as error:
        if error.status == 429:
            raise RateLimited(5.0) from error
        if error.status >= 500:
            raise Unreachable(f"Discord answers {error.status}") from error
        raise MissingPermission(Notice("missing-refused", {"code": error.code, "text": error.text})) from error
    except (TimeoutError, OSError, aiohttp.ClientError) as error:
        raise Unreachable(f"Discord does not answer ({type(error).__name__})") from error
