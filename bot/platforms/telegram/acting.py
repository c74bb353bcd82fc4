"""Our actions as Telegram's calls, with Telegram's limits checked before the call and its errors in our family."""

import contextlib
import html
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta

import telegram
from telegram import ChatPermissions
from telegram.error import BadRequest, ChatMigrated, Forbidden, InvalidToken, NetworkError, RetryAfter, TelegramError

from bot.actions import Action, Ban, Delete, Kick, Timeout, Warn
from bot.breaker import Breaker
from bot.events import Author, Kind, MessageKey
from bot.inert import one_line
from bot.language import say
from bot.notices import Notice
from bot.platforms.base import Gone, MissingPermission, NotConnected, RateLimited, Unreachable
from bot.platforms.grouping import Grouping
from bot.platforms.telegram.events import chat_of, is_channel, number_of, titled, topic_of
from bot.platforms.telegram.limits import Full
from bot.setup import Setup

BULK = 100
LONGEST_UNTIL = timedelta(days=366)
"""A restriction that is longer counts as one for good."""
_GONE = ("not found", "message_id_invalid", "message to delete", "user_not_participant", "participant_id_invalid")
_NO_RIGHT = ("not enough rights", "chat_admin_required", "have no rights", "need administrator")
_IMMUNE = ("administrator of the chat", "chat owner", "user_admin_invalid")
_SUPERGROUP = ("supergroup",)


class Acting:
    """Performs actions. `connected` gives the bot of the moment, None while there is none; `is_admin` says whether
    nobody may act on somebody; `migrated` hears of a chat that moved."""

    def __init__(
        self,
        connected: Callable[[], telegram.Bot | None],
        setup_of: Callable[[str], Awaitable[Setup]],
        is_admin: Callable[[int, int], Awaitable[bool]],
        migrated: Callable[[int, int], Awaitable[None]],
        breaker: Breaker,
    ) -> None:
        self._connected = connected
        self._setup_of = setup_of
        self._is_admin = is_admin
        self._migrated = migrated
        self._breaker = breaker
        self._deletions: Grouping[int] = Grouping(BULK)

    async def perform(self, action: Action, key: MessageKey, author: Author) -> None:
        """Raises `Gone`, `MissingPermission`, `RateLimited` or `Unreachable`. Doing it twice looks like once."""
        bot, chat = self._bot(), self._chat(key)
        async with self.refusals(chat, right_for(action)):
            match action:
                case Delete():
                    await self._delete(bot, chat, key)
                case Warn():
                    await self._warn(bot, chat, key, author)
                case Timeout(minutes=minutes):
                    await self._may_act_on(chat, author)
                    if is_channel(author):
                        raise MissingPermission(Notice("missing-channel"))
                    until = datetime.now(UTC) + timedelta(minutes=minutes)
                    nothing = ChatPermissions.no_permissions()
                    await bot.restrict_chat_member(chat, int(author.id), nothing, until_date=until)
                case Kick():
                    await self._may_act_on(chat, author)
                    if is_channel(author):
                        raise MissingPermission(Notice("missing-channel"))
                    await bot.ban_chat_member(chat, int(author.id))
                    await bot.unban_chat_member(chat, int(author.id), only_if_banned=True)
                case Ban(hours=hours):
                    await self._may_act_on(chat, author)
                    if is_channel(author):
                        await bot.ban_chat_sender_chat(chat, int(author.id))
                    else:
                        length = timedelta(hours=hours) if hours is not None else None
                        until_or_never = datetime.now(UTC) + length if length and length < LONGEST_UNTIL else None
                        await bot.ban_chat_member(chat, int(author.id), until_date=until_or_never)
                case _:
                    pass

    async def undo(self, action: Action, key: MessageKey, author: Author) -> bool:
        """Lifts a restriction or a ban; a deleted message cannot be brought back by anybody."""
        bot, chat = self._bot(), self._chat(key)
        async with self.refusals(chat, right_for(action)):
            match action:
                case Timeout() if not is_channel(author):
                    allowed = (await bot.get_chat(chat)).permissions or ChatPermissions.all_permissions()
                    await bot.restrict_chat_member(chat, int(author.id), allowed)
                case Ban() if is_channel(author):
                    await bot.unban_chat_sender_chat(chat, int(author.id))
                case Ban():
                    await bot.unban_chat_member(chat, int(author.id), only_if_banned=True)
                case _:
                    return False
        return True

    def _bot(self) -> telegram.Bot:
        bot = self._connected()
        if bot is None:
            raise NotConnected("not connected to Telegram")
        return bot

    def _chat(self, key: MessageKey) -> int:
        """The chat as the key names it; a name's key has it before the colon."""
        return chat_of(key.message.partition(":")[0] or key.room)

    async def _may_act_on(self, chat: int, author: Author) -> None:
        if not is_channel(author) and await self._is_admin(chat, int(author.id)):
            raise MissingPermission(Notice("missing-immune-telegram"))

    async def _delete(self, bot: telegram.Bot, chat: int, key: MessageKey) -> None:
        if (topic := titled(key)) is not None:
            title = say((await self._setup_of(key.community)).language, "title-removed")
            await bot.edit_forum_topic(chat, topic, name=title)
            return
        number = number_of(key)
        if number is None:
            raise MissingPermission(Notice("missing-name-telegram"))

        async def delete(numbers: list[int]) -> None:
            self._breaker.check()  # a call for many that fails is tried one by one
            if len(numbers) == 1:
                await bot.delete_message(chat, numbers[0])
            else:
                async with self.refusals(chat, "can_delete_messages"):  # counted also where each is tried alone then
                    await bot.delete_messages(chat, numbers)

        await self._deletions.do(str(chat), number, delete)

    async def _warn(self, bot: telegram.Bot, chat: int, key: MessageKey, author: Author) -> None:
        """In private where the author has ever written to the bot, else in the room. Nobody is warned about a
        name."""
        if key.kind is not Kind.MESSAGE:
            raise Gone(key.message)
        setup = await self._setup_of(key.community)
        if setup.warn == "dm" and not is_channel(author):
            with contextlib.suppress(Forbidden, BadRequest):
                title = html.escape(one_line((await bot.get_chat(chat)).title or "", 128))
                await self._say(int(author.id), say(setup.language, "warn-author-telegram", chat=title))
                return
        name = html.escape(one_line(author.name, 64) or "…")
        who = name if is_channel(author) else f'<a href="tg://user?id={author.id}">{name}</a>'
        await self._say(chat, say(setup.language, "warn-author-here", author=who), topic_of(key.room))

    async def _say(self, chat: int, text: str, topic: int | None = None) -> None:
        await self._bot().send_message(chat, text, parse_mode="HTML", message_thread_id=topic)

    @contextlib.asynccontextmanager
    async def refusals(self, chat: int, right: str | None) -> AsyncIterator[None]:
        """Telegram's errors as ours. It answers most of them with 400 and a sentence. Refusals are counted, and after
        too many nothing is asked for a while."""
        self._breaker.check()
        try:
            yield
        except ChatMigrated as error:
            await self._migrated(chat, error.new_chat_id)
            raise NotConnected("the group became a supergroup") from error
        except RetryAfter as error:
            if not isinstance(error, Full):  # our own count of words a minute asked nobody
                self._breaker.refused()
            wait = error.retry_after
            raise RateLimited(wait.total_seconds() if isinstance(wait, timedelta) else float(wait)) from error
        except InvalidToken as error:
            self._breaker.refused()
            raise NotConnected("Telegram refuses the token") from error
        except Forbidden as error:
            self._breaker.refused()
            raise Gone(error.message) from error
        except BadRequest as error:
            ours = refused(error.message, right)
            if isinstance(ours, MissingPermission):
                self._breaker.refused()
            raise ours from error
        except (NetworkError, TelegramError) as error:
            raise Unreachable(f"Telegram does not answer ({error.message})") from error


def right_for(action: Action) -> str | None:
    """The right an action takes."""
    match action:
        case Delete():
            return "can_delete_messages"
        case Timeout() | Kick() | Ban():
            return "can_restrict_members"
        case _:
            return None


def refused(message: str, right: str | None) -> Exception:
    """Which of our errors one of Telegram's sentences is."""
    said = message.lower()
    if any(part in said for part in _IMMUNE):
        return MissingPermission(Notice("missing-immune-telegram"))
    if any(part in said for part in _SUPERGROUP):
        return MissingPermission(Notice("missing-supergroup"))
    if any(part in said for part in _NO_RIGHT) and right is not None:
        return MissingPermission(missing_right(right))
    if "can't be deleted" in said:
        return MissingPermission(Notice("missing-48-hours"))
    if any(part in said for part in _GONE):
        return Gone(message)
    return MissingPermission(Notice("missing-refused-telegram", {"text": message}))


def missing_right(right: str) -> Notice:
    """What is missing and where to turn it on, in one sentence."""
    name = Notice(f"right-{right}")
    return Notice("missing-right-telegram", {"right": name})
