"""Reads the messages of an outage: each channel and active thread is read from its watermark, once."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import discord
import structlog

from bot.platforms.discord.events import PLATFORM, community_of, room_of
from bot.platforms.discord.history import Room, pages
from bot.platforms.discord.rights import readable
from bot.platforms.unreadable_answers import PARSE_ERRORS, error_place
from bot.store import Store

log = structlog.get_logger()

OVERLAP = timedelta(minutes=10)
"""Read again before the watermark: what was edited meanwhile, and what arrived out of order. The journal knows which
of it is known."""
AT_ONCE = 4
TRIES, WAIT_S = 4, 2.0


class MissedMessages:
    """Reads what a gap left out. `receive` takes each message, known or not.

    A gap is on disk before a new event can be, becomes shorter with each page, and is closed only when its room was
    read: after a crash in the middle the rest is read. `on_hold` are rooms that could not be read yet. `opened` takes
    threads that were opened in the gap, `skipped` the numbers of messages that could not be read, 0 for one without.
    """

    def __init__(
        self,
        store: Store,
        receive: Callable[[discord.Message], Coroutine[Any, Any, None]],
        opened: Callable[[discord.Thread], Awaitable[None]],
        skipped: Callable[[Room, Sequence[int]], Awaitable[None]],
    ) -> None:
        self._store = store
        self._receive = receive
        self._opened, self._skipped = opened, skipped
        self._turn, self._marking = asyncio.Lock(), asyncio.Lock()
        self._known: set[str] = set()
        self._losses = 0
        self._missing: Counter[str] = Counter()
        """By room: how many of its messages could not be journalled, ever."""
        self._lost: int | None = None
        self._missed: dict[str, int] = {}
        """Gaps that are not on disk yet, each by the last snowflake before it: one for all rooms, and one for each
        room."""
        self.read = 0
        """Messages that were read again or for the first time."""
        self.on_hold: set[str] = set()

    async def open(self) -> None:
        """Opens a gap of all rooms: the socket is closed. Call it before connecting, too."""
        self._losses += 1
        now = discord.utils.time_snowflake(datetime.now(UTC))
        self._lost = now if self._lost is None else self._lost
        await self._mark()

    async def begin(self, guild: discord.Guild) -> None:
        """The bot is new on this server, or was let in again: from now on everything is read, nothing before."""
        now = datetime.now(UTC)
        mark = discord.utils.time_snowflake(now)
        for room, _ in rooms_of(guild):
            if not await self._store.watermarks.begin(PLATFORM, room, mark, now):
                await self._store.watermarks.close_gap(PLATFORM, room, mark, now)

    async def heard(self, message: discord.Message) -> None:
        """A room that was never seen begins with its first message."""
        room = room_of(message.channel.id, getattr(message.channel, "parent_id", None))
        if room not in self._known:
            self._known.add(room)
            await self._store.watermarks.begin(PLATFORM, room, message.id - 1, datetime.now(UTC))

    async def missed(self, message: discord.Message) -> None:
        """A message that could not be journalled: its room is read again from there."""
        self.read_again(room_of(message.channel.id, getattr(message.channel, "parent_id", None)), message.id)
        await self._mark()

    def read_again(self, room: str, number: int) -> None:
        """Reads a room again from this message on, when its turn comes. Never waits."""
        self.on_hold.add(room)
        self._missing[room] += 1
        self._missed[room] = min(number - 1, self._missed.get(room, number))

    async def catch_up(self, guilds: list[discord.Guild]) -> None:
        """Closes every gap of these servers that can be closed now. Only one call runs at a time."""
        async with self._turn:
            await self._mark()
            gaps = await self._store.watermarks.gaps(PLATFORM)
            newest = max(gaps.values(), default=0)
            enough = asyncio.Semaphore(AT_ONCE)

            async def read(room: str, channel: Room, after: int) -> None:
                async with enough:
                    await self._room(room, channel, after, since[channel.guild.id])

            since = {guild.id: await self._since(guild) for guild in guilds}
            known_rooms = await self._store.watermarks.rooms(PLATFORM)
            async with asyncio.TaskGroup() as group:
                for guild in guilds:
                    for room, channel in rooms_of(guild):
                        if room in gaps:
                            group.create_task(read(room, channel, gaps[room]))
                        elif room not in known_rooms:
                            missed = newest if newest and opened_at(channel) > newest else None
                            group.create_task(self._new(room, channel, missed, read))

    async def _mark(self) -> None:
        """Writes gaps to the disk, at the latest before they are read. A gap that the store refuses is kept for the
        next call."""
        async with self._marking:
            now = datetime.now(UTC)
            if self._lost is not None:
                await self._store.watermarks.open_gaps(PLATFORM, self._lost, now)
                self._lost = None
            for room, after in list(self._missed.items()):
                await self._store.watermarks.open_gap(PLATFORM, room, after, now)
                if self._missed[room] == after:
                    del self._missed[room]

    async def _new(
        self, room: str, channel: Room, missed: int | None, read: Callable[[str, Room, int], Awaitable[None]]
    ) -> None:
        """Reads a new room from the gap's beginning if it was opened during the gap, else from now on."""
        now = datetime.now(UTC)
        mark = discord.utils.time_snowflake(now) if missed is None else missed
        await self._store.watermarks.begin(PLATFORM, room, mark, now)
        if missed is not None:
            await self._store.watermarks.open_gap(PLATFORM, room, missed, now)
            await read(room, channel, missed)

    async def _since(self, guild: discord.Guild) -> int:
        """The snowflake of when the bot came to this server."""
        moments = [await self._store.communities.greeted(community_of(guild.id)), guild.me and guild.me.joined_at]
        return max((discord.utils.time_snowflake(moment) for moment in moments if moment), default=0)

    async def _one(self, channel: Room, message: discord.Message) -> None:
        """Raises Discord's errors and the store's. A message that cannot be understood holds no room."""
        try:
            await self._receive(message)
        except PARSE_ERRORS:
            log.exception("a message was skipped", message=message.id)
            await self._skipped(channel, [message.id])

    async def _room(self, room: str, channel: Room, after: int, since: int) -> None:
        own_rights = channel.permissions_for(channel.guild.me)
        if not (own_rights.view_channel and own_rights.read_message_history):
            self.on_hold.add(room)
            return
        overlap = int(OVERLAP.total_seconds() * 1000) << 22
        mark, losses, missing = max(after - overlap, min(after, since), 0), self._losses, self._missing[room]
        was_opened = isinstance(channel, discord.Thread) and opened_at(channel) > after
        for attempt in range(TRIES):
            try:
                async for page in pages(channel, mark):
                    async with asyncio.TaskGroup() as group:
                        for message in page.messages:
                            group.create_task(self._one(channel, message))
                    self.read += len(page.messages)
                    mark = page.newest
                    if page.skipped:
                        await self._skipped(channel, page.skipped)
                    if losses == self._losses:
                        await self._store.watermarks.move_gap(PLATFORM, room, after, mark, datetime.now(UTC))
                        after = max(after, mark)
                if was_opened and isinstance(channel, discord.Thread):  # after the messages that say who named it
                    await self._opened(channel)
                if missing != self._missing[room]:  # one of those that came meanwhile: its gap is read next
                    return
                if losses == self._losses:  # else the room has a new gap, which begins within the messages just read
                    await self._store.watermarks.close_gap(PLATFORM, room, max(mark, after), datetime.now(UTC))
                self.on_hold.discard(room)
                return
            except (discord.Forbidden, discord.NotFound) as error:
                log.warning("channel cannot be read", room=room, error=str(error))
                break
            except discord.RateLimited as error:
                log.info("channel not read yet", room=room, wait_s=error.retry_after)
                break
            except Exception as error:  # Discord's, or the store's: the gap stays, and is read later
                log.warning(
                    "channel not read yet", room=room, attempt=attempt, error=repr(error), at=error_place(error)
                )
                await asyncio.sleep(WAIT_S * 2**attempt)
        self.on_hold.add(room)


def opened_at(channel: Room) -> int:
    """Returns the snowflake of the moment when a room was opened; for a thread, when it was opened again. A thread's id
    may be older."""
    if not isinstance(channel, discord.Thread):
        return channel.id
    moments = (channel.created_at, channel.archive_timestamp)
    return max((discord.utils.time_snowflake(moment, high=True) for moment in moments if moment), default=channel.id)


def rooms_of(guild: discord.Guild) -> Iterator[tuple[str, Room]]:
    """Yields channels and active threads in which members write; of a forum its threads."""
    for channel in readable(guild):
        if not isinstance(channel, discord.ForumChannel):
            yield room_of(channel.id), channel
    for thread in guild.threads:
        yield room_of(thread.id, thread.parent_id), thread
