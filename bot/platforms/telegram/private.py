"""The private chat: set-up on one screen, deep links from groups, forwarded messages, a member's own data."""

import html
import re
from typing import TYPE_CHECKING

from telegram import InlineKeyboardButton, InlineKeyboardMarkup

from bot.hourly_cap import RESUME
from bot.inert import one_line
from bot.language import LANGUAGES, language_of, say
from bot.platforms.telegram.asking import Asked, Json, Level, ask
from bot.platforms.telegram.commands import LONGEST_LIST, Commands, bold, command_of
from bot.platforms.telegram.layout import fitting
from bot.policy import PRESETS, Mode, preset_of, with_preset
from bot.setup import Setup
from bot.wording import mode_line

if TYPE_CHECKING:
    from bot.platforms.telegram.service import Telegram


_CHAT = re.compile(r"-?[0-9]{1,18}")


class Private:
    """Answers whoever writes to the bot alone. Every button names its group, and rights are checked at the click."""

    def __init__(self, bot: "Telegram", commands: Commands) -> None:
        self._bot = bot
        self._commands = commands

    async def message(self, message: Json) -> None:
        """A command, a deep link, or a forwarded message."""
        found = command_of(message, self._bot.api.username)
        if found is None:
            if message.get("forward_origin"):
                await self._commands.forwarded(message)
            else:
                sender = message.get("from") or {}
                language = language_of(str(sender.get("language_code") or "en"))
                await self._bot.answers.send(message["chat"]["id"], say(language, "telegram-hello"), language)
            return
        name, rest = found
        if name == "start" and rest:
            verb, chat, number = payload(rest)
            if chat is not None and await self._bot.is_with(chat, int((message.get("from") or {}).get("id", 0))):
                await self._commands.run(verb, number, message, chat)
                return
            name, rest = ("start", "") if chat is None else ("nobody", "")
        if name in ("start", "help", "setup", "nobody"):
            asked = await ask(self._bot, message)
            if asked is not None:
                await self.show(asked)
            return
        await self._commands.run(name, rest, message)

    async def show(self, asked: Asked) -> None:
        """The set-up as it stands; for a member, what a member can do."""
        if asked.level < Level.ADMIN:
            await asked.tell(bold(asked.say("telegram-member")), payload=f"start_{asked.chat}")
            return
        if asked.where == asked.chat:  # set-up is nobody else's business
            await asked.tell(asked.say("telegram-alone"), payload=f"setup_{asked.chat}")
            return
        text, buttons = await self._screen(asked.chat)
        await asked.tell(text, buttons, payload=f"setup_{asked.chat}")

    async def click(self, query: Json, verb: str, rest: str) -> str:
        """A button of the private chat; returns what Telegram shows for a moment."""
        chat_text, _, what = rest.partition(":")
        chat = int(chat_text) if _CHAT.fullmatch(chat_text) else 0
        if not self._bot.groups.knows(chat) or not query.get("message"):
            return ""
        message = {**query["message"], "from": query["from"], "sender_chat": None}
        asked = await ask(self._bot, message, chat)
        if asked is None:
            return ""
        if verb == "in":
            if not await self._bot.is_with(chat, asked.user):
                return asked.say("not-allowed-admin")
            self._bot.groups.choose(asked.user, chat)
            name, _, rest = what.partition(" ")
            await self._commands.run(name, rest, message, chat)
            return ""
        if verb == "mine":
            if what in ("export", "erase"):
                await (self._commands.export if what == "export" else self._commands.erase)(asked)
            else:
                await self._commands.consent(asked, what == "yes")
            return ""
        if asked.level < Level.ADMIN:
            return asked.say("not-allowed-admin")
        if what == RESUME:  # below a notice, not on the screen of the set-up
            resumed = await self._bot.moderator.resume(asked.community)
            return "" if resumed else asked.say("resume-not-paused")
        await self._change(asked, what)

        async def draw(_: bool) -> None:
            text, buttons = await self._screen(chat)
            await self._bot.api.redraw(message["chat"]["id"], message["message_id"], fitting(text), buttons)

        await self._bot.answers.answer(draw)
        return ""

    async def link_board(self, message: Json, chat: int) -> None:
        """`/start mods_CHAT` in a group: the one tap that makes it the moderators' chat of another."""
        where, user = message["chat"]["id"], int((message.get("from") or {}).get("id", 0))
        setup = self._bot.groups.setup_of_chat(chat)
        if (message.get("sender_chat") or {}).get("id") == where:
            await self._bot.answers.send(where, say(setup.language, "telegram-not-anonymous"), setup.language)
            return
        if not await self._bot.admins.is_one(self._bot.api, chat, user):
            return
        await self._bot.change_setup(chat, alert_room=str(where), done=True)
        await self._bot.answers.send(where, html.escape(say(setup.language, "setup-test-card")), setup.language)

    async def _change(self, asked: Asked, what: str) -> None:
        setup, bot = asked.setup, self._bot
        policy = await bot.moderator.policy(asked.community)
        match what:
            case "here":
                await bot.change_setup(asked.chat, alert_room=str(asked.user), done=True)
            case "preset":
                names, now = list(PRESETS), preset_of(policy)
                following = names[(names.index(now) + 1) % len(names)] if now else "standard"
                await bot.moderator.set_policy(asked.community, with_preset(policy, following))
            case "language":
                spoken = LANGUAGES[(LANGUAGES.index(setup.language) + 1) % len(LANGUAGES)]
                await bot.change_setup(asked.chat, language=spoken)
            case "warn":
                await bot.change_setup(asked.chat, warn="place" if setup.warn == "dm" else "dm")
            case "mode":
                other = Mode.SHADOW if policy.mode is Mode.ENFORCE else Mode.ENFORCE
                await bot.moderator.set_mode(asked.community, other)
            case "link":
                await asked.tell(bold(asked.say("telegram-link-how")))

    async def _screen(self, chat: int) -> tuple[str, InlineKeyboardMarkup]:
        bot = self._bot
        setup, policy = bot.groups.setup_of_chat(chat), await bot.moderator.policy(bot.groups.community_of(chat))
        language = setup.language
        missing = await bot.check(chat)
        alone = one_line(", ".join(sorted(policy.exempt_rooms)), LONGEST_LIST) or say(language, "setup-none")
        lines = [
            say(
                language,
                "setup-now",
                alerts=_board(bot, setup),
                moderators=say(language, "telegram-admins"),
                exempt=alone,
                preset=say(language, f"preset-{preset_of(policy) or 'own'}"),
                language=language,
                warn=say(language, f"setup-warn-{setup.warn}"),
            ),
            mode_line(policy, language, is_paused=bot.moderator.cap.is_paused(bot.groups.community_of(chat))),
            *(f"⚠️ {one.text(language)}" for one in missing),
        ]

        def button(text: str, what: str) -> InlineKeyboardButton:
            return InlineKeyboardButton(text, callback_data=f"set:{chat}:{what}")

        board = f"https://t.me/{bot.api.username}?startgroup=mods_{chat}"
        other = "shadow" if policy.mode is Mode.ENFORCE else "enforce"
        preset = say(language, f"preset-{preset_of(policy) or 'own'}")
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
        title = html.escape(bot.groups.title(chat))
        return f"<b>{title}</b>\n{bold(chr(10).join(lines))}", InlineKeyboardMarkup(rows)


def _board(bot: "Telegram", setup: Setup) -> str:
    if not setup.alert_room:
        return say(setup.language, "setup-none")
    title = bot.groups.title(int(setup.alert_room))
    return title if setup.alert_room.startswith("-") and title else say(setup.language, "telegram-in-private")


def payload(text: str) -> tuple[str, int | None, str]:
    """(verb, chat, number) of a deep link "explain_-100123_45"."""
    verb, _, rest = text.partition("_")
    chat, _, number = rest.partition("_")
    if not _CHAT.fullmatch(chat):
        return verb, None, ""
    return verb, int(chat), number if number.isdecimal() else ""
