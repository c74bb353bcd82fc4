"""Titles on Discord: of threads, of voice channels, of scheduled events; each laid to whoever gave it, if that is
known. They are only ever shown to moderators."""

import asyncio
from typing import TYPE_CHECKING

import discord

from bot.domain.event import NOBODY
from bot.domain.platform import PlatformError
from bot.platforms.discord.acting import refusals
from bot.platforms.discord.events import (
    author_of,
    community_of,
    occasion_event,
    room_of,
    status_event,
    title_event,
)
from bot.platforms.discord.received import Json

if TYPE_CHECKING:
    from bot.platforms.discord.service import Discord

RENAMED_WITHIN_S = 2.0
"""Within so long Discord's message follows that says who gave a thread another title."""


class Titles:
    """Passes them on as events."""

    def __init__(self, bot: "Discord") -> None:
        self._bot = bot

    async def opened(self, thread: discord.Thread) -> None:
        """The title is read, as its owner's words."""
        self._bot.begin_work()
        if thread.owner_id != self._bot.own:
            await self._read_title(thread, await self._member(thread.guild, thread.owner_id))

    async def found(self, thread: discord.Thread) -> None:
        """A thread that was opened while nobody listened: somebody may have changed its title since."""
        self._bot.begin_work()
        if thread.owner_id != self._bot.own:
            await self._read_title(thread, None)

    async def renamed(self, thread: discord.Thread) -> None:
        """Who gave a thread another title stands in a message of the platform, which comes with it: the journal keeps
        what came first, and only where there is no such message the title is nobody's."""
        self._bot.begin_work()
        await asyncio.sleep(RENAMED_WITHIN_S)
        await self.found(thread)

    async def described(self, guild: discord.Guild, channel: int, status: str) -> None:
        """What a voice channel says of itself."""
        self._bot.begin_work()
        await self._bot.pipeline.receive(status_event(guild.id, channel, status))

    async def planned(self, guild: discord.Guild, occasion: Json, *, is_new: bool) -> None:
        """A scheduled event; whoever made it wrote what it says then."""
        self._bot.begin_work()
        creator = await self._member(guild, int(occasion.get("creator_id") or 0)) if is_new else None
        setup = await self._bot.setup(community_of(guild.id))
        who = NOBODY if creator is None else author_of(creator, setup.moderator_roles, is_bot=creator.bot)
        if (event := occasion_event(occasion, who)) is not None:
            await self._bot.pipeline.receive(event)

    async def _read_title(self, thread: discord.Thread, owner: discord.Member | None) -> None:
        setup = await self._bot.setup(community_of(thread.guild.id))
        if not setup.shows_cards_in(room_of(thread.id, thread.parent_id)):
            await self._bot.pipeline.receive(title_event(thread, owner, setup.moderator_roles))

    async def _member(self, guild: discord.Guild, number: int) -> discord.Member | None:
        """None for one who has left, or who cannot be asked for now."""
        if not number or (member := guild.get_member(number)) is not None:
            return member if number else None
        try:
            async with refusals(guild, None, 0):
                return await guild.fetch_member(number)
        except PlatformError:
            return None
