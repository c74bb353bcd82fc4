"""Label shares from cards and random messages."""

import pytest

from model.labels import Label
from training.prevalence import MIN_AUDITED, measure_prevalence


def test_strata_are_weighted_by_their_size() -> None:
    """Of 1,000 messages 100 are shown, half of the answered ones offensive, and 900 clear, one in fifty hate."""
    rows = [
        ("town", "shown", None, 100),
        ("town", "clear", None, 900),
        ("town", "shown", "offensive", 25),
        ("town", "shown", "neutral", 25),
        ("town", "clear", "neutral", 49),
        ("town", "clear", "hate", 1),
    ]
    found = measure_prevalence(rows)["town"]
    assert found.shares == pytest.approx((0.019, 0.05, 0.931), abs=0.002)
    assert (found.audited, found.answered) == (50, 50)


def test_too_few_random_messages_say_nothing() -> None:
    """With too few random messages there is no estimate."""
    rows = [("town", "clear", None, 900), ("town", "clear", str(Label.NEUTRAL), MIN_AUDITED - 1)]
    assert measure_prevalence(rows) == {}
