"""Handles clicks on the buttons of cards, digests and notices. Each click is checked anew, for the person who
clicks."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import discord
import structlog

from bot.platforms.discord.bot import DiscordBot
from bot.platforms.discord.reply import send_broken
from bot.platforms.discord.request import checked_request
from bot.platforms.discord.who_may import BUTTONS, Level

Click = discord.Interaction[Any]
log = structlog.get_logger()


class Clicks:
    """Passes clicks to the conversation."""

    def __init__(self, bot: DiscordBot) -> None:
        self._bot = bot

    async def case(self, interaction: Click, verb: str, number: int, argument: str) -> None:
        """One of a case's buttons."""
        async with _answered(interaction, verb, number):
            if (request := await checked_request(self._bot, interaction, BUTTONS.get(verb, Level.MANAGER))) is None:
                return
            if (case := await self._bot.conversation.cases.case(request, number)) is None:
                await request.tell(request.say("no-case", case=str(number)))
            else:
                await self._bot.conversation.cases.click(request, case, verb, argument)

    async def digest(self, interaction: Click, first: int) -> None:
        """The next open case of the digest whose first case this is."""
        async with _answered(interaction, "digest", first):
            if (request := await checked_request(self._bot, interaction, BUTTONS["digest"])) is not None:
                await self._bot.conversation.cases.next_of_digest(request, first)

    async def resume(self, interaction: Click) -> None:
        """A moderator tells the bot to go on although the hourly cap was reached."""
        async with _answered(interaction, "resume", 0):
            if (request := await checked_request(self._bot, interaction, BUTTONS["resume"])) is not None:
                await self._bot.conversation.cases.resume(request)


@asynccontextmanager
async def _answered(interaction: Click, verb: str, case: int) -> AsyncIterator[None]:
    """Tells the person who clicked when our own code fails."""
    try:
        yield
    except Exception:
        log.exception("click failed", verb=verb, case=case)
        await send_broken(interaction)
