"""Shows an answer to a click or a command to the asker alone."""

import asyncio
import contextlib
import io
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import aiohttp
import discord
import structlog

from bot.cases.card import Card
from bot.conversation.context import Choice, File, Markup, Reply
from bot.domain.case import Case
from bot.domain.platform import Unreadable
from bot.platforms.discord.actions import ANSWER_WITHIN_S
from bot.platforms.discord.buttons import CaseButton, DigestButton
from bot.platforms.discord.card_layout import buttons, embed, link
from bot.platforms.discord.inert_markdown import block, fitting, inline
from bot.platforms.discord.rate_limits import requested_wait
from bot.platforms.unreadable_answers import read_by
from bot.text.language import Language, language_of, say
from model.labels import LABELS, Label

log = structlog.get_logger()

TELL_AGAIN_S = (0.5, 5.0)
LONGEST_WAIT_S = 300.0
"""The asker does not wait longer; Discord takes answers for fifteen minutes."""
ALREADY_ANSWERED = 40060
STYLE: Mapping[Label, discord.ButtonStyle] = {
    Label.HATE: discord.ButtonStyle.danger,
    Label.OFFENSIVE: discord.ButtonStyle.primary,
    Label.NEUTRAL: discord.ButtonStyle.success,
}


class DiscordReply(Reply):
    """Answers one interaction, which was deferred. A later answer replaces the one before."""

    def __init__(self, interaction: discord.Interaction[Any], language: Language) -> None:
        self._interaction = interaction
        self._language = language

    def ours(self, text: str) -> Markup:
        """Discord's Markdown marks words as ours do."""
        return Markup(text)

    def bold(self, text: Markup) -> Markup:
        """With ** around it."""
        return Markup(f"**{text}**")

    def title(self, text: str) -> Markup:
        """Inline code."""
        return Markup(inline(text))

    def quote(self, text: str, limit: int = 80) -> Markup:
        """Inline code."""
        return Markup(inline(text, limit))

    def block(self, text: str, limit: int = 800) -> Markup:
        """A code block."""
        return Markup(block(text, self._language, limit))

    def person(self, number: str, name: str = "") -> Markup:
        """A mention; an answer to one person notifies nobody."""
        return Markup(f"<@{number}>" if number.isdecimal() else inline(name))

    def room(self, room: str) -> Markup:
        """A channel; for a thread the thread."""
        return Markup(f"<#{room.rpartition('/')[2]}>")

    def moment(self, moment: datetime) -> Markup:
        """A date in the reader's own time zone."""
        return Markup(f"<t:{int(moment.timestamp())}:d>")

    def link(self, case: Case) -> Markup:
        """An arrow."""
        return Markup(f"[↗]({address})" if (address := link(case)) else "")

    async def send(
        self,
        text: Markup,
        *,
        choices: Sequence[Choice] = (),
        file: File | None = None,
        alone: bool = False,
        again: str = "",
    ) -> None:
        """Choices are options of the commands here, and have no buttons."""
        more: dict[str, Any] = {}
        if file is not None:
            more["attachments"] = [discord.File(io.BytesIO(file.data), filename=file.name)]
        await self.show(text, **more)

    async def note(self, text: Markup) -> None:
        """Answers with the text."""
        await self.show(text)

    async def send_card(self, card: Card, case: Case) -> None:
        """With its buttons."""
        await self.show("", embed=embed(card, case, self._language), view=buttons(card))

    async def send_next(self, card: Card, case: Case, first: int, remaining: int) -> None:
        """With a button that leads on."""
        view, text = buttons(card), ""
        if remaining:
            view.add_item(DigestButton(first, text=say(self._language, "button-next")))
            text = say(self._language, "digest-left", count=remaining)
        await self.show(text, embed=embed(card, case, self._language), view=view)

    async def send_labels(self, case: Case) -> None:
        """A button for each other label."""
        view = discord.ui.View(timeout=None)
        for label in LABELS:
            if label != case.decision.label:
                text = say(self._language, f"label-{label}")
                view.add_item(CaseButton("label", case.id, str(label), text=text, style=STYLE[label]))
        view.stop()
        await self.show(say(self._language, "which-label"), view=view)

    async def send_outcome(self, text: Markup, case: Case, *, offers_back: bool) -> None:
        """Answers with the text, and a button that posts the removed text back."""
        if not offers_back:
            await self.show(text)
            return
        view = discord.ui.View(timeout=None)
        view.add_item(CaseButton("back", case.id, text=say(self._language, "button-back")))
        view.stop()
        await self.show(text, view=view)

    async def show(self, text: str, **more: Any) -> None:
        """Tried again where Discord does not answer or asks to wait: what was asked for may be done by now."""
        text = fitting(text)
        for wait_s in TELL_AGAIN_S:
            try:
                async with asyncio.timeout(ANSWER_WITHIN_S):
                    await self._edit(text, more)
                return
            except (discord.DiscordServerError, OSError, aiohttp.ClientError) as error:
                log.warning("an answer is sent again", error=repr(error))
            except discord.HTTPException as error:
                wait_s, _ = requested_wait(error.response.headers, b"")
                if error.status != 429 or wait_s > LONGEST_WAIT_S:
                    raise
                log.warning("Discord asks to wait with an answer", wait_s=wait_s)
            await asyncio.sleep(wait_s)
            for file in more.get("attachments", ()):
                file.reset()
        await self._edit(text, more)

    async def _edit(self, text: str, more: dict[str, Any]) -> None:
        with contextlib.suppress(Unreadable), read_by("discord", "Discord"):  # then it has probably arrived
            await self._interaction.edit_original_response(content=text, **more)


async def send_broken(interaction: discord.Interaction[Any], language: Language | None = None) -> None:
    """Tells that our own code failed. Never raises."""
    text = say(language or language_of(str(interaction.guild_locale or interaction.locale)), "broken")
    try:
        if not interaction.response.is_done():
            try:
                await interaction.response.send_message(text, ephemeral=True)
                return
            except discord.HTTPException as error:
                if error.code != ALREADY_ANSWERED:
                    raise
        await interaction.edit_original_response(content=text)
    except (discord.DiscordException, OSError, aiohttp.ClientError) as error:
        log.warning("nothing could be answered", error=str(error))
