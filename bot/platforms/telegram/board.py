"""Draws cards and notices as Telegram's messages; `bot/cases/delivery.py` decides when they are sent."""

import html
from collections.abc import Sequence

from telegram import InlineKeyboardMarkup
from telegram.error import BadRequest

from bot.cases.delivery import Drawing, drawing_of
from bot.domain.case import Case
from bot.domain.platform import Gone, MissingPermission
from bot.domain.setup import Setup
from bot.pipeline.hourly_cap import RESUME
from bot.platforms.telegram.bot import TelegramBot
from bot.platforms.telegram.card_layout import (
    card_text,
    digest_keyboard,
    digest_text,
    fitting,
    keyboard,
    resume_keyboard,
)
from bot.platforms.telegram.events import PLATFORM
from bot.platforms.telegram.who_may import rights_from
from bot.text.inert import plain
from bot.text.language import say

LONGEST_NOTICE = 3500


class TelegramBoard:
    """See `CardBoard`. Telegram cannot tell whether a card was sent before a crash: one that may have been says so when
    it
    comes again."""

    name = PLATFORM
    recalls_s = 0.0

    def __init__(self, bot: TelegramBot) -> None:
        self._bot = bot
        self.lost: set[str] = set()
        """Rooms that took no card when it was tried last."""

    async def setup(self, community: str) -> Setup:
        """The group's."""
        return await self._bot.groups.setup(community)

    def communities(self) -> list[str]:
        """The groups the bot knows."""
        return self._bot.groups.communities

    async def draw(self, setup: Setup, cases: Sequence[Case], *, digest: bool, again: bool) -> Drawing:
        """Returns the text and the buttons."""
        text, buttons = await self._content(setup, cases, digest, again)
        return drawing_of((text, buttons), [text, buttons.to_dict()])

    async def post(self, community: str, setup: Setup, drawing: Drawing, nonce: str) -> tuple[str, str]:
        """Into the moderators' chat."""
        text, buttons = drawing.content
        return setup.alert_room, await self._sent(community, int(setup.alert_room), text, buttons)

    async def edit(self, community: str, setup: Setup, card: tuple[str, str], drawing: Drawing) -> None:
        """Edits the card where it stands, also if new cards go to another chat by now."""
        text, buttons = drawing.content
        chat = int(card[0])
        async with self._bot.action_calls.refusals(chat, None):
            try:
                await self._bot.api.redraw(chat, int(card[1]), text, buttons)
            except BadRequest as error:
                if not unchanged(error):
                    raise

    async def tell(self, community: str, setup: Setup, text: str, button: str) -> None:
        """Writes into the moderators' chat; names the group where several groups share one."""
        title, text = self._bot.groups.title_of(community), html.escape(plain(text, LONGEST_NOTICE))
        chat = self._bot.groups.chat_of(community)
        buttons = resume_keyboard(chat, setup.language) if button == RESUME and chat is not None else None
        await self._sent(
            community, int(setup.alert_room), f"<b>{html.escape(title)}</b>: {text}" if title else text, buttons
        )

    async def _sent(self, community: str, chat: int, text: str, buttons: InlineKeyboardMarkup | None) -> str:
        """Sends, and returns the message's number. Raises `Gone` for the private chat of a person who may no longer
        moderate or manage."""
        try:
            async with self._bot.action_calls.refusals(chat, None):
                if chat > 0 and not await self._may_see(community, chat):
                    raise Gone(str(chat))
                sent = await self._bot.api.send(chat, text, buttons)
        except (Gone, MissingPermission):
            self.lost.add(str(chat))
            raise
        self.lost.discard(str(chat))
        return str(sent)

    async def _may_see(self, community: str, user: int) -> bool:
        group = self._bot.groups.chat_of(community)
        if group is None:
            return False
        return bool(rights_from(await self._bot.admins.rights(self._bot.api, group, user)))

    async def _content(
        self, setup: Setup, cases: Sequence[Case], digest: bool, again: bool
    ) -> tuple[str, InlineKeyboardMarkup]:
        if digest:
            text, buttons = digest_text(cases, setup.language), digest_keyboard(cases[0].id, setup.language)
        else:
            card = await self._bot.case_service.card(cases[0], setup.language)
            text, buttons = card_text(card, cases[0], setup.language), keyboard(card)
        if again:
            text = f"<i>{say(setup.language, 'card-again')}</i>\n{text}"
        return fitting(text), buttons


def unchanged(error: BadRequest) -> bool:
    """Says whether Telegram refused an edit because it changes nothing; then all is well."""
    return "not modified" in error.message.lower()
