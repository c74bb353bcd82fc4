"""An answer as Telegram shows it: alone, among moderators, or as a few words above a button."""

import html
import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import structlog
from telegram import InlineKeyboardButton, InlineKeyboardMarkup
from telegram.error import BadRequest, Forbidden, TelegramError

from bot.cases.card import Card
from bot.conversation.context import Choice, File, Markup, Reply
from bot.domain.case import Case
from bot.platforms.telegram.bot import TelegramBot
from bot.platforms.telegram.card_layout import block, card_text, fitting, inline, keyboard, label_keyboard, link
from bot.text.inert import one_line
from bot.text.language import Language, say

log = structlog.get_logger()
AGAIN: Mapping[str, str] = {
    "mode": "status",
    "report": "privacy",
    "example": "learning",
    "link": "setup",
    "skip": "policy",
}
"""The command that a link leads to instead of one that changes something or needs its place."""
_MARKED = re.compile(r"\*\*([^*`]+)\*\*|`([^`]+)`")
_TAG = re.compile(r"<[^>]+>")
Json = Mapping[str, Any]


class TelegramReply(Reply):
    """Answers a command, or the click of `query`; Telegram then shows `note_text` above the button.

    A bot cannot write to a person who has never written to it: they get a button that leads to the private chat and
    asks again.
    """

    def __init__(
        self,
        bot: TelegramBot,
        chat: int,
        user: int,
        message: Json,
        language: Language,
        command: str,
        query: Json | None,
    ) -> None:
        self._bot = bot
        self._chat = chat
        self._where = int(message["chat"]["id"])
        self._user = user
        self._message = message
        self._language = language
        self._command = command
        self._query = query
        self.note_text = ""

    def ours(self, text: str) -> Markup:
        """Turns ** and ` into tags and escapes the rest."""
        return bold(text)

    def bold(self, text: Markup) -> Markup:
        """A tag."""
        return Markup(f"<b>{text}</b>")

    def title(self, text: str) -> Markup:
        """Escaped."""
        return Markup(html.escape(one_line(text, 128)))

    def quote(self, text: str, limit: int = 80) -> Markup:
        """Inline code."""
        return Markup(inline(text, limit))

    def block(self, text: str, limit: int = 800) -> Markup:
        """A code block."""
        return Markup(block(text, self._language, limit))

    def person(self, number: str, name: str = "") -> Markup:
        """A link to their profile."""
        if not number.isdecimal():
            return self.quote(name)
        return Markup(f'<a href="tg://user?id={number}">{html.escape(one_line(name, 64)) or number}</a>')

    def room(self, room: str) -> Markup:
        """A chat's title."""
        chat = room.partition("/")[0]
        return self.quote(self._bot.groups.title(int(chat)) or room)

    def moment(self, moment: datetime) -> Markup:
        """A date in UTC: Telegram does not tell a bot the reader's time zone."""
        return Markup(f"{moment:%Y-%m-%d}")

    def link(self, case: Case) -> Markup:
        """An arrow."""
        return Markup(f'<a href="{address}">↗</a>' if (address := link(case)) else "")

    async def send(
        self,
        text: Markup,
        *,
        choices: Sequence[Choice] = (),
        file: File | None = None,
        alone: bool = False,
        again: str = "",
    ) -> None:
        """Answers where the question was asked, if that is in private or among moderators, else in private. A file
        always goes to the asker alone."""
        if file is not None:
            await self._send_file(text, file)
            return
        rows = [
            [InlineKeyboardButton(html.unescape(one.text), callback_data=f"{one.verb}:{self._chat}:{one.argument}")]
            for one in choices
        ]
        await self._send(text, InlineKeyboardMarkup(rows) if rows else None, alone=alone, again=again)

    async def note(self, text: Markup) -> None:
        """Above the button, where a click is answered."""
        if self._query is None:
            await self.send(text)
        else:
            self.note_text = html.unescape(_TAG.sub("", text))

    async def send_card(self, card: Card, case: Case) -> None:
        """Sends the card with its buttons; after a click on "back" the card's buttons return in place."""
        if self._query is not None:
            await self._redraw_buttons(keyboard(card))
            return
        await self._send(Markup(card_text(card, case, self._language)), keyboard(card))

    async def send_next(self, card: Card, case: Case, first: int, remaining: int) -> None:
        """Below the digest, as a message of its own that then goes on to the others."""
        digest = await self._bot.store.cards.of(first)
        if digest is not None and digest.message == str(self._message["message_id"]):
            text = card_text(card, case, self._language)
            buttons = keyboard(card, following=first, language=self._language)
            await self._bot.answers.send(self._where, text, self._language, buttons)
        else:
            await self._show(card, case, first)
        if remaining:
            self.note_text = say(self._language, "digest-left", count=remaining)

    async def send_labels(self, case: Case) -> None:
        """Replaces the card's buttons."""
        await self._redraw_buttons(label_keyboard(case, self._language))

    async def send_outcome(self, text: Markup, case: Case, *, offers_back: bool) -> None:
        """Shows a few words; where a digest is gone through, the message shows the card as it is now."""
        if offers_back:
            button = InlineKeyboardButton(say(self._language, "button-back"), callback_data=f"back:{case.id}")
            await self._bot.answers.send(self._where, text, self._language, InlineKeyboardMarkup([[button]]))
        card = await self._bot.store.cards.of(case.id)
        if card is None or card.message != str(self._message["message_id"]):
            shown = await self._bot.case_service.card(case, self._language)
            await self._show(shown, case, _following(self._message))
        await self.note(text)

    async def _send(
        self, text: Markup, buttons: InlineKeyboardMarkup | None = None, *, alone: bool = False, again: str = ""
    ) -> None:
        answers = self._bot.answers
        if self._where == self._user or (self._where != self._chat and not alone):
            await answers.send(self._where, text, self._language, buttons)
            return
        if self._user and await answers.send(self._user, text, self._language, buttons):
            return
        payload = "_".join([AGAIN.get(self._command, self._command), str(self._chat), *([again] if again else [])])
        url = f"https://t.me/{self._bot.api.username}?start={payload}"
        button = InlineKeyboardMarkup([[InlineKeyboardButton(say(self._language, "telegram-alone-button"), url=url)]])
        topic = self._message.get("message_thread_id") if self._message.get("is_topic_message") else None
        await answers.send(self._where, bold(say(self._language, "telegram-alone")), self._language, button, topic)

    async def _send_file(self, text: Markup, file: File) -> None:
        try:
            await self._bot.api.send_file(self._user, file.data, file.name, html.unescape(_TAG.sub("", text)))
        except (Forbidden, BadRequest):  # they never wrote to the bot
            await self._send(bold(say(self._language, "telegram-alone")))
        except TelegramError as error:
            log.warning("copy not sent", error=error.message)
            await self._send(bold(say(self._language, "broken")))

    async def _show(self, card: Card, case: Case, following: int | None) -> None:
        """This message becomes the card of that case."""
        text = fitting(card_text(card, case, self._language))
        buttons = keyboard(card, following=following, language=self._language)
        number = self._message["message_id"]
        await self._bot.answers.answer(lambda _: self._bot.api.redraw(self._where, number, text, buttons))

    async def _redraw_buttons(self, buttons: InlineKeyboardMarkup) -> None:
        await self._bot.answers.answer(
            lambda _: self._bot.api.ask(
                "editMessageReplyMarkup",
                chat_id=self._where,
                message_id=self._message["message_id"],
                reply_markup=buttons,
            )
        )


def bold(text: str) -> Markup:
    """Turns the marks ** and ` of our own texts into tags and escapes the rest."""
    escaped = html.escape(text, quote=False)
    return Markup(_MARKED.sub(lambda match: f"<b>{match[1]}</b>" if match[1] else f"<code>{match[2]}</code>", escaped))


def _following(message: Json) -> int | None:
    """The digest a message goes through, read from its own "next" button."""
    for row in (message.get("reply_markup") or {}).get("inline_keyboard", ()):
        for button in row:
            verb, _, number = str(button.get("callback_data") or "").partition(":")
            if verb == "next" and number.isdecimal():
                return int(number)
    return None
