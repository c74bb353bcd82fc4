"""Holds what every part of Telegram shares: the store, the connection, groups with their administrators, and the parts
that answer."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import structlog
from telegram.constants import ChatMemberStatus
from telegram.error import ChatMigrated, TelegramError

from bot.cases.delivery import CardDelivery
from bot.cases.service import CaseService
from bot.conversation.conversation import Conversation
from bot.conversation.link_codes import LinkCodes
from bot.domain.event import MessageKey
from bot.domain.notice import Notice
from bot.domain.platform import NotConnected, Unreachable
from bot.domain.setup import Setup
from bot.pipeline.circuit_breaker import CircuitBreaker
from bot.pipeline.pipeline import Pipeline
from bot.platforms.health import Health
from bot.platforms.telegram.actions import ActionCalls, missing_right
from bot.platforms.telegram.admins import Admins
from bot.platforms.telegram.answers import Answers
from bot.platforms.telegram.bot_api import BotApi
from bot.platforms.telegram.events import Json
from bot.platforms.telegram.groups import Groups
from bot.platforms.telegram.linked_channels import LinkedChannels
from bot.store import Store

log = structlog.get_logger()

NEEDED = ("can_delete_messages", "can_restrict_members")
"""The rights that the link that adds the bot asks for."""


@dataclass(frozen=True, slots=True)
class Access:
    """The settings by which the bot reaches Telegram. `api` names another server that speaks the Bot API. `webhook_url`
    chooses webhooks over polling; they are taken at `webhook_host`:`webhook_port` with `webhook_secret`."""

    token: str
    api: str = ""
    webhook_url: str = ""
    webhook_host: str = "127.0.0.1"
    webhook_port: int = 8081
    webhook_secret: str = ""
    retention_days: int = 30


class TelegramBot(ABC):
    """The object that each part of the platform gets; `bot.platforms.telegram.service.Telegram` adds the parts."""

    pipeline: Pipeline
    case_service: CaseService
    conversation: Conversation
    delivery: CardDelivery

    def __init__(self, store: Store, access: Access, circuit_breaker: CircuitBreaker, link_codes: LinkCodes) -> None:
        self.store = store
        self.access = access
        self.circuit_breaker = circuit_breaker
        self.link_codes = link_codes
        self.trouble: Notice | None = Notice("telegram-connecting")
        """Why no updates arrive at the moment; None while all is well."""
        self.problems: dict[str, list[Notice]] = {}
        """By community: the rights that the bot lacks."""
        self.health = Health()
        self.groups = Groups(store)
        self.admins = Admins()
        self.linked_channels = LinkedChannels()
        self.answers = Answers(lambda: self.api)
        self._bot: BotApi | None = None
        self.action_calls = ActionCalls(
            lambda: self._bot,
            self.groups.setup,
            self._is_admin,
            self._moved,
            store.timed_bans,
            store.restrictions,
            circuit_breaker,
        )

    @abstractmethod
    async def change_setup(self, chat: int, **changes: Any) -> None:
        """Changes a group's set-up; cards that had no chat to go to are shown. See `Groups.change_setup`."""

    @abstractmethod
    def has_cards(self, setup: Setup) -> bool:
        """Whether cards have somewhere to go."""

    @abstractmethod
    async def groups_with(self, user: int) -> list[tuple[int, str]]:
        """Returns (chat, title) of the groups that a user is probably in; see `LikelyGroups`."""

    @property
    def api(self) -> BotApi:
        """The connection; raises `Unreachable` while there is none."""
        if self._bot is None:
            raise NotConnected("not connected to Telegram")
        return self._bot

    @property
    def is_connected(self) -> bool:
        """Whether there is a connection."""
        return self._bot is not None

    @property
    def invite(self) -> str:
        """The link that adds the bot to a group with exactly the rights it needs; "" before the first connection."""
        return invite(self._bot.username) if self._bot is not None else ""

    def now(self) -> datetime:
        """This moment."""
        return datetime.now(UTC)

    async def chosen_group(self, user: int) -> int | None:
        """Returns the group that a private question is about: the one that the user chose, or the only one that they
        can mean."""
        if (chosen := self.groups.chosen(user)) is not None:
            return chosen
        likely = await self.groups_with(user)
        if len(likely) != 1 or not await self.is_with(likely[0][0], user):
            return None
        return likely[0][0]

    async def is_with(self, chat: int, user: int) -> bool:
        """Asks Telegram whether a user is in a group."""
        try:
            member = await self.api.object("getChatMember", chat_id=chat, user_id=user)
        except TelegramError:
            return False
        restricted_out = member.get("is_member") is False
        is_listed = member.get("status") in list(ChatMemberStatus)
        return (
            is_listed
            and member["status"] not in (ChatMemberStatus.LEFT, ChatMemberStatus.BANNED)
            and not restricted_out
        )

    async def check(self, chat: int) -> list[Notice]:
        """Returns the rights that the bot lacks in a group; the last known ones where Telegram does not answer."""
        try:
            own_member = await self.api.object("getChatMember", chat_id=chat, user_id=self.api.id)
        except (Unreachable, TelegramError):
            return self.problems.get(self.groups.community_of(chat), [])
        self.problems[self.groups.community_of(chat)] = missing = _missing(own_member)
        return missing

    async def moderators(self, chat: int, message: Json) -> frozenset[int]:
        """Returns the ids of the group's moderators: its administrators and, where a channel wrote the message, the
        group's linked channel. Follows a group that has moved and of which only Telegram's refusal says so."""
        try:
            return await self._moderators(self.groups.now_at(chat), message)
        except ChatMigrated as error:
            await self._moved(chat, error.new_chat_id)
            return await self._moderators(self.groups.now_at(chat), message)

    async def _moderators(self, chat: int, message: Json) -> frozenset[int]:
        admins = await self.admins.of(self.api, chat)
        if message.get("sender_chat") is None:
            return admins
        return admins | {await self.linked_channels.of(self.api, chat)}

    async def _is_admin(self, chat: int, author: int) -> bool:
        """Says whether a user administers the chat. Of channels, the group itself does, in whose name its
        administrators write, and so does the linked channel."""
        if author < 0:
            return author in (chat, await self.linked_channels.of(self.api, chat))
        return await self.admins.is_one(self.api, chat, author)

    async def _moved(self, old: int, new: int) -> None:
        if await self.groups.moved(old, new):
            self.admins.changed(old)
            self.linked_channels.changed(old)
            log.info("group became a supergroup", old=old, new=new)

    def _here(self, key: MessageKey) -> MessageKey:
        """The key with the number its chat has now."""
        chat, _, rest = key.message.partition(":")
        number = self.groups.now_at(int(chat))
        return MessageKey(key.platform, key.community, key.room, f"{number}:{rest}", key.revision)


def invite(username: str) -> str:
    """The link that adds the bot to a group as an administrator with exactly the rights it needs."""
    rights = "+".join(right.removeprefix("can_") for right in NEEDED)
    return f"https://t.me/{username}?startgroup=hello&admin={rights}"


def _missing(mine: Json) -> list[Notice]:
    if mine.get("status") != ChatMemberStatus.ADMINISTRATOR:
        return [missing_right(right) for right in NEEDED]
    return [missing_right(right) for right in NEEDED if mine.get(right) is not True]
