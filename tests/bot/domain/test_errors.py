"""What a caller does next is said by the kind of error, and one base covers each answer to it."""

import pytest

from bot.domain import platform
from bot.domain.platform import PlatformError
from bot.pipeline.question_lane import SILENT, AskLater
from model.classifier import (
    AdapterRejected,
    ClassifierError,
    Died,
    NotAnswering,
    Overloaded,
    Unavailable,
    Unscorable,
)


@pytest.mark.parametrize(
    ("error", "is_silence"),
    [
        (Unavailable("away"), True),
        (Died("dead"), True),
        (Overloaded("full"), True),
        (AdapterRejected("spoilt"), True),
        (Unscorable("huge", frozenset({0})), False),
    ],
    ids=lambda value: type(value).__name__,
)
def test_only_unscorable_says_something_about_the_text(error: ClassifierError, is_silence: bool) -> None:
    """All others may be answered later, so nothing is laid to the message."""
    assert isinstance(error, ClassifierError) and isinstance(error, NotAnswering) is is_silence
    assert isinstance(error, SILENT) is is_silence


def test_whoever_asks_too_much_hears_when_to_ask_again() -> None:
    assert isinstance(AskLater(2.4), SILENT) and not isinstance(AskLater(2.4), ClassifierError)


def test_every_answer_of_a_platform_has_one_base() -> None:
    kinds = [value for value in vars(platform).values() if isinstance(value, type) and issubclass(value, Exception)]
    assert len(kinds) >= 8 and all(issubclass(kind, PlatformError) for kind in kinds)
