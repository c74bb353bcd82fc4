"""Who asks, about which group, and where the answer goes. Rights are settled when it is asked."""

import html
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import telegram
from telegram import InlineKeyboardButton, InlineKeyboardMarkup

from bot.domain.event import EXAMPLES, MessageKey
from bot.domain.setup import Setup
from bot.pipeline.question_lane import Asker, Rank
from bot.platforms.telegram.events import PLATFORM, in_group
from bot.platforms.telegram.who_may import REFUSALS, Right, follow_from
from bot.text.inert import one_line
from bot.text.language import Language, language_of, say

if TYPE_CHECKING:
    from bot.platforms.telegram.service import Telegram

LONGEST_DATA = 64
"""Bytes that a button can carry."""
ON_A_PAGE = 8
"""Groups among which somebody chooses."""
Json = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Asked:
    """A question about one group. `user` is 0 for whoever writes in a chat's name, and nobody knows what they may;
    `where` is the chat it was asked in; `rights` are Telegram's names of what the asker may in the group."""

    bot: "Telegram"
    chat: int
    where: int
    user: int
    name: str
    rights: frozenset[str]
    setup: Setup
    message: Json

    def may(self, needed: Right) -> bool:
        """Whether whoever asks has one of these rights, if any is needed."""
        return not needed or bool(needed & follow_from(self.rights))

    def refusal(self, needed: Right) -> str:
        """Who may instead."""
        return self.say(REFUSALS[needed] if self.user else "telegram-not-anonymous")

    def is_too_much(self, rights: Sequence[str]) -> str:
        """That the bot would do what whoever asks may not do by hand; "" where it would not."""
        names = ", ".join(f"“{self.say(f'right-{right}')}”" for right in rights)
        return self.say("not-allowed-beyond", rights=names) if rights else ""

    @property
    def is_in_place(self) -> bool:
        """Whether what concerns the group may be shown where it was asked: alone, or in its moderators' chat. A changed
        app can press any button on any message of the bot's, in whatever chat that stands."""
        return self.where == self.user or str(self.where) == self.setup.alert_room

    async def may_read(self, key: MessageKey) -> bool:
        """Whether whoever asks may read a text from there, who moderates this group: what was written in it, or by its
        managers to teach. Not what was written elsewhere in a community it is linked with."""
        if key.platform != PLATFORM or key.community not in self.bot.groups.communities_of(self.chat):
            return False
        where = key.message.partition(":")[0]
        return key.room == EXAMPLES or self.bot.groups.now_at(int(where)) == self.chat

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
    def asker(self) -> Asker:
        """Whoever asks, as the model's questions count them; who is hidden counts as the chat."""
        rank = Rank.MODERATOR if self.may(Right.MODERATE) else Rank.MEMBER
        return Asker(self.community, f"{PLATFORM}:{self.user or self.chat}", rank)

    @property
    def pseudonym(self) -> str:
        """How the store names whoever asks, as an author."""
        return self.bot.store.sealer.author(PLATFORM, self.community, str(self.user))

    @property
    def own(self) -> list[tuple[str, str]]:
        """(author, community) pairs under which texts of whoever asks are kept: before the group was linked, others."""
        seal = self.bot.store.sealer.author
        return [(seal(PLATFORM, one, str(self.user)), one) for one in self.bot.groups.communities_of(self.chat)]

    def say(self, name: str, **arguments: str | int | float) -> str:
        """In the group's language, ready for HTML: what is filled in must be escaped already."""
        return (
            html.escape(say(self.language, name), quote=False)
            if not arguments
            else say(self.language, name, **arguments)
        )

    async def tell(
        self, text: str, keyboard: InlineKeyboardMarkup | None = None, payload: str = "", *, alone: bool = False
    ) -> None:
        """The answer: where it was asked if that is among moderators or alone, else alone; with `alone` never among
        moderators.

        Whoever has never written to the bot cannot be written to: they get a button that leads there and asks again.
        """
        if self.where == self.user or (self.where != self.chat and not alone):
            await self.bot.answers.send(self.where, text, self.language, keyboard)
            return
        if self.user and await self.bot.answers.send(self.user, text, self.language, keyboard):
            return
        url = f"https://t.me/{self.bot.api.username}?start={payload or 'hello'}"
        button = InlineKeyboardMarkup([[InlineKeyboardButton(self.say("telegram-alone-button"), url=url)]])
        topic = self.message.get("message_thread_id") if self.message.get("is_topic_message") else None
        await self.bot.answers.send(self.where, self.say("telegram-alone"), self.language, button, topic)


async def ask(bot: "Telegram", message: Json, chat: int | None = None, *, fresh: bool = False) -> Asked | None:
    """The question as it may be asked. `chat` is the group where it is not the one the message stands in; `fresh` asks
    Telegram for the rights now.

    None where there is no group to ask about: then whoever asked was told to choose one.
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
    return Asked(bot, chat, where["id"], user, name, rights, bot.groups.setup_of_chat(chat), message)


async def choices(bot: "Telegram", message: Json) -> list[tuple[int, str]]:
    """(chat, title) of the groups that somebody can mean, who wrote this."""
    watched = bot.groups.watched_from(message["chat"]["id"]) if in_group(message) else []
    if watched:
        return [(one, bot.groups.title(one)) for one in watched]
    return await bot.groups_with(int((message.get("from") or {}).get("id", 0)))


def choice(
    bot: "Telegram", groups: Sequence[tuple[int, str]], language: Language, command: str, user: int, page: int = 0
) -> tuple[str, InlineKeyboardMarkup | None]:
    """Which of these groups? A page of buttons; each carries the command, as far as it holds it, and who asked: nobody
    else can see what a press would do."""
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
    said = {"count": len(groups), "page": page + 1, "pages": pages}
    return say(language, "telegram-which-of-many", **said), InlineKeyboardMarkup([*rows, turns])


def _fitting(first: str, command: str, verb: str) -> str:
    whole = first + command
    return whole if len(whole.encode("utf-8", "replace")) <= LONGEST_DATA else first + verb


def unchanged(error: telegram.error.BadRequest) -> bool:
    """Telegram refuses an edit that changes nothing; nothing is wrong then."""
    return "not modified" in error.message.lower()
