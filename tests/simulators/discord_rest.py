"""How a REST request is received, judged and answered; the routes themselves are in the `discord_routes_*` files.

An answer's Content-Type is exactly `application/json`, and a 429 carries `Via`: the client library needs both.
Errors are `{"code", "message"[, "errors"]}` (https://discord.com/developers/docs/topics/opcodes-and-status-codes).
"""

from __future__ import annotations

import asyncio
import json
import time
import zlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from aiohttp import web

from . import discord_permissions as perms
from .discord_channels import Channel, Message, Thread
from .discord_gateway import abort, dumps
from .discord_guild import Guild
from .discord_state import Json, Member, now

if TYPE_CHECKING:
    from .discord_faults import RestLimit
    from .discord_server import DiscordServer

HEADERS = {"Content-Type": "application/json"}


class ApiError(Exception):
    """An error answer."""

    def __init__(self, status: int, code: int, message: str, errors: Json | None = None) -> None:
        super().__init__(f"{status} {code} {message}")
        self.status = status
        self.body: Json = {"message": message, "code": code} | ({"errors": errors} if errors else {})


def unknown(code: int, what: str) -> ApiError:
    return ApiError(404, code, f"Unknown {what}")


def no_access() -> ApiError:
    return ApiError(403, 50001, "Missing Access")


def no_permission() -> ApiError:
    return ApiError(403, 50013, "Missing Permissions")


def bad_form(where: str, code: str, message: str) -> ApiError:
    """50035; `where` is a dotted path into the form."""
    errors: Json = {"_errors": [{"code": code, "message": message}]}
    for key in reversed(where.split(".")):
        errors = {key: errors}
    return ApiError(400, 50035, "Invalid Form Body", errors)


@dataclass
class Call:
    """One REST request, as recorded. `route` is the pattern, `path` what was asked; `status` is None while running
    and -1 when the connection was reset or left hanging."""

    method: str
    route: str
    path: str
    ids: dict[str, int]
    params: dict[str, str]
    json: Any = None
    files: list[tuple[str, bytes]] = field(default_factory=list)
    reason: str | None = None
    status: int | None = None
    at: datetime = field(default_factory=now)
    at_s: float = field(default_factory=time.monotonic)
    token: str = ""
    created: bool = False  # answer 201 instead of 200

    def body(self) -> Json:
        return self.json if isinstance(self.json, dict) else {}


Handler = Callable[["DiscordServer", Call], Awaitable[Any]]
ROUTES: list[tuple[str, str, Handler, bool]] = []


def route(method: str, path: str, *, auth: bool = True) -> Callable[[Handler], Handler]:
    """Register a handler. It returns what the JSON answer holds, or None for 204."""

    def register(handler: Handler) -> Handler:
        ROUTES.append((method, path, handler, auth))
        return handler

    return register


def limit_headers(path: str, limit: RestLimit | None = None) -> dict[str, str]:
    """What every answer says about its bucket: generous, unless a test has set a limit."""
    reset_after_s = limit.reset_after_s() if limit else 1.0
    return {
        "X-RateLimit-Limit": str(limit.requests if limit else 1000),
        "X-RateLimit-Remaining": str(limit.left() if limit else 999),
        "X-RateLimit-Reset": f"{time.time() + reset_after_s:.3f}",
        "X-RateLimit-Reset-After": f"{reset_after_s:.3f}",
        "X-RateLimit-Bucket": f"{zlib.crc32(path.encode()):08x}",
    }


class Rest:
    """Everything between aiohttp and a handler: recording, authentication, faults, headers."""

    def __init__(self, server: DiscordServer) -> None:
        self.server = server
        self.closing = asyncio.Event()

    def add_to(self, app: web.Application) -> None:
        for method, path, handler, auth in ROUTES:
            pattern = "/api/v10" + path.replace("_id}", r"_id:\d+}")
            app.router.add_route(method, pattern, self._endpoint(path, handler, auth))
        app.router.add_route("*", "/api/v10/{rest:.*}", self._endpoint("/{rest}", self._no_route, False))

    @staticmethod
    async def _no_route(server: DiscordServer, call: Call) -> Any:
        server.unknown_routes.append(f"{call.method} {call.path}")
        raise ApiError(404, 0, "404: Not Found")

    def _endpoint(
        self, path: str, handler: Handler, auth: bool
    ) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        async def endpoint(request: web.Request) -> web.StreamResponse:
            return await self._answer(request, path, handler, auth)

        return endpoint

    async def _answer(self, request: web.Request, path: str, handler: Handler, auth: bool) -> web.StreamResponse:
        reason = request.headers.get("X-Audit-Log-Reason")
        call = Call(
            request.method,
            path,
            request.path.removeprefix("/api/v10"),
            {key: int(value) for key, value in request.match_info.items() if key.endswith("_id")},
            dict(request.query),
            reason=unquote(reason) if reason else None,
            token=request.match_info.get("token", ""),
        )
        await self._read(request, call)
        self.server.calls.append(call)
        fault = self.server.faults.rest_fault(call.method, call.path)
        limit = self.server.faults.rest_limit(call.method, call.path)
        if limit is not None and not limit.take():
            return await self._fail(request, call, "429", limit.reset_after_s())
        if fault is None or not fault.before_effect:
            status, body = await self._perform(request, call, handler, auth)
        if fault is not None and fault.odd is not None:
            call.status, odd_body = fault.odd(None if fault.before_effect else json.loads(dumps(body)))
            return web.Response(status=call.status, body=odd_body, headers=fault.headers)
        if fault is not None:
            return await self._fail(request, call, fault.failure, fault.retry_after_s)
        call.status = status
        headers = limit_headers(path, limit)
        if status == 204:
            return web.Response(status=204, headers=headers)
        return web.Response(status=status, body=dumps(body).encode(), headers=HEADERS | headers)

    @staticmethod
    async def _read(request: web.Request, call: Call) -> None:
        if request.content_type == "multipart/form-data":
            form = await request.post()
            for name, value in form.items():
                if name == "payload_json":
                    call.json = json.loads(str(value))
                elif isinstance(value, web.FileField):
                    call.files.append((value.filename, value.file.read()))
        elif request.can_read_body:
            text = await request.text()
            call.json = json.loads(text) if text else None

    async def _perform(self, request: web.Request, call: Call, handler: Handler, auth: bool) -> tuple[int, Any]:
        try:
            if auth and request.headers.get("Authorization") != f"Bot {self.server.token}":
                raise ApiError(401, 0, "401: Unauthorized")
            body = await handler(self.server, call)
        except ApiError as error:
            return error.status, error.body
        except (KeyError, TypeError, ValueError, AssertionError) as error:
            # A form that no client should send, or a mistake in this simulator: the test is told at its end.
            self.server.errors.append(error)
            return 400, {"message": "Invalid Form Body", "code": 50035, "simulator": repr(error)}
        return (204, None) if body is None else (201 if call.created else 200, body)

    async def _fail(
        self, request: web.Request, call: Call, failure: int | str, retry_after_s: float
    ) -> web.StreamResponse:
        if failure == "reset":
            call.status = -1
            abort(request.transport, reset=True)
            return web.Response(status=500)
        if failure == "hang":
            call.status = -1
            await self.closing.wait()
            return web.Response(status=500)
        if failure in ("429", "429-global", 429):
            everywhere = failure == "429-global"
            call.status = 429
            headers = HEADERS | limit_headers(call.route)
            headers |= {"Via": "1.1 simulator", "Retry-After": f"{max(1, round(retry_after_s))}"}
            headers |= {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset-After": f"{retry_after_s:.3f}"}
            headers |= {"X-RateLimit-Scope": "global" if everywhere else "user"}
            headers |= {"X-RateLimit-Global": "true"} if everywhere else {}
            body = {"message": "You are being rate limited.", "retry_after": retry_after_s, "global": everywhere}
            return web.Response(status=429, body=dumps(body).encode(), headers=headers)
        call.status = int(failure)
        body = {"message": f"{failure}: simulated", "code": {403: 50013, 404: 10008}.get(int(failure), 0)}
        return web.Response(status=int(failure), body=dumps(body).encode(), headers=HEADERS)


# What handlers ask before they act: each returns the thing, or raises what Discord would answer.


def guild_of(server: DiscordServer, call: Call, *needs: str) -> tuple[Guild, Member]:
    """The guild of the request and the bot's member in it."""
    guild = server.guilds.get(call.ids["guild_id"])
    if guild is None or guild.unavailable:
        raise unknown(10004, "Guild")
    if guild.bot_member is None:
        raise no_access()
    for need in needs:
        if not guild.bot_member.permissions() & perms.BIT[need]:
            raise no_permission()
    return guild, guild.bot_member


def channel_of(server: DiscordServer, call: Call, *needs: str) -> Channel:
    """The channel of the request, which the bot must see."""
    channel = server.channels.get(call.ids["channel_id"])
    if channel is None:
        raise unknown(10003, "Channel")
    if channel.guild is not None:
        bot = channel.guild.bot_member
        if bot is None or channel.guild.unavailable or not channel.guild.sees(bot, channel):
            raise no_access()
        for need in needs:
            if not channel.bot_permissions() & perms.BIT[need]:
                raise no_permission()
    return channel


def message_of(channel: Channel, number: int) -> Message:
    """The message, unless it is deleted."""
    try:
        return channel.messages[number]
    except KeyError:
        raise unknown(10008, "Message") from None


def member_of(guild: Guild, number: int) -> Member:
    """The member of the request."""
    try:
        return guild.members[number]
    except KeyError:
        raise unknown(10007, "Member") from None


def below(bot: Member, target: Member) -> None:
    """The bot must stand above whom it acts on; nobody stands above the owner."""
    if target.id == target.guild.owner.id or (target is not bot and target.rank >= bot.rank):
        raise no_permission()


def check_components(components: list[Json]) -> None:
    """Rows of buttons or selects, custom ids and labels within their limits, ids unique."""
    seen: set[str] = set()

    def walk(items: list[Json], where: str) -> None:
        for index, item in enumerate(items):
            here = f"{where}.{index}"
            custom_id = item.get("custom_id")
            if custom_id is not None:
                if not 1 <= len(custom_id) <= 100:
                    raise bad_form(f"{here}.custom_id", "BASE_TYPE_BAD_LENGTH", "Must be between 1 and 100 in length.")
                if custom_id in seen:
                    message = "Component custom id cannot be duplicated"
                    raise bad_form(f"{here}.custom_id", "COMPONENT_CUSTOM_ID_DUPLICATED", message)
                seen.add(custom_id)
            elif item["type"] in (2, 3, 5, 6, 7, 8) and item.get("style") not in (5, 6):
                message = "This field is required"
                raise bad_form(f"{here}.custom_id", "BASE_TYPE_REQUIRED", message)
            if len(item.get("label") or "") > 80 and item["type"] == 2:
                raise bad_form(f"{here}.label", "BASE_TYPE_MAX_LENGTH", "Must be 80 or fewer in length.")
            if item["type"] == 1 and not 1 <= len(item["components"]) <= 5:
                message = "Must be between 1 and 5 in length."
                raise bad_form(f"{here}.components", "BASE_TYPE_BAD_LENGTH", message)
            if len(item.get("options", [])) > 25:
                raise bad_form(f"{here}.options", "BASE_TYPE_BAD_LENGTH", "Must be between 1 and 25 in length.")
            walk(item.get("components", []), f"{here}.components")

    walk(components, "components")


EMBED_LIMITS = {"title": 256, "description": 4096}


def check_embeds(embeds: list[Json]) -> None:
    """At most 10 embeds of at most 25 fields, every text within its limit, 6000 characters in all."""
    if len(embeds) > 10:
        raise bad_form("embeds", "BASE_TYPE_MAX_LENGTH", "Must be 10 or fewer in length.")
    total = 0
    for index, embed in enumerate(embeds):
        texts = [(name, embed.get(name) or "", limit) for name, limit in EMBED_LIMITS.items()]
        texts.append(("footer.text", (embed.get("footer") or {}).get("text") or "", 2048))
        texts.append(("author.name", (embed.get("author") or {}).get("name") or "", 256))
        fields = embed.get("fields") or []
        if len(fields) > 25:
            raise bad_form(f"embeds.{index}.fields", "BASE_TYPE_MAX_LENGTH", "Must be 25 or fewer in length.")
        for at, one in enumerate(fields):
            for name, limit in (("name", 256), ("value", 1024)):
                if not one.get(name):
                    where = f"embeds.{index}.fields.{at}.{name}"
                    raise bad_form(where, "BASE_TYPE_REQUIRED", "This field is required")
                texts.append((f"fields.{at}.{name}", one[name], limit))
        for name, text, limit in texts:
            total += len(text)
            if len(text) > limit:
                message = f"Must be {limit} or fewer in length."
                raise bad_form(f"embeds.{index}.{name}", "BASE_TYPE_MAX_LENGTH", message)
    if total > 6000:
        message = "Embed size exceeds maximum size of 6000"
        raise bad_form("embeds", "MAX_EMBED_SIZE_EXCEEDED", message)


def check_message(body: Json, call: Call, *, new: bool = True) -> None:
    """The form of a message to be sent or edited."""
    content = body.get("content") or ""
    if len(content) > 2000:
        raise bad_form("content", "BASE_TYPE_MAX_LENGTH", "Must be 2000 or fewer in length.")
    check_embeds(body.get("embeds") or [])
    components = body.get("components") or []
    v2 = (body.get("flags") or 0) & (1 << 15)
    if v2 and (content or body.get("embeds")):
        message = "The 'content' field cannot be used when using MessageFlags.IS_COMPONENTS_V2"
        raise bad_form("content", "MESSAGE_CANNOT_USE_LEGACY_FIELDS_WITH_COMPONENTS_V2", message)
    if len(components) > (40 if v2 else 5):
        raise bad_form("components", "BASE_TYPE_BAD_LENGTH", "Must be between 1 and 5 in length.")
    check_components(components)
    filled = content or body.get("embeds") or components or call.files or body.get("poll") or body.get("sticker_ids")
    if new and not filled and (body.get("message_reference") or {}).get("type") != 1:
        raise ApiError(400, 50006, "Cannot send an empty message")


def check_reason(call: Call) -> None:
    if call.reason and len(call.reason) > 512:
        raise bad_form("reason", "BASE_TYPE_MAX_LENGTH", "Must be 512 or fewer in length.")


def numbered(components: list[Json]) -> list[Json]:
    """Components with the ids Discord gives to those that came without."""
    count = 0

    def walk(form: Json) -> Json:
        nonlocal count
        count += 1
        item: Json = {"id": count}
        item |= form
        if "components" in item:
            item["components"] = [walk(child) for child in item["components"]]
        for key in ("accessory", "component"):
            if key in item:
                item[key] = walk(item[key])
        return item

    return [walk(item) for item in components]


def message_fields(server: DiscordServer, body: Json, call: Call) -> Json:
    """The fields of a message made from a form that passed `check_message`."""
    fields: Json = {}
    if "embeds" in body:
        fields["embeds"] = [{"type": "rich"} | embed for embed in body["embeds"] or []]
    if "components" in body:
        fields["components"] = numbered(body["components"] or [])
    if body.get("flags"):
        fields["flags"] = body["flags"]
    if body.get("nonce") is not None:
        fields["nonce"] = body["nonce"]
    if body.get("tts"):
        fields["tts"] = True
    if "attachments" in body or call.files:
        kept = [one for one in body.get("attachments") or [] if len(str(one["id"])) > 10]
        fields["attachments"] = kept + [server.attachment(name, data) for name, data in call.files]
    if body.get("poll"):
        fields["poll"] = poll_of(body["poll"])
    return fields


def poll_of(form: Json) -> Json:
    """A poll as it is shown, from the form that creates it."""
    answers = [{"answer_id": at} | answer for at, answer in enumerate(form["answers"], start=1)]
    return {
        "question": form["question"],
        "answers": answers,
        "expiry": None,
        "allow_multiselect": form.get("allow_multiselect", False),
        "layout_type": 1,
        "results": {"is_finalized": False, "answer_counts": []},
    }


def mentions_allowed(data: Json, allowed: Json | None) -> None:
    """Drop from a new message the pings that `allowed_mentions` does not let through."""
    if allowed is None:
        return
    parse = allowed.get("parse") or []
    users = {str(user) for user in allowed.get("users") or []}
    roles = {str(role) for role in allowed.get("roles") or []}
    if "users" not in parse:
        data["mentions"] = [user for user in data["mentions"] if user["id"] in users]
    if "roles" not in parse:
        data["mention_roles"] = [role for role in data["mention_roles"] if role in roles]
    data["mention_everyone"] = data["mention_everyone"] and "everyone" in parse


def waken(channel: Channel) -> None:
    """A message into an archived thread opens it again; a locked one refuses."""
    if isinstance(channel, Thread) and channel.archived:
        if channel.locked and not channel.bot_permissions() & perms.BIT["manage_threads"]:
            raise ApiError(400, 50083, "Thread is archived")
        channel.change(archived=False)
