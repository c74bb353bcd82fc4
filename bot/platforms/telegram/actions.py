"""Our actions as Telegram's calls, with Telegram's limits checked before the call and its errors in our family."""

import contextlib
import html
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta

from telegram.error import BadRequest, ChatMigrated, Forbidden, InvalidToken, NetworkError, RetryAfter, TelegramError

from bot.domain.action import Action, Ban, Delete, Kick, Timeout, Warn
from bot.domain.event import Author, Kind, MessageKey
from bot.domain.notice import Notice
from bot.domain.platform import Gone, MissingPermission, NotConnected, RateLimited, Unreachable, Unreadable
from bot.domain.restriction import NOTHING, RANK, Restriction, Unchanged, remaining
from bot.domain.setup import Setup
from bot.pipeline.circuit_breaker import CircuitBreaker
from bot.platforms.bulk_calls import BulkCalls
from bot.platforms.restriction_calls import Address, RestrictionCalls, end_of
from bot.platforms.telegram.bot_api import BotApi, UnreadableAnswer
from bot.platforms.telegram.events import (
    PLATFORM,
    chat_named,
    chat_of,
    community_of,
    is_channel,
    number_of,
    titled_topic,
    topic_of,
)
from bot.platforms.telegram.member_restrictions import KICKED_FOR, RestrictedMember, is_basic
from bot.platforms.telegram.rate_limits import OverQuota
from bot.platforms.unreadable_answers import read_by
from bot.store.restrictions import Restrictions
from bot.store.timed_bans import TimedBan, TimedBans
from bot.text.inert import one_line
from bot.text.language import say

BULK = 100
LONGEST_UNTIL = timedelta(days=366)
"""A restriction that is longer counts as one for good."""
_GONE = ("not found", "message_id_invalid", "message to delete", "user_not_participant", "participant_id_invalid")
_NO_RIGHT = ("not enough rights", "chat_admin_required", "have no rights", "need administrator")
_IMMUNE = ("administrator of the chat", "chat owner", "user_admin_invalid")
_SUPERGROUP = ("supergroup",)


class ActionCalls:
    """Performs actions. `connected` returns the current connection, or None; `is_admin` says whether a person or
    channel administers the chat and must not be acted on; `migrated` hears of a chat that moved."""

    def __init__(
        self,
        connected: Callable[[], BotApi | None],
        setup_of: Callable[[str], Awaitable[Setup]],
        is_admin: Callable[[int, int], Awaitable[bool]],
        migrated: Callable[[int, int], Awaitable[None]],
        lifts: TimedBans,
        restrictions: Restrictions,
        circuit_breaker: CircuitBreaker,
    ) -> None:
        self._connected = connected
        self._setup_of = setup_of
        self._is_admin = is_admin
        self._migrated = migrated
        self._restricting = RestrictionCalls(PLATFORM, restrictions, lifts)
        self._circuit_breaker = circuit_breaker
        self._deletions: BulkCalls[int] = BulkCalls(BULK)

    async def perform(self, action: Action, key: MessageKey, author: Author) -> Unchanged | None:
        """See `Platform`. Raises `Gone`, `MissingPermission`, `RateLimited` or `Unreachable`."""
        bot, chat = self._bot(), self._chat(key)
        async with self._turn(action, chat, author), self.refusals(chat, right_for(action)):
            match action:
                case Delete():
                    await self._delete(bot, chat, key)
                case Warn(messages=messages):
                    await self._warn(bot, chat, key, author, messages)
                case Timeout() | Kick() if is_channel(author):
                    await self._may_act_on(chat, author)
                    raise MissingPermission(Notice("missing-channel"))
                case Ban() if is_channel(author):
                    await self._may_act_on(chat, author)
                    await self._restricting.remember(about(action, chat, key, author), Restriction("ban"))
                    await bot.ban_chat_sender_chat(chat, int(author.id))
                case Kick() | Ban() if is_basic(chat):
                    return await self._remove(bot, chat, action, author)
                case Timeout(minutes=minutes):
                    wanted = Restriction("timeout", end_of(timedelta(minutes=minutes)))
                    return await self._restrict(bot, chat, action, key, author, wanted)
                case Ban(hours=hours):
                    length = timedelta(hours=hours) if hours is not None else None
                    ends = end_of(length) if length is not None and length < LONGEST_UNTIL else None
                    return await self._restrict(bot, chat, action, key, author, Restriction("ban", ends))
                case Kick():
                    return await self._kick(bot, chat, action, key, author)
                case _:
                    pass
        return None

    async def undo(self, action: Action, key: MessageKey, author: Author) -> bool | Unchanged:
        """Lifts a restriction or a ban that the bot has set. A deleted message cannot be restored."""
        bot, chat = self._bot(), self._chat(key)
        this = about(action, chat, key, author)
        async with self._turn(action, chat, author), self.refusals(chat, right_for(action)):
            match action:
                case Timeout() if is_channel(author):
                    return False
                case Ban() if is_channel(author):
                    own = await self._restricting.own(this.place, this.member)
                    if not any(one.message == this.message for one in own):
                        return False
                    if len(own) == 1:  # else another message's ban still holds
                        await bot.unban_chat_sender_chat(chat, int(author.id))
                    await self._restricting.forget(this)
                    return True if len(own) == 1 else Unchanged(Restriction("ban"), "bot")
                case Ban() if is_basic(chat):
                    return Unchanged(Restriction("removed"), "platform")
                case Timeout() | Ban():
                    return await self._restricting.release(this, RestrictedMember(bot, chat, int(author.id)))
                case _:
                    return False

    async def lift(self, lift: TimedBan) -> None:
        """Ends a restriction of the bot: what a person had set before it comes back. Raises what `perform` does, and
        `Gone` where the chat or the member is gone."""
        bot, chat = self._bot(), chat_named(lift.community)
        member = RestrictedMember(bot, chat, int(lift.member))
        turn = self._restricting.turn(lift.community, lift.member)
        async with turn, self.refusals(chat, "can_restrict_members"):
            await self._restricting.end(lift, member, lambda standing: False)

    def _turn(self, action: Action, chat: int, author: Author) -> contextlib.AbstractAsyncContextManager[None]:
        """Actions that restrict one member run one after the other; all other actions run at once."""
        if isinstance(action, Timeout | Kick | Ban):
            return self._restricting.turn(community_of(chat), author.id)
        return contextlib.nullcontext()

    async def _restrict(
        self, bot: BotApi, chat: int, action: Action, key: MessageKey, author: Author, wanted: Restriction
    ) -> Unchanged | None:
        member = RestrictedMember(bot, chat, int(author.id))
        return await self._restricting.restrict(about(action, chat, key, author), wanted, member)

    async def _kick(self, bot: BotApi, chat: int, action: Kick, key: MessageKey, author: Author) -> Unchanged | None:
        """A ban of a minute, lifted at once: who is banned already stays banned, and who was silenced stays so."""
        member, place = RestrictedMember(bot, chat, int(author.id)), community_of(chat)
        wanted = Restriction("ban", end_of(KICKED_FOR))
        unchanged = await self._restricting.restrict(about(action, chat, key, author), wanted, member)
        if unchanged is not None:
            return unchanged
        own = await self._restricting.own(place, author.id)
        kick = next(one for one in own if one.action == action.name and one.message == key.message)
        await member.lift_kick(kick.restriction)
        stood = remaining(own, datetime.now(UTC))
        if RANK[stood.kind] and stood.kind != "ban" and (await member.standing()).kind == "none":
            await member.put(stood, NOTHING)
        await self._restricting.remember(about(action, chat, key, author), kick.restriction)
        return None

    async def _remove(self, bot: BotApi, chat: int, action: Kick | Ban, author: Author) -> Unchanged | None:
        """A basic group knows no bans: a removed member may come back."""
        await self._may_act_on(chat, author)
        await bot.ban_chat_member(chat, int(author.id))
        return Unchanged(Restriction("removed"), "platform") if isinstance(action, Ban) else None

    def _bot(self) -> BotApi:
        bot = self._connected()
        if bot is None:
            raise NotConnected("not connected to Telegram")
        return bot

    def _chat(self, key: MessageKey) -> int:
        """Returns the chat that the key names; a name's key has it before the colon."""
        return chat_of(key.message.partition(":")[0] or key.room)

    async def _may_act_on(self, chat: int, author: Author) -> None:
        if await self._is_admin(chat, int(author.id)):
            raise MissingPermission(Notice("missing-immune-telegram"))

    async def _delete(self, bot: BotApi, chat: int, key: MessageKey) -> None:
        if (topic := titled_topic(key)) is not None:
            title = say((await self._setup_of(key.community)).language, "title-removed")
            await bot.edit_forum_topic(chat, topic, name=title)
            return
        number = number_of(key)
        if number is None:
            raise MissingPermission(Notice("missing-name-telegram"))

        async def delete(numbers: list[int]) -> None:
            self._circuit_breaker.check()  # a call for many that fails is tried one by one
            if len(numbers) == 1:
                await bot.delete_message(chat, numbers[0])
            else:
                async with self.refusals(chat, "can_delete_messages"):  # counted also where each is tried alone then
                    await bot.delete_messages(chat, numbers)

        await self._deletions.do(str(chat), number, delete)

    async def _warn(self, bot: BotApi, chat: int, key: MessageKey, author: Author, messages: int) -> None:
        """Warns in private where the author has ever written to the bot, else in the room. A name brings no warning."""
        if key.kind is not Kind.MESSAGE:
            raise Gone(key.message)
        setup = await self._setup_of(key.community)
        if setup.warn == "dm" and not is_channel(author):
            with contextlib.suppress(Forbidden, BadRequest):
                title = html.escape(one_line(await self._title(bot, chat), 128))
                text = say(setup.language, "warn-author-telegram", chat=title, messages=messages)
                await self._say(int(author.id), text)
                return
        name = html.escape(one_line(author.name, 64) or "…")
        mention = name if is_channel(author) else f'<a href="tg://user?id={author.id}">{name}</a>'
        text = say(setup.language, "warn-author-here", author=mention, messages=messages)
        await self._say(chat, text, topic_of(key.room))

    async def _title(self, bot: BotApi, chat: int) -> str:
        """Returns the chat's current title; "" where it cannot be read."""
        try:
            return str((await bot.object("getChat", chat_id=chat)).get("title") or "")
        except UnreadableAnswer:
            return ""

    async def _say(self, chat: int, text: str, topic: int | None = None) -> None:
        await self._bot().send(chat, text, topic=topic)

    @contextlib.asynccontextmanager
    async def refusals(self, chat: int, right: str | None) -> AsyncIterator[None]:
        """Telegram's errors as ours. It answers most of them with 400 and a sentence. Refusals are counted, and after
        too many nothing is asked for a while."""
        self._circuit_breaker.check()
        try:
            with read_by("telegram", "Telegram"):
                yield
        except ChatMigrated as error:
            await self._migrated(chat, error.new_chat_id)
            raise NotConnected("the group became a supergroup") from error
        except RetryAfter as error:
            if not isinstance(error, OverQuota):  # our own count of words a minute made no call
                self._circuit_breaker.refused()
            wait = error.retry_after
            raise RateLimited(wait.total_seconds() if isinstance(wait, timedelta) else float(wait)) from error
        except InvalidToken as error:
            self._circuit_breaker.refused()
            raise NotConnected("Telegram refuses the token") from error
        except Forbidden as error:
            self._circuit_breaker.refused()
            raise Gone(error.message) from error
        except BadRequest as error:
            ours = refused(error.message, right)
            if isinstance(ours, MissingPermission):
                self._circuit_breaker.refused()
            raise ours from error
        except UnreadableAnswer as error:
            raise Unreadable(error.message) from error
        except (NetworkError, TelegramError) as error:
            raise Unreachable(f"Telegram does not answer ({error.message})") from error


def about(action: Action, chat: int, key: MessageKey, author: Author) -> Address:
    """Returns the key under which the store keeps what an action sets: a restriction holds in one chat, whatever the
    chat is linked with."""
    return Address(community_of(chat), author.id, key.message, key.revision, action.name)


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
    lowered = message.lower()
    if any(part in lowered for part in _IMMUNE):
        return MissingPermission(Notice("missing-immune-telegram"))
    if any(part in lowered for part in _SUPERGROUP):
        return MissingPermission(Notice("missing-supergroup"))
    if any(part in lowered for part in _NO_RIGHT) and right is not None:
        return MissingPermission(missing_right(right))
    if "can't be deleted" in lowered:
        return MissingPermission(Notice("missing-48-hours"))
    if any(part in lowered for part in _GONE):
        return Gone(message)
    return MissingPermission(Notice("missing-refused-telegram", {"text": message}))


def missing_right(right: str) -> Notice:
    """Names the missing right and where to turn it on, in one sentence."""
    name = Notice(f"right-{right}")
    return Notice("missing-right-telegram", {"right": name})
