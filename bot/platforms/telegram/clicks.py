"""What a click on an inline button does: on cards, and in the private set-up."""

import html
from collections.abc import Sequence
from typing import TYPE_CHECKING

import structlog
from telegram import InlineKeyboardButton, InlineKeyboardMarkup
from telegram.error import TelegramError

from bot.cases.card import explained
from bot.cases.service import Outcome
from bot.domain.action import Delete
from bot.domain.case import Case
from bot.domain.platform import Gone, MissingPermission, RateLimited, Unreachable
from bot.pipeline.question_lane import SILENT, why_silent
from bot.platforms.telegram.asking import Asked, Json, ask, choice, choices
from bot.platforms.telegram.events import PLATFORM, chat_of, topic_of
from bot.platforms.telegram.layout import block, card_text, fitting, inline, keyboard, label_keyboard
from bot.platforms.telegram.who_may import BUTTONS, beyond_undo
from bot.text.inert import plain
from bot.text.language import language_of, say
from model.labels import LABELS, Label

if TYPE_CHECKING:
    from bot.platforms.telegram.service import Telegram

log = structlog.get_logger()
LONGEST_ANSWER = 200


class Clicks:
    """Answers clicks; any member can press a button, so each is checked anew."""

    def __init__(self, bot: "Telegram") -> None:
        self._bot = bot

    async def click(self, query: Json) -> None:
        """One callback query. Telegram shows a clock until it is answered, so it always is."""
        verb, _, rest = str(query.get("data") or "").partition(":")
        message, text = query.get("message") or {}, ""
        try:
            if verb == "page":
                await self._page(query, rest)
            elif verb in ("in", "set", "mine"):
                text = await self._bot.private.click(query, verb, rest)
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
        """Another page of groups to choose from, for whoever asked, where it was asked."""
        number, _, command = rest.partition(":")
        asker, _, command = command.partition(":")
        message, sender = query.get("message") or {}, query["from"]
        if not message or not number.isdecimal() or len(number) > 6 or asker != str(sender["id"]):
            return
        where = message["chat"]["id"]
        if where != sender["id"] and not self._bot.groups.watched_from(where):
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
        asked = await ask(self._bot, {**query["message"], "from": query["from"], "sender_chat": None}, chat)
        if asked is None:
            return ""
        needed = BUTTONS.get(verb)
        if needed is None:
            return asked.say("no-case", case=number)
        if not asked.may(needed):
            return asked.refusal(needed)
        if not asked.is_in_place and not await self._stands_here(case, asked.where):
            return asked.say("telegram-elsewhere")
        return await self._answer(asked, case, verb, argument, query["message"])

    async def _stands_here(self, case: Case, where: int) -> bool:
        """Whether the case's card was posted in this chat."""
        card = await self._bot.store.cards.of(case.id)
        return card is not None and card.platform == PLATFORM and self._bot.groups.now_at(int(card.room)) == where

    async def _answer(self, asked: Asked, case: Case, verb: str, argument: str, message: Json) -> str:
        case_service, moderator = self._bot.case_service, asked.moderator
        lifts = verb == "undo" or (verb == "label" and argument == Label.NEUTRAL)
        if lifts and (too_much := asked.is_too_much(beyond_undo(asked.rights, case))):
            return too_much
        match verb:
            case "right":
                return await self._outcome(asked, await case_service.confirm(case, moderator), message)
            case "wrong":
                await self._markup(message, label_keyboard(case, asked.language))
                return ""
            case "label" if argument in list(LABELS):
                return await self._outcome(asked, await case_service.correct(case, moderator, Label(argument)), message)
            case "undo":
                return await self._outcome(asked, await case_service.undo(case, moderator), message)
            case "explain":
                await explain(asked, case)
                return ""
            case "card":
                await self._markup(message, keyboard(await case_service.card(case, asked.language)))
                return ""
            case "back":
                return await self._post_back(asked, case)
            case "next":
                return await self._next(asked, case, message)
            case _:
                return asked.say("no-case", case=str(case.id))

    async def _outcome(self, asked: Asked, outcome: Outcome, message: Json) -> str:
        """What came of it; where a deletion cannot be undone, the text can be posted back."""
        if any(isinstance(action, Delete) for action in outcome.back.kept) and outcome.case.message.text:
            button = InlineKeyboardButton(asked.say("button-back"), callback_data=f"back:{outcome.case.id}")
            text = html.escape(outcome.text(asked.language))
            await self._bot.answers.send(message["chat"]["id"], text, asked.language, InlineKeyboardMarkup([[button]]))
        card = await self._bot.store.cards.of(outcome.case.id)
        if card is None or card.message != str(message["message_id"]):  # a digest is gone through
            await self._show(asked, outcome.case, message)
        return outcome.text(asked.language)

    async def _show(self, asked: Asked, case: Case, message: Json, following: int | None = None) -> None:
        """This message becomes the card of that case."""
        card = await self._bot.case_service.card(case, asked.language)
        if following is None:
            following = _following(message)
        await self._bot.answers.answer(
            lambda _: self._bot.api.redraw(
                message["chat"]["id"],
                message["message_id"],
                fitting(card_text(card, case, asked.language)),
                keyboard(card, following=following, language=asked.language),
            )
        )

    async def _next(self, asked: Asked, first: Case, message: Json) -> str:
        """The next open case of a digest: below it, as a message of its own that then goes on to the others."""
        card = await self._bot.store.cards.of(first.id)
        numbers = await self._bot.store.cards.cases_of(PLATFORM, card.room, card.message or "") if card else []
        found = [case for case in await self._bot.store.cases_of(numbers) if await asked.may_read(case.message.key)]
        waiting = [case for case in found if case.state == "open"]
        if not waiting:
            return asked.say("digest-through")
        if card is not None and card.message == str(message["message_id"]):
            shown = await self._bot.case_service.card(waiting[0], asked.language)
            text = card_text(shown, waiting[0], asked.language)
            buttons = keyboard(shown, following=first.id, language=asked.language)
            await self._bot.answers.send(message["chat"]["id"], text, asked.language, buttons)
        else:
            await self._show(asked, waiting[0], message, following=first.id)
        return asked.say("digest-left", count=len(waiting) - 1) if len(waiting) > 1 else ""

    async def _post_back(self, asked: Asked, case: Case) -> str:
        """The removed text as a quote in its group, once."""
        if not case.message.text:
            return asked.say("text-forgotten")
        if not await self._bot.store.record_posted_back(case.id):
            return asked.say("outcome-posted-before")
        text = (
            f"{asked.say('posted-back', author=inline(case.author.name))}\n{block(case.message.text, asked.language)}"
        )
        try:
            async with self._bot.acting.refusals(asked.chat, None):
                topic = topic_of(case.message.key.room)
                await self._bot.api.send(asked.chat, text, topic=topic)
        except (MissingPermission, Gone, RateLimited) as error:
            await self._bot.store.record_not_posted_back(case.id)
            why = error.why.text(asked.language) if isinstance(error, MissingPermission) else str(error)
            return asked.say("outcome-not-posted-back", error=why)
        except Unreachable as error:  # it may stand there: nobody posts it twice
            return asked.say("outcome-perhaps-posted-back", error=str(error))
        return asked.say("outcome-posted-back")

    async def _markup(self, message: Json, buttons: InlineKeyboardMarkup) -> None:
        await self._bot.answers.answer(
            lambda _: self._bot.api.ask(
                "editMessageReplyMarkup",
                chat_id=message["chat"]["id"],
                message_id=message["message_id"],
                reply_markup=buttons,
            )
        )


async def explain(asked: Asked, case: Case) -> None:
    """Why the message of a case got its label."""
    if not (case.message.text or case.message.quoted):
        await asked.tell(asked.say("text-forgotten"))
        return
    try:
        found = await asked.bot.case_service.explain_case(case, asked.asker, asked.may_read)
    except SILENT as error:
        await asked.tell(html.escape(why_silent(asked.language, error)))
        return
    lines, quoted = explained(found, case.message.decision, asked.language)
    await asked.tell(explanation(lines, quoted))


def explanation(lines: Sequence[str], quoted: Sequence[tuple[str, str]]) -> str:
    """As one message: our sentences, then each quoted piece inert."""
    return "\n".join([*map(html.escape, lines), *(f"{html.escape(said)} {inline(text, 120)}" for said, text in quoted)])


def _following(message: Json) -> int | None:
    """The digest a message goes through, read from its own "next" button."""
    for row in (message.get("reply_markup") or {}).get("inline_keyboard", ()):
        for button in row:
            verb, _, number = str(button.get("callback_data") or "").partition(":")
            if verb == "next" and number.isdecimal():
                return int(number)
    return None
