"""Who asks, where, and whether they may: settled at the moment of the click, for commands and buttons alike."""

import asyncio
import contextlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import aiohttp
import discord
import structlog

from bot.domain.event import MessageKey
from bot.domain.platform import Gone, MissingPermission, RateLimited, Unreachable, Unreadable
from bot.domain.setup import Setup
from bot.pipeline.question_lane import Asker, Rank
from bot.platforms.discord.acting import ANSWER_WITHIN_S, refusals
from bot.platforms.discord.events import PLATFORM, community_of
from bot.platforms.discord.inert import fitting
from bot.platforms.discord.may_read import Readable, may_read, sees
from bot.platforms.discord.waits import asked_of
from bot.platforms.discord.who_may import Level, level_of
from bot.platforms.unreadable_answers import read_by
from bot.text.language import Language, language_of, say

if TYPE_CHECKING:
    from bot.platforms.discord.service import Discord

log = structlog.get_logger()

TELL_AGAIN_S = (0.5, 5.0)
LONGEST_WAIT_S = 300.0
"""Whoever asked does not wait longer; Discord takes answers for fifteen minutes."""
ALREADY_ANSWERED = 40060
_LINK = re.compile(r"channels/(\d{15,20})/(\d{15,20})/(\d{15,20})")
_PAIR = re.compile(r"(\d{15,20})-(\d{15,20})")


@dataclass(frozen=True, slots=True)
class Asked:
    """A question that may be asked."""

    bot: "Discord"
    interaction: discord.Interaction[Any]
    guild: discord.Guild
    member: discord.Member
    setup: Setup
    level: Level

    @property
    def community(self) -> str:
        """Where it is asked."""
        return community_of(self.guild.id)

    @property
    def language(self) -> Language:
        """The server's."""
        return self.setup.language

    @property
    def moderator(self) -> str:
        """How the store names whoever asks, as a moderator."""
        return f"{PLATFORM}:{self.member.id}"

    @property
    def asker(self) -> Asker:
        """Whoever asks, as the model's questions count them."""
        return Asker(self.community, self.moderator, Rank.MEMBER if self.level is Level.MEMBER else Rank.MODERATOR)

    @property
    def pseudonym(self) -> str:
        """How the store names whoever asks, as an author."""
        return self.bot.store.sealer.author(PLATFORM, self.community, str(self.member.id))

    async def tell(self, text: str, **more: Any) -> None:
        """The answer, for whoever asked alone; said again it replaces the one before. Tried again where Discord does
        not answer or asks to wait: what was asked for may be done by now."""
        text = fitting(text)
        for wait_s in TELL_AGAIN_S:
            try:
                async with asyncio.timeout(ANSWER_WITHIN_S):
                    await self._say(text, more)
                return
            except (discord.DiscordServerError, OSError, aiohttp.ClientError) as error:
                log.warning("an answer is sent again", error=repr(error))
            except discord.HTTPException as error:
                wait_s, _ = asked_of(error.response.headers, b"")
                if error.status != 429 or wait_s > LONGEST_WAIT_S:
                    raise
                log.warning("Discord asks to wait with an answer", wait_s=wait_s)
            await asyncio.sleep(wait_s)
            for file in more.get("attachments", ()):
                file.reset()
        await self._say(text, more)

    async def _say(self, text: str, more: dict[str, Any]) -> None:
        with contextlib.suppress(Unreadable), read_by("discord", "Discord"):  # then it has probably arrived
            await self.interaction.edit_original_response(content=text, **more)

    async def may_read(self, key: MessageKey) -> bool:
        """Whether whoever asks, and moderates here, may read a text from there; see `reading`."""
        return await may_read(self.guild, self.member, key)

    def is_too_much(self, rights: Sequence[str]) -> str:
        """That the bot would do what whoever asks may not do by hand; "" where it would not."""
        names = ", ".join(f"“{self.say(f'right-{right}')}”" for right in rights)
        return self.say("not-allowed-beyond", rights=names) if rights else ""

    def say(self, name: str, **arguments: str | int | float) -> str:
        """In the server's language."""
        return say(self.language, name, **arguments)


async def ask(bot: "Discord", interaction: discord.Interaction[Any], needed: Level) -> Asked | None:
    """Answers within the three seconds Discord gives, then checks; None where the answer was a refusal."""
    bot.begin_work()
    try:
        with contextlib.suppress(Unreadable), read_by("discord", "Discord"):
            await interaction.response.defer(ephemeral=True, thinking=True)
    except discord.HTTPException as error:
        if error.code != ALREADY_ANSWERED:  # by a first try whose answer was lost
            raise
    guild, member = interaction.guild, interaction.user
    if guild is None or not isinstance(member, discord.Member):
        text = say(language_of(str(interaction.locale)), "not-here")
        await interaction.edit_original_response(content=text)
        return None
    setup = await bot.setup(community_of(guild.id))
    level = level_of(interaction.permissions, member, setup)
    if level < needed:
        name = "not-allowed-manager" if needed is Level.MANAGER else "not-allowed-moderator"
        await interaction.edit_original_response(content=say(setup.language, name))
        return None
    return Asked(bot, interaction, guild, member, setup, level)


async def still_manages(bot: "Discord", guild: int, member: int) -> bool:
    """Whether somebody manages the server, asked of Discord now; False where it does not answer."""
    there = bot.guild(community_of(guild))
    if there is None:
        return False
    try:
        async with refusals(there, None, 0):
            found = await there.fetch_member(member)
    except (Gone, MissingPermission, RateLimited, Unreachable):
        return False
    return level_of(found.guild_permissions, found, await bot.setup(community_of(guild))) >= Level.MANAGER


def refers(text: str, guild: int, channel: int | None) -> tuple[int | None, int] | None:
    """(channel, message) that a link or an id names; None for a foreign link and for anything else."""
    text = text.strip().strip("<>")
    if found := _LINK.search(text):
        return (int(found[2]), int(found[3])) if int(found[1]) == guild else None
    if found := _PAIR.fullmatch(text):
        return int(found[1]), int(found[2])
    return (channel, int(text)) if text.isdecimal() and 15 <= len(text) <= 20 else None


async def fetched(asked: Asked, reference: str) -> discord.Message | None:
    """The message, if it is there and whoever asks may see it."""
    where = refers(reference, asked.guild.id, asked.interaction.channel_id)
    if where is None or where[0] is None:
        return None
    channel = asked.guild.get_channel_or_thread(where[0])
    if not isinstance(channel, Readable) or not await sees(asked.guild, asked.member, channel):
        return None
    try:
        async with refusals(asked.guild, "read_message_history", channel.id):
            message = await channel.fetch_message(where[1])
            await asked.bot.authors.complete(message)
            return message
    except (Gone, MissingPermission, RateLimited, Unreachable):
        return None
