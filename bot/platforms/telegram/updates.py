"""Updates on their way in: committed to the store before Telegram may forget them, then handled, each once.

The library's own updater confirms updates when it asks for the next ones, which may be before they are handled: killed
then, they are lost (decision 0006). So the library makes the calls, and this file decides when the next one is made.
"""

import asyncio
import hmac
import json
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import structlog
from aiohttp import web
from telegram.error import (
    BadRequest,
    Conflict,
    EndPointNotFound,
    Forbidden,
    InvalidToken,
    NetworkError,
    RetryAfter,
    TelegramError,
)

from bot.domain.notice import Notice
from bot.domain.platform import Unreachable
from bot.platforms.health import Health
from bot.platforms.telegram.bot_api import BotApi, UnreadableAnswer
from bot.platforms.telegram.events import PLATFORM
from bot.process.http_listener import Connections, most_connections, serve_http
from bot.store import Store
from bot.store.inbox import Waiting
from bot.store.retry import StoreRetry, is_transient

log = structlog.get_logger()

ALLOWED = ("message", "edited_message", "callback_query", "my_chat_member", "chat_member")
LONG_POLL_S = 25
AT_ONCE = 100
"""Telegram hands out at most so many updates in one answer."""
IN_HAND, MOST_IN_HAND = 64, 1000
TRIES, RETRY_S = 3, 2.0
ALONE, DEATHS = 3, 8
"""An update with which so many processes ended is taken up alone, and then not at all: most ends are not its fault."""
LONGEST_WAIT_S, PATIENCE_S = 30.0, 900.0
"""An update that Telegram's silence keeps back is no bad update: it waits, and is tried again, for so long."""
FLUSH_S = 0.05
EMPTY_TAKES_S = 1.0
"""An answer without updates takes so long at least, also where the server does not wait for some."""
LOOK_AGAIN_S = 60.0
"""A server that forgets nothing is asked without an offset when it was quiet for so long."""
BODY_WITHIN_S = 10.0
HIGHEST = 2**53
"""A number from here on is none."""
NUMBERS_KEPT = timedelta(days=3)
"""Telegram keeps updates for one day; a number that is delivered later is another update."""
Update = dict[str, Any]


@dataclass(frozen=True, slots=True)
class TakenUpdate:
    """An answer that is on disk: the largest number in it, None where none has one, and how many were not known."""

    newest: int | None
    fresh: int


class Updates:
    """Takes raw updates and has each handled once. `handle` may raise: then it is tried again, and at last set aside.

    `aside` hears of an update that could not be handled, and of a server that counts anew.
    """

    def __init__(
        self,
        store: Store,
        handle: Callable[[Update], Awaitable[None]],
        aside: Callable[[Notice], None],
        health: Health,
    ) -> None:
        self._store = store
        self._health = health
        self._said_anew = False
        self._store_retry = StoreRetry()
        self._handle = handle
        self._aside = aside
        self._handled: list[int] = []
        self._open: set[int] = set()
        self._words, self._questions = asyncio.Semaphore(IN_HAND), asyncio.Semaphore(IN_HAND)
        self._places = asyncio.Semaphore(MOST_IN_HAND)
        self._group: asyncio.TaskGroup | None = None

    async def run(self) -> None:
        """Handles the updates that an earlier process left, then notes handled ones, until cancelled."""
        try:
            async with asyncio.TaskGroup() as group:
                self._group = group
                waiting_updates = await self._store.inbox.waiting(PLATFORM)
                for waiting in waiting_updates:
                    if waiting.tries < ALONE:
                        group.create_task(self._one(waiting.number, json.loads(waiting.text), 0, again=True))
                group.create_task(self._suspects([waiting for waiting in waiting_updates if waiting.tries >= ALONE]))
                while True:
                    await asyncio.sleep(FLUSH_S)
                    await self._flush()
        finally:
            self._group = None

    async def _suspects(self, left: Sequence[Waiting]) -> None:
        """Begun again and again when the process ended: one by one, so that the next end is laid to one of them only,
        and the least tried first, so that it is not always the same."""
        for waiting in sorted(left, key=lambda waiting: (waiting.tries, waiting.number)):
            tries = TRIES if waiting.tries >= DEATHS else 0
            await self._one(waiting.number, json.loads(waiting.text), tries, again=True)
            await self._flush()

    async def take(self, updates: Sequence[Any]) -> "TakenUpdate":
        """Commits what is new. Raises what the store raises."""
        numbered = {one["update_id"]: one for one in updates if _is_update(one)}
        for one in updates:
            if not _is_update(one):
                log.warning("update without a number", kind=type(one).__name__)
                self._health.fails("updates")
        texts = [(number, json.dumps(one, ensure_ascii=True, sort_keys=True)) for number, one in numbered.items()]
        fresh = await self._store.inbox.take(PLATFORM, texts, datetime.now(UTC))
        if any(number != place for number, place in fresh.items()) and not self._said_anew:
            self._said_anew = True
            log.warning("the server counts its updates anew", lowest=min(fresh))
            self._aside(Notice("notice-updates-anew"))
        for number, place in sorted(fresh.items()):
            if _moves(numbered[number]):  # what comes after it must find the group where it is now
                await self._one(place, numbered[number], 0)
            else:
                await self._begin(place, numbered[number])
        return TakenUpdate(max(numbered, default=None), len(fresh))

    @property
    def idle(self) -> bool:
        """Whether nothing is in hand."""
        return not (self._open or self._handled)

    async def _begin(self, number: int, update: Update) -> None:
        await self._places.acquire()
        if self._group is not None:  # else it waits in the store for the next start
            self._open.add(number)
            self._group.create_task(self._one(number, update, 0)).add_done_callback(lambda _: self._places.release())
        else:
            self._places.release()

    async def _one(self, number: int, update: Update, tries: int, *, again: bool = False) -> None:
        """`again`: an earlier process may have died of it, so the try is counted first.

        What fails for the store's sake is no fault of the update: it waits until the store answers.
        """
        self._open.add(number)
        try:
            await self._tries(number, update, tries, again)
        except Exception:
            log.exception("update left for the next start", number=number)
        finally:
            self._open.discard(number)

    async def _tries(self, number: int, update: Update, tries: int, again: bool) -> None:
        wait_s, ends = RETRY_S, asyncio.get_running_loop().time() + PATIENCE_S
        while tries < TRIES:
            try:
                async with self._questions if _asks(update) else self._words:
                    if again:
                        await self._store_retry(lambda: self._store.inbox.tried(PLATFORM, number))
                        again = False
                    await self._handle(update)
            except Exception as error:
                if is_transient(error) or (_unanswered(error) and asyncio.get_running_loop().time() < ends):
                    log.warning("update waits", number=number, error=str(error))
                    await asyncio.sleep(wait_s)
                    wait_s = min(2 * wait_s, LONGEST_WAIT_S)
                    continue
                log.exception("update failed", number=number, tries=tries + 1)
                tries, again = tries + 1, True
                await asyncio.sleep(RETRY_S * tries)
            else:
                self._handled.append(number)
                return
        await self._store_retry(lambda: self._store.inbox.set_aside(PLATFORM, number))
        self._health.fails("updates")
        self._aside(Notice("notice-update-aside", {"number": str(number)}))

    async def _flush(self) -> None:
        if self._handled:
            handled, self._handled = self._handled, []
            try:
                await self._store.inbox.done(PLATFORM, handled)
            except Exception:
                self._handled += handled
                log.exception("handled updates could not be marked")


@dataclass(slots=True)
class Polling:
    """Asks Telegram for updates. The next question confirms what came before, and is asked once that is on disk.

    Only that question has an offset. Later ones have none: what is confirmed does not come again, and a server that has
    begun to count anew meanwhile is heard. One that forgets nothing is asked with the offset, and without it from time
    to time.
    """

    updates: Updates
    told: Callable[[Notice | None], None]
    """Hears why nothing comes, None while all is well."""
    first_wait_s: float = 1.0
    longest_wait_s: float = 60.0
    offset: int | None = None
    confirmed: int | None = None
    """The offset of the last question that was answered and had one."""
    forgets: bool = True
    brought_at: float = 0.0
    idle: int = 0
    """So many answers in a row brought only known updates."""

    async def run(self, bot: BotApi) -> None:
        """Until cancelled."""
        wait_s, webhook_gone = self.first_wait_s, False
        while True:
            asked: float | None = None
            try:
                webhook_gone = webhook_gone or bool(await bot.ask("deleteWebhook"))
                began = time.monotonic()
                updates = await self._updates(bot)
                pause_s = self._after(await self.updates.take(updates), len(updates), time.monotonic() - began)
            except TelegramError as error:
                trouble, asked = trouble_of(error)
                self.told(trouble)
                log.warning("no updates", error=str(error), kind=type(error).__name__)
            except Exception as error:
                self.told(Notice("telegram-lost", {"error": str(error) or type(error).__name__}))
                log.exception("updates not taken; Telegram keeps them")
            else:
                self.told(None)
                wait_s = self.first_wait_s
                await asyncio.sleep(pause_s)
                continue
            self.offset = None  # what was not confirmed comes again, and is known
            await asyncio.sleep(asked if asked is not None else wait_s)
            wait_s = min(2 * wait_s, self.longest_wait_s)

    def _after(self, taken: "TakenUpdate", count: int, took_s: float) -> float:
        """Decides the next question and when it is asked, so that the loop does not spin, whatever the server does."""
        now, first = time.monotonic(), self.offset is None
        if self.offset is not None:
            self.confirmed = self.offset
        if taken.fresh:
            self.brought_at, self.idle = now, 0
        elif count:
            self.idle += 1
        if first and not taken.fresh and self._is_confirmed(taken.newest):  # and here it is again
            self.forgets, self.brought_at, self.offset = False, now, self.confirmed
        elif taken.newest is not None:
            self.offset = taken.newest + 1
        elif not count and (self.forgets or now - self.brought_at > LOOK_AGAIN_S):
            self.offset = None
        if count:
            return self.first_wait_s if self.idle > 1 or taken.newest is None else 0.0
        return max(0.0, EMPTY_TAKES_S - took_s)

    def _is_confirmed(self, newest: int | None) -> bool:
        return newest is not None and self.confirmed is not None and newest < self.confirmed

    async def _updates(self, bot: BotApi) -> list[Any]:
        """Returns the updates as JSON, as they came: an update that the library cannot parse must not block the
        others."""
        parameters: dict[str, Any] = {"timeout": LONG_POLL_S, "limit": AT_ONCE, "allowed_updates": list(ALLOWED)}
        if self.offset is not None:
            parameters["offset"] = self.offset
        answer = await bot.ask("getUpdates", timeout_s=LONG_POLL_S + 10, **parameters)
        if not isinstance(answer, list):
            raise UnreadableAnswer("getUpdates: the answer is no list")
        return answer


@dataclass(frozen=True, slots=True)
class Webhook:
    """Takes updates that Telegram brings. `secret` is sent with each; a request without it is not read."""

    updates: Updates
    url: str
    secret: str
    host: str
    port: int

    async def run(self, bot: BotApi) -> None:
        """Until cancelled. What is not on disk is answered with 500, so that Telegram brings it again."""

        async def take(request: web.Request) -> web.Response:
            secret = request.headers.get("X-Telegram-Bot-Api-Secret-Token", "")
            if not hmac.compare_digest(secret.encode(), self.secret.encode()):
                return web.Response(status=403)
            try:
                async with asyncio.timeout(BODY_WITHIN_S):
                    update = await request.json()
            except (ValueError, RecursionError, TimeoutError):
                return web.Response(status=400)
            await self.updates.take([update])
            return web.Response()

        app = web.Application(client_max_size=2**20)
        app.router.add_post("/", take)
        app.router.add_post("/{tail:.*}", take)
        connections = Connections(most_connections() // 2)
        app.middlewares.append(connections.middleware())
        async with serve_http(app, connections, self.host, self.port):
            await bot.set_webhook(self.url, secret_token=self.secret, allowed_updates=ALLOWED, max_connections=10)
            await asyncio.Event().wait()


def trouble_of(error: TelegramError) -> tuple[Notice, float | None]:
    """Returns what the operator is told, and how long to wait if that is known."""
    match error:
        case (
            InvalidToken() | EndPointNotFound() | Forbidden()
        ):  # the library takes a refused token for an unknown method
            return Notice("telegram-token"), 60.0
        case Conflict():
            return Notice("telegram-conflict"), 10.0
        case RetryAfter():
            wait = error.retry_after
            return Notice("telegram-lost", {"error": error.message}), (
                wait.total_seconds() if isinstance(wait, timedelta) else float(wait)
            )
        case _:
            return Notice("telegram-lost", {"error": error.message}), None


def _unanswered(error: Exception) -> bool:
    """Whether Telegram did not answer, or not now, and the update has nothing to do with it."""
    silent = isinstance(error, Unreachable | NetworkError | RetryAfter | InvalidToken)
    return silent and not isinstance(error, BadRequest)


def _asks(update: Update) -> bool:
    """Says whether an update is a question or a click: an update that is only read does not wait behind those."""
    message = update.get("message")
    if not isinstance(message, dict):
        return "edited_message" not in update
    return str(message.get("text") or "").startswith("/") or (message.get("chat") or {}).get("type") == "private"


def _moves(update: Update) -> bool:
    """Whether it says that a group became a supergroup."""
    message = update.get("message")
    return isinstance(message, dict) and ("migrate_to_chat_id" in message or "migrate_from_chat_id" in message)


def _is_update(one: Any) -> bool:
    number = one.get("update_id") if isinstance(one, dict) else None
    return type(number) is int and 0 <= number < HIGHEST
