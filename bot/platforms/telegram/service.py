"""Telegram as a platform: keeps a connection, passes events on, performs actions, shows cards."""

import asyncio
import html
from typing import Any

import structlog
import telegram
from telegram.constants import ChatMemberStatus
from telegram.error import TelegramError

from bot.cases.delivery import CardDelivery, Pace
from bot.cases.service import CaseService
from bot.conversation.conversation import Conversation
from bot.conversation.link_codes import LinkCodes
from bot.domain.action import Action, Delete
from bot.domain.case import Case
from bot.domain.event import NOBODY, Author, MessageKey
from bot.domain.notice import Notice
from bot.domain.restriction import Unchanged
from bot.domain.role import Person, Role, Standing
from bot.domain.setup import Setup
from bot.pipeline.circuit_breaker import CircuitBreaker
from bot.pipeline.pipeline import Pipeline
from bot.platforms.protocol import Overview, Place
from bot.platforms.telegram import page_rights as standings
from bot.platforms.telegram.albums import Albums
from bot.platforms.telegram.board import TelegramBoard
from bot.platforms.telegram.bot import Access, TelegramBot
from bot.platforms.telegram.bot_api import BotApi, Requests, UnreadableAnswer
from bot.platforms.telegram.clicks import Clicks
from bot.platforms.telegram.commands import Commands, command_of
from bot.platforms.telegram.events import (
    NAMES,
    PLATFORM,
    Json,
    album_of,
    chat_of,
    event_of,
    in_group,
    key_of,
    other_events,
)
from bot.platforms.telegram.likely_groups import LikelyGroups
from bot.platforms.telegram.private_chat import PrivateChat, payload
from bot.platforms.telegram.rate_limits import MessageLimiter
from bot.platforms.telegram.restriction_ends import RestrictionEnds
from bot.platforms.telegram.updates import NUMBERS_KEPT, Polling, Updates, Webhook, trouble_of
from bot.store import Store
from bot.store.retry import StoreRetry, is_corruption, is_transient, leaves
from bot.text.language import language_of, say

log = structlog.get_logger()

PACE = Pace(burst=3, within_s=30.0, redraw_s=4.0)
"""Telegram takes 20 messages a minute in a group; edits count."""
PER_MINUTE = 20
NAMES_KEPT = 50_000
FIRST_WAIT_S, LONGEST_WAIT_S = 1.0, 60.0
"""Before the next connection is made, where Telegram does not say."""
FORGET_EVERY_S = 3600.0


class Telegram(TelegramBot):
    """The platform. Make it, give it to a `Pipeline`, then `serve` and `run`."""

    name = PLATFORM

    def __init__(self, store: Store, access: Access, link_codes: LinkCodes | None = None) -> None:
        super().__init__(store, access, CircuitBreaker(told=self.notify), link_codes or LinkCodes())
        self.restriction_ends = RestrictionEnds(self)
        self.albums = Albums(store, lambda key: self.action_calls.perform(Delete(), self._here(key), NOBODY))
        self.likely_groups = LikelyGroups(self)
        self.board = TelegramBoard(self)
        self.delivery = CardDelivery(store, self.board, PACE, self.health.cards_wait)
        self.updates = Updates(store, self._handle, self.notify, self.health)
        self.commands = Commands(self, lambda request: self.private.show(request))
        self.private = PrivateChat(self, self.commands)
        self.clicks = Clicks(self, self.private)
        self._names: dict[tuple[str, str], int] = {}

    def serve(self, pipeline: Pipeline, case_service: CaseService, conversation: Conversation) -> None:
        """Names who takes events and questions."""
        self.pipeline, self.case_service, self.conversation = pipeline, case_service, conversation
        pipeline.leave_alone[self.name] = self._is_left_alone

    async def run(self) -> None:
        """Serves until cancelled."""
        await self.groups.load()
        async with asyncio.TaskGroup() as group:
            self.answers.group = group
            group.create_task(self.delivery.run())
            group.create_task(self._forget())
            group.create_task(self.restriction_ends.run())
            await self._connected()

    async def _connected(self) -> None:
        """Makes one connection after the other, a little later each time. Only a damaged store ends the loop."""
        wait_s = FIRST_WAIT_S
        while True:
            asked: float | None = None
            try:
                async with new_connection(self.access) as bot:
                    check_identity(bot)
                    self._bot, wait_s = bot, FIRST_WAIT_S
                    self._heard(None)
                    log.info("connected to Telegram", name=bot.username)
                    await self._listen(bot)
            except TelegramError as error:
                trouble, asked = trouble_of(error)
                self._heard(trouble)
                log.warning("no connection to Telegram", error=str(error), kind=type(error).__name__)
            except Exception as error:
                if any(is_corruption(one) or is_transient(one) for one in leaves(error)):
                    raise
                self._heard(Notice("telegram-lost", {"error": type(error).__name__}))
                log.exception("connection to Telegram ended")
            finally:
                self._bot = None
            await asyncio.sleep(asked if asked is not None else wait_s)
            wait_s = min(2 * wait_s, LONGEST_WAIT_S)

    def _heard(self, trouble: Notice | None) -> None:
        """Records why no updates come from Telegram; None when all is well."""
        self.trouble = trouble
        if trouble is None:
            self.health.well("outage")
        else:
            self.health.fails("outage")

    async def perform(self, action: Action, key: MessageKey, author: Author) -> Unchanged | None:
        """See `Platform`. A whole album goes with one of its items."""
        with self.circuit_breaker.asking_for(key.community):
            if isinstance(action, Delete):
                await self.albums.remove(key)
            return await self.action_calls.perform(action, self._here(key), author)

    async def undo(self, action: Action, key: MessageKey, author: Author) -> bool | Unchanged:
        """See `Platform`."""
        with self.circuit_breaker.asking_for(key.community):
            if isinstance(action, Delete):
                await self.store.albums.keep(key)
            return await self.action_calls.undo(action, self._here(key), author)

    def show(self, case: Case) -> None:
        """Posts the case's card, or brings it up to date. Never waits."""
        if case.message.key.platform == self.name:
            self.delivery.show(case.id)

    def notify(self, notice: Notice) -> None:
        """Shows the notice where cards go: in one community, or in all. Never waits."""
        self.delivery.notify(notice)

    async def change_setup(self, chat: int, **changes: Any) -> None:
        """Changes a group's set-up; cards that had no chat to go to are shown. See `Groups.change_setup`."""
        await self.groups.change_setup(chat, **changes)
        await self.delivery.resume()

    def has_cards(self, setup: Setup) -> bool:
        """Whether cards have somewhere to go."""
        return bool(setup.alert_room) and setup.alert_room not in self.board.lost

    async def groups_with(self, user: int) -> list[tuple[int, str]]:
        """Returns (chat, title) of the groups that a user is probably in; see `LikelyGroups`."""
        return await self.likely_groups.groups_of(user)

    async def overview(self) -> Overview:
        """For the page."""
        places = []
        for chat, title in self.groups.chats.items():
            community, setup = self.groups.community_of(chat), self.groups.setup_of_chat(chat)
            policy, problems = await self.pipeline.policy(community), list(self.problems.get(community, ()))
            if (resting := self.circuit_breaker.trouble(community)) is not None:
                problems.insert(0, resting)
            places.append(Place(community, title or str(chat), policy.mode, self.has_cards(setup), tuple(problems)))
        trouble = self.trouble or self.circuit_breaker.trouble()
        return Overview(PLATFORM, trouble, self.invite, tuple(places), self.health.notices())

    async def communities(self, person: Person) -> list[str]:
        """See `standings`."""
        return await standings.communities(self, int(person.id))

    async def standing(self, community: str, person: str) -> Standing:
        """See `standings`."""
        return await standings.standing(self, community, int(person))

    async def may_read(self, key: MessageKey, person: str) -> bool:
        """A group's administrators read all of it."""
        return (await self.standing(key.community, person)).role > Role.NOBODY

    async def _listen(self, bot: BotApi) -> None:
        """Raises `TelegramError` as it is, not in a group."""
        failed: TelegramError | None = None
        async with asyncio.TaskGroup() as group:
            books = group.create_task(self.updates.run())
            await asyncio.sleep(0)
            await self.delivery.resume()

            source: Polling | Webhook = Polling(self.updates, self._heard)
            if self.access.webhook_url:
                access = self.access
                source = Webhook(
                    self.updates,
                    access.webhook_url,
                    access.webhook_secret,
                    access.webhook_host,
                    access.webhook_port,
                )
            try:
                await source.run(bot)
            except TelegramError as error:
                failed = error
            books.cancel()
        if failed is not None:
            raise failed

    async def _handle(self, update: Json) -> None:
        """Handles one update; raises errors after which it should be tried again."""
        if (message := update.get("message") or update.get("edited_message")) is not None:
            await self._message(message)
        elif (query := update.get("callback_query")) is not None:
            await self.clicks.click(query)
        elif (change := update.get("my_chat_member")) is not None:
            await self._standing(change)
        elif (change := update.get("chat_member")) is not None:
            self.admins.changed(int(change["chat"]["id"]))
            self.linked_channels.changed(int(change["chat"]["id"]))
            await self.restriction_ends.decided(change)

    async def _message(self, message: Json) -> None:
        chat = message["chat"]
        if chat["type"] == "private":
            await self.private.message(message)
            return
        if not in_group(message) or (message.get("from") or {}).get("id") == self.api.id:
            return
        if (moved_to := message.get("migrate_to_chat_id")) is not None:
            await self._moved(int(chat["id"]), int(moved_to))
            return
        if (moved_from := message.get("migrate_from_chat_id")) is not None:
            await self._moved(int(moved_from), int(chat["id"]))
            return
        command = command_of(message, self.api.username) if "edit_date" not in message else None
        verb, chat_linked, _ = payload(command[1]) if command is not None and command[0] == "start" else ("", None, "")
        links = verb == "mods" and chat_linked is not None
        if links and await self.private.link_board(message, chat_linked or 0):
            return
        # a moderator's command quotes what it is about; a member's words after a command are read
        read = command is None or (command[1] and self.groups.knows(int(chat["id"])))
        if read and not self.groups.is_board(int(chat["id"])):
            await self._read(message, asks=command is not None)
        if command is not None and not links:
            await self.commands.run(*command, message)

    async def _read(self, message: Json, *, asks: bool) -> None:
        """`asks`: it is a command."""
        chat = message["chat"]
        community = self.groups.community_of(int(chat["id"]))
        await self._known(chat)
        self.likely_groups.met((message.get("from") or {}).get("id"), int(chat["id"]))
        admins = await self.moderators(int(chat["id"]), message)
        album, late = album_of(message), False
        if album is not None:  # before it can be acted on: then the whole album is to go
            late = await self.store.albums.add(key_of(message, community), album, self.now())
        event = event_of(message, community, admins)
        if event is not None and not (asks and event.author.is_moderator):
            await self.pipeline.receive(event)
        if late:
            await self.albums.too_late(key_of(message, community))
        for named in other_events(message, community, admins):
            name_key = (named.key.community, named.key.message)
            if self._names.get(name_key) != named.key.revision:
                await self.pipeline.receive(named)
                self._names[name_key] = named.key.revision
        while len(self._names) > NAMES_KEPT:
            del self._names[next(iter(self._names))]

    async def _standing(self, change: Json) -> None:
        """The bot was added, promoted, demoted or thrown out."""
        chat = change["chat"]
        if chat["type"] not in ("group", "supergroup"):
            return
        number, status = int(chat["id"]), change["new_chat_member"]["status"]
        self.admins.changed(number)
        self.linked_channels.changed(number)
        if status in (ChatMemberStatus.LEFT, ChatMemberStatus.BANNED):
            log.info("removed from a group", chat=number)
            return
        if str(number) in self.board.lost:
            self.board.lost.discard(str(number))
            await self.delivery.resume()
        if await self._greet(chat, change.get("from") or {}):
            return
        before = {notice.text() for notice in self.problems.get(self.groups.community_of(number), [])}
        fresh = tuple(notice for notice in await self.check(number) if notice.text() not in before)
        if fresh:
            arguments: dict[str, Any] = {"count": len(fresh), "list": fresh}
            self.notify(Notice("notice-rights", arguments, self.groups.community_of(number)))

    async def _greet(self, chat: Json, by: Json) -> bool:
        """One message in a group the bot is new in, with a button to set it up in private. True where it was sent."""
        number, language = int(chat["id"]), language_of(str(by.get("language_code") or "en"))
        self.likely_groups.met(by.get("id"), number)
        if not await self.groups.greet(number, str(chat.get("title") or ""), Setup(language=language)):
            return False
        lines = [say(language, "telegram-welcome"), *(f"⚠️ {one.text(language)}" for one in await self.check(number))]
        url = f"https://t.me/{self.api.username}?start=setup_{number}"
        button = telegram.InlineKeyboardButton(say(language, "telegram-setup-button"), url=url)
        text = "\n".join(map(html.escape, lines))
        await self.answers.send(number, text, language, telegram.InlineKeyboardMarkup([[button]]))
        return True

    async def _known(self, chat: Json) -> None:
        """A group whose joining was missed is known from its first message on."""
        if not self.groups.knows(int(chat["id"])):
            await self._greet(chat, {})

    async def _is_left_alone(self, key: MessageKey) -> bool:
        await self.groups.loaded.wait()
        return key.room != NAMES and self.groups.is_board(chat_of(key.room))

    async def _forget(self) -> None:
        """Numbers of handled updates, once an hour."""
        store_retry = StoreRetry()
        while True:
            before = self.now() - NUMBERS_KEPT
            await store_retry(lambda: self.store.inbox.forget(before))  # noqa: B023
            await store_retry(lambda: self.store.albums.forget(before))  # noqa: B023
            await asyncio.sleep(FORGET_EVERY_S)


def new_connection(access: Access) -> BotApi:
    """A connection, not yet opened."""
    base = access.api.rstrip("/") or "https://api.telegram.org"
    return BotApi(
        access.token,
        base_url=f"{base}/bot",
        base_file_url=f"{base}/file/bot",
        request=Requests(connection_pool_size=32, pool_timeout=10.0),
        get_updates_request=Requests(),
        rate_limiter=MessageLimiter(PER_MINUTE),
    )


def check_identity(bot: BotApi) -> None:
    """Checks the two fields that everything needs; raises `OddAnswer`."""
    if not isinstance(bot.id, int) or not isinstance(bot.username, str):
        raise UnreadableAnswer("getMe: the answer names no bot")
