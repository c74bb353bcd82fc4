"""What the log must not say: secrets, what members wrote, and lines that nobody of ours wrote."""

import asyncio
import logging
import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
import structlog

from bot.process import logs
from model.serving.worker import Worker, without_secrets

TELEGRAM = "123456789:AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw0"
DISCORD = "MTU3NDg1ODQ3NTQ1MDY2MjkyMA.GXxxxx.abcdefghijklmnopqrstuvwxyz0123456789AB"
STAMPED = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d \[\w+ *\] .*")


@pytest.fixture(autouse=True)
def log() -> Iterator[None]:
    """As the service sets it up; taken back afterwards."""
    logs.configure([TELEGRAM, DISCORD, "a client's secret"])
    yield
    root = logging.getLogger()
    root.handlers = [handler for handler in root.handlers if not isinstance(handler, logs.Libraries)]
    logs.configure()
    root.handlers = [handler for handler in root.handlers if not isinstance(handler, logs.Libraries)]


def lines(capsys: pytest.CaptureFixture[str]) -> list[str]:
    """What was printed; every line is stamped."""
    said = capsys.readouterr()
    assert not said.err
    found = said.out.splitlines()
    assert all(STAMPED.fullmatch(line) for line in found), found
    return found


def test_a_traceback_shows_no_values_and_no_token(capsys: pytest.CaptureFixture[str]) -> None:
    """Where it failed is there, in one line; what the variables held is not, nor a token, wherever it comes up."""
    try:
        text = "a member's own words"
        try:
            raise RuntimeError(f"cannot reach https://example.org/bot{TELEGRAM}/getMe")
        except RuntimeError:
            structlog.get_logger().exception("failed", address=f"bot{TELEGRAM}")
    finally:
        assert text
    (line,) = lines(capsys)
    assert "RuntimeError" in line and "test_logs.py" in line and "***" in line
    assert "AAHdq" not in line and "own words" not in line


FORMS = {
    "as it is": TELEGRAM,
    "in an address": quote(TELEGRAM, safe=""),
    "in lower case in an address": quote(TELEGRAM, safe="").lower(),
    "its secret half": TELEGRAM.partition(":")[2],
    "another bot's": "987654321:BBHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw9",
    "Discord's": DISCORD,
    "another of Discord's": DISCORD.replace("GX", "GY"),
    "an interaction's": "https://discord.com/api/v10/webhooks/1574858475450662920/aW50ZXJhY3Rpb246MTU3NDg/messages",
    "a session's": "Shard ID None has connected to Gateway (Session ID: 0123456789abcdef0123456789abcdef).",
    "a link's": "http://127.0.0.1:8080/?token=0123456789-abcdefghij_0123456789-abcdefghij_0",
    "with blanks": "a client's secret",
}


@pytest.mark.parametrize("form", FORMS)
def test_a_secret_in_a_line_of_a_library_is_hidden(form: str, capsys: pytest.CaptureFixture[str]) -> None:
    """In whatever form; from a library, in an error, and in a value of ours."""
    secret = FORMS[form]
    parts = [
        part for part in re.findall(r"[\w-]{10,}", secret) if not part.isdecimal() and part not in ("interactions",)
    ]
    logging.getLogger("some.library").error("a page said: %s", secret)
    logging.getLogger("some.library").error("failed", exc_info=RuntimeError(secret))
    structlog.get_logger().warning("it said", what=secret)
    found = lines(capsys)
    assert len(found) == 3
    for line in found:
        assert logs.HIDDEN in line and not any(part.lower() in line.lower() for part in parts), line


@pytest.mark.parametrize("name", ["telegram.request", "telegram.Bot", "httpx", "httpcore.http11"])
def test_a_body_that_a_library_cannot_parse_is_not_quoted(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """It may hold what members wrote; that there was one is said."""
    body = b'{"message": {"text": "a member\'s own words", "path": "/bot' + TELEGRAM.encode()
    logging.getLogger(name).error("Can not load invalid JSON data: %r", body)
    (line,) = lines(capsys)
    assert "Can not load invalid JSON data" in line and "own words" not in line and "bot" not in line.split("by=")[0]


FORGED = "hello\n2026-01-01 00:00:00 [info     ] all is well"


@pytest.mark.parametrize("text", [FORGED, FORGED.replace("\n", "\r"), FORGED.replace("\n", "\u2028"), "\x1b[2J\x1b[H"])
def test_nobody_can_write_a_line_of_their_own(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Line ends and a terminal's controls, in what is logged, in its values, in errors and their causes."""
    structlog.get_logger().info(text, what=text)
    logging.getLogger("some.library").warning("%s", text)
    try:
        raise ValueError(text) from KeyError(text)
    except ValueError:
        structlog.get_logger().exception("failed")
    found = lines(capsys)
    assert len(found) == 3 and not any("\x1b" in line or "\u2028" in line for line in found)


def test_a_line_is_bounded(capsys: pytest.CaptureFixture[str]) -> None:
    """An error page of a megabyte is cut."""
    logging.getLogger("some.library").error("x" * 1_000_000)
    structlog.get_logger().error("failed", page="x" * 1_000_000)
    assert all(len(line) < 3000 for line in lines(capsys))


def test_the_event_loop_says_the_same_once(capsys: pytest.CaptureFixture[str]) -> None:
    loop = asyncio.new_event_loop()
    logs.watch(loop)
    for _ in range(100):
        loop.call_exception_handler(
            {"message": "socket.accept() out of system resource", "exception": OSError(24, "x")}
        )
    loop.call_exception_handler({"message": "Task exception was never retrieved", "exception": ValueError("y")})
    loop.close()
    first, second = lines(capsys)
    assert "out of system resource" in first and "ValueError: y" in second


async def test_a_worker_has_no_token_in_its_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Nor any other setting of the bot; what it needs to run is there."""
    for name in (
        "DOMOVOI_TELEGRAM_TOKEN",
        "DOMOVOI_DISCORD_TOKEN",
        "DOMOVOI_DISCORD_CLIENT_SECRET",
        "DOMOVOI_KEY_FILE",
    ):
        monkeypatch.setenv(name, TELEGRAM)
    monkeypatch.setenv("DOMOVOI_TEST_MARK", "here")
    assert "DOMOVOI_TEST_MARK" not in without_secrets({"domovoi_x": "1", "DOMOVOI_TEST_MARK": "1", "PATH": "p"})
    async with Worker("minilm", lambda adapter: tmp_path) as worker:
        process = worker._process
        assert process is not None
        environment = Path(f"/proc/{process.pid}/environ").read_bytes()
    assert b"PATH=" in environment and b"DOMOVOI" not in environment and b"AAHdq" not in environment
