"""Which channel a discussion group belongs to: asked of Telegram, remembered for a minute.

The channel may comment as itself in its group, and then nothing in the message says that it is the linked one.
"""

import time

from telegram.error import BadRequest, Forbidden, TelegramError

from bot.platforms.telegram.bot_api import BotApi

KEPT_S = 60.0


class LinkedChannels:
    """By group. Telegram is asked only where a channel has written, so that a quiet group costs no call."""

    def __init__(self) -> None:
        self._known: dict[int, tuple[float, int]] = {}

    async def of(self, bot: BotApi, chat: int) -> int:
        """Returns the linked channel's id, 0 for none. An older answer serves while Telegram does not answer. Without
        any answer Telegram's error is raised, so that the channel is not punished by mistake."""
        cached = self._known.get(chat)
        if cached is not None and time.monotonic() - cached[0] < KEPT_S:
            return cached[1]
        try:
            linked = (await bot.object("getChat", chat_id=chat)).get("linked_chat_id")
        except (BadRequest, Forbidden):  # the group is gone, or the bot is
            linked = None
        except TelegramError:
            if cached is None:
                raise
            linked = cached[1]
        channel = linked if isinstance(linked, int) else 0
        self._known[chat] = (time.monotonic(), channel)
        return channel

    def changed(self, chat: int) -> None:
        """Something about the group changed: ask again."""
        self._known.pop(chat, None)
