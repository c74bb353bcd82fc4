"""What was written while nobody listened: each channel and active thread is read from its watermark, once."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from datetime import UTC, datetime, timedelta

import aiohttp
import discord
import structlog

from bot.platforms.discord.events import PLATFORM, room_of
from bot.platforms.discord.rights import readable
from bot.store import Store

log = structlog.get_logger()

OVERLAP = timedelta(minutes=10)
"""Read again before the watermark: what was edited meanwhile, and what arrived out of order. The journal knows which
of it is known."""
AT_ONCE = 4
TRIES, WAIT_S = 4, 2.0
Room = discord.TextChannel | discord.VoiceChannel | discord.StageChannel | discord.Thread


class CatchingUp:
    """Reads what a gap left out. `receive` takes each message, known or not.

    A gap is on disk before a new event can be, and is closed only when its room was read: a crash in the middle reads
    it again. `on_hold` are rooms that could not be read yet.
    """

    def __init__(self, store: Store, receive: Callable[[discord.Message], Awaitable[None]]) -> None:
        self._store = store
        self._receive = receive
        self._turn = asyncio.Lock()
        self._known: set[str] = set()
        self.read = 0
        """Messages that were read again or for the first time."""
        self.on_hold: set[str] = set()

    async def open(self) -> None:
        """The socket is not there: whatever is said from now on is not heard. Call it before connecting, too."""
        now = datetime.now(UTC)
        await self._store.watermarks.open_gaps(PLATFORM, discord.utils.time_snowflake(now), now)

    async def begin(self, guild: discord.Guild) -> None:
        """The bot is new on this server: from now on everything is read, nothing before."""
        now = datetime.now(UTC)
        mark = discord.utils.time_snowflake(now)
        for room, _ in rooms_of(guild):
            await self._store.watermarks.begin(PLATFORM, room, mark, now)

    async def heard(self, message: discord.Message) -> None:
        """A room that was never seen begins with its first message."""
        room = room_of(message.channel.id, getattr(message.channel, "parent_id", None))
        if room not in self._known:
            self._known.add(room)
            await self._store.watermarks.begin(PLATFORM, room, message.id - 1, datetime.now(UTC))

    async def missed(self, message: discord.Message) -> None:
        """A message that could not be journalled: its room is read again from there."""
        room = room_of(message.channel.id, getattr(message.channel, "parent_id", None))
        self.on_hold.add(room)
        await self._store.watermarks.open_gap(PLATFORM, room, message.id - 1, datetime.now(UTC))

    async def catch_up(self, guilds: list[discord.Guild]) -> None:
        """Closes every gap of these servers that can be closed now; one call at a time."""
        async with self._turn:
            gaps = await self._store.watermarks.gaps(PLATFORM)
            newest = max(gaps.values(), default=0)
            enough = asyncio.Semaphore(AT_ONCE)

            async def read(room: str, channel: Room, after: int) -> None:
                async with enough:
                    await self._room(room, channel, after)

            known = await self._store.watermarks.rooms(PLATFORM)
            async with asyncio.TaskGroup() as group:
                for guild in guilds:
                    for room, channel in rooms_of(guild):
                        if room in gaps:
                            group.create_task(read(room, channel, gaps[room]))
                        elif room not in known:
                            born = channel.id - 1 if newest and channel.id > newest else None
                            group.create_task(self._new(room, channel, born, read))

    async def _new(
        self, room: str, channel: Room, born: int | None, read: Callable[[str, Room, int], Awaitable[None]]
    ) -> None:
        """A room nobody has seen: read from its beginning if it was opened during the gap, else from now on."""
        now = datetime.now(UTC)
        mark = born if born is not None else discord.utils.time_snowflake(now)
        await self._store.watermarks.begin(PLATFORM, room, mark, now)
        if born is not None:
            await self._store.watermarks.open_gap(PLATFORM, room, born, now)
            await read(room, channel, born)

    async def _room(self, room: str, channel: Room, after: int) -> None:
        here = channel.permissions_for(channel.guild.me)
        if not (here.view_channel and here.read_message_history):
            self.on_hold.add(room)
            return
        overlap = int(OVERLAP.total_seconds() * 1000) << 22
        mark = max(after - overlap, 0)
        for attempt in range(TRIES):
            try:
                async for message in channel.history(limit=None, after=discord.Object(mark), oldest_first=True):
                    await self._receive(message)
                    self.read += 1
                    mark = message.id
            except (discord.Forbidden, discord.NotFound) as error:
                log.warning("channel cannot be read", room=room, error=str(error))
                break
            except (discord.HTTPException, discord.RateLimited, OSError, aiohttp.ClientError) as error:
                log.warning("channel not read yet", room=room, attempt=attempt, error=str(error))
                await asyncio.sleep(WAIT_S * 2**attempt)
            else:
                await self._store.watermarks.close_gap(PLATFORM, room, max(mark, after), datetime.now(UTC))
                self.on_hold.discard(room)
                return
        self.on_hold.add(room)


def rooms_of(guild: discord.Guild) -> Iterator[tuple[str, Room]]:
    """Channels and active threads in which messages are written; a forum's are its threads'."""
    for channel in readable(guild):
        if not isinstance(channel, discord.ForumChannel):
            yield room_of(channel.id), channel
    for thread in guild.threads:
        yield room_of(thread.id, thread.parent_id), thread
