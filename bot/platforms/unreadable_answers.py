"""Answers that a library cannot parse. Its error says nothing of the platform's: it becomes `Unreadable`, and is logged
with its place. The same error in code of ours stays what it is, a mistake of ours."""

import contextlib
import traceback
from collections.abc import Iterator
from pathlib import Path

import structlog

from bot.domain.platform import Unreadable

PARSE_ERRORS = (LookupError, TypeError, ValueError, AttributeError, ArithmeticError, RecursionError)
"""The errors of code that trusts an answer, when the answer has another shape."""
_OURS = Path(__file__).parents[1]
log = structlog.get_logger()


@contextlib.contextmanager
def read_by(library: str, platform: str) -> Iterator[None]:
    """Turns errors that `library` (a package's name) raises while it reads an answer into `Unreadable`."""
    try:
        yield
    except PARSE_ERRORS as error:
        if not raised_in(library, error):
            raise
        log.warning(
            "an answer could not be read", platform=platform, error=described_error(error), at=error_place(error)
        )
        raise Unreadable(f"{platform} answers what cannot be read ({error_place(error)})") from error


def raised_in(library: str, error: BaseException) -> bool:
    """Says whether this library raised the error, or called the code that did; our own code that the library called
    does not count."""
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        path = Path(frame.filename)
        if path.is_relative_to(_OURS):
            return False
        if "site-packages" in path.parts and library in path.parts:
            return True
    return False


def described_error(error: BaseException) -> str:
    """Returns the error for the log; without its message where that may quote people's words."""
    return type(error).__name__ if isinstance(error, ValueError) else f"{type(error).__name__}: {error}"[:100]


def error_place(error: BaseException) -> str:
    """The last lines of code on the way to it, the innermost first. Neither values nor addresses are in it."""
    frames = traceback.extract_tb(error.__traceback__)[-3:]
    return " < ".join(f"{Path(frame.filename).name}:{frame.lineno} {frame.name}" for frame in reversed(frames))
