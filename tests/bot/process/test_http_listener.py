"""Connections that want nothing, want it slowly, or are too many: the page goes on, and all behind it."""

import asyncio
import contextlib
import re
import signal
import socket
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from aiohttp import ClientSession, ClientTimeout, CookieJar
from yarl import URL

from bot.app import Running, service
from bot.config import Config, Service
from bot.console import live_stream as stream
from bot.console import requests as reading
from bot.process import http_listener as listening
from tests.bot.signed_in import operator

ROOT = Path(__file__).parents[3]


@pytest.fixture
async def running(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Running]:
    """The service with room for twenty connections, in a hurry."""
    monkeypatch.setattr(listening, "MOST_CONNECTIONS", 20)
    monkeypatch.setattr(listening, "HEAD_WITHIN_S", 1.0)
    monkeypatch.setattr(listening, "LOOK_EVERY_S", 0.1)
    monkeypatch.setattr(reading, "BODY_WITHIN_S", 0.5)
    settings = Service(port=0, data_folder=str(tmp_path / "data"), key_file=str(tmp_path / "key"))
    async with service(Config(service=settings)) as started:
        yield started


@contextlib.asynccontextmanager
async def opened(port: int, count: int, sends: bytes = b"") -> AsyncIterator[list[socket.socket]]:
    """Connections that have sent so much; closed at the end."""
    loop = asyncio.get_running_loop()
    with contextlib.ExitStack() as stack:
        made = []
        for _ in range(count):
            one = stack.enter_context(socket.socket())
            one.setblocking(False)
            await loop.sock_connect(one, ("127.0.0.1", port))
            with contextlib.suppress(ConnectionError):
                await loop.sock_sendall(one, sends)
            made.append(one)
        yield made


async def answered(one: socket.socket) -> bytes:
    """All that comes until the other side closes."""
    said, loop = b"", asyncio.get_running_loop()
    async with asyncio.timeout(5):
        with contextlib.suppress(ConnectionError):
            while piece := await loop.sock_recv(one, 65_536):
                said += piece
    return said


@pytest.mark.parametrize(
    "sends", [b"", b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Slow: ", b"POST /api/refresh HTTP/1.1\r\n", b"\x16\x03\x01"]
)
async def test_a_request_that_does_not_come_to_its_end_is_closed(sends: bytes, running: Running) -> None:
    """Nothing at all, half a head, half a line, and what is no HTTP."""
    async with opened(running.port, 1, sends) as (one,):
        answer = await answered(one)
    assert not answer or answer.startswith((b"HTTP/1.1 408", b"HTTP/1.1 400", b"HTTP/1.0 400"))


async def test_a_head_that_drips_is_closed_in_the_same_time(running: Running) -> None:
    """A byte now and then does not buy more of it."""
    async with opened(running.port, 1, b"GET / HTTP/1.1\r\n") as (one,):

        async def drip() -> None:
            with contextlib.suppress(OSError):
                while True:
                    await asyncio.get_running_loop().sock_sendall(one, b"X")
                    await asyncio.sleep(0.1)

        async with asyncio.timeout(3), asyncio.TaskGroup() as group:
            dripping = group.create_task(drip())
            await answered(one)
            dripping.cancel()


async def test_a_body_that_drips_is_refused(running: Running) -> None:
    async with operator(running) as session:
        cookie = session.cookie_jar.filter_cookies(URL(f"http://127.0.0.1:{running.port}"))
        (name, morsel), token = next(iter(cookie.items())), session.headers["X-CSRF-Token"]
        head = (
            f"POST /api/messages HTTP/1.1\r\nHost: 127.0.0.1:{running.port}\r\nCookie: {name}={morsel.value}\r\n"
            f"X-CSRF-Token: {token}\r\nContent-Length: 1000\r\n\r\n{{"
        )
        async with opened(running.port, 1, head.encode()) as (one,), asyncio.timeout(5):
            assert b" 408 " in await asyncio.get_running_loop().sock_recv(one, 65_536)


HALF = b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n"


@pytest.mark.parametrize("sends", [b"", HALF, HALF.replace(b"/ ", b"/healthz ", 1) + b"\r\n"])
async def test_the_page_answers_while_more_connections_are_open_than_it_takes(sends: bytes, running: Running) -> None:
    """Silent ones, ones with half a head, and ones that were answered and stay: the oldest of them make room."""
    address, timeout = f"http://127.0.0.1:{running.port}", ClientTimeout(total=5)
    async with opened(running.port, 60, sends), ClientSession(address, timeout=timeout) as session:
        for _ in range(3):
            async with session.get("/sign-in") as answer:
                assert answer.status == 200


async def test_live_streams_are_bounded(running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    """The next one is refused in one line; one that ends makes room."""
    monkeypatch.setattr(stream, "STREAMS", 2)
    async with operator(running) as session:
        async with session.get("/api/events") as one, session.get("/api/events") as two:
            assert one.status == two.status == 200
            async with session.get("/api/events") as third:
                assert third.status == 503 and "pages are open already" in (await third.json())["error"]
        async with asyncio.timeout(5):
            while (await _status(session, "/api/events")) != 200:
                running.parts.feed.publish("notice", text="is anybody there?")
                await asyncio.sleep(0.05)


async def _status(session: ClientSession, path: str) -> int:
    async with session.get(path) as answer:
        return answer.status


async def test_a_reader_who_is_signed_out_hears_no_more(running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "LOOK_AGAIN_S", 0.2)
    async with operator(running) as session, session.get("/api/events") as listening_still:
        async with session.post("/api/sign-out", json={"whose": "this"}) as answer:
            assert answer.status == 200
        async with asyncio.timeout(5):
            await listening_still.content.read()


HOSTS = ("[evil]", "[", "[::1", "a]b", "127.0.0.1:99999999", "127.0.0.1:port", "évil", "@", "")


@pytest.mark.parametrize("host", HOSTS)
async def test_a_host_that_is_none_is_a_bad_request(host: str, running: Running) -> None:
    """Never an error of ours."""
    head = f"GET /api/state HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"
    async with opened(running.port, 1, head.encode()) as (one,):
        answer = await answered(one)
    assert re.match(rb"HTTP/1.[01] 4(00|21) ", answer), answer


DEEP = 200_000
BODIES = (
    "[" * DEEP,
    '{"a":' * DEEP,
    '{"hate": ' + "[" * DEEP + "]" * DEEP + "}",
    '{"hate": {"alert_at": 0.5, "act_at": 0.9, "ban_hours": 999999999999999999999999}}',
    '{"hate": {"alert_at": 0.5, "act_at": 0.9, "ban_hours": ' + "9" * 5000 + "}}",
    '{"hate": {"alert_at": NaN, "act_at": NaN}}',
    '{"hate": {"alert_at": 1e999, "act_at": 1e999}}',
    '{"strikes": {"ban_at": 100000000000000000000}}',
    '{"exempt_roles": ["' + "x" * 500_000 + '"]}',
    "NaN",
    "\x00",
    "",
    "null",
    '"mode"',
    '{"mode": "\\ud800"}',
)


@pytest.mark.parametrize("text", BODIES, ids=range(len(BODIES)))
async def test_a_policy_that_is_none_is_a_bad_request(text: str, running: Running) -> None:
    """Brackets without end, numbers without end, no numbers: one line, and the policy stays as it was."""
    async with operator(running) as session:
        for method, path in (("PUT", "/api/policy"), ("POST", "/api/policy/preview")):
            async with session.request(method, path, data=text.encode()) as answer:
                said = await answer.json()
                assert answer.status == 400 and len(said["error"]) < 1000, said
        for charset in ("utf-16", "no-such-charset", "idna"):
            headers = {"Content-Type": f"application/json; charset={charset}"}
            async with session.put("/api/policy", data=b"{\xff\xfe", headers=headers) as answer:
                assert answer.status == 400
    assert (await running.parts.pipeline.policy("try-out")).hate.ban_hours is None


async def test_health_is_asked_of_the_model_once_a_second(running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever asks a thousand times costs the model next to nothing."""
    calls = 0
    classifier = running.parts.classifier
    classify = classifier.classify

    async def counted(*arguments: Any) -> Any:
        nonlocal calls
        calls += 1
        return await classify(*arguments)

    monkeypatch.setattr(classifier, "classify", counted)
    async with ClientSession(f"http://127.0.0.1:{running.port}") as session:
        found = await asyncio.gather(*(_status(session, "/healthz") for _ in range(15)))
    assert set(found) == {200} and calls <= 3


@contextlib.asynccontextmanager
async def process(folder: Path, files: int) -> AsyncIterator[tuple[asyncio.subprocess.Process, str]]:
    """The service with so many file descriptors at most; (process, link)."""
    lines = f'[service]\nport = 0\ndata_folder = "{folder / "data"}"\nkey_file = "{folder / "key"}"\n'
    (folder / "config.toml").write_text(lines)
    command = f"ulimit -n {files} && exec {sys.executable} -m bot run --config {folder / 'config.toml'}"
    with (folder / "log").open("w") as log:
        started = await asyncio.create_subprocess_shell(command, stdout=log, stderr=log)
        try:
            async with asyncio.timeout(60):
                while (found := re.search(r"Open (\S+) to sign in", (folder / "log").read_text())) is None:
                    await asyncio.sleep(0.1)
            yield started, found[1]
        finally:
            started.send_signal(signal.SIGTERM)
            await started.wait()


def worker_of(process: asyncio.subprocess.Process) -> psutil.Process | None:
    children = psutil.Process(process.pid).children(recursive=True)
    return next((one for one in children if "model.serving.worker" in " ".join(one.cmdline())), None)


async def test_slow_connections_leave_room_for_the_page_and_for_a_new_worker(tmp_path: Path) -> None:
    """507 of them against 512 file descriptors: the page answers, and a model's process that dies is replaced."""
    async with process(tmp_path, 512) as (started, link):
        port = URL(link).port
        assert port is not None
        origin, timeout = str(URL(link).origin()), ClientTimeout(total=60)
        async with (
            opened(port, 507, HALF),
            ClientSession(origin, cookie_jar=CookieJar(unsafe=True), timeout=timeout) as session,
        ):
            assert await _status(session, str(URL(link).relative())) == 200
            before = worker_of(started)
            assert before is not None
            before.kill()
            async with asyncio.timeout(60):
                while await _status(session, "/healthz") != 200:
                    await asyncio.sleep(0.2)
            after = worker_of(started)
            assert after is not None and after.pid != before.pid


LISTENER = """
import asyncio, os, resource
from aiohttp import web
from bot.process import logs
from bot.process.http_listener import Connections, serve_http

async def hello(_):
    return web.Response(text="hello")

async def main():
    logs.configure()
    logs.watch(asyncio.get_running_loop())
    app = web.Application()
    app.router.add_get("/", hello)
    async with serve_http(app, Connections(10_000), "127.0.0.1", 0) as port:
        few = len(os.listdir("/proc/self/fd")) + 3
        resource.setrlimit(resource.RLIMIT_NOFILE, (few, 512))
        print("at", port, flush=True)
        await asyncio.Event().wait()

asyncio.run(main())
"""


async def test_too_many_open_files_is_logged_once() -> None:
    """However long it lasts; and there is an answer again when there is room."""
    listener = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", LISTENER),
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    assert listener.stdout is not None
    port = int((await listener.stdout.readline()).split()[1])
    async with opened(port, 12):
        await asyncio.sleep(4)  # the listener tries again every second
    async with (
        ClientSession(timeout=ClientTimeout(total=30)) as session,
        session.get(f"http://127.0.0.1:{port}/") as answer,
    ):
        assert answer.status == 200
    listener.terminate()
    said = (await listener.communicate())[0].decode()
    assert said.count("too many open files") == 1 and said.count("\n") == 1, said
