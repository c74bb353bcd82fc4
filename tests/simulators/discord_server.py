"""A Discord for tests: gateway and REST on loopback, people who talk and click, and faults to order.

    async with DiscordServer() as server:
        guild = server.add_guild("Friends")
        channel, ann = guild.add_channel("general"), guild.add_member("ann")
        server.point_client_here(monkeypatch)
        ...start an unmodified discord.py client with server.token...
        message = await server.says(channel, ann, "hello")
        answer = await server.runs(ann, channel, "explain", {"message": "hello"})

Scenes may be set before the bot connects; everything done afterwards reaches it as an event. Written from Discord's
public documentation. No state outside the server object.
"""

from __future__ import annotations

import asyncio
import re
import secrets
import time
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any, Self

from aiohttp import web

from . import discord_permissions as perms
from . import (  # these register their routes
    discord_routes_guilds,
    discord_routes_interactions,
    discord_routes_messages,
)
from .discord_channels import DM, Channel, Message, Thread, mentions_in, write
from .discord_faults import Faults
from .discord_gateway import Connection, Gateway, Heartbeat, Session, abort, content_hidden, dumps
from .discord_guild import Guild
from .discord_interactions import Answer, Interactions
from .discord_rest import Call, Rest, numbered, poll_of
from .discord_scenes import Scenes
from .discord_state import (
    DIRECT_MESSAGES,
    DISCORD_EPOCH_MS,
    GUILD_MESSAGES,
    GUILDS,
    Author,
    Json,
    Member,
    Person,
    Role,
    User,
    Webhook,
    at_of,
    now,
)

__all__ = [
    "Answer", "Call", "Channel", "DiscordServer", "Guild", "Heartbeat", "Member", "Message", "Role", "Thread", "User",
]  # fmt: skip

ROUTE_FILES = (discord_routes_guilds, discord_routes_interactions, discord_routes_messages)
APPLICATION_FLAGS = 1 << 13 | 1 << 15 | 1 << 19  # limited presence, members, message content: as for small bots
FLOOD_CHUNK = 64


class DiscordServer(Scenes):
    """One simulated Discord with one bot account. Settings are attributes, to be changed at any time."""

    def __init__(self, *, token: str | None = None, bot_name: str = "domovoi", seed: int = 0, port: int = 0) -> None:
        self.token = token or "simulated.token"
        self.privileged_allowed = True
        self.all_members_in_guild_create = False
        self.heartbeat_ms = 41_250
        self.shards = 1
        self.callback_deadline_s = 3.0
        self.token_lifetime_s = 900.0

        self._last_ms = self._count = 0
        self.users: dict[int, User] = {}
        self.guilds: dict[int, Guild] = {}
        self.channels: dict[int, Channel] = {}  # with threads and direct messages
        self.webhooks: dict[int, Webhook] = {}
        self.commands: dict[int | None, dict[int, Json]] = {}  # guild id or None for global -> id -> command
        self.nonces: dict[tuple[int, str], Message] = {}
        self.whispers: dict[int, Message] = {}  # ephemeral messages
        self.bot = self.add_user(bot_name, bot=True)
        self.application_id = self.bot.id
        self.developer = self.add_user("developer")

        self.sessions: dict[str, Session] = {}
        self.calls: list[Call] = []
        self.heartbeats: list[Heartbeat] = []
        self.received: list[Json] = []
        """Every frame that clients sent over the gateway."""
        self.unknown_routes: list[str] = []
        """Requests that this simulator has no route for: a gap here, or a mistake of the client."""
        self.errors: list[Exception] = []
        """Requests that made a handler here fail; raised when the server stops."""
        self.identified = self.resumed = 0
        self.faults = Faults(self, seed)
        self.interactions = Interactions(self)
        self._gateway = Gateway(self)
        self._rest = Rest(self)
        self._runner: web.AppRunner | None = None
        self.port = port  # 0 until it is known

    # life

    async def __aenter__(self) -> Self:
        self.loop = asyncio.get_running_loop()
        app = web.Application(client_max_size=64 * 1024 * 1024)
        app.router.add_get("/", self._gateway.handle)
        self._rest.add_to(app)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.2, handler_cancellation=True)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self.port)
        await site.start()
        self.port = self._runner.addresses[0][1]
        return self

    async def __aexit__(self, kind: object, *_: object) -> None:
        self._rest.closing.set()
        for connection in list(self._gateway.connections):
            abort(connection.request.transport)
        assert self._runner is not None
        await self._runner.cleanup()
        if self.errors and kind is None:
            raise ExceptionGroup("requests that the simulated Discord could not handle", self.errors)

    @property
    def api(self) -> str:
        return f"http://127.0.0.1:{self.port}/api/v10"

    @property
    def gateway(self) -> str:
        return f"ws://127.0.0.1:{self.port}/"

    def point_client_here(self, monkeypatch: Any) -> None:
        """Set discord.py's two addresses for the time of a test."""
        import discord
        import yarl

        monkeypatch.setattr(discord.http.Route, "BASE", self.api)
        monkeypatch.setattr(discord.gateway.DiscordWebSocket, "DEFAULT_GATEWAY", yarl.URL(self.gateway))

    @property
    def application_flags(self) -> int:
        return APPLICATION_FLAGS if self.privileged_allowed else 0

    # scenery

    def snowflake(self, at: datetime | None = None) -> int:
        """A new id, larger than every id made for an earlier moment; now unless `at` is given."""
        self._count += 1
        if at is None:
            ms = self._last_ms = max(self._last_ms, int(time.time() * 1000))
        else:
            ms = int(at.timestamp() * 1000)
        return (ms - DISCORD_EPOCH_MS) << 22 | self._count & 0x3FFFFF

    def add_user(self, name: str, *, bot: bool = False, dms_closed: bool = False, locale: str = "en-US") -> User:
        """A new account."""
        user = User(self.snowflake(), name, bot=bot, dms_closed=dms_closed, locale=locale)
        self.users[user.id] = user
        return user

    def add_guild(
        self, name: str, *, owner: User | None = None, bot: bool = True, bot_permissions: perms.Given = perms.BOT
    ) -> Guild:
        """A guild with an owner; unless `bot=False` the bot is in it from the start."""
        guild = Guild(self, self.snowflake(), name, owner or self.add_user(f"owner-of-{name.lower()}"))
        self.guilds[guild.id] = guild
        guild.add_member(guild.owner)
        if bot:
            self._seat_bot(guild, bot_permissions)
            self._announce(guild)
        return guild

    def _seat_bot(self, guild: Guild, permissions: perms.Given, by: User | None = None) -> None:
        role = guild.add_role(self.bot.name, permissions, position=len(guild.roles), bot_id=self.bot.id)
        guild.members[self.bot.id] = Member(guild, self.bot, [role], None, now())
        guild.changed()
        guild.log(28, by or guild.owner, self.bot.id)

    def _announce(self, guild: Guild, **fields: Any) -> None:
        """GUILD_CREATE. Without `unavailable` in it the client takes it for a guild that the bot has just joined."""
        for session in self.sessions.values():
            if session.serves(guild) and session.has(GUILDS):
                text = dumps(guild.payload(members=session.members_known()) | fields)
                self.faults.deliver(session, "GUILD_CREATE", text)

    def dm(self, person: Person) -> DM:
        """The direct messages of this person with the bot."""
        user = person.user if isinstance(person, Member) else person
        for channel in self.channels.values():
            if isinstance(channel, DM) and channel.user is user:
                return channel
        return DM(self, self.snowflake(), user)

    def add_webhook(self, channel: Channel, name: str) -> Webhook:
        """An incoming webhook; it can speak in `says`."""
        hook = Webhook(self.snowflake(), channel, name, secrets.token_urlsafe(16))
        self.webhooks[hook.id] = hook
        return hook

    def attachment(self, filename: str, data: bytes = b"", **fields: Any) -> Json:
        """An attachment for `says(..., attachments=[...])`."""
        number = self.snowflake()
        url = f"https://cdn.discordapp.com/attachments/1/{number}/{filename}"
        base = {"id": str(number), "filename": filename, "size": len(data), "url": url, "proxy_url": url}
        return base | fields

    def poll(self, question: str, answers: Iterable[str]) -> Json:
        """A poll for `says(..., poll=...)`."""
        choices = [{"poll_media": {"text": text}} for text in answers]
        return poll_of({"question": {"text": question}, "answers": choices}) | {"expiry": now().isoformat()}

    @staticmethod
    def reference(message: Message) -> Json:
        guild = message.channel.guild
        data = {"type": 0, "message_id": str(message.id), "channel_id": str(message.channel.id)}
        return data | ({"guild_id": str(guild.id)} if guild else {})

    # words

    def write(
        self, channel: Channel, author: Author, content: str = "", *, at: datetime | None = None, **fields: Any
    ) -> Message:
        """A message that nobody has seen yet; for `flood` and `publish`. `fields` are in wire form; `reply_to` and
        `forward` take messages."""
        reply_to, forward = fields.pop("reply_to", None), fields.pop("forward", None)
        if reply_to is not None:
            fields |= {"type": 19, "message_reference": self.reference(reply_to), "referenced_message": reply_to.data}
        if forward is not None:
            kept = ("content", "embeds", "attachments", "timestamp", "edited_timestamp", "flags", "mentions", "type")
            snapshot = {key: forward.data[key] for key in (*kept, "mention_roles", "components")}
            fields["message_reference"] = self.reference(forward) | {"type": 1}
            fields["message_snapshots"] = [{"message": snapshot}]
        if "components" in fields:
            fields["components"] = numbered(fields["components"])
        return write(self, channel, author, content, users=self.users, at=at, **fields)

    def keep(self, message: Message) -> None:
        """Put it into the history."""
        if message.ephemeral:
            self.whispers[message.id] = message
            return
        message.channel.messages[message.id] = message
        if isinstance(message.channel, Thread):
            message.channel.sent += 1
            message.channel.member_ids.add(message.author.id)

    def publish(self, message: Message) -> Message:
        """Keep and dispatch a message. What is ephemeral is not in history and has no event."""
        self.keep(message)
        if not message.ephemeral:
            self.tell("MESSAGE_CREATE", message)
        return message

    def tell(self, event: str, message: Message) -> None:
        """Dispatch an event that carries a whole message."""
        intent = GUILD_MESSAGES if message.channel.guild else DIRECT_MESSAGES
        channel = message.channel
        self.dispatch(event, None, guild=channel.guild, channel=channel, intent=intent, message=message)

    def update(self, message: Message, *, edited: bool = True, **fields: Any) -> None:
        """Change a message and dispatch MESSAGE_UPDATE with all of it. `edited=False`: nobody edited it (an unfurled
        link, a pin), so `edited_timestamp` stays."""
        if "content" in fields:
            fields = mentions_in(fields["content"], self.users) | fields
        message.data |= fields | ({"edited_timestamp": now().isoformat()} if edited else {})
        if not message.ephemeral:
            self.tell("MESSAGE_UPDATE", message)
        self.interactions.source_changed(message)

    def erase(self, messages: Sequence[Message], *, bulk: bool = False) -> None:
        """Delete messages of one channel: MESSAGE_DELETE each, or one MESSAGE_DELETE_BULK."""
        for message in messages:
            message.deleted = True
            message.channel.messages.pop(message.id, None)
            self.whispers.pop(message.id, None)
            self.interactions.source_changed(message)
        shown = [message for message in messages if not message.ephemeral]
        if not shown:
            return
        channel = shown[0].channel
        where = {"channel_id": str(channel.id)} | ({"guild_id": str(channel.guild.id)} if channel.guild else {})
        intent = GUILD_MESSAGES if channel.guild else DIRECT_MESSAGES
        ids = [str(message.id) for message in shown]
        events = [("MESSAGE_DELETE_BULK", {"ids": ids})] if bulk else [("MESSAGE_DELETE", {"id": one}) for one in ids]
        for event, data in events:
            self.dispatch(event, data | where, guild=channel.guild, channel=channel, intent=intent)

    def erase_recent(self, guild: Guild, user: User, seconds: int) -> None:
        """What a ban with `delete_message_seconds` takes along."""
        since = now() - timedelta(seconds=seconds)
        for channel in [*guild.channels.values(), *guild.threads.values()]:
            found = [m for m in channel.messages.values() if m.author.id == user.id and at_of(m.id) >= since]
            if found:
                self.erase(found, bulk=len(found) > 1)

    def shown(self, message: Message) -> Json:
        """A message as REST shows it to the bot: empty when message content is not allowed to it."""
        if self.privileged_allowed or message.open_to(self.bot):
            return message.data
        hidden = message.without_content()
        return {key: value for key, value in hidden.items() if key in message.data}

    # dispatch

    @property
    def connections(self) -> list[Connection]:
        """Open sockets, whether or not a session is on them."""
        return list(self._gateway.connections)

    def bot_guilds(self) -> list[Guild]:
        return [guild for guild in self.guilds.values() if guild.bot_member is not None]

    def live_sessions(self) -> list[Session]:
        """Sessions with a socket."""
        return [session for session in self.sessions.values() if session.connection is not None]

    def knows(self, user: User) -> bool:
        """Whether the bot shares a guild with this user, without which it cannot write to them."""
        return any(user.id in guild.members for guild in self.bot_guilds())

    def dispatch(
        self,
        event: str,
        data: Any,
        *,
        guild: Guild | None = None,
        channel: Channel | None = None,
        intent: int = 0,
        message: Message | None = None,
    ) -> None:
        """Send an event to the sessions that may have it: of this shard, with this intent, seeing this channel."""
        if not self.sessions:
            return
        if guild is not None:
            bot = guild.bot_member
            if bot is None or guild.unavailable:
                return
            if channel is not None and not self._visible(guild, bot, channel):
                return
        text = hidden = ""
        for session in list(self.sessions.values()):
            if not session.serves(guild) or not session.has(intent):
                continue
            if message is not None and content_hidden(session) and not message.open_to(self.bot):
                hidden = hidden or dumps(message.without_content())
                self.faults.deliver(session, event, hidden)
                continue
            text = text or dumps(data if message is None else message.event())
            if self.faults.quiet:
                session.emit(event, text)
            else:
                self.faults.deliver(session, event, text)

    @staticmethod
    def _visible(guild: Guild, bot: Member, channel: Channel) -> bool:
        if isinstance(channel, Thread) and channel.kind == 12:
            return guild.sees(bot, channel)
        return bool(channel.bot_permissions() & perms.VIEW)

    async def flood(self, messages: Iterable[Message], *, keep: bool = False) -> int:
        """MESSAGE_CREATE for all of these, as fast as the clients read; the number sent. They enter the history only
        with `keep`."""
        count = 0
        for message in messages:
            if keep:
                self.keep(message)
            self.tell("MESSAGE_CREATE", message)
            count += 1
            if count % FLOOD_CHUNK == 0:
                await self.drained()
        await self.drained()
        return count

    async def drained(self) -> None:
        """Until everything dispatched is written to the sockets (not: handled by the client)."""
        for session in self.live_sessions():
            if session.connection is not None:
                await session.connection.drained.wait()
        await asyncio.sleep(0)

    # what tests ask afterwards

    def called(self, method: str, path: str = "") -> list[Call]:
        """The REST requests with this method ("*": any) whose path, like "/channels/1/messages/2", contains a match
        of the regex `path`."""
        pattern = re.compile(path)
        return [call for call in self.calls if method in ("*", call.method) and pattern.search(call.path)]

    def bot_messages(self, channel: Channel) -> list[Message]:
        """What the bot has written here and nobody has deleted, oldest first."""
        return [message for message in channel.messages.values() if message.author is self.bot]

    def invalid_requests(self) -> int:
        """How many answers count towards the limit of 10,000 in ten minutes, past which Discord bans the address."""
        return sum(call.status in (401, 403, 429) for call in self.calls)

    def missed_heartbeats(self) -> int:
        """How many heartbeats were late by half an interval or more, over all sessions."""
        late = 0
        last: dict[str | None, float] = {}
        for beat in self.heartbeats:
            before = last.get(beat.session_id)
            late += before is not None and (beat.at_s - before) * 1000 > self.heartbeat_ms * 1.5
            last[beat.session_id] = beat.at_s
        return late

    async def until(self, condition: Any, timeout_s: float = 60.0) -> None:
        """Poll until `condition()` is true; a TimeoutError if it does not become so."""
        async with asyncio.timeout(timeout_s):
            while not condition():
                await asyncio.sleep(0.005)
