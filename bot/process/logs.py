"""The log: one stamped line for an event, ours or a library's, and never a token, a session, or what a member wrote.

Libraries write around a program's own log. What they say passes through here as well: python-telegram-bot quotes bodies
that it cannot parse, a server's error page may quote the address with the token in it, discord.py quotes interactions'
tokens. structlog's own traceback prints local variables, and these hold tokens and members' texts.
"""

import asyncio
import contextlib
import itertools
import logging
import re
import sys
import time
import traceback
from collections.abc import Iterator, Sequence
from types import TracebackType
from typing import Any, TextIO
from urllib.parse import quote, quote_plus

import structlog
from structlog.typing import EventDict, ExcInfo, WrappedLogger

HIDDEN = "***"
LONGEST_LINE, LONGEST_PART = 2000, 500
"""Characters of a line, and of what a library or an error says of itself."""
MOST_FRAMES = 12
SHORTEST_SECRET = 8
REPEATED_S = 600.0
"""A complaint of the event loop that comes again within this time is not said again."""
QUOTING = ("telegram", "httpx", "httpx2", "httpcore", "httpcore2")
"""Libraries that put bodies and addresses into their lines: only the sentence around them is kept."""
HEARD = {"discord": logging.INFO, "discord.client": logging.INFO, "discord.gateway": logging.INFO}
_FIELD = re.compile(r"%(?:\(\w+\))?[-#0 +]*\d*(?:\.\d+)?[a-zA-Z]")
_SHAPES = re.compile(
    r"\b\d{6,12}(?::|%3A)[A-Za-z0-9_-]{30,}"  # Telegram's bot token
    r"|[A-Za-z0-9_-]{23,30}\.[A-Za-z0-9_-]{6,7}\.[A-Za-z0-9_-]{27,}"  # Discord's
    r"|(?<=/webhooks/)\d+/[A-Za-z0-9_-]+|(?<=/interactions/)\d+/[A-Za-z0-9_-]+"  # of one answer
    r"|\b[0-9a-f]{32}\b"  # Discord's session
    r"|(?<=[?&]token=)[A-Za-z0-9_-]+",
    re.IGNORECASE,
)
_UNPRINTED = {number: repr(chr(number))[1:-1] for number in (*range(32), *range(127, 160), 0x2028, 0x2029)}
_secrets: list[str] = []


class Lines:
    """Prints. The process goes on when a line cannot be written because the log's disk is full."""

    def msg(self, message: str) -> None:
        """One line."""
        with contextlib.suppress(OSError):
            print(message, flush=True)  # noqa: T201

    debug = info = warning = error = critical = exception = log = msg


class Libraries(logging.Handler):
    """Writes the libraries' records as our lines."""

    def emit(self, record: logging.LogRecord) -> None:
        """Never raises."""
        with contextlib.suppress(Exception):
            method = {"critical": "error"}.get(name := record.levelname.lower(), name)
            line = getattr(structlog.get_logger(), method if method in ("debug", "info", "error") else "warning")
            line(_sentence(record), by=record.name, **({"exc_info": record.exc_info} if record.exc_info else {}))


def configure(secrets: Sequence[str] = ()) -> None:
    """Masks these secrets as *** from now on, and takes the libraries' records."""
    _secrets[:] = sorted({form for secret in secrets for form in _forms(secret)}, key=len, reverse=True)
    renderer = structlog.dev.ConsoleRenderer(colors=sys.stdout.isatty(), exception_formatter=_one_line)

    def rendered(logger: WrappedLogger, name: str, event: EventDict) -> str:
        return hidden(renderer(logger, name, {key: _flat(value) for key, value in event.items()}).strip("\n"))

    processors: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="%Y-%m-%d %H:%M:%S", utc=False),
        rendered,
    ]
    structlog.configure(processors=processors, logger_factory=lambda *_: Lines(), cache_logger_on_first_use=False)
    root = logging.getLogger()
    if not any(isinstance(handler, Libraries) for handler in root.handlers):
        root.addHandler(Libraries())
    for name in QUOTING:
        logging.getLogger(name).setLevel(logging.WARNING)
    for name, level in HEARD.items():
        logging.getLogger(name).setLevel(level)


def hidden(text: str) -> str:
    """A text without secrets, in one line of bounded length."""
    for secret in _secrets:
        text = text.replace(secret, HIDDEN)
    text = _SHAPES.sub(HIDDEN, text)
    return text if len(text) <= LONGEST_LINE else f"{text[:LONGEST_LINE]}…"


def watch(loop: asyncio.AbstractEventLoop) -> None:
    """Logs complaints of the event loop, the same one once in `REPEATED_S`."""
    logged_at: dict[str, float] = {}

    def complain(_: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        error = context.get("exception")
        content = f"{context.get('message', '')} {type(error).__name__}"
        now = time.monotonic()
        if now - logged_at.get(content, -REPEATED_S) >= REPEATED_S:
            logged_at[content] = now
            info = (type(error), error, error.__traceback__) if isinstance(error, Exception) else None
            structlog.get_logger().error(
                context.get("message", "the event loop"), **({"exc_info": info} if info else {})
            )

    loop.set_exception_handler(complain)


def _forms(secret: str) -> Iterator[str]:
    """Returns the secret itself, as it stands in an address, and its secret part."""
    if len(secret) >= SHORTEST_SECRET:
        yield from (secret, quote(secret, safe=""), quote_plus(secret))
        if len(half := secret.rpartition(":")[2]) >= SHORTEST_SECRET:
            yield from (half, quote(half, safe=""))


def _sentence(record: logging.LogRecord) -> str:
    if record.name.partition(".")[0] in QUOTING:
        return _FIELD.sub("…", str(record.msg))[:LONGEST_PART]
    return record.getMessage()[:LONGEST_PART]


def _flat(value: Any) -> Any:
    """A value that cannot begin a new line."""
    return value.translate(_UNPRINTED) if isinstance(value, str) else value


def _one_line(out: TextIO, info: ExcInfo) -> None:
    """The error, and where it came from: the innermost place last."""
    kind, error, trace = info
    out.write(f" {kind.__name__}: {str(error)[:LONGEST_PART].translate(_UNPRINTED)}{_places(trace)}")
    inner = error.exceptions if isinstance(error, BaseExceptionGroup) else ()
    for one in itertools.islice(inner, MOST_FRAMES):
        out.write(" |")
        _one_line(out, (type(one), one, one.__traceback__))
    cause = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    if cause is not None:
        out.write(f" after {type(cause).__name__}: {str(cause)[:LONGEST_PART].translate(_UNPRINTED)}")


def _places(trace: TracebackType | None) -> str:
    frames = traceback.extract_tb(trace)[-MOST_FRAMES:]
    places = [f"{frame.filename.rpartition('/')[2]}:{frame.lineno} {frame.name}" for frame in frames]
    return f" ({' > '.join(places)})" if places else ""
