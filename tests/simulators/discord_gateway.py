"""The gateway, version 10: sessions that outlive sockets, and the sockets
(https://discord.com/developers/docs/events/gateway)."""

from __future__ import annotations

import asyncio
import contextlib
import json
import secrets
import socket
import struct
import time
import zlib
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from aiohttp import WSMsgType, web

from .discord_guild import Guild
from .discord_state import GUILD_MEMBERS, GUILD_PRESENCES, GUILDS, MESSAGE_CONTENT, PRIVILEGED, Json

if TYPE_CHECKING:
    from .discord_server import DiscordServer

REPLAY_LIMIT = 50_000
SENDS_PER_TURN = 32  # then other tasks of the loop, among them perhaps the client, get a turn

_encoder = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False)
dumps = _encoder.encode


@dataclass
class Heartbeat:
    """One heartbeat of a client: when (monotonic), its sequence number, whether it was answered."""

    session_id: str | None
    at_s: float
    seq: int | None
    acked: bool


def abort(transport: asyncio.BaseTransport | None, *, reset: bool = False) -> None:
    """Drop a TCP connection: silently (FIN), or with RST."""
    if transport is None:
        return
    raw = transport.get_extra_info("socket")
    if reset and raw is not None:
        with contextlib.suppress(OSError):
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()  # type: ignore[attr-defined]


class Connection:
    """One socket: what is to be sent on it, in order, by one task."""

    def __init__(self, server: DiscordServer, ws: web.WebSocketResponse, request: web.Request) -> None:
        self.server, self.ws, self.request = server, ws, request
        self.outgoing: deque[str | Callable[[], Any]] = deque()
        self.awake = asyncio.Event()
        self.drained = asyncio.Event()
        self.drained.set()
        self._compress = compressor(request.query.get("compress"))

    def send(self, item: str | Callable[[], Any]) -> None:
        """Queue a text, or something to do once everything before it is sent."""
        self.outgoing.append(item)
        self.drained.clear()
        self.awake.set()

    async def pump(self) -> None:
        """Send what is queued, for ever."""
        sent = 0
        while True:
            while self.outgoing and self.server.faults.silent != "all":
                item = self.outgoing.popleft()
                if not isinstance(item, str):
                    await item()
                    continue
                with contextlib.suppress(ConnectionError):
                    if self._compress is None:
                        await self.ws.send_str(item)
                    else:
                        await self.ws.send_bytes(self._compress(item.encode()))
                sent += 1
                if sent % SENDS_PER_TURN == 0:
                    await asyncio.sleep(0)
            if not self.outgoing:
                self.drained.set()
            self.awake.clear()
            await self.awake.wait()

    async def _cut(self) -> None:
        abort(self.request.transport)

    def cut(self) -> None:
        """Drop the TCP connection after what is queued."""
        self.send(self._cut)

    def close(self, code: int) -> None:
        """Send a close frame after what is queued."""

        async def closing() -> None:
            # Not ws.close(): that would wait for the client's answer with the reader still reading.
            writer = self.ws._writer
            assert writer is not None
            await writer.close(code, b"")
            self.server.loop.call_later(0.5, abort, self.request.transport)

        self.send(closing)


def compressor(name: str | None) -> Callable[[bytes], bytes] | None:
    """One stream per connection; each message ends with a flush."""
    if name == "zlib-stream":
        stream = zlib.compressobj(level=1)
        return lambda data: stream.compress(data) + stream.flush(zlib.Z_SYNC_FLUSH)
    if name == "zstd-stream":
        with contextlib.suppress(ImportError):
            import zstandard

            zstd = zstandard.ZstdCompressor().compressobj()
            return lambda data: zstd.compress(data) + zstd.flush(zstandard.COMPRESSOBJ_FLUSH_BLOCK)
    return None


class Session:
    """What a client identified for. It survives its socket: events of the meantime wait for a RESUME."""

    def __init__(self, server: DiscordServer, intents: int, shard: tuple[int, int]) -> None:
        self.server, self.intents, self.shard = server, intents, shard
        self.id = secrets.token_hex(16)
        self.seq = 0
        self.replay: deque[tuple[int, str]] = deque(maxlen=REPLAY_LIMIT)
        self.connection: Connection | None = None
        self.resumed = 0

    def has(self, intent: int) -> bool:
        return not intent or bool(self.intents & intent)

    def serves(self, guild: Guild | None) -> bool:
        """Direct messages go to shard 0."""
        return ((guild.id >> 22) % self.shard[1] if guild else 0) == self.shard[0]

    def emit(self, event: str, text: str) -> None:
        """Number an event and send it, or keep it for a RESUME."""
        self.seq += 1
        frame = f'{{"t":"{event}","s":{self.seq},"op":0,"d":{text}}}'
        self.replay.append((self.seq, frame))
        if self.connection is not None:
            self.connection.send(frame)

    def control(self, frame: Json) -> None:
        if self.connection is not None:
            self.connection.send(dumps(frame))

    def cut(self) -> None:
        """Drop the socket without a close frame; the session stays."""
        if self.connection is not None:
            self.connection.cut()
            self.connection = None

    def close(self, code: int) -> None:
        if self.connection is not None:
            self.connection.close(code)
            self.connection = None

    def wake(self) -> None:
        if self.connection is not None:
            self.connection.awake.set()

    def members_known(self) -> bool:
        """Whether GUILD_CREATE shows everybody: on Discord only with the presences intent."""
        return bool(self.intents & GUILD_PRESENCES) or self.server.all_members_in_guild_create


class Gateway:
    """The websocket endpoint."""

    def __init__(self, server: DiscordServer) -> None:
        self.server = server
        self.connections: set[Connection] = set()

    async def handle(self, request: web.Request) -> web.StreamResponse:
        server = self.server
        if server.faults.refuses():
            if server.faults.refuse_how == "reset":
                abort(request.transport, reset=True)
                return web.Response(status=500)
            return web.Response(status=int(server.faults.refuse_how))
        ws = web.WebSocketResponse(compress=False, max_msg_size=0)
        await ws.prepare(request)
        connection = Connection(server, ws, request)
        self.connections.add(connection)
        connection.send(dumps({"t": None, "s": None, "op": 10, "d": {"heartbeat_interval": server.heartbeat_ms}}))
        async with asyncio.TaskGroup() as tasks:
            pump = tasks.create_task(connection.pump())
            session: Session | None = None
            try:
                async for message in ws:
                    if message.type is WSMsgType.TEXT:
                        session = self._receive(connection, session, json.loads(message.data))
            finally:
                self._left(connection, session)
                pump.cancel()
        return ws

    def _left(self, connection: Connection, session: Session | None) -> None:
        self.connections.discard(connection)
        connection.outgoing.clear()
        connection.drained.set()
        if session is not None and session.connection in (connection, None):
            if connection.ws.close_code in (1000, 1001):
                self.server.sessions.pop(session.id, None)
            if session.connection is connection:
                session.connection = None

    def _receive(self, connection: Connection, session: Session | None, frame: Json) -> Session | None:
        op, data = frame["op"], frame.get("d")
        self.server.received.append(frame)
        if op == 1:
            acked = self.server.faults.silent is None
            beat = Heartbeat(session.id if session else None, time.monotonic(), data, acked)
            self.server.heartbeats.append(beat)
            if acked:
                connection.send('{"t":null,"s":null,"op":11,"d":null}')
        elif op == 2:
            return self._identify(connection, data)
        elif op == 6:
            return self._resume(connection, data)
        elif op == 8 and session is not None:
            self._request_members(session, data)
        return session

    def _identify(self, connection: Connection, data: Json) -> Session | None:
        server = self.server
        if data["token"].removeprefix("Bot ") != server.token:
            connection.close(4004)
            return None
        if data["intents"] & PRIVILEGED and not server.privileged_allowed:
            connection.close(4014)
            return None
        shard = data.get("shard", [0, 1])
        session = Session(server, data["intents"], (shard[0], shard[1]))
        session.connection = connection
        server.sessions[session.id] = session
        server.identified += 1
        guilds = [guild for guild in server.bot_guilds() if session.serves(guild)]
        ready = {
            "v": 10,
            "user": server.bot.payload() | {"verified": True, "mfa_enabled": True, "email": None, "flags": 0},
            "guilds": [{"id": str(guild.id), "unavailable": True} for guild in guilds],
            "session_id": session.id,
            "session_type": "normal",
            "resume_gateway_url": server.gateway,
            "shard": shard,
            "private_channels": [],
            "application": {"id": str(server.application_id), "flags": server.application_flags},
        }
        session.emit("READY", dumps(ready))
        if session.has(GUILDS):
            for guild in guilds:
                if not guild.unavailable:
                    full = guild.payload(members=session.members_known()) | {"unavailable": False}
                    session.emit("GUILD_CREATE", dumps(full))
        return session

    def _resume(self, connection: Connection, data: Json) -> Session | None:
        session = self.server.sessions.get(data["session_id"])
        seq = data["seq"]
        if data["token"].removeprefix("Bot ") != self.server.token:
            connection.close(4004)
            return None
        if session is None or seq is None or seq > session.seq or seq < session.seq - len(session.replay):
            connection.send('{"t":null,"s":null,"op":9,"d":false}')
            return None
        if session.connection is not None:
            session.close(4000)
        for number, frame in session.replay:
            if number > seq:
                connection.send(frame)
        session.connection = connection
        session.resumed += 1
        self.server.resumed += 1
        session.emit("RESUMED", '{"_trace":[]}')
        return session

    def _request_members(self, session: Session, data: Json) -> None:
        guild = self.server.guilds.get(int(data["guild_id"]))
        if guild is None or guild.bot_member is None:
            return
        wanted = data.get("user_ids")
        everybody = not data.get("query") and not data.get("limit") and wanted is None
        if everybody and not session.has(GUILD_MEMBERS):
            return
        missing: list[str] = []
        if wanted is not None:
            ids = [int(number) for number in (wanted if isinstance(wanted, list) else [wanted])]
            found = [guild.members[number] for number in ids if number in guild.members]
            missing = [str(number) for number in ids if number not in guild.members]
        else:
            query = (data.get("query") or "").lower()
            found = [m for m in guild.members.values() if (m.nick or m.user.name).lower().startswith(query)]
            found = found[: data.get("limit") or None]
        count = max(1, -(-len(found) // 1000))
        for index in range(count):
            chunk: Json = {
                "guild_id": str(guild.id),
                "members": [member.payload() for member in found[index * 1000 : (index + 1) * 1000]],
                "chunk_index": index,
                "chunk_count": count,
                "not_found": missing,
            }
            if "nonce" in data:
                chunk["nonce"] = data["nonce"]
            session.emit("GUILD_MEMBERS_CHUNK", dumps(chunk))


def content_hidden(session: Session) -> bool:
    """Whether this session sees other people's messages empty."""
    return not session.intents & MESSAGE_CONTENT
