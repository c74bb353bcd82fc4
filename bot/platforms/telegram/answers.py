"""Sends answers. The request itself is done already, so only the answer is tried again."""

import asyncio
import random
from collections.abc import Awaitable, Callable

import structlog
import telegram
from telegram.error import BadRequest, Forbidden, RetryAfter, TelegramError

from bot.domain.platform import Unreachable
from bot.platforms.telegram.bot_api import BotApi, UnreadableAnswer
from bot.platforms.telegram.card_layout import fitting
from bot.text.language import Language, say

log = structlog.get_logger()

AGAIN_S = (1.0, 5.0, 20.0, 60.0)
MOST_LATE = 1000
"""The waits before an answer that did not get through is tried again, and how many may wait."""


class Answers:
    """Sends answers. `api` returns the connection or raises `Unreachable`; `group` owns the tasks of later tries."""

    def __init__(self, api: Callable[[], BotApi]) -> None:
        self._api = api
        self._late = 0
        self.group: asyncio.TaskGroup | None = None

    async def send(
        self,
        chat: int,
        text: str,
        language: Language,
        buttons: telegram.InlineKeyboardMarkup | None = None,
        topic: int | None = None,
    ) -> bool:
        """Sends HTML to a chat; see `answer`. False where the chat cannot be written to."""

        async def call(again: bool) -> None:
            whole = f"<i>{say(language, 'card-again')}</i>\n{text}" if again else text
            await self._api().send(chat, fitting(whole), buttons, topic)

        return await self.answer(call)

    async def answer(self, call: Callable[[bool], Awaitable[object]]) -> bool:
        """Makes the call that answers a request. The request is done and must not be done again because its answer does
        not get through.

        Where Telegram is silent or its limit is reached, the call is made again later: as `call(True)` where the first
        one may have arrived. It is not made again where Telegram's answer cannot be read. Never raises Telegram's
        errors; returns False where Telegram refused.
        """
        try:
            await call(False)
        except (BadRequest, Forbidden) as error:
            log.info("not answered", error=error.message)
            return False
        except UnreadableAnswer as error:  # it has perhaps arrived, and then the next would, too
            log.warning("whether an answer arrived is not known", error=error.message)
        except (Unreachable, TelegramError) as error:
            self.later(call, maybe=not isinstance(error, Unreachable | RetryAfter))
        return True

    def later(self, call: Callable[[bool], Awaitable[object]], *, maybe: bool = False) -> None:
        """Makes a call later, and again until it works, a few times; `maybe` says that it may have worked before. Never
        waits or raises."""

        async def again(maybe: bool) -> None:
            try:
                for wait_s in AGAIN_S:
                    await asyncio.sleep(random.uniform(1, 2) * wait_s)  # noqa: S311  # not all at once
                    try:
                        await call(maybe)
                        return
                    except (BadRequest, Forbidden, UnreadableAnswer) as error:
                        log.info("not answered", error=error.message)
                        return
                    except (Unreachable, TelegramError) as error:
                        maybe = maybe or not isinstance(error, Unreachable | RetryAfter)
                log.warning("an answer was given up")
            except Exception:
                log.exception("an answer failed")
            finally:
                self._late -= 1

        if self.group is not None and self._late < MOST_LATE:
            self._late += 1
            self.group.create_task(again(maybe))
