"""Draws cards and notices as Discord's messages; `bot/cases/delivery.py` decides when they are sent."""

import zlib
from collections.abc import Sequence
from typing import Any

import discord

from bot.cases.delivery import Drawing, drawing_of
from bot.domain.case import Case
from bot.domain.platform import Gone, NotConnected
from bot.domain.setup import Setup
from bot.pipeline.hourly_cap import RESUME
from bot.platforms.discord.actions import refusals
from bot.platforms.discord.bot import DiscordBot
from bot.platforms.discord.card_layout import buttons, digest_buttons, digest_embed, embed, resume_button
from bot.platforms.discord.events import PLATFORM, community_of
from bot.platforms.discord.inert_markdown import fitting
from bot.text.language import say

Room = discord.TextChannel | discord.Thread | discord.VoiceChannel | discord.StageChannel


class DiscordBoard:
    """See `CardBoard`. A card has a nonce: asked for again, Discord answers with the first one, for "a few minutes"."""

    name = PLATFORM
    recalls_s = 120.0

    def __init__(self, bot: DiscordBot) -> None:
        self._bot = bot

    async def setup(self, community: str) -> Setup:
        """The server's."""
        return await self._bot.setup(community)

    def communities(self) -> list[str]:
        """The servers the bot is on."""
        return [community_of(guild.id) for guild in self._bot.guilds]

    async def draw(self, setup: Setup, cases: Sequence[Case], *, digest: bool, again: bool) -> Drawing:
        """Returns the keywords of the library's calls."""
        content = await self._content(setup, cases, digest, again)
        return drawing_of(content, [content["content"], content["embed"].to_dict(), content["view"].to_components()])

    async def post(self, community: str, setup: Setup, drawing: Drawing, nonce: str) -> tuple[str, str]:
        """Into the channel of the set-up."""
        guild, room = await self._room(community, setup)
        async with refusals(guild, "send_messages", room.id):
            sent = await room.send(**drawing.content, nonce=nonce)
        return str(room.id), str(sent.id)

    async def edit(self, community: str, setup: Setup, card: tuple[str, str], drawing: Drawing) -> None:
        """Edits the card where it stands, also if new cards go to another channel by now."""
        guild = self._guild(community)
        room = guild.get_channel_or_thread(int(card[0]))
        if not isinstance(room, Room):
            raise Gone(card[0])
        async with refusals(guild, "send_messages", room.id):
            await room.get_partial_message(int(card[1])).edit(**drawing.content)

    async def tell(self, community: str, setup: Setup, text: str, button: str) -> None:
        """Into the channel of the set-up."""
        guild, room = await self._room(community, setup)
        more: dict[str, Any] = {"view": resume_button(setup.language)} if button == RESUME else {}
        async with refusals(guild, "send_messages", room.id):
            await room.send(fitting(text), nonce=f"notice-{zlib.crc32(text.encode())}", **more)

    async def _content(self, setup: Setup, cases: Sequence[Case], digest: bool, again: bool) -> dict[str, Any]:
        language = setup.language
        text = say(language, "card-again") if again else None
        if digest:
            shown: dict[str, Any] = {"embed": digest_embed(cases, language)}
            shown["view"] = digest_buttons(cases[0].id, language)
        else:
            card = await self._bot.case_service.card(cases[0], language)
            shown = {"embed": embed(card, cases[0], language), "view": buttons(card)}
        return shown | {"content": text}

    def _guild(self, community: str) -> discord.Guild:
        self._bot.circuit_breaker.check()
        guild = self._bot.guild(community)
        if guild is None:
            raise NotConnected("the server is not reachable")
        return guild

    async def _room(self, community: str, setup: Setup) -> tuple[discord.Guild, Room]:
        """Returns the channel for cards; raises `Gone` when it was deleted, and the errors of the fetch."""
        guild, number = self._guild(community), int(setup.alert_room)
        room = guild.get_channel_or_thread(number)
        if room is None:
            async with refusals(guild, "view_channel", number):
                fetched = await guild.fetch_channel(number)
            room = fetched if isinstance(fetched, Room) else None
        if not isinstance(room, Room):
            raise Gone(setup.alert_room)
        return guild, room
