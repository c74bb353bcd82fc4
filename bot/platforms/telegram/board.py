"""Cards and notices as Telegram's messages; when they are sent is decided in `bot/posting.py`."""

import html
from collections.abc import Sequence
from typing import TYPE_CHECKING

from telegram import InlineKeyboardMarkup
from telegram.error import BadRequest

from bot.language import say
from bot.platforms.telegram.asking import LONGEST, unchanged
from bot.platforms.telegram.events import PLATFORM
from bot.platforms.telegram.layout import card_text, digest_keyboard, digest_text, keyboard
from bot.setup import Setup
from bot.store import Case

if TYPE_CHECKING:
    from bot.platforms.telegram.service import Telegram


class TelegramBoard:
    """See `Board`. Telegram cannot tell whether a card was sent before a crash: one that may have been is recorded
    first, and says so when it comes again."""

    name = PLATFORM

    def __init__(self, bot: "Telegram") -> None:
        self._bot = bot

    async def setup(self, community: str) -> Setup:
        """The group's."""
        return await self._bot.groups.setup(community)

    def communities(self) -> list[str]:
        """The groups the bot knows."""
        return self._bot.groups.communities

    async def post(self, community: str, setup: Setup, cases: Sequence[Case], *, digest: bool) -> tuple[str, str]:
        """Into the moderators' chat."""
        text, buttons = await self._content(setup, cases, digest)
        chat = int(setup.alert_room)
        store = self._bot.store
        if not digest:
            before = await store.cards.of(cases[0].id)
            if before is not None and before.message is None:
                text = f"<i>{say(setup.language, 'card-again')}</i>\n{text}"
            await store.cards.post(cases[0].id, PLATFORM, setup.alert_room, None, False, self._bot.now())
        async with self._bot.acting.refusals(chat, None):
            sent = await self._bot.api.send_message(chat, text, reply_markup=buttons, parse_mode="HTML")
        return setup.alert_room, str(sent.message_id)

    async def edit(
        self, community: str, setup: Setup, card: tuple[str, str], cases: Sequence[Case], *, digest: bool
    ) -> None:
        """Where it stands, also if cards go elsewhere by now."""
        text, buttons = await self._content(setup, cases, digest)
        chat = int(card[0])
        async with self._bot.acting.refusals(chat, None):
            try:
                await self._bot.api.edit_message_text(
                    text, chat_id=chat, message_id=int(card[1]), reply_markup=buttons, parse_mode="HTML"
                )
            except BadRequest as error:
                if not unchanged(error):
                    raise

    async def tell(self, community: str, setup: Setup, text: str) -> None:
        """Into the moderators' chat; which group it is about, where several share one."""
        title = self._bot.groups.title_of(community)
        said = f"<b>{html.escape(title)}</b>: {html.escape(text)}" if title else html.escape(text)
        async with self._bot.acting.refusals(int(setup.alert_room), None):
            await self._bot.api.send_message(int(setup.alert_room), said[:LONGEST], parse_mode="HTML")

    async def _content(self, setup: Setup, cases: Sequence[Case], digest: bool) -> tuple[str, InlineKeyboardMarkup]:
        if digest:
            return digest_text(cases, setup.language), digest_keyboard(cases[0].id, setup.language)
        card = await self._bot.desk.card(cases[0], setup.language)
        return card_text(card, cases[0], setup.language), keyboard(card)
