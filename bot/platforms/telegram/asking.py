"""Who asks, about which group, and where the answer goes. Rights are settled when it is asked."""

import html
from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING, Any

import telegram
from telegram import InlineKeyboardButton, InlineKeyboardMarkup
from telegram.error import BadRequest, Forbidden

from bot.language import Language, language_of, say
from bot.platforms.telegram.events import PLATFORM, in_group
from bot.setup import Setup

if TYPE_CHECKING:
    from bot.platforms.telegram.service import Telegram

LONGEST = 4096
Json = Mapping[str, Any]


class Level(IntEnum):
    """Who may: any member, or the group's administrators."""

    MEMBER = 0
    ADMIN = 1


@dataclass(frozen=True, slots=True)
class Asked:
    """A question about one group. `user` is 0 for an anonymous administrator; `where` is the chat it was asked in."""

    bot: "Telegram"
    chat: int
    where: int
    user: int
    name: str
    level: Level
    setup: Setup
    message: Json

    @property
    def community(self) -> str:
        """Whose policy and cases these are."""
        return self.bot.groups.community_of(self.chat)

    @property
    def language(self) -> Language:
        """The group's."""
        return self.setup.language

    @property
    def moderator(self) -> str:
        """How the store names whoever asks, as a moderator."""
        return f"{PLATFORM}:{self.user}"

    @property
    def pseudonym(self) -> str:
        """How the store names whoever asks, as an author."""
        return self.bot.store.sealer.author(PLATFORM, self.community, str(self.user))

    def say(self, name: str, **arguments: str | int | float) -> str:
        """In the group's language, ready for HTML: what is filled in must be escaped already."""
        return (
            html.escape(say(self.language, name), quote=False)
            if not arguments
            else say(self.language, name, **arguments)
        )

    async def tell(self, text: str, keyboard: InlineKeyboardMarkup | None = None, payload: str = "") -> None:
        """The answer: where it was asked if that is among moderators or alone, else alone.

        Whoever has never written to the bot cannot be written to: they get a button that leads there and asks again.
        """
        bot = self.bot.api
        if self.where != self.chat:
            await bot.send_message(self.where, text[:LONGEST], reply_markup=keyboard, parse_mode="HTML")
            return
        if self.user:
            try:
                await bot.send_message(self.user, text[:LONGEST], reply_markup=keyboard, parse_mode="HTML")
                return
            except (Forbidden, BadRequest):
                pass
        url = f"https://t.me/{bot.username}?start={payload or 'hello'}"
        button = InlineKeyboardMarkup([[InlineKeyboardButton(self.say("telegram-alone-button"), url=url)]])
        topic = self.message.get("message_thread_id") if self.message.get("is_topic_message") else None
        await bot.send_message(self.chat, self.say("telegram-alone"), reply_markup=button, message_thread_id=topic)


async def ask(bot: "Telegram", message: Json, chat: int | None = None) -> Asked | None:
    """The question as it may be asked. `chat` is the group where it is not the one the message stands in.

    None where there is no group to ask about: then whoever asked was told to choose one.
    """
    where, sender = message["chat"], message.get("from") or {}
    anonymous = (message.get("sender_chat") or {}).get("id") == where["id"]
    user = 0 if anonymous else int(sender.get("id", 0))
    name = str(sender.get("first_name") or sender.get("username") or "")
    if chat is None:
        chat = bot.groups.about(where["id"]) if in_group(message) else await bot.chosen_group(user)
    if chat is None:
        language = language_of(str(sender.get("language_code") or "en"))
        await choose(bot, user, language, str(message.get("text") or ""))
        return None
    level = Level.ADMIN if anonymous or await bot.admins.is_one(bot.api, chat, user) else Level.MEMBER
    return Asked(bot, chat, where["id"], user, name, level, bot.groups.setup_of_chat(chat), message)


async def choose(bot: "Telegram", user: int, language: Language, command: str) -> None:
    """Which of the groups both are in?"""
    groups = await bot.groups_with(user)
    if not groups:
        link = html.escape(bot.invite)
        await bot.api.send_message(user, say(language, "telegram-no-group", link=link), parse_mode="HTML")
        return
    verb = command.partition("@")[0].partition(" ")[0].lstrip("/")[:16] or "start"
    rows = [
        [InlineKeyboardButton(title[:40] or str(chat), callback_data=f"in:{chat}:{verb}")] for chat, title in groups
    ]
    await bot.api.send_message(user, say(language, "telegram-which-group"), reply_markup=InlineKeyboardMarkup(rows))


def unchanged(error: telegram.error.BadRequest) -> bool:
    """Telegram refuses an edit that changes nothing; nothing is wrong then."""
    return "not modified" in error.message.lower()
