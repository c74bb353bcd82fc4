"""The private chat: set-up on one screen, deep links from groups, forwarded messages, a member's own data."""

import html
import re

from telegram import InlineKeyboardButton, InlineKeyboardMarkup

from bot.conversation.context import Markup
from bot.conversation.setup import (
    preset_name,
    setup_line,
    with_next_language,
    with_next_preset,
    with_other_mode,
    with_other_warning,
)
from bot.conversation.status import mode_line
from bot.domain.policy import Mode, Policy
from bot.pipeline.hourly_cap import RESUME
from bot.platforms.telegram.bot import TelegramBot
from bot.platforms.telegram.card_layout import fitting
from bot.platforms.telegram.commands import Commands, command_of
from bot.platforms.telegram.events import Json
from bot.platforms.telegram.request import TelegramRequest, checked_request
from bot.platforms.telegram.who_may import BUTTONS, DEEDS, Right
from bot.text.language import language_of, say

_CHAT = re.compile(r"-?[0-9]{1,18}")


class PrivateChat:
    """Answers people who write to the bot in private. Every button names its group, and rights are checked at the
    click."""

    def __init__(self, bot: TelegramBot, commands: Commands) -> None:
        self._bot = bot
        self._commands = commands

    async def message(self, message: Json) -> None:
        """A command, a deep link, or a forwarded message."""
        command = command_of(message, self._bot.api.username)
        if command is None:
            if message.get("forward_origin"):
                await self._commands.forwarded(message)
            else:
                sender = message.get("from") or {}
                language = language_of(str(sender.get("language_code") or "en"))
                await self._bot.answers.send(message["chat"]["id"], say(language, "telegram-hello"), language)
            return
        name, rest = command
        if name == "start" and rest:
            verb, chat, number = payload(rest)
            chat = None if chat is None else self._bot.groups.now_at(chat)
            if chat is not None and await self._bot.is_with(chat, int((message.get("from") or {}).get("id", 0))):
                await self._commands.run(verb, number, message, chat)
                return
            name, rest = ("start", "") if chat is None else ("nobody", "")
        if name in ("start", "setup", "nobody"):
            request = await checked_request(self._bot, message, command="setup")
            if request is not None:
                await self.show(request)
            return
        await self._commands.run(name, rest, message)

    async def show(self, request: TelegramRequest) -> None:
        """Shows the set-up as it stands; a member sees what members can do."""
        if not request.may_with(Right.MANAGE):
            await request.tell(request.say("telegram-member"))
            return
        if request.where == request.chat:  # the set-up is shown in private only
            await request.tell(request.say("telegram-alone"))
            return
        text, buttons = await self._screen(request)
        await self._bot.answers.send(request.where, text, request.language, buttons)

    async def click(self, query: Json, verb: str, rest: str) -> str:
        """Handles a button of the private chat; returns the words that Telegram shows for a moment."""
        chat_text, _, deed = rest.partition(":")
        chat = self._bot.groups.now_at(int(chat_text)) if _CHAT.fullmatch(chat_text) else 0
        if not self._bot.groups.knows(chat) or not query.get("message"):
            return ""
        message = {**query["message"], "from": query["from"], "sender_chat": None}
        needed = BUTTONS[RESUME if deed == RESUME else verb]
        request = await checked_request(self._bot, message, chat, fresh=needed is Right.MANAGE, click=query)
        if request is None:
            return ""
        if not request.is_in_place:
            return say(request.language, "telegram-elsewhere")
        if verb == "in":
            asker, _, deed = deed.partition(":")
            if asker != str(request.user):
                return say(request.language, "telegram-asked-by-another")
            if not await self._bot.is_with(chat, request.user):
                return say(request.language, "telegram-not-with")
            self._bot.groups.choose(request.user, chat)
            name, _, rest = deed.partition(" ")
            await self._commands.run(name, rest, message, chat)
            return ""
        if verb == "mine":
            if request.where != request.user:
                return say(request.language, "telegram-elsewhere")
            if deed in ("export", "erase"):
                await self._bot.conversation.privacy.mydata(request, deed)
            elif deed in ("yes", "no"):
                await self._bot.conversation.privacy.consent(request, deed)
            return ""
        if not request.may_with(needed):
            return request.refusal_for(needed)
        if deed == RESUME:  # below a notice, not on the screen of the set-up
            await self._bot.conversation.cases.resume(request)
            return request.reply.note_text
        policy = await self._bot.pipeline.policy(request.community)
        if too_much := request.beyond(request.lacks(_after(policy, deed))):
            return html.unescape(too_much)
        await self._change(request, deed)

        async def draw(_: bool) -> None:
            after = await checked_request(self._bot, message, chat)
            if after is None:
                return
            text, buttons = await self._screen(after)
            await self._bot.api.redraw(message["chat"]["id"], message["message_id"], fitting(text), buttons)

        await self._bot.answers.answer(draw)
        return ""

    async def link_board(self, message: Json, chat: int) -> bool:
        """Handles `/start mods_CHAT` in a group: one tap makes the group the moderators' chat of another group. Returns
        False where it does not.

        It takes the right to manage in both groups, which Telegram is asked for now. A chat in which members were
        moderated never becomes one, because a moderators' chat is not read.
        """
        bot, where = self._bot, int(message["chat"]["id"])
        chat = bot.groups.now_at(chat)
        board_request = await checked_request(bot, message, where, fresh=True)
        if board_request is None or not bot.groups.knows(chat):
            return False
        needed, language = DEEDS["start mods_…"], bot.groups.setup_of_chat(where).language
        own_request = (
            await checked_request(bot, message, chat, fresh=True)
            if board_request.may_with(needed) and board_request.user
            else None
        )
        if own_request is None or not own_request.may_with(needed):
            refusal = "telegram-link-both" if board_request.user else "not-anonymous"
            await bot.answers.send(where, html.escape(say(language, refusal)), language)
            return False
        if where == chat or await bot.groups.is_moderated(where):
            await bot.answers.send(where, html.escape(say(language, "telegram-link-moderated")), language)
            return False
        await bot.change_setup(chat, alert_room=str(where), done=True)
        await bot.answers.send(where, own_request.say("setup-test-card"), own_request.language)
        return True

    async def _change(self, request: TelegramRequest, what: str) -> None:
        setup, bot = request.setup, self._bot
        policy = await bot.pipeline.policy(request.community)
        match what:
            case "here":
                await bot.change_setup(request.chat, alert_room=str(request.user), done=True)
            case "preset":
                await bot.pipeline.set_policy(request.community, with_next_preset(policy))
            case "language":
                await bot.change_setup(request.chat, language=with_next_language(setup).language)
            case "warn":
                await bot.change_setup(request.chat, warn=with_other_warning(setup).warn)
            case "mode":
                await bot.pipeline.set_mode(request.community, with_other_mode(policy).mode)
            case "link":
                await request.tell(request.say("telegram-link-how"))

    async def _screen(self, request: TelegramRequest) -> tuple[str, InlineKeyboardMarkup]:
        bot, chat, setup, language = self._bot, request.chat, request.setup, request.language
        policy = await bot.pipeline.policy(request.community)
        missing = await bot.check(chat)
        moderators = request.say("telegram-admins")
        lines = [
            request.reply.bold(Markup(html.escape(request.community_name))),
            setup_line(request, setup, policy, alerts=_alerts(request), moderators=moderators),
            request.reply.ours(mode_line(policy, language, is_paused=bot.pipeline.cap.is_paused(request.community))),
            *(Markup(f"⚠️ {request.notice(one)}") for one in missing),
        ]

        def button(text: str, what: str) -> InlineKeyboardButton:
            return InlineKeyboardButton(text, callback_data=f"set:{chat}:{what}")

        board = f"https://t.me/{bot.api.username}?startgroup=mods_{chat}"
        other = "shadow" if policy.mode is Mode.ENFORCE else "enforce"
        preset = html.unescape(preset_name(request, policy))
        rows = [
            [
                button(say(language, "telegram-cards-here"), "here"),
                InlineKeyboardButton(say(language, "telegram-cards-group"), url=board),
            ],
            [
                button(f"{say(language, 'setup-preset')}: {preset}", "preset"),
                button(say(language, "setup-button-language"), "language"),
            ],
            [
                button(say(language, f"setup-button-warn-{setup.warn}"), "warn"),
                button(say(language, f"telegram-to-{other}"), "mode"),
            ],
            [button(say(language, "telegram-link-button"), "link")],
        ]
        return "\n".join(lines), InlineKeyboardMarkup(rows)


def _after(policy: Policy, what: str) -> Policy:
    """Returns the policy that would be in force after this button."""
    match what:
        case "preset":
            return with_next_preset(policy)
        case "mode":
            return with_other_mode(policy)
        case _:
            return policy.model_copy(update={"mode": Mode.SHADOW})  # the other buttons do not change what acts


def _alerts(request: TelegramRequest) -> Markup:
    """Names where cards go: a group by its title, or the private chat of one administrator; "" for nowhere."""
    room = request.setup.alert_room
    if not room:
        return Markup("")
    title = request.bot.groups.title(int(room))
    return Markup(html.escape(title)) if room.startswith("-") and title else request.say("telegram-in-private")


def payload(text: str) -> tuple[str, int | None, str]:
    """(verb, chat, number) of a deep link "explain_-100123_45"."""
    verb, _, numbers = text.partition("_")
    chat, _, number = numbers.partition("_")
    if not _CHAT.fullmatch(chat):
        return verb, None, ""
    return verb, int(chat), number if number.isdecimal() else ""
