"""Who administers a group: asked of Telegram, remembered for a minute."""

import time

import telegram
from telegram.constants import ChatMemberStatus
from telegram.error import BadRequest, Forbidden

KEPT_S = 60.0
_HIGH = (ChatMemberStatus.ADMINISTRATOR, ChatMemberStatus.OWNER)


class Admins:
    """Anonymous administrators are among them. A minute old at most where rights are checked."""

    def __init__(self) -> None:
        self._lists: dict[int, tuple[float, frozenset[int]]] = {}
        self._single: dict[tuple[int, int], tuple[float, bool]] = {}

    async def of(self, bot: telegram.Bot, chat: int) -> frozenset[int]:
        """Their user ids. An older list serves while Telegram does not answer; with none at all its error is raised, so
        that nobody is taken for a member who moderates."""
        known = self._lists.get(chat)
        if known is not None and time.monotonic() - known[0] < KEPT_S:
            return known[1]
        try:
            found = frozenset(member.user.id for member in await bot.get_chat_administrators(chat))
        except (BadRequest, Forbidden):  # the group is gone, or the bot is
            found = frozenset()
        except telegram.error.TelegramError:
            if known is None:
                raise
            found = known[1]
        self._lists[chat] = (time.monotonic(), found)
        return found

    async def is_one(self, bot: telegram.Bot, chat: int, user: int) -> bool:
        """At the moment of a click; raises Telegram's errors."""
        known = self._single.get((chat, user))
        if known is not None and time.monotonic() - known[0] < KEPT_S:
            return known[1]
        try:
            member = await bot.get_chat_member(chat, user)
            found = member.status in _HIGH
        except (BadRequest, Forbidden):
            found = False
        self._single = {key: kept for key, kept in self._single.items() if time.monotonic() - kept[0] < KEPT_S}
        self._single[chat, user] = (time.monotonic(), found)
        return found

    def changed(self, chat: int) -> None:
        """Somebody's standing in the group changed: ask again."""
        self._lists.pop(chat, None)
        self._single = {key: kept for key, kept in self._single.items() if key[0] != chat}
