"""Our actions as Discord's calls, with Discord's limits checked before the call and its errors in our family."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta

import aiohttp
import discord
import structlog

from bot.domain.action import Action, Ban, Delete, Kick, Timeout, Warn
from bot.domain.event import Author, Kind, MessageKey
from bot.domain.notice import Notice
from bot.domain.platform import Gone, MissingPermission, NotConnected, RateLimited, Unreachable, Unreadable
from bot.domain.restriction import NOTHING, Restriction, Unchanged
from bot.domain.setup import Setup
from bot.pipeline.circuit_breaker import CircuitBreaker
from bot.platforms.bulk_calls import BulkCalls
from bot.platforms.discord.events import (
    PLATFORM,
    channel_of,
    guild_of,
    message_of,
    name_revision,
    named_member,
    titled_thread,
)
from bot.platforms.discord.inert_markdown import inline
from bot.platforms.discord.rights import missing_right, right_for
from bot.platforms.restriction_calls import Address, RestrictionCalls, end_of
from bot.platforms.unreadable_answers import read_by
from bot.store.restrictions import Restrictions
from bot.store.timed_bans import TimedBan, TimedBans
from bot.text.language import say

BULK = 100
BULK_WITHIN = timedelta(days=14) - timedelta(minutes=5)
"""Discord deletes at most 100 messages in one call, none older than 14 days."""
ANSWER_WITHIN_S = 30.0
DM_CLOSED = 50007
NO_ACCESS = {50001, 50013}

log = structlog.get_logger()
Deletable = discord.TextChannel | discord.VoiceChannel | discord.StageChannel | discord.Thread


class ActionCalls:
    """Performs actions. `connected` returns the current client, or None; `setup_of` returns a community's set-up."""

    def __init__(
        self,
        connected: Callable[[], discord.Client | None],
        setup_of: Callable[[str], Awaitable[Setup]],
        lifts: TimedBans,
        restrictions: Restrictions,
        circuit_breaker: CircuitBreaker,
    ) -> None:
        self._connected = connected
        self._setup_of = setup_of
        self._lifts = lifts
        self._restricting = RestrictionCalls(PLATFORM, restrictions, lifts)
        self._circuit_breaker = circuit_breaker
        self._young: BulkCalls[int] = BulkCalls(BULK)
        self._old: BulkCalls[int] = BulkCalls(1)

    async def perform(self, action: Action, key: MessageKey, author: Author) -> Unchanged | None:
        """See `Platform`. Raises `Gone`, `MissingPermission`, `RateLimited` or `Unreachable`."""
        client, guild = self._guild(key)
        setup = await self._setup_of(key.community)
        reason = say(setup.language, "reason-action", message=key.message)
        async with self._turn(action, key, author), refusals(guild, right_for(action), channel_of(key.room)):
            self._circuit_breaker.check()  # again: its turn may have come late
            match action:
                case Delete() if named_member(key) is not None:
                    await self._reset_name(guild, key, author, reason)
                case Delete():
                    await self._delete(client, guild, key, reason)
                case Warn(messages=messages):
                    await self._warn(guild, key, author, setup, messages)
                case Timeout() | Ban():
                    return await self._restrict(guild, action, key, author, reason)
                case Kick():
                    return await self._kick(guild, key, author, reason)
                case _:
                    pass
        return None

    async def undo(self, action: Action, key: MessageKey, author: Author) -> bool | Unchanged:
        """Lifts a timeout or a ban that the bot has set, and restores a nickname that it has reset. A deleted message
        cannot be restored."""
        _, guild = self._guild(key)
        setup = await self._setup_of(key.community)
        reason = say(setup.language, "reason-undo")
        async with self._turn(action, key, author), refusals(guild, right_for(action), channel_of(key.room)):
            self._circuit_breaker.check()  # again: its turn may have come late
            match action:
                case Timeout() | Ban():
                    member = RestrictedMember(self, guild, author, action, reason)
                    return await self._restricting.release(about(action, key, author), member)
                case Delete() if named_member(key) is not None:
                    return await self._give_name_back(guild, key, author, reason)
                case _:
                    return False

    async def lift(self, lift: TimedBan) -> None:
        """Ends a ban that the bot has set and that is over. A later ban by a person stays. Raises `MissingPermission`,
        `RateLimited` or `Unreachable`."""
        key, author = MessageKey(PLATFORM, lift.community, "", ""), Author(lift.member, "")

        def is_own(standing: Restriction) -> bool:
            return standing.kind == "ban" and standing.mark.startswith("Domovoi:")

        async with self._restricting.turn(lift.community, lift.member):
            try:
                _, guild = self._guild(key)
                reason = say((await self._setup_of(lift.community)).language, "reason-lift")
                async with refusals(guild, "ban_members", 0):
                    member = RestrictedMember(self, guild, author, Ban(), reason)
                    await self._restricting.end(lift, member, is_own)
            except Gone:
                await self._lifts.forget(PLATFORM, lift.community, lift.member)

    def _turn(self, action: Action, key: MessageKey, author: Author) -> contextlib.AbstractAsyncContextManager[None]:
        """Actions that restrict one member run one after the other; all other actions run at once."""
        if isinstance(action, Timeout | Kick | Ban):
            return self._restricting.turn(key.community, author.id)
        return contextlib.nullcontext()

    async def _kick(self, guild: discord.Guild, key: MessageKey, author: Author, reason: str) -> Unchanged | None:
        """Handles an author who is not on the server: they can only be banned already, or be gone."""
        try:
            await (await self.member(guild, author, "kick_members")).kick(reason=reason)
        except discord.NotFound:
            ban = await RestrictedMember(self, guild, author, Ban(), reason).ban()
            if ban is None:
                raise
            own = await self._restricting.own(key.community, author.id)
            return Unchanged(ban, "bot" if any(one.restriction.is_same(ban) for one in own) else "person")
        return None

    async def _restrict(
        self, guild: discord.Guild, action: Timeout | Ban, key: MessageKey, author: Author, reason: str
    ) -> Unchanged | None:
        match action:
            case Timeout(minutes=minutes):
                wanted = Restriction("timeout", end_of(timedelta(minutes=minutes)))
            case Ban(hours=hours):
                length = timedelta(hours=hours) if hours is not None else None
                wanted = Restriction("ban", end_of(length), reason)
        member = RestrictedMember(self, guild, author, action, reason)
        return await self._restricting.restrict(about(action, key, author), wanted, member)

    def _guild(self, key: MessageKey) -> tuple[discord.Client, discord.Guild]:
        self._circuit_breaker.check()
        client = self._connected()
        if client is None or not client.is_ready():
            raise NotConnected("not connected to Discord")
        guild = client.get_guild(guild_of(key.community))
        if guild is None:
            raise Gone(key.community)
        if guild.unavailable:
            raise NotConnected("the server is unavailable at the moment")
        return client, guild

    async def member(self, guild: discord.Guild, author: Author, right: str) -> discord.Member:
        """Fetches the author, if the bot may act on them; raises `Gone` and `MissingPermission`."""
        if not getattr(guild.me.guild_permissions, right):
            raise MissingPermission(missing_right(guild, right))
        member = await guild.fetch_member(int(author.id))
        if member.id == guild.owner_id:
            raise MissingPermission(Notice("missing-immune"))
        if member.top_role >= guild.me.top_role:
            role = guild.self_role.name if guild.self_role else guild.me.top_role.name
            raise MissingPermission(Notice("missing-order", {"fix": Notice("fix-order", {"role": inline(role)})}))
        return member

    async def _reset_name(self, guild: discord.Guild, key: MessageKey, author: Author, reason: str) -> None:
        """A name that is another one by now is left alone."""
        member = await guild.fetch_member(named_member(key) or 0)
        if member.nick is None and member.display_name == author.name:
            raise MissingPermission(Notice("missing-name"))
        if member.nick != author.name:
            raise Gone(key.message)
        member = await self.member(guild, author, "manage_nicknames")
        await self._restricting.remember(about(Delete(), key, author), Restriction("name"))
        await member.edit(nick=None, reason=reason)

    async def _give_name_back(
        self, guild: discord.Guild, key: MessageKey, author: Author, reason: str
    ) -> bool | Unchanged:
        """A nickname that the bot has reset, unless the member has another one by now."""
        this = about(Delete(), key, author)
        own = await self._restricting.own(this.place, this.member)
        if not any((one.message, one.action) == (this.message, this.action) for one in own):
            return False
        member = await self.member(guild, author, "manage_nicknames")
        await self._restricting.forget(this)
        if member.nick is not None:
            return Unchanged(Restriction("name"))
        await member.edit(nick=author.name[:32], reason=reason)
        return True

    async def _delete(self, client: discord.Client, guild: discord.Guild, key: MessageKey, reason: str) -> None:
        channel = guild.get_channel_or_thread(channel_of(key.room))
        if channel is None or titled_thread(key) is not None:  # a title is looked at as it is now
            channel = await guild.fetch_channel(channel_of(key.room))
        if titled_thread(key) is not None and isinstance(channel, discord.Thread):
            if name_revision(channel.name) != key.revision:
                raise Gone(key.message)  # a person has changed the title
            name = say((await self._setup_of(key.community)).language, "title-removed")
            await channel.edit(name=name, reason=reason)
            return
        message = message_of(key)
        if message is None or not isinstance(channel, Deletable):
            raise Gone(key.message)
        if not channel.permissions_for(guild.me).manage_messages:
            raise MissingPermission(missing_right(guild, "manage_messages", channel.id))

        async def delete(numbers: list[int]) -> None:
            # a call for many that fails is tried one by one, as long as not too much was refused
            self._circuit_breaker.check()
            if len(numbers) == 1:
                await client.http.delete_message(channel.id, numbers[0], reason=reason)
            else:
                await channel.delete_messages([discord.Object(number) for number in numbers], reason=reason)

        young = discord.utils.snowflake_time(message) > datetime.now(UTC) - BULK_WITHIN
        await (self._young if young else self._old).do(str(channel.id), message, delete)

    async def _warn(self, guild: discord.Guild, key: MessageKey, author: Author, setup: Setup, messages: int) -> None:
        """Warns in private, or in the room where the set-up says so or the author takes no private messages. A name
        brings no warning."""
        if key.kind is not Kind.MESSAGE:
            raise Gone(key.message)
        room, user = f"<#{channel_of(key.room)}>", int(author.id)
        nonce = f"warn-{key.message}"[:25]
        if setup.warn == "dm":
            text = say(setup.language, "warn-author", room=room, server=inline(guild.name), messages=messages)
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
        text = say(setup.language, "warn-author-here", author=f"<@{user}>", messages=messages)
        only = discord.AllowedMentions(everyone=False, roles=False, users=[discord.Object(user)])
        await channel.send(text, nonce=nonce, allowed_mentions=only)


class RestrictedMember:
    """See `bot.platforms.restriction_calls.Member`. Discord ends a timeout by itself, and no ban."""

    def __init__(
        self, acting: ActionCalls, guild: discord.Guild, author: Author, action: Timeout | Ban, reason: str
    ) -> None:
        self._action_calls = acting
        self._guild = guild
        self._author = author
        self._action = action
        self._reason = reason
        self._member: discord.Member | None = None

    def ends_by_itself(self, restriction: Restriction) -> bool:
        """A timeout does."""
        return restriction.kind != "ban"

    async def standing(self) -> Restriction:
        """Raises `MissingPermission` for a member on whom the bot may not act, and NotFound for a timeout of a user who
        is neither here nor banned."""
        try:
            self._member = await self._action_calls.member(self._guild, self._author, right_for(self._action) or "")
        except discord.NotFound:
            banned = await self.ban()
            if banned is None and isinstance(self._action, Timeout):
                raise
            return banned or NOTHING
        if isinstance(self._action, Timeout) and self._member.guild_permissions.administrator:
            raise MissingPermission(Notice("missing-immune"))
        until = self._member.timed_out_until
        return Restriction("timeout", until) if until is not None else NOTHING

    async def put(self, restriction: Restriction, instead_of: Restriction) -> None:
        """Discord keeps a timeout and sets it again when the user comes back, so an absent user cannot be timed out."""
        member = discord.Object(int(self._author.id))
        if restriction.kind == "ban":
            if instead_of.kind != "ban":
                await self._guild.ban(member, reason=restriction.mark, delete_message_seconds=0)
            return
        if instead_of.kind == "ban":
            await self._guild.unban(member, reason=self._reason)
        elif self._member is not None:
            await self._member.timeout(restriction.until, reason=self._reason)

    async def ban(self) -> Restriction | None:
        """Returns the ban that stands; None also where the bot may not look."""
        if not self._guild.me.guild_permissions.ban_members:
            return None
        try:
            ban = await self._guild.fetch_ban(discord.Object(int(self._author.id)))
        except discord.NotFound:
            return None
        return Restriction("ban", None, ban.reason or "")


def about(action: Action, key: MessageKey, author: Author) -> Address:
    """Returns the key under which the store keeps what an action sets."""
    return Address(key.community, author.id, key.message, key.revision, action.name)


@contextlib.asynccontextmanager
async def refusals(guild: discord.Guild | None, right: str | None, channel: int) -> AsyncIterator[None]:
    """Turns Discord's errors into ours. A call that takes longer than `ANSWER_WITHIN_S` counts as unanswered."""
    try:
        async with asyncio.timeout(ANSWER_WITHIN_S):
            with read_by("discord", "Discord"):
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
    except discord.InvalidData as error:
        raise Unreadable(f"Discord answers what cannot be read ({error})") from error
    except (TimeoutError, OSError, aiohttp.ClientError) as error:
        raise Unreachable(f"Discord does not answer ({type(error).__name__})") from error
