"""Telegram, simulated over loopback: the Bot API as its public documentation describes it, for one bot.

    async with TelegramServer() as server:
        group = server.add_group("Friends")
        await server.says(group, server.add_user("ann"), "hello")

A test has the say over update numbers, their order and repetition, and over what goes wrong.
"""

import asyncio
import contextlib
import copy
import html
import json
import re
import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Self

from aiohttp import web

from tests.simulators.odd_bodies import Odd
from tests.simulators.telegram_state import PERMISSIONS, RIGHTS, Chat, Json, Member, Message, User

LONGEST_TEXT = 4096


@dataclass(frozen=True)
class Call:
    """One call of the bot."""

    method: str
    data: Json
    status: int
    at: float
    files: tuple[str, ...] = ()
    refusal: str = ""


@dataclass
class Fault:
    """`status` is a number, "reset" or "hang"; after `times` it is over."""

    method: str
    status: int | str
    times: float
    before_effect: bool
    retry_after_s: int
    odd: Odd | None = None
    """Answers this instead of the right answer."""


class Refusal(Exception):
    """An answer with `ok: false`."""

    def __init__(self, code: int, text: str, **parameters: int) -> None:
        super().__init__(text)
        self.code, self.text, self.parameters = code, text, parameters


class TelegramServer:
    """One simulated Telegram with one bot account."""

    def __init__(self, *, token: str = "123456:simulated", username: str = "domovoi_bot", port: int = 0) -> None:
        self.token, self.port = token, port
        self.bot = User(123456, "Domovoi", username, is_bot=True)
        self.users: dict[int, User] = {self.bot.id: self.bot}
        self.chats: dict[int, Chat] = {}
        self.updates: dict[int, Json] = {}
        self.next_update = 1000
        self.calls: list[Call] = []
        self.answers: dict[str, Json] = {}
        self.confirmed = 0
        self.webhook: Json = {}
        self.malformed: list[Any] = []
        """Sent once, with the next updates, exactly as they are."""
        self.faults: list[Fault] = []
        self.repeat = 0
        self.shuffled = False
        self.files: dict[str, bytes] = {}
        self.sent: deque[tuple[float, int]] = deque()
        self.limit_per_minute = 0
        """Above 0: more messages than this in a group within a minute are refused with 429."""
        self._news = asyncio.Event()
        self._users, self._queries = 5000, 0
        self._runner: web.AppRunner | None = None
        self._closing = asyncio.Event()

    async def __aenter__(self) -> Self:
        app = web.Application(client_max_size=64 * 2**20)
        app.router.add_route("*", "/bot{token}/{method}", self._answer)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.2, handler_cancellation=True)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self.port)
        await site.start()
        self.port = self._runner.addresses[0][1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._closing.set()
        self._news.set()
        assert self._runner is not None
        await self._runner.cleanup()

    @property
    def api(self) -> str:
        """What the bot takes for Telegram."""
        return f"http://127.0.0.1:{self.port}"

    # scenery

    def add_user(self, name: str, *, is_bot: bool = False, language: str = "en", started: bool = False) -> User:
        """A new account."""
        self._users += 1
        user = User(self._users, name, name.lower(), is_bot, language, started)
        self.users[user.id] = user
        return user

    def add_group(
        self,
        title: str,
        *,
        owner: User | None = None,
        forum: bool = False,
        basic: bool = False,
        bot_rights: Iterable[str] | None = ("can_delete_messages", "can_restrict_members"),
    ) -> Chat:
        """A supergroup with an owner and the bot as administrator; `bot_rights=None` leaves the bot a plain member."""
        number = -(2000 + len(self.chats)) if basic else -1001000000000 - len(self.chats)
        chat = Chat(number, "group" if basic else "supergroup", title, forum)
        self.chats[chat.id] = chat
        chat.members[self.bot.id] = Member(self.bot)
        if bot_rights is not None:
            chat.members[self.bot.id] = Member(self.bot, "administrator", rights=dict.fromkeys(bot_rights, True))
        owner = owner or self.add_user(f"Owner{len(self.chats)}")
        chat.members[owner.id] = Member(owner, "creator")
        return chat

    def owner(self, chat: Chat) -> User:
        """Whose group it is."""
        return next(member.user for member in chat.members.values() if member.status == "creator")

    def join(
        self,
        chat: Chat,
        user: User,
        status: str = "member",
        *,
        anonymous: bool = False,
        rights: Iterable[str] = RIGHTS,
    ) -> Member:
        """Somebody is in the group, without an update; `rights` are an administrator's, by default all."""
        given = dict.fromkeys(rights, True) if status == "administrator" else {}
        chat.members[user.id] = Member(user, status, anonymous, rights=given)
        return chat.members[user.id]

    def private(self, user: User) -> Chat:
        """The bot's chat with somebody."""
        if user.id not in self.chats:
            self.chats[user.id] = Chat(user.id, "private", members={user.id: Member(user)})
        return self.chats[user.id]

    # what happens

    def write(self, chat: Chat, author: User | Chat | None, text: str = "", **fields: Any) -> Message:
        """A message that no update announces. `author` is a user, or a channel or the group itself (anonymous)."""
        chat.numbers += 1
        data: Json = {"message_id": chat.numbers, "date": int(time.time()), "chat": chat.payload()}
        if isinstance(author, User):
            data["from"] = author.payload()
        elif author is not None:
            stand_in = User(1087968824 if author is chat else 136817688, "Group", "GroupAnonymousBot", is_bot=True)
            data["from"], data["sender_chat"] = stand_in.payload(), author.payload()
        if text:
            data["text"] = text
        data |= {key: value for key, value in fields.items() if key != "reply_to"}
        if (answered := fields.get("reply_to")) is not None:
            data["reply_to_message"] = answered.data
        message = Message(data)
        chat.messages[message.id] = message
        return message

    async def says(self, chat: Chat, author: User | Chat | None, text: str = "", **fields: Any) -> Message:
        """Somebody writes."""
        message = self.write(chat, author, text, **fields)
        self.push({"message": message.data})
        await asyncio.sleep(0)
        return message

    async def tells(self, user: User, text: str, **fields: Any) -> Message:
        """Somebody writes to the bot alone."""
        user.started = True
        return await self.says(self.private(user), user, text, **fields)

    async def edits(self, message: Message, text: str = "", **fields: Any) -> None:
        """The author changes it."""
        message.data |= fields | ({"text": text} if text else {})
        message.data["edit_date"] = max(int(time.time()), int(message.data.get("edit_date", message.data["date"])) + 1)
        self.push({"edited_message": dict(message.data)})
        await asyncio.sleep(0)

    async def clicks(self, user: User, message: Message, button: str, timeout_s: float = 20.0) -> str:
        """Somebody presses an inline button, named by its text or data; returns what Telegram showed for a moment."""
        found = [one for one in message.buttons if button in (one["text"], one.get("callback_data"))]
        if not found:
            raise LookupError(f"no button {button!r} among {[one['text'] for one in message.buttons]}")
        self._queries += 1
        number = f"q{self._queries}"
        query = {"id": number, "from": user.payload(), "message": message.data, "chat_instance": "1"}
        self.push({"callback_query": query | {"data": found[0]["callback_data"]}})
        await self.until(lambda: number in self.answers, timeout_s)
        return str(self.answers[number].get("text") or "")

    async def adds_bot(self, chat: Chat, by: User) -> None:
        """The bot joins a group, or its rights there change."""
        mine = chat.members[self.bot.id]
        old = {"user": self.bot.payload(), "status": "left"}
        change = {"chat": chat.payload(), "from": by.payload(), "date": int(time.time()), "old_chat_member": old}
        self.push({"my_chat_member": change | {"new_chat_member": mine.payload()}})
        await asyncio.sleep(0)

    async def migrates(self, chat: Chat) -> Chat:
        """A group becomes a supergroup with another number; the old one answers with where it went."""
        new = Chat(-1002000000000 - len(self.chats), "supergroup", chat.title, members=chat.members)
        self.chats[new.id] = new
        chat.migrated_to = new.id
        await self.says(chat, None, migrate_to_chat_id=new.id)
        await self.says(new, None, migrate_from_chat_id=chat.id)
        return new

    async def restricts(self, by: User, chat: Chat, user: User, status: str, until: int = 0, **rights: bool) -> None:
        """Somebody restricts, bans or (`status="member"`) frees a member, and the bot hears of it."""
        member = chat.members.setdefault(user.id, Member(user, "left"))
        old = member.payload()
        if status == "member":
            member.free()
        else:
            member.restrict(status, until, **rights)
        change = {"chat": chat.payload(), "from": by.payload(), "date": int(time.time()), "old_chat_member": old}
        self.push({"chat_member": change | {"new_chat_member": member.payload()}})
        await asyncio.sleep(0)

    def push(self, update: Json, number: int | None = None) -> int:
        """An update for the bot; `number` overrides the next one."""
        if number is None:
            number, self.next_update = self.next_update, self.next_update + 1
        self.updates[number] = {"update_id": number, **copy.deepcopy(update)}  # as it was then
        self._news.set()
        return number

    # faults and looking back

    def fail(
        self,
        method: str,
        status: int | str,
        times: float = 1,
        *,
        before_effect: bool = True,
        retry_after_s: int = 1,
    ) -> None:
        """The next calls of this method ("*": of any) fail; with `before_effect=False` they take effect first."""
        self.faults.append(Fault(method, status, times, before_effect, retry_after_s))

    def answer_oddly(self, method: str, odd: Odd, times: float = 1, *, before_effect: bool = False) -> None:
        """The next calls of this method take effect, and are answered with something else than they should be."""
        self.faults.append(Fault(method, 200, times, before_effect, 0, odd))

    def called(self, method: str) -> list[Call]:
        """The bot's calls of a method that were answered."""
        return [call for call in self.calls if call.method.lower() == method.lower()]

    def by_bot(self, chat: Chat) -> list[Message]:
        """What the bot wrote in a chat and is still there."""
        return [m for m in chat.messages.values() if m.data.get("from", {}).get("id") == self.bot.id and not m.deleted]

    @property
    def waiting(self) -> int:
        """Updates that the bot has not confirmed."""
        return len(self.updates)

    async def until(self, condition: Callable[[], Any], timeout_s: float = 60.0) -> None:
        """Returns when it holds."""
        async with asyncio.timeout(timeout_s):
            while not condition():
                await asyncio.sleep(0.005)

    # the Bot API

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        method = request.match_info["method"]
        if request.match_info["token"] != self.token:
            return _json(401, {"ok": False, "error_code": 401, "description": "Unauthorized"})
        data, files = await _form(request)
        fault = next((f for f in self.faults if f.times > 0 and f.method.lower() in ("*", method.lower())), None)
        if fault is not None:
            fault.times -= 1
            result: Any = None
            if not fault.before_effect:
                with contextlib.suppress(Refusal):
                    result = await self._result(method, data, files)
            if fault.odd is not None:
                status, body = fault.odd({"ok": True, "result": result})
                self.calls.append(Call(method, data, status, time.time(), files))
                return web.Response(status=status, body=body, content_type="application/json")
            return await self._failed(request, fault, method, data)
        try:
            result = await self._result(method, data, files)
        except Refusal as refusal:
            self.calls.append(Call(method, data, refusal.code, time.time(), files, refusal.text))
            said: Json = {"ok": False, "error_code": refusal.code, "description": refusal.text}
            if refusal.parameters:
                said["parameters"] = refusal.parameters
            return _json(refusal.code, said)
        self.calls.append(Call(method, data, 200, time.time(), files))
        return _json(200, {"ok": True, "result": result})

    async def _failed(self, request: web.Request, fault: Fault, method: str, data: Json) -> web.StreamResponse:
        self.calls.append(Call(method, data, fault.status if isinstance(fault.status, int) else -1, time.time()))
        if fault.status == "hang":
            await self._closing.wait()
        if not isinstance(fault.status, int):
            if request.transport is not None:
                request.transport.abort()
            return web.Response()
        body: Json = {"ok": False, "error_code": fault.status, "description": _SENTENCES.get(fault.status, "Error")}
        if fault.status == 429:
            body["parameters"] = {"retry_after": fault.retry_after_s}
        return _json(fault.status, body)

    async def _result(self, method: str, data: Json, files: tuple[str, ...]) -> Any:
        call = getattr(self, f"_{re.sub(r'(?<!^)(?=[A-Z])', '_', method).lower()}", None)
        if call is None:
            raise Refusal(404, f"Not Found: method {method} is not simulated")
        result = call(data)
        return await result if asyncio.iscoroutine(result) else result

    def _get_me(self, _: Json) -> Json:
        more = {"can_join_groups": True, "can_read_all_group_messages": True, "supports_inline_queries": False}
        return self.bot.payload() | more

    async def _get_updates(self, data: Json) -> list[Any]:
        if self.webhook.get("url"):
            raise Refusal(409, "Conflict: can't use getUpdates method while webhook is active")
        if (offset := data.get("offset")) is not None and int(offset) > 0:
            for number in [number for number in self.updates if number < int(offset)]:
                del self.updates[number]
                self.confirmed += 1
        ends = time.monotonic() + float(data.get("timeout") or 0)
        while not self.updates and not self.malformed and not self._closing.is_set():
            if (left := ends - time.monotonic()) <= 0:
                return []
            self._news.clear()
            try:
                await asyncio.wait_for(self._news.wait(), left)
            except TimeoutError:
                return []
        numbers = sorted(self.updates)[: int(data.get("limit") or 100)]
        found: list[Any] = [self.updates[number] for number in numbers]
        if self.repeat:
            found += found[: self.repeat]
            self.repeat = 0
        if self.shuffled:
            found.reverse()
        found += self.malformed
        self.malformed = []
        return found

    def _delete_webhook(self, _: Json) -> bool:
        self.webhook = {}
        return True

    def _set_webhook(self, data: Json) -> bool:
        self.webhook = data
        return True

    def _get_chat(self, data: Json) -> Json:
        chat = self._chat(data)
        everything = dict.fromkeys(PERMISSIONS, True)
        more = {
            "accent_color_id": 0,
            "max_reaction_count": 11,
            "permissions": everything,
            "accepted_gift_types": _GIFTS,
        }
        if chat.linked_chat_id:
            more["linked_chat_id"] = chat.linked_chat_id
        return chat.payload() | more

    def _get_chat_member(self, data: Json) -> Json:
        chat, user = self._chat(data), int(data["user_id"])
        if user in chat.members:
            return chat.members[user].payload()
        if user not in self.users:
            raise Refusal(400, "Bad Request: PARTICIPANT_ID_INVALID")
        return {"user": self.users[user].payload(), "status": "left"}

    def _get_chat_administrators(self, data: Json) -> list[Json]:
        members = self._chat(data).members.values()
        return [member.payload() for member in members if member.status in ("creator", "administrator")]

    def _send_message(self, data: Json) -> Json:
        chat = self._may_write(data)
        self._fits(data)
        return self._sent(chat, data, text=data["text"])

    def _send_document(self, data: Json) -> Json:
        chat = self._may_write(data)
        document = {"file_id": "f", "file_unique_id": "u", "file_name": "mydata.json"}
        return self._sent(chat, data, caption=data.get("caption", ""), document=document)

    def _edit_message_text(self, data: Json) -> Json:
        message = self._own(data)
        markup = data.get("reply_markup") or {}
        if message.data.get("text") == data["text"] and message.data.get("reply_markup", {}) == markup:
            raise Refusal(400, "Bad Request: message is not modified")
        self._count(self._chat(data))
        self._fits(data)
        message.data |= {"text": data["text"], "edit_date": int(time.time()), "reply_markup": markup}
        return message.data

    def _edit_message_reply_markup(self, data: Json) -> Json:
        message = self._own(data)
        if message.data.get("reply_markup", {}) == (data.get("reply_markup") or {}):
            raise Refusal(400, "Bad Request: message is not modified")
        message.data["reply_markup"] = data.get("reply_markup") or {}
        return message.data

    def _delete_message(self, data: Json) -> bool:
        chat = self._chat(data)
        self._right(chat, "can_delete_messages", "message can't be deleted")
        message = chat.messages.get(int(data["message_id"]))
        if message is None or message.deleted:
            raise Refusal(400, "Bad Request: message to delete not found")
        if time.time() - message.data["date"] > 48 * 3600:
            raise Refusal(400, "Bad Request: message can't be deleted for everyone")
        message.deleted = True
        return True

    def _delete_messages(self, data: Json) -> bool:
        chat = self._chat(data)
        self._right(chat, "can_delete_messages", "message can't be deleted")
        if not 1 <= len(data["message_ids"]) <= 100:
            raise Refusal(400, "Bad Request: wrong number of messages")
        for number in data["message_ids"]:
            message = chat.messages.get(int(number))
            if message is not None and time.time() - message.data["date"] <= 48 * 3600:
                message.deleted = True
        return True

    def _restrict_chat_member(self, data: Json) -> bool:
        chat = self._chat(data)
        if chat.type != "supergroup":
            raise Refusal(400, "Bad Request: method is available for supergroup and channel chats only")
        member, allowed = self._target(chat, data), data["permissions"]
        if all(allowed.get(name) for name in PERMISSIONS):
            member.free()
        else:
            member.restrict("restricted", int(data.get("until_date") or 0), **allowed)
        return True

    def _ban_chat_member(self, data: Json) -> bool:
        chat = self._chat(data)
        member = self._target(chat, data)
        if chat.type == "group":
            member.status = "left"
        else:
            member.restrict("kicked", int(data.get("until_date") or 0))
        return True

    def _unban_chat_member(self, data: Json) -> bool:
        chat = self._chat(data)
        self._right(chat, "can_restrict_members", "not enough rights to restrict/unrestrict chat member")
        if chat.type == "group":
            raise Refusal(400, "Bad Request: method is available for supergroup and channel chats only")
        member = chat.members.get(int(data["user_id"]))
        if member is not None and (member.status == "kicked" or not data.get("only_if_banned")):
            member.status, member.until, member.rights = "left", 0, {}
        return True

    def _ban_chat_sender_chat(self, data: Json) -> bool:
        chat = self._chat(data)
        self._right(chat, "can_restrict_members", "not enough rights to restrict/unrestrict chat member")
        chat.banned_chats.add(int(data["sender_chat_id"]))
        return True

    def _unban_chat_sender_chat(self, data: Json) -> bool:
        self._chat(data).banned_chats.discard(int(data["sender_chat_id"]))
        return True

    def _edit_forum_topic(self, data: Json) -> bool:
        chat = self._chat(data)
        self._right(chat, "can_manage_topics", "not enough rights to manage topics")
        chat.topics[int(data["message_thread_id"])] = data["name"]
        return True

    def _answer_callback_query(self, data: Json) -> bool:
        self.answers[str(data["callback_query_id"])] = data
        return True

    # what they share

    def _chat(self, data: Json) -> Chat:
        chat = self.chats.get(int(data["chat_id"]))
        if chat is None:
            raise Refusal(400, "Bad Request: chat not found")
        if chat.migrated_to:
            text = "Bad Request: group chat was upgraded to a supergroup chat"
            raise Refusal(400, text, migrate_to_chat_id=chat.migrated_to)
        if chat.type != "private" and chat.members[self.bot.id].status in ("left", "kicked"):
            raise Refusal(403, "Forbidden: bot was kicked from the supergroup chat")
        return chat

    def _may_write(self, data: Json) -> Chat:
        number = int(data["chat_id"])
        if number in self.users and not self.users[number].started:
            raise Refusal(403, "Forbidden: bot can't initiate conversation with a user")
        if number in self.users:
            self.private(self.users[number])
        chat = self._chat(data)
        self._count(chat)
        return chat

    def _count(self, chat: Chat) -> None:
        """The flood limit of a group, where a test sets one."""
        now = time.monotonic()
        while self.sent and now - self.sent[0][0] > 60:
            self.sent.popleft()
        if chat.type != "private" and self.limit_per_minute:
            if sum(one == chat.id for _, one in self.sent) >= self.limit_per_minute:
                raise Refusal(429, "Too Many Requests: retry after 3", retry_after=3)
            self.sent.append((now, chat.id))

    def _fits(self, data: Json) -> None:
        """A text's length counts after its tags and escapes are read."""
        text = _without_tags(data)
        if not 0 < len(html.unescape(text) if data.get("parse_mode") == "HTML" else text) <= LONGEST_TEXT:
            raise Refusal(400, "Bad Request: message text is empty or too long")

    def _sent(self, chat: Chat, data: Json, **fields: Any) -> Json:
        more = {key: data[key] for key in ("reply_markup", "message_thread_id") if data.get(key)}
        return self.write(chat, self.bot, **fields, **more).data

    def _own(self, data: Json) -> Message:
        message = self._chat(data).messages.get(int(data["message_id"]))
        if message is None or message.deleted:
            raise Refusal(400, "Bad Request: message to edit not found")
        if message.data["from"]["id"] != self.bot.id:
            raise Refusal(400, "Bad Request: message can't be edited")
        return message

    def _target(self, chat: Chat, data: Json) -> Member:
        self._right(chat, "can_restrict_members", "not enough rights to restrict/unrestrict chat member")
        user = int(data["user_id"])
        if user not in self.users:
            raise Refusal(400, "Bad Request: user not found")
        member = chat.members.setdefault(user, Member(self.users[user], "left"))
        if member.status == "creator":
            raise Refusal(400, "Bad Request: can't remove chat owner")
        if member.status == "administrator":
            raise Refusal(400, "Bad Request: user is an administrator of the chat")
        return member

    def _right(self, chat: Chat, right: str, text: str) -> None:
        mine = chat.members[self.bot.id]
        if mine.status != "administrator" or not mine.rights.get(right):
            raise Refusal(400, f"Bad Request: {text}")


_SENTENCES = {
    401: "Unauthorized",
    404: "Not Found",
    409: "Conflict: terminated by other getUpdates request; make sure that only one bot instance is running",
    429: "Too Many Requests: retry after 1",
    500: "Internal Server Error",
    502: "Bad Gateway",
    503: "Service Unavailable",
}
_GIFTS = dict.fromkeys(
    ("unlimited_gifts", "limited_gifts", "unique_gifts", "premium_subscription", "gifts_from_channels"), True
)
_TAGS = re.compile(r"</?(?:b|i|u|s|code|pre|a(?: href=\"[^\"]*\")?|blockquote)>")


def _without_tags(data: Json) -> str:
    """The text as people read it; what is no tag of Telegram's HTML is refused as Telegram does."""
    text = str(data.get("text") or "")
    if data.get("parse_mode") == "HTML":
        text = _TAGS.sub("", text)
        if "<" in text or re.search(r"&(?!lt;|gt;|amp;|quot;|#)", text):
            raise Refusal(400, "Bad Request: can't parse entities")
    return text


async def _form(request: web.Request) -> tuple[Json, tuple[str, ...]]:
    """What was sent, with JSON inside a field read, and the contents of files."""
    data: Json = dict(request.query)
    files: list[str] = []
    if request.content_type == "application/json":
        return await request.json(), ()
    for key, value in (await request.post()).items():
        if isinstance(value, web.FileField):
            files.append(value.file.read().decode("utf-8", "replace"))
            continue
        text = str(value)
        try:
            data[key] = json.loads(text) if text[:1] in "[{" or key.endswith(("_id", "_date", "_ids")) else text
        except ValueError:
            data[key] = text
    return data, tuple(files)


def _json(status: int, body: Json) -> web.Response:
    return web.json_response(body, status=status)
