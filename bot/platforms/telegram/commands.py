"""The commands. Each asks whether it may, then asks the conversation."""

import re
from collections.abc import Awaitable, Callable, Mapping

import structlog
from telegram.error import TelegramError

from bot.conversation.explain import Reference
from bot.conversation.report import Reported
from bot.domain.event import Message
from bot.domain.platform import Unreachable
from bot.pipeline.rate_limit import RateLimit
from bot.platforms.telegram.bot import TelegramBot
from bot.platforms.telegram.events import Json, event_of, in_group, text_of
from bot.platforms.telegram.request import TelegramRequest, checked_request, needed_right
from bot.platforms.telegram.who_may import COMMANDS, DEEDS, Right

log = structlog.get_logger()
COMMANDS_A_MINUTE = 60
"""Commands of one person a minute; later ones are not answered, so that their answers do not delay those of others."""
LONGEST_NUMBER = 15
_COMMAND = re.compile(r"/([a-z]+)(?:@(\w+))?(?:\s+(.*))?", re.DOTALL)
Work = Callable[[TelegramRequest, str], Awaitable[None]]


def command_of(message: Json, username: str) -> tuple[str, str] | None:
    """Returns (command, what follows it) if the message is a command for this bot."""
    match = _COMMAND.fullmatch(str(message.get("text") or "").strip())
    if match is None or (match[2] or username).casefold() != username.casefold():
        return None
    return (match[1], (match[3] or "").strip()) if match[1] in COMMANDS else None


class Commands:
    """Carries them out."""

    def __init__(self, bot: TelegramBot, show_setup: Callable[[TelegramRequest], Awaitable[None]]) -> None:
        self._bot = bot
        self._show_setup = show_setup
        self._rate_limit = RateLimit(COMMANDS_A_MINUTE, 60.0)
        self._own: Mapping[str, Work] = {
            "explain": self._explain,
            "report": self._report,
            "history": self._history,
            "skip": self._skip,
            "link": self._link,
        }

    async def run(self, name: str, typed: str, message: Json, chat: int | None = None) -> None:
        """A command as it was typed, about `chat` where that is not the chat it stands in."""
        if not self._rate_limit.take(str((message.get("sender_chat") or message.get("from") or {}).get("id"))):
            log.info("a command is not answered: too many of one person", command=name)
            return
        right = DEEDS[f"{name} …"] if typed and name == "policy" else needed_right(name)
        request = await checked_request(self._bot, message, chat, fresh=right is Right.MANAGE, command=name)
        if request is None:
            return
        if not request.may_with(right):
            await request.tell(request.reply.ours(request.refusal_for(right)))
            return
        work = self._own.get(name) or self._bot.conversation.typed.get(name)
        if work is None:
            await self._show_setup(request)
            return
        try:
            await work(request, typed)
        except (Unreachable, TelegramError):
            raise
        except Exception:
            log.exception("command failed", command=name)
            await request.tell(request.say("broken"))

    async def forwarded(self, message: Json) -> None:
        """Explains a message that a person forwarded to the bot in private, from its text."""
        if (request := await checked_request(self._bot, message)) is not None:
            await self._bot.conversation.explain.forwarded(request, text_of(message))

    async def _explain(self, request: TelegramRequest, typed: str) -> None:
        """The message it answers, or one by its number."""
        await self._bot.conversation.explain.message(request, AnsweredMessage(request, typed))

    async def _report(self, request: TelegramRequest, _: str) -> None:
        """The message it answers goes to the moderators."""
        message = request.message.get("reply_to_message") if in_group(request.message) else None
        reported = _reported(request, message) if message is not None else None
        await self._bot.conversation.report.message(request, reported)

    async def _history(self, request: TelegramRequest, typed: str) -> None:
        """Shows the cases of the answered message's author, or of a member by their number."""
        author = (request.message.get("reply_to_message") or {}).get("from") or {}
        member = typed if typed.isdecimal() and len(typed) <= LONGEST_NUMBER else str(author.get("id") or "")
        name = str(author.get("first_name") or "") if not typed else ""
        await self._bot.conversation.cases.history(request, member, name)

    async def _skip(self, request: TelegramRequest, _: str) -> None:
        """Leaves the topic alone from now on, or reads it again."""
        is_in_topic = request.topic is not None and request.where == request.chat
        await self._bot.conversation.policy.skip(request, request.room if is_in_topic else "")

    async def _link(self, request: TelegramRequest, typed: str) -> None:
        """The code that Discord's /link showed: from now on both share one policy."""
        community = await self._bot.link_codes.redeem(typed)
        if community is None:
            await request.tell(request.say("telegram-link-bad"))
            return
        await self._bot.groups.link(request.chat, community)
        await request.tell(request.say("telegram-linked"))


class AnsweredMessage(Reference):
    """The message that a command answers, or a message of the group by its number; see `Reference`."""

    finds_all = False

    def __init__(self, request: TelegramRequest, typed: str) -> None:
        self._request = request
        # elsewhere the number of the message that is answered names another message of the group, or none
        is_here = request.where == request.chat
        answered: Json = (request.message.get("reply_to_message") if is_here else None) or {}
        is_number = typed.isdecimal() and len(typed) <= LONGEST_NUMBER
        self._number = int(typed) if is_number else answered.get("message_id")
        self._answered = answered if self._number == answered.get("message_id") else {}

    @property
    def number(self) -> str:
        """The group's number and the message's."""
        return f"{self._request.chat}:{self._number}" if self._number is not None else ""

    async def fetch(self) -> tuple[Message, bool] | None:
        """Returns the message as Telegram showed it with the command."""
        if not self._answered:
            return None
        request = self._request
        admins = await request.bot.moderators(request.chat, self._answered)
        event = event_of(self._answered, request.community, admins, wordless=True)
        is_own = bool(request.user) and (self._answered.get("from") or {}).get("id") == request.user
        return (event, is_own) if event is not None else None


def _reported(request: TelegramRequest, message: Json) -> Reported:
    """The author of a message in a chat's name is the chat."""
    bot, sender = request.bot, message.get("sender_chat") or message.get("from") or {}

    async def read() -> Message | None:
        admins = await bot.moderators(request.chat, message)
        return event_of(message, request.community, admins, wordless=True)

    number = int(sender.get("id", 0))
    return Reported(str(number), read, number == bot.api.id, bot.groups.is_board(request.where))
