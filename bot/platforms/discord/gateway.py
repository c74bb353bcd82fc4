"""The connection: discord.py's client, made to survive what the library does not."""

import asyncio
import functools
import time
from collections.abc import Awaitable, Callable
from typing import Any, Protocol

import aiohttp
import discord
import structlog
from discord import app_commands

from bot.platforms.discord.rate_limits import RateLimits
from bot.platforms.discord.raw_events import Json

log = structlog.get_logger()

CANCEL_AGAIN_S = 0.5


class TitleListener(Protocol):
    """Hears of titles: of threads, voice channels and scheduled events."""

    async def opened(self, thread: discord.Thread) -> None:
        """A thread was opened."""
        ...

    async def renamed(self, thread: discord.Thread) -> None:
        """A thread got another title."""
        ...

    async def described(self, guild: discord.Guild, channel: int, status: str) -> None:
        """A voice channel has another status."""
        ...

    async def planned(self, guild: discord.Guild, occasion: Json, *, is_new: bool) -> None:
        """A scheduled event was made or changed."""
        ...


class ClickListener(Protocol):
    """Hears of buttons that were pressed."""

    async def case(self, interaction: discord.Interaction[Any], verb: str, number: int, argument: str) -> None:
        """One of a case's buttons."""
        ...

    async def digest(self, interaction: discord.Interaction[Any], first: int) -> None:
        """A digest's button."""
        ...

    async def resume(self, interaction: discord.Interaction[Any]) -> None:
        """The button of a pause."""
        ...


class Listener(Protocol):
    """Hears what a connection receives; `titles` hears of threads, voice channels and scheduled events."""

    @property
    def titles(self) -> TitleListener:
        """The listener for titles."""
        ...

    async def connected(self, client: "Gateway", *, resumed: bool) -> None:
        """The session stands: for the first time, or again after a loss."""
        ...

    async def disconnected(self) -> None:
        """The socket was lost."""
        ...

    async def written(self, message: discord.Message) -> None:
        """A message was written or edited."""
        ...

    async def called(self, member: discord.Member) -> None:
        """A member got another name."""
        ...

    async def joined(self, guild: discord.Guild) -> None:
        """The bot was added to a server."""
        ...

    async def returned(self, guild: discord.Guild) -> None:
        """A server is there again that was unavailable, at the start or since."""
        ...

    async def changed(self, guild: discord.Guild) -> None:
        """Roles, channels or rights of a server changed."""
        ...

    def skipped(self, event: str, data: Any) -> None:
        """The library could not read an event. Never waits."""
        ...


class Gateway(discord.Client):
    """One connection; after its end a new object is made. It keeps no message cache: edits are read as they come."""

    def __init__(
        self, listener: Listener, *, members_intent: bool, waits: RateLimits | None = None, **options: Any
    ) -> None:
        waits = waits or RateLimits(lambda: None)
        intents = discord.Intents.none()
        intents.guilds = intents.guild_messages = intents.message_content = True
        intents.guild_scheduled_events = True
        intents.members = members_intent
        nobody = discord.AllowedMentions.none()
        super().__init__(
            intents=intents,
            max_messages=None,
            chunk_guilds_at_startup=False,
            allowed_mentions=nobody,
            max_ratelimit_timeout=30.0,
            http_trace=waits.trace(),
            **options,
        )
        self._listener = listener
        self.tree = app_commands.CommandTree(self)
        self.clicks: ClickListener
        self.sound = False
        """Whether the session stands: ready or resumed since the last loss of the socket."""
        self._socket: aiohttp.ClientWebSocketResponse | None = None
        self._open_socket, self.http.ws_connect = self.http.ws_connect, self._opened  # type: ignore[method-assign]
        self.http.request = waits.around(self.http.request)  # type: ignore[assignment, method-assign]
        parsers = self._connection.parsers
        parsers["GUILD_MEMBER_UPDATE"] = self._member_updated
        parsers["VOICE_CHANNEL_STATUS_UPDATE"] = lambda data: self.dispatch("voice_status", data)
        parsers["GUILD_CREATE"] = functools.partial(self._guild_there, parsers["GUILD_CREATE"])
        for event, is_new in (("GUILD_SCHEDULED_EVENT_CREATE", True), ("GUILD_SCHEDULED_EVENT_UPDATE", False)):
            parsers[event] = functools.partial(self._occasion, parsers[event], is_new)
        for event, parse in list(parsers.items()):
            parsers[event] = _survives(event, parse, listener.skipped)

    async def _opened(self, url: str, *, compress: int = 0) -> aiohttp.ClientWebSocketResponse:
        self._socket = await self._open_socket(url, compress=compress)
        return self._socket

    async def close(self) -> None:
        """Also closes a socket that has not said hello yet: the library knows only sockets that did."""
        await super().close()
        if self._socket is not None:
            await self._socket.close()  # does not wait: what it went over is closed already

    async def on_ready(self) -> None:
        """After IDENTIFY: nothing of what happened before is replayed."""
        self.sound = True
        await self._listener.connected(self, resumed=False)

    async def on_resumed(self) -> None:
        """After RESUME: what was missed is replayed, and read once more to be sure."""
        self.sound = True
        await self._listener.connected(self, resumed=True)

    async def on_disconnect(self) -> None:
        """Also comes for every failed try to connect."""
        self.sound = False
        await self._listener.disconnected()

    async def on_message(self, message: discord.Message) -> None:
        """A new one."""
        await self._listener.written(message)

    async def on_raw_message_edit(self, payload: discord.RawMessageUpdateEvent) -> None:
        """An edit, or a link's preview that arrived."""
        await self._listener.written(payload.message)

    async def on_thread_create(self, thread: discord.Thread) -> None:
        """A thread or forum post that its owner opened just now."""
        await self._listener.titles.opened(thread)

    async def on_thread_join(self, thread: discord.Thread) -> None:
        """A thread that the bot can see from now on, perhaps because it was renamed."""
        await self._listener.titles.renamed(thread)

    async def on_raw_thread_update(self, payload: discord.RawThreadUpdateEvent) -> None:
        """Perhaps another title."""
        guild = self.get_guild(payload.guild_id)
        thread = guild.get_thread(payload.thread_id) if guild else None
        if guild is not None and (thread is not None or payload.data.get("name")):
            thread = discord.Thread(guild=guild, state=self._connection, data=payload.data)
            await self._listener.titles.renamed(thread)

    async def on_voice_status(self, data: Json) -> None:
        """A voice channel says something of itself, or nothing any more."""
        guild, status = self.get_guild(int(data["guild_id"])), data.get("status")
        if guild is not None and isinstance(status, str) and status.strip():
            await self._listener.titles.described(guild, int(data["id"]), status)

    async def on_occasion(self, data: Json, is_new: bool) -> None:
        """A scheduled event."""
        if (guild := self.get_guild(int(data["guild_id"]))) is not None:
            await self._listener.titles.planned(guild, data, is_new=is_new)

    async def on_member_join(self, member: discord.Member) -> None:
        """With the members intent only."""
        await self._listener.called(member)

    async def on_member_update(self, _: discord.Member, after: discord.Member) -> None:
        """The bot's own roles, or a nickname."""
        if after.id == after.guild.me.id:
            await self._listener.changed(after.guild)
        else:
            await self._listener.called(after)

    def _member_updated(self, data: Any) -> None:
        """The library reports only members that it has seen before, and it has seen none."""
        guild, number = self.get_guild(int(data["guild_id"])), int(data["user"]["id"])
        was_cached = guild is not None and guild.get_member(number) is not None
        self._connection.parse_guild_member_update(data)
        if guild is not None and not was_cached and (member := guild.get_member(number)) is not None:
            self.dispatch("member_update", member, member)

    def _occasion(self, parse: Callable[[Any], None], is_new: bool, data: Any) -> None:
        """The library keeps only the fields of a scheduled event that it knows; the raw JSON has them all."""
        self.dispatch("occasion", data, is_new)
        parse(data)

    def _guild_there(self, parse: Callable[[Any], None], data: Any) -> None:
        """Scheduled events that were made or changed during an outage come with the server."""
        parse(data)
        for occasion in data.get("guild_scheduled_events") or ():
            self.dispatch("occasion", {"guild_id": data["id"], **occasion}, False)

    async def on_guild_join(self, guild: discord.Guild) -> None:
        """The bot was added."""
        await self._listener.joined(guild)

    async def on_guild_available(self, guild: discord.Guild) -> None:
        """A server is back after an outage of its own: its channels may have gone on meanwhile."""
        if self.is_ready():
            await self._listener.returned(guild)

    async def on_guild_channel_create(self, channel: discord.abc.GuildChannel) -> None:
        """Rights may be missing there."""
        await self._listener.changed(channel.guild)

    async def on_guild_channel_update(self, _: discord.abc.GuildChannel, after: discord.abc.GuildChannel) -> None:
        """Rights may have been taken away."""
        await self._listener.changed(after.guild)

    async def on_guild_channel_delete(self, channel: discord.abc.GuildChannel) -> None:
        """It may have been the one for cards."""
        await self._listener.changed(channel.guild)

    async def on_guild_role_update(self, _: discord.Role, after: discord.Role) -> None:
        """Rights and order may have changed."""
        await self._listener.changed(after.guild)

    async def on_error(self, event: str, /, *args: Any, **kwargs: Any) -> None:
        """A handler failed; the next event is handled as usual."""
        log.exception("event failed", discord_event=event)
        self._listener.skipped(event, None)


async def supervise(
    make: Callable[[], Gateway],
    serve: Callable[[Gateway], Awaitable[None]],
    failed: Callable[[BaseException], float | None],
    *,
    stuck_after_s: float,
    check_every_s: float = 5.0,
    first_wait_s: float = 1.0,
) -> None:
    """Serves one connection after the other until cancelled.

    `serve` runs a client until it ends. `failed` gets the reason and may return how long to wait; otherwise the wait
    doubles from `first_wait_s` to a minute, and starts again after a connection that held. A client without a sound
    session for `stuck_after_s` is taken down, because the library resumes for ever against some failures.
    """
    wait_s = first_wait_s
    while True:
        client, began = make(), time.monotonic()
        error: BaseException = RuntimeError("the connection ended")
        try:
            async with client:
                await _served(client, serve, stuck_after_s, check_every_s)
        except asyncio.CancelledError:
            raise
        except Exception as caught:
            error = caught
        wait_s = first_wait_s if time.monotonic() - began > 60.0 else wait_s
        asked = failed(error)
        await asyncio.sleep(wait_s if asked is None else asked)
        wait_s = min(2 * wait_s, 60.0)


class Stuck(Exception):
    """The session has not been sound for too long, so a new connection is made."""


async def _served(
    client: Gateway, serve: Callable[[Gateway], Awaitable[None]], stuck_after_s: float, check_every_s: float
) -> None:
    async with asyncio.TaskGroup() as group:
        serving = group.create_task(_awaited(serve(client)))
        sound_at = time.monotonic()
        try:
            while not serving.done():
                await asyncio.wait([serving], timeout=check_every_s)
                now = time.monotonic()
                if client.sound and client.ws is not None and client.ws.open:
                    sound_at = now
                if now - sound_at > stuck_after_s:
                    raise Stuck(f"no sound connection for {stuck_after_s:.0f} s")
        finally:
            while not serving.done():  # `asyncio.wait_for` in the library swallows one that comes with its answer
                serving.cancel()
                await asyncio.wait([serving], timeout=CANCEL_AGAIN_S)


async def _awaited(serving: Awaitable[None]) -> None:
    await serving


def _survives(event: str, parse: Callable[[Any], None], skipped: Callable[[str, Any], None]) -> Callable[[Any], None]:
    """Logs and reports an event that the library cannot read; in the library it would end the connection."""

    @functools.wraps(parse)
    def parsed(data: Any) -> None:
        try:
            parse(data)
        except Exception:
            log.exception("event not understood", discord_event=event)
            skipped(event, data)

    return parsed
