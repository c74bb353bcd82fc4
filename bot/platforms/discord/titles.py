"""Reads titles on Discord: of threads, voice channels and scheduled events. A title is laid to the member who gave it,
if that is known; titles are only shown to moderators."""

import asyncio

import discord

from bot.domain.event import NOBODY
from bot.domain.platform import PlatformError
from bot.platforms.discord.actions import refusals
from bot.platforms.discord.bot import DiscordBot
from bot.platforms.discord.events import (
    author_of,
    community_of,
    occasion_event,
    room_of,
    status_event,
    title_event,
)
from bot.platforms.discord.raw_events import Json

RENAMED_WITHIN_S = 2.0
"""Within so long Discord's message follows that says who gave a thread another title."""


class Titles:
    """Passes them on as events."""

    def __init__(self, bot: DiscordBot) -> None:
        self._bot = bot

    async def opened(self, thread: discord.Thread) -> None:
        """The title is read, as its owner's words."""
        self._bot.begin_work()
        if thread.owner_id != self._bot.own:
            await self._read_title(thread, await self._member(thread.guild, thread.owner_id))

    async def found(self, thread: discord.Thread) -> None:
        """Reads the title of a thread that was opened during an outage; a member may have changed it since, so it has
        no author."""
        self._bot.begin_work()
        if thread.owner_id != self._bot.own:
            await self._read_title(thread, None)

    async def renamed(self, thread: discord.Thread) -> None:
        """A message of the platform says who renamed a thread, and comes with it. The journal keeps the event that came
        first; a title without such a message has no author."""
        self._bot.begin_work()
        await asyncio.sleep(RENAMED_WITHIN_S)
        await self.found(thread)

    async def described(self, guild: discord.Guild, channel: int, status: str) -> None:
        """Reads the status of a voice channel."""
        self._bot.begin_work()
        await self._bot.pipeline.receive(status_event(guild.id, channel, status))

    async def planned(self, guild: discord.Guild, occasion: Json, *, is_new: bool) -> None:
        """Reads a scheduled event; a new one is its maker's words."""
        self._bot.begin_work()
        creator = await self._member(guild, int(occasion.get("creator_id") or 0)) if is_new else None
        setup = await self._bot.setup(community_of(guild.id))
        author = NOBODY if creator is None else author_of(creator, setup.moderator_roles, is_bot=creator.bot)
        if (event := occasion_event(occasion, author)) is not None:
            await self._bot.pipeline.receive(event)

    async def _read_title(self, thread: discord.Thread, owner: discord.Member | None) -> None:
        setup = await self._bot.setup(community_of(thread.guild.id))
        if not setup.shows_cards_in(room_of(thread.id, thread.parent_id)):
            await self._bot.pipeline.receive(title_event(thread, owner, setup.moderator_roles))

    async def _member(self, guild: discord.Guild, number: int) -> discord.Member | None:
        """Fetches a member; None for one who has left, or cannot be fetched now."""
        if not number or (member := guild.get_member(number)) is not None:
            return member if number else None
        try:
            async with refusals(guild, None, 0):
                return await guild.fetch_member(number)
        except PlatformError:
            return None
