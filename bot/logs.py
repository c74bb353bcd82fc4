"""The log: one line for an event, tracebacks without the values of variables, and never a token.

structlog's own default prints local variables with a traceback, and these hold tokens and members' texts.
"""

import contextlib
import sys
from collections.abc import Sequence
from typing import Any

import structlog
from structlog.typing import EventDict, WrappedLogger

_secrets: list[str] = []


class Lines:
    """Prints. A line that cannot be written, since the disk that the log is on is full, is nobody's reason to end."""

    def msg(self, message: str) -> None:
        """One line."""
        with contextlib.suppress(OSError):
            print(message, flush=True)  # noqa: T201

    debug = info = warning = error = critical = exception = log = msg


def configure(secrets: Sequence[str] = ()) -> None:
    """From now on these are written as ***, wherever they come up."""
    _secrets[:] = sorted((secret for secret in secrets if len(secret) >= 8), key=len, reverse=True)
    plain = structlog.dev.plain_traceback
    renderer = structlog.dev.ConsoleRenderer(colors=sys.stdout.isatty(), exception_formatter=plain)

    def rendered(logger: WrappedLogger, name: str, event: EventDict) -> str:
        text = renderer(logger, name, event)
        for secret in _secrets:
            text = text.replace(secret, "***")
        return text

    processors: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.StackInfoRenderer(),
        structlog.processors.TimeStamper(fmt="%Y-%m-%d %H:%M:%S", utc=False),
        rendered,
    ]
    structlog.configure(processors=processors, logger_factory=lambda *_: Lines(), cache_logger_on_first_use=False)
