"""A listener for HTTP: a bound on connections, and on how long one may take to say what it wants.

aiohttp waits for a request's head for as long as the other side likes, and each connection holds a file descriptor. So
a few hundred connections that send nothing would leave none for the page, the store and the model's process.
"""

import asyncio
import contextlib
import errno
import resource
import socket
from collections.abc import AsyncIterator, Callable
from typing import cast

import structlog
from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

HEAD_WITHIN_S = 10.0
"""The time from the first byte, or from the connection, to the end of a request's head."""
IDLE_S = 150.0
"""Between two requests: longer than proxies keep a connection."""
UNDER_WAY_S = 120.0
"""A request, but for one for the live stream, which minds its own time."""
ENDLESS = "/api/events"
LOOK_EVERY_S = 1.0
MOST_CONNECTIONS = 400
SHARE = 0.4
"""The share of file descriptors that connections to the page may use."""
RESERVED, BACKLOG = 16, 128
_SHORT = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)
_LATE = b"HTTP/1.1 408 Request Timeout\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
_FULL = b"HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nRetry-After: 5\r\nContent-Length: 0\r\n\r\n"
log = structlog.get_logger()


class PortInUse(Exception):
    """Another program listens there; stop it, or set another [service] port in config.toml."""


def most_connections() -> int:
    """Returns the most connections that the process's limit on files allows, after raising that limit as far as it
    goes."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < hard:
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
            soft = hard
    if soft == resource.RLIM_INFINITY:
        return MOST_CONNECTIONS
    return max(RESERVED, min(MOST_CONNECTIONS, int(soft * SHARE)))


class Connection(asyncio.Protocol):
    """Passes everything on to aiohttp's own protocol, and knows whether a request is under way."""

    def __init__(self, inner: asyncio.Protocol, connections: "Connections") -> None:
        self._inner = inner
        self._connections = connections
        self.transport: asyncio.Transport | None = None
        self.ends_at: float | None = None
        """When the connection is closed; None while a live stream is under way."""
        self.is_idle = True
        """No request is under way."""
        self._has_begun = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Counted, or turned away where there are too many."""
        self.transport = cast(asyncio.Transport, transport)
        self.ends_at = self._connections.now() + HEAD_WITHIN_S
        if self._connections.add(self):
            self._has_begun = True
            self._inner.connection_made(transport)
        else:
            self.transport.write(_FULL)
            self.transport.close()

    def data_received(self, data: bytes) -> None:
        """The first bytes of a request start its time."""
        if self.is_idle and self.ends_at is not None:
            self.ends_at = min(self.ends_at, self._connections.now() + HEAD_WITHIN_S)
        if self._has_begun:
            self._inner.data_received(data)

    def eof_received(self) -> bool | None:
        """The other side sends nothing more."""
        return self._inner.eof_received() if self._has_begun else None

    def connection_lost(self, error: Exception | None) -> None:
        """Counted no more."""
        self._connections.remove(self)
        if self._has_begun:
            self._inner.connection_lost(error)

    def pause_writing(self) -> None:
        """The other side does not read."""
        if self._has_begun:
            self._inner.pause_writing()

    def resume_writing(self) -> None:
        """It reads again."""
        if self._has_begun:
            self._inner.resume_writing()

    def give_up(self) -> None:
        """Closes what took too long."""
        if self.transport is not None and not self.transport.is_closing():
            self.transport.write(_LATE)
            self.transport.close()
            self._connections.abort_soon(self.transport)

    def make_room(self) -> None:
        """Gives its file descriptor back at once."""
        if self.transport is not None:
            self.transport.abort()


class Connections:
    """All open ones, at most `most`. Where there is no room, who has kept a connection idle the longest makes it."""

    def __init__(self, most: int) -> None:
        self.most = most
        self._open: dict[asyncio.BaseTransport, Connection] = {}
        self._loop = asyncio.get_running_loop()
        self._is_full = False

    def now(self) -> float:
        """Seconds, from a clock that only goes forward."""
        return self._loop.time()

    def add(self, connection: Connection) -> bool:
        """False where every other connection has a request under way."""
        idle = [one for one in self._open.values() if one.is_idle]
        if len(self._open) >= self.most:
            if not self._is_full:
                log.warning("there is no room for more connections; idle ones are closed", open=len(self._open))
            self._is_full = True
            if not idle:
                return False
            oldest = min(idle, key=lambda one: one.ends_at or 0.0)
            self._open.pop(cast(asyncio.BaseTransport, oldest.transport), None)
            oldest.make_room()
        self._open[cast(asyncio.BaseTransport, connection.transport)] = connection
        return True

    def remove(self, connection: Connection) -> None:
        """It is closed."""
        if connection.transport is not None:
            self._open.pop(connection.transport, None)
        if len(self._open) < self.most / 2:
            self._is_full = False

    def abort_soon(self, transport: asyncio.Transport) -> None:
        """The other side may never read the answer."""
        self._loop.call_later(LOOK_EVERY_S, transport.abort)

    async def watch(self) -> None:
        """Closes connections that take too long; runs until cancelled."""
        while True:
            await asyncio.sleep(LOOK_EVERY_S)
            now = self.now()
            for one in list(self._open.values()):
                if one.ends_at is not None and one.ends_at <= now:
                    one.give_up()

    def middleware(self) -> Middleware:
        """Notes when a request is under way; the first of all middlewares."""

        @web.middleware
        async def under_way(request: web.Request, handler: Handler) -> web.StreamResponse:
            connection = None if request.transport is None else self._open.get(request.transport)
            if connection is not None:
                connection.is_idle = False
                connection.ends_at = None if request.path == ENDLESS else self.now() + UNDER_WAY_S
            try:
                return await handler(request)
            finally:
                if connection is not None:
                    connection.is_idle = True
                    connection.ends_at = self.now() + IDLE_S

        return under_way


@contextlib.asynccontextmanager
async def serve_http(app: web.Application, connections: Connections, host: str, port: int) -> AsyncIterator[int]:
    """Serves the application; yields its port. Raises OSError where the port cannot be used."""
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=2.0)
    await runner.setup()
    make, loop = cast(Callable[[], asyncio.Protocol], runner.server), asyncio.get_running_loop()
    with contextlib.ExitStack() as stack:
        tasks = list[asyncio.Task[None]]()  # in no TaskGroup, which would wrap what the body raises
        try:
            sockets = [stack.enter_context(one) for one in await _listeners(host, port)]
            tasks += [loop.create_task(_accept(one, lambda: Connection(make(), connections))) for one in sockets]
            tasks.append(loop.create_task(connections.watch()))
            yield sockets[0].getsockname()[1]
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await runner.cleanup()


@contextlib.asynccontextmanager
async def listening_for_pages(
    app: web.Application, connections: Connections, host: str, port: int
) -> AsyncIterator[int]:
    """The same for the service's page. Raises `PortInUse`."""
    async with contextlib.AsyncExitStack() as stack:
        try:
            own_port = await stack.enter_async_context(serve_http(app, connections, host, port))
        except OSError as error:
            raise PortInUse(
                f"cannot listen on {host}:{port} ({error.strerror}); stop what runs there, "
                f"or set another port under [service] in config.toml"
            ) from error
        yield own_port


async def _listeners(host: str, port: int) -> list[socket.socket]:
    """One for each address of the host."""
    loop, made = asyncio.get_running_loop(), list[socket.socket]()
    addresses = await loop.getaddrinfo(host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    try:
        for family, kind, _, _, address in dict.fromkeys(addresses):
            made.append(one := socket.socket(family, kind))
            one.setblocking(False)
            one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                one.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            one.bind(address)
            one.listen(BACKLOG)
            if port == 0:
                break  # a second address would have another port
    except OSError:
        for one in made:
            one.close()
        raise
    return made


async def _accept(listener: socket.socket, make: Callable[[], asyncio.Protocol]) -> None:
    """Takes connections until cancelled. asyncio's own loop for that logs a burst of lines every second while there are
    no file descriptors left."""
    loop, is_short = asyncio.get_running_loop(), False
    while True:
        try:
            connection, _ = await loop.sock_accept(listener)
        except OSError as error:
            if error.errno in _SHORT and not is_short:
                log.error("too many open files: no connections are taken for now", error=error.strerror)
            is_short = error.errno in _SHORT
            await asyncio.sleep(LOOK_EVERY_S)
            continue
        is_short = False
        try:
            await loop.connect_accepted_socket(make, connection)
        except OSError:  # it is gone already
            connection.close()
