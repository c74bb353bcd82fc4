"""Knows who administers a group, with which rights: asks Telegram and remembers the answer for a minute."""

import time
from typing import Any

from telegram.constants import ChatMemberStatus
from telegram.error import BadRequest, Forbidden, TelegramError

from bot.platforms.telegram.bot_api import BotApi, UnreadableAnswer
from bot.platforms.telegram.who_may import CHANGE_INFO, DELETE, PROMOTE, RESTRICT

KEPT_S = 60.0
ALL = frozenset({CHANGE_INFO, DELETE, PROMOTE, RESTRICT})
"""The owner's."""


class Admins:
    """Anonymous administrators are among them. A minute old at most where rights are checked."""

    def __init__(self) -> None:
        self._lists: dict[int, tuple[float, frozenset[int]]] = {}
        self._single: dict[tuple[int, int], tuple[float, frozenset[str] | None]] = {}

    async def of(self, bot: BotApi, chat: int) -> frozenset[int]:
        """Returns the administrators' user ids. An older list serves while Telegram does not answer. Without any list
        Telegram's error is raised, so that a moderator is never taken for a member."""
        cached = self._lists.get(chat)
        if cached is not None and time.monotonic() - cached[0] < KEPT_S:
            return cached[1]
        try:
            ids = _ids(await bot.ask("getChatAdministrators", chat_id=chat))
        except (BadRequest, Forbidden):  # the group is gone, or the bot is
            ids = frozenset()
        except TelegramError:
            if cached is None:
                raise
            ids = cached[1]
        self._lists[chat] = (time.monotonic(), ids)
        return ids

    async def is_one(self, bot: BotApi, chat: int, user: int) -> bool:
        """Says whether a user administers the group, with whatever rights; raises Telegram's errors."""
        return await self._rights(bot, chat, user) is not None

    async def rights(self, bot: BotApi, chat: int, user: int, *, fresh: bool = False) -> frozenset[str]:
        """Returns a user's rights in a group, by Telegram's names, at the moment of a click; none for a user who is no
        administrator. `fresh` asks Telegram again. Raises Telegram's errors."""
        if fresh:
            self._single.pop((chat, user), None)
        return await self._rights(bot, chat, user) or frozenset()

    async def _rights(self, bot: BotApi, chat: int, user: int) -> frozenset[str] | None:
        cached = self._single.get((chat, user))
        if cached is not None and time.monotonic() - cached[0] < KEPT_S:
            return cached[1]
        try:
            rights = _rights_of(await bot.object("getChatMember", chat_id=chat, user_id=user))
        except (BadRequest, Forbidden):
            rights = None
        self._single = {key: kept for key, kept in self._single.items() if time.monotonic() - kept[0] < KEPT_S}
        self._single[chat, user] = (time.monotonic(), rights)
        return rights

    def changed(self, chat: int) -> None:
        """A user's standing in the group changed, so Telegram is asked again."""
        self._lists.pop(chat, None)
        self._single = {key: kept for key, kept in self._single.items() if key[0] != chat}

    def of_whom(self, user: int) -> list[int]:
        """Returns the groups that a user is known to administer; makes no call."""
        return [chat for chat, (_, admins) in self._lists.items() if user in admins]


def _rights_of(member: Any) -> frozenset[str] | None:
    """Returns the rights of an administrator; None for other members. Only an exact true counts as a right."""
    if member.get("status") == ChatMemberStatus.OWNER:
        return ALL
    if member.get("status") != ChatMemberStatus.ADMINISTRATOR:
        return None
    return frozenset(name for name, has in member.items() if name.startswith("can_") and has is True)


def _ids(answer: Any) -> frozenset[int]:
    """Reads the one field that is needed from each entry that has it; an answer without such an entry tells nothing."""
    members = [one for one in answer if isinstance(one, dict)] if isinstance(answer, list) else []
    numbers = [(one.get("user") or {}).get("id") for one in members if isinstance(one.get("user"), dict)]
    ids = frozenset(number for number in numbers if isinstance(number, int))
    if not ids and answer != []:
        raise UnreadableAnswer("getChatAdministrators: the answer names nobody")
    return ids
