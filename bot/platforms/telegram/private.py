"""The private chat: set-up on one screen, deep links from groups, forwarded messages, a member's own data."""

import html
import re
from typing import TYPE_CHECKING

from telegram import InlineKeyboardButton, InlineKeyboardMarkup

from bot.conversation.wording import mode_line
from bot.domain.policy import PRESETS, Mode, Policy, Preset, preset_of, with_preset
from bot.domain.setup import Setup
from bot.pipeline.hourly_cap import RESUME
from bot.platforms.telegram.asking import Asked, Json, ask
from bot.platforms.telegram.commands import LONGEST_LIST, Commands, bold, command_of
from bot.platforms.telegram.layout import fitting
from bot.platforms.telegram.who_may import BUTTONS, DEEDS, Right, beyond
from bot.text.inert import one_line
from bot.text.language import LANGUAGES, language_of, say

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
            chat = None if chat is None else self._bot.groups.now_at(chat)
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
        if not asked.may(Right.MANAGE):
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
        chat = self._bot.groups.now_at(int(chat_text)) if _CHAT.fullmatch(chat_text) else 0
        if not self._bot.groups.knows(chat) or not query.get("message"):
            return ""
        message = {**query["message"], "from": query["from"], "sender_chat": None}
        needed = BUTTONS[RESUME if what == RESUME else verb]
        asked = await ask(self._bot, message, chat, fresh=needed is Right.MANAGE)
        if asked is None:
            return ""
        if not asked.is_in_place:
            return asked.say("telegram-elsewhere")
        if verb == "in":
            asker, _, what = what.partition(":")
            if asker != str(asked.user):
                return asked.say("telegram-asked-by-another")
            if not await self._bot.is_with(chat, asked.user):
                return asked.say("telegram-not-with")
            self._bot.groups.choose(asked.user, chat)
            name, _, rest = what.partition(" ")
            await self._commands.run(name, rest, message, chat)
            return ""
        if verb == "mine":
            if asked.where != asked.user:
                return asked.say("telegram-elsewhere")
            if what in ("export", "erase"):
                await (self._commands.export if what == "export" else self._commands.erase)(asked)
            else:
                await self._commands.consent(asked, what == "yes")
            return ""
        if not asked.may(needed):
            return asked.refusal(needed)
        policy = await self._bot.pipeline.policy(asked.community)
        if too_much := asked.is_too_much(beyond(asked.rights, _after(policy, what))):
            return too_much
        if what == RESUME:  # below a notice, not on the screen of the set-up
            resumed = await self._bot.pipeline.resume(asked.community)
            return "" if resumed else asked.say("resume-not-paused")
        await self._change(asked, what)

        async def draw(_: bool) -> None:
            text, buttons = await self._screen(chat)
            await self._bot.api.redraw(message["chat"]["id"], message["message_id"], fitting(text), buttons)

        await self._bot.answers.answer(draw)
        return ""

    async def link_board(self, message: Json, chat: int) -> bool:
        """`/start mods_CHAT` in a group: the one tap that makes it the moderators' chat of another; False where it does
        not.

        Takes the right to manage in both, asked of Telegram now. A chat in which members were moderated never becomes
        one, because a moderators' chat is not read.
        """
        bot, where = self._bot, int(message["chat"]["id"])
        chat = bot.groups.now_at(chat)
        here = await ask(bot, message, where, fresh=True)
        if here is None or not bot.groups.knows(chat):
            return False
        needed, language = DEEDS["start mods_…"], bot.groups.setup_of_chat(where).language
        there = await ask(bot, message, chat, fresh=True) if here.may(needed) and here.user else None
        if there is None or not there.may(needed):
            refusal = "telegram-link-both" if here.user else "telegram-not-anonymous"
            await bot.answers.send(where, html.escape(say(language, refusal)), language)
            return False
        if where == chat or await bot.groups.is_moderated(where):
            await bot.answers.send(where, html.escape(say(language, "telegram-link-moderated")), language)
            return False
        await bot.change_setup(chat, alert_room=str(where), done=True)
        await bot.answers.send(where, html.escape(there.say("setup-test-card")), there.language)
        return True

    async def _change(self, asked: Asked, what: str) -> None:
        setup, bot = asked.setup, self._bot
        policy = await bot.pipeline.policy(asked.community)
        match what:
            case "here":
                await bot.change_setup(asked.chat, alert_room=str(asked.user), done=True)
            case "preset":
                await bot.pipeline.set_policy(asked.community, _after(policy, what))
            case "language":
                spoken = LANGUAGES[(LANGUAGES.index(setup.language) + 1) % len(LANGUAGES)]
                await bot.change_setup(asked.chat, language=spoken)
            case "warn":
                await bot.change_setup(asked.chat, warn="place" if setup.warn == "dm" else "dm")
            case "mode":
                await bot.pipeline.set_mode(asked.community, _after(policy, what).mode)
            case "link":
                await asked.tell(bold(asked.say("telegram-link-how")))

    async def _screen(self, chat: int) -> tuple[str, InlineKeyboardMarkup]:
        bot = self._bot
        setup, policy = bot.groups.setup_of_chat(chat), await bot.pipeline.policy(bot.groups.community_of(chat))
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
            mode_line(policy, language, is_paused=bot.pipeline.cap.is_paused(bot.groups.community_of(chat))),
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


def _after(policy: Policy, what: str) -> Policy:
    """What would be in force after this button."""
    match what:
        case "preset":
            return with_preset(policy, _following_preset(policy))
        case "mode":
            return policy.model_copy(update={"mode": Mode.SHADOW if policy.mode is Mode.ENFORCE else Mode.ENFORCE})
        case _ if what == RESUME:
            return policy
        case _:
            return policy.model_copy(update={"mode": Mode.SHADOW})  # whatever acts stays as it is


def _following_preset(policy: Policy) -> Preset:
    names, now = list(PRESETS), preset_of(policy)
    return names[(names.index(now) + 1) % len(names)] if now else "standard"


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
