"""Clicks on inline buttons. Any member can press any button, so each is checked anew."""

import structlog
from telegram.error import TelegramError

from bot.domain.case import Case
from bot.domain.platform import Unreachable
from bot.platforms.telegram.bot import TelegramBot
from bot.platforms.telegram.events import PLATFORM, Json, chat_of
from bot.platforms.telegram.group_choice import choice, choices
from bot.platforms.telegram.private_chat import PrivateChat
from bot.platforms.telegram.request import TelegramRequest, checked_request
from bot.platforms.telegram.who_may import BUTTONS
from bot.text.inert import plain
from bot.text.language import language_of, say

log = structlog.get_logger()
LONGEST_ANSWER = 200


class Clicks:
    """Passes clicks on cards to the conversation, and those of the private chat to it."""

    def __init__(self, bot: TelegramBot, private: PrivateChat) -> None:
        self._bot = bot
        self._private = private

    async def click(self, query: Json) -> None:
        """One callback query. Telegram shows a clock until it is answered, so it always is."""
        verb, _, rest = str(query.get("data") or "").partition(":")
        message, text = query.get("message") or {}, ""
        try:
            if verb == "page":
                await self._page(query, rest)
            elif verb in ("in", "set", "mine"):
                text = await self._private.click(query, verb, rest)
            elif rest.partition(":")[0].isdecimal() and message.get("chat"):
                text = await self._case(query, verb, rest)
        except (Unreachable, TelegramError):
            raise
        except Exception:
            log.exception("click failed", verb=verb)
            text = say("en", "broken")
        await self._answered(str(query["id"]), text)

    async def _answered(self, number: str, text: str) -> None:
        """Refused where it is too old: the process was away, or it was answered before."""
        shown, alert = plain(text, LONGEST_ANSWER) or None, len(text) > 60
        await self._bot.answers.answer(lambda _: self._bot.api.answer_callback_query(number, shown, show_alert=alert))

    async def _page(self, query: Json, rest: str) -> None:
        """Shows the asker another page of groups to choose from, where they asked."""
        number, _, command = rest.partition(":")
        asker, _, command = command.partition(":")
        message, sender = query.get("message") or {}, query["from"]
        if not message or not number.isdecimal() or len(number) > 6 or asker != str(sender["id"]):
            return
        chat = message["chat"]["id"]
        if chat != sender["id"] and not self._bot.groups.watched_from(chat):
            return
        groups = await choices(self._bot, {**message, "from": sender})
        language = language_of(str(sender.get("language_code") or "en"))
        text, buttons = choice(self._bot, groups, language, command, sender["id"], int(number))
        await self._bot.answers.answer(
            lambda _: self._bot.api.redraw(message["chat"]["id"], message["message_id"], text, buttons)
        )

    async def _case(self, query: Json, verb: str, rest: str) -> str:
        number, _, argument = rest.partition(":")
        case = await self._bot.store.case(int(number)) if len(number) < 16 else None
        if case is None or case.message.key.platform != PLATFORM:
            return say("en", "no-case", case=number)
        chat = self._bot.groups.now_at(chat_of(case.message.key.message.partition(":")[0]))
        message = {**query["message"], "from": query["from"], "sender_chat": None}
        request = await checked_request(self._bot, message, chat, command="case", click=query)
        if request is None:
            return ""
        right = BUTTONS.get(verb)
        if right is None:
            return say(request.language, "no-case", case=number)
        if not request.may_with(right):
            return request.refusal_for(right)
        if not request.is_in_place and not await self._stands_here(case, request.where):
            return say(request.language, "telegram-elsewhere")
        await self._answer(request, case, verb, argument)
        return request.reply.note_text

    async def _stands_here(self, case: Case, where: int) -> bool:
        """Whether the case's card was posted in this chat."""
        card = await self._bot.store.cards.of(case.id)
        return card is not None and card.platform == PLATFORM and self._bot.groups.now_at(int(card.room)) == where

    async def _answer(self, request: TelegramRequest, case: Case, verb: str, argument: str) -> None:
        cases = self._bot.conversation.cases
        match verb:
            case "card":  # from the choice of labels back to the card's own buttons
                await request.reply.send_card(await self._bot.case_service.card(case, request.language), case)
            case "next":
                await cases.next_of_digest(request, case.id)
            case _:
                await cases.click(request, case, verb, argument)
