"""Completes a message's author with roles and rights: in Discord's history an author is an account, not a member.

Without the member, an owner's message that is read after an outage would be judged like anybody's.
"""

import asyncio
import time
from collections import OrderedDict
from weakref import WeakValueDictionary

import discord

from bot.domain.platform import Gone
from bot.platforms.discord.actions import refusals

KEPT_S = 60.0
Known = tuple[float, discord.Member | None]


class Authors:
    """Members as Discord knows them, a minute old at most, each asked for once however many messages they wrote."""

    def __init__(self) -> None:
        self._known: OrderedDict[tuple[int, int], Known] = OrderedDict()
        self._turns: WeakValueDictionary[tuple[int, int], asyncio.Lock] = WeakValueDictionary()

    async def complete(self, message: discord.Message) -> None:
        """Replaces the account by the member. A user who has left, and a webhook, stay as they are.

        Raises `Unreachable`, `RateLimited` and `MissingPermission`: then the bot cannot know who moderates.
        """
        guild, author = message.guild, message.author
        if guild is None or message.webhook_id is not None or isinstance(author, discord.Member):
            return
        key = (guild.id, author.id)
        async with self._turns.setdefault(key, asyncio.Lock()):
            kept = self._known.get(key)
            if kept is None or time.monotonic() - kept[0] > KEPT_S:
                kept = time.monotonic(), await self._member(guild, author.id)
                self._known[key] = kept
                self._known.move_to_end(key)
                while time.monotonic() - next(iter(self._known.values()))[0] > KEPT_S:
                    self._known.popitem(last=False)  # the oldest stand first
        message.author = kept[1] or author

    async def _member(self, guild: discord.Guild, user: int) -> discord.Member | None:
        try:
            async with refusals(guild, None, 0):
                return await guild.fetch_member(user)
        except Gone:
            return None
