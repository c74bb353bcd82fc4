"""Asks a person which group they mean, in private or among moderators of several groups."""

import html
from collections.abc import Mapping, Sequence
from typing import Any

from telegram import InlineKeyboardButton, InlineKeyboardMarkup

from bot.platforms.telegram.bot import TelegramBot
from bot.platforms.telegram.events import in_group
from bot.text.inert import one_line
from bot.text.language import Language, say

LONGEST_DATA = 64
"""Bytes that a button can carry."""
ON_A_PAGE = 8
"""The most groups on one page of choices."""
Json = Mapping[str, Any]


async def choices(bot: TelegramBot, message: Json) -> list[tuple[int, str]]:
    """Returns (chat, title) of the groups that the author of this message can mean."""
    watched = bot.groups.watched_from(message["chat"]["id"]) if in_group(message) else []
    if watched:
        return [(one, bot.groups.title(one)) for one in watched]
    return await bot.groups_with(int((message.get("from") or {}).get("id", 0)))


def choice(
    bot: TelegramBot, groups: Sequence[tuple[int, str]], language: Language, command: str, user: int, page: int = 0
) -> tuple[str, InlineKeyboardMarkup | None]:
    """Returns the question and a page of buttons. Each button carries the command, as far as it fits, and the asker's
    id, because only the asker knows what a press would do."""
    if not groups:
        return say(language, "telegram-no-group", link=html.escape(bot.invite)), None
    verb = command.partition(" ")[0]
    pages = -(-len(groups) // ON_A_PAGE)
    page = page % pages
    rows = []
    for chat, title in groups[page * ON_A_PAGE : (page + 1) * ON_A_PAGE]:
        name = one_line(title, 40) or str(chat)
        rows.append([InlineKeyboardButton(name, callback_data=_fitting(f"in:{chat}:{user}:", command, verb))])
    if pages == 1:
        return say(language, "telegram-which-group"), InlineKeyboardMarkup(rows)
    turns = [
        InlineKeyboardButton(sign, callback_data=_fitting(f"page:{other % pages}:{user}:", command, verb))
        for sign, other in (("◀", page - 1), ("▶", page + 1))
    ]
    values = {"count": len(groups), "page": page + 1, "pages": pages}
    return say(language, "telegram-which-of-many", **values), InlineKeyboardMarkup([*rows, turns])


def _fitting(first: str, command: str, verb: str) -> str:
    full = first + command
    return full if len(full.encode("utf-8", "replace")) <= LONGEST_DATA else first + verb
