"""A question about one group: who asks, where the answer goes. Rights are settled when it is asked."""

from dataclasses import dataclass

from bot.conversation.context import Markup, RequestContext
from bot.domain.case import Case
from bot.domain.event import EXAMPLES, Message, MessageKey
from bot.domain.notice import Notice
from bot.domain.policy import Policy
from bot.domain.setup import Setup
from bot.pipeline.question_lane import Asker, Rank
from bot.platforms.telegram.bot import TelegramBot
from bot.platforms.telegram.events import PLATFORM, Json, in_group, topic_of
from bot.platforms.telegram.group_choice import choice, choices
from bot.platforms.telegram.reply import TelegramReply
from bot.platforms.telegram.who_may import (
    COMMANDS,
    DEEDS,
    REFUSALS,
    Right,
    rights_beyond,
    rights_beyond_undo,
    rights_from,
)
from bot.text.inert import one_line
from bot.text.language import language_of, say

LONGEST_LIST = 1000


@dataclass(frozen=True)
class TelegramRequest(RequestContext):
    """A question about one group. `user` is 0 for a person who writes in a chat's name, whose rights are unknown;
    `where` is the chat in which it was asked; `rights` are Telegram's names of the asker's rights in the group."""

    bot: TelegramBot
    chat: int
    where: int
    user: int
    user_name: str
    rights: frozenset[str]
    setup: Setup
    message: Json
    answer: TelegramReply
    platform = PLATFORM
    consents = True
    shows_waiting = False

    @property
    def reply(self) -> TelegramReply:
        """Answers where the question was asked, or in private."""
        return self.answer

    @property
    def name(self) -> str:
        """Their first name."""
        return self.user_name

    @property
    def community(self) -> str:
        """The community whose policy and cases the question is about."""
        return self.bot.groups.community_of(self.chat)

    @property
    def community_name(self) -> str:
        """The group's title."""
        return self.bot.groups.title(self.chat)

    @property
    def topic(self) -> int | None:
        """The topic it was asked in."""
        return self.message.get("message_thread_id") if self.message.get("is_topic_message") else None

    @property
    def room(self) -> str:
        """The group, or the topic it was asked in."""
        return f"{self.chat}/{self.topic}" if self.topic is not None and self.where == self.chat else str(self.chat)

    @property
    def person(self) -> str:
        """The user's id."""
        return str(self.user) if self.user else ""

    @property
    def asker(self) -> Asker:
        """A hidden asker counts as the chat."""
        rank = Rank.MODERATOR if self.may_with(Right.MODERATE) else Rank.MEMBER
        return Asker(self.community, f"{PLATFORM}:{self.user or self.chat}", rank)

    @property
    def pseudonym(self) -> str:
        """Sealed with the community's key."""
        return self.bot.store.sealer.author(PLATFORM, self.community, str(self.user))

    @property
    def own(self) -> list[tuple[str, str]]:
        """Before the group was linked, its texts were kept under others."""
        seal = self.bot.store.sealer.author
        return [(seal(PLATFORM, one, str(self.user)), one) for one in self.bot.groups.communities_of(self.chat)]

    @property
    def is_in_place(self) -> bool:
        """Says whether the group's affairs may be shown where the question was asked: in private, or in the group's
        moderators' chat. A changed app can press any button on any message of the bot, in whatever chat that stands."""
        return self.where == self.user or str(self.where) == self.setup.alert_room

    def may(self, deed: str) -> bool:
        """See `who_may`."""
        return self.may_with(needed_right(deed))

    def may_with(self, right: Right) -> bool:
        """Says whether the asker has one of these rights, if any is needed."""
        return not right or bool(right & rights_from(self.rights))

    def refusal(self, deed: str) -> str:
        """See `who_may`."""
        return self.refusal_for(needed_right(deed))

    def refusal_for(self, right: Right) -> str:
        """Returns the sentence that says who may."""
        return say(self.language, REFUSALS[right] if self.user else "not-anonymous")

    def lacks(self, policy: Policy, *, with_lent: bool = False) -> list[str]:
        """See `who_may.beyond`."""
        return rights_beyond(self.rights, policy)

    def lacks_to_undo(self, case: Case) -> list[str]:
        """See `who_may.beyond_undo`."""
        return rights_beyond_undo(self.rights, case)

    async def may_read(self, key: MessageKey) -> bool:
        """Says whether a moderator of this group may read a text from there: a text written in this group, or typed by
        its managers to teach. A text of another chat of a linked community is not shown."""
        if key.platform != PLATFORM or key.community not in self.bot.groups.communities_of(self.chat):
            return False
        chat = key.message.partition(":")[0]
        return key.room == EXAMPLES or self.bot.groups.now_at(int(chat)) == self.chat

    async def recent_messages(self, limit: int) -> tuple[Markup, list[Message]]:
        """Returns messages from the journal: Telegram lets no bot read earlier messages."""
        messages = [
            message
            for _, community in self.own
            for message in await self.bot.store.recent(PLATFORM, community, limit)
            if await self.may_read(message.key)
        ]
        newest = sorted(messages, key=lambda message: message.sent_at, reverse=True)
        return self.reply.quote(self.community_name), newest[:limit]

    async def post_back(self, case: Case, text: Markup) -> None:
        """Into the group and the topic where it was written."""
        async with self.bot.action_calls.refusals(self.chat, None):
            await self.bot.api.send(self.chat, text, topic=topic_of(case.message.key.room))

    async def missing_rights(self) -> list[Notice]:
        """Asked of Telegram."""
        return await self.bot.check(self.chat)

    def troubles(self) -> list[Notice]:
        """Names troubles of the connection and of refused calls."""
        breaker = self.bot.circuit_breaker
        troubles = (self.bot.trouble, breaker.trouble(), breaker.trouble(self.community))
        return [trouble for trouble in troubles if trouble is not None]

    def faults(self) -> list[Notice]:
        """See `health`."""
        return list(self.bot.health.notices(self.community))

    def cards_line(self) -> Markup:
        """Whether a chat was chosen and takes them."""
        return self.say("telegram-alerts" if self.bot.has_cards(self.setup) else "telegram-no-alerts")

    def learning_line(self) -> str:
        """Each author's own consent decides."""
        return say(self.language, "telegram-learning")

    def left_alone(self, policy: Policy) -> Markup:
        """Topics."""
        return self.reply.ours(one_line(", ".join(sorted(policy.exempt_rooms)), LONGEST_LIST))

    @property
    def retention_days(self) -> int:
        """Comes from config.toml."""
        return self.bot.access.retention_days

    async def is_author(self) -> bool:
        """Whether they are in the group now."""
        return self.where == self.chat or await self.bot.is_with(self.chat, self.user)


async def checked_request(
    bot: TelegramBot,
    message: Json,
    chat: int | None = None,
    *,
    fresh: bool = False,
    command: str = "start",
    click: Json | None = None,
) -> TelegramRequest | None:
    """Returns the question with the asker's rights. `chat` is the group, where it is not the chat of the message;
    `fresh` asks Telegram for the rights now.

    `command` is the command that is carried out; `click` is the query of the button that is answered.

    Returns None where the group is not known: then the asker was told to choose one.
    """
    where, sender = message["chat"], message.get("from") or {}
    user = 0 if message.get("sender_chat") else int(sender.get("id", 0))  # who is hidden may be anybody
    name = str(sender.get("first_name") or sender.get("username") or "")
    boards = bot.groups.watched_from(where["id"]) if in_group(message) else []
    if chat is None and in_group(message):
        chat = where["id"] if not boards else boards[0] if len(boards) == 1 else None
    elif chat is None:
        chat = await bot.chosen_group(user)
    if chat is None:
        language = language_of(str(sender.get("language_code") or "en"))
        words = str(message.get("text") or "").split()
        verb = words[0].partition("@")[0].lstrip("/")[:16] if words else "start"
        text, buttons = choice(bot, await choices(bot, message), language, " ".join([verb, *words[1:]]), user)
        await bot.answers.send(where["id"], text, language, buttons)
        return None
    rights: frozenset[str] = frozenset()
    if user and not sender.get("is_bot"):
        rights = await bot.admins.rights(bot.api, chat, user, fresh=fresh)
    setup = bot.groups.setup_of_chat(chat)
    reply = TelegramReply(bot, chat, user, message, setup.language, command, click)
    return TelegramRequest(bot, chat, where["id"], user, name, rights, setup, message, reply)


def needed_right(deed: str) -> Right:
    """The right that a command, or a deed of `who_may.DEEDS`, takes."""
    return DEEDS.get(deed, COMMANDS.get(deed, Right(0)))
