"""A platform that keeps refusing is left alone for a while, before it shuts the bot out."""

import pytest

from bot.breaker import Breaker
from bot.platforms.base import RateLimited


class Clock:
    """Seconds, as the test says."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_it_opens_at_the_limit_and_closes_by_itself() -> None:
    """Four of five within ten minutes are fine; the fifth opens it until half of them are older."""
    clock = Clock()
    breaker = Breaker(5, 600.0, clock)
    for _ in range(4):
        clock.now += 10
        breaker.refused()
    breaker.check()
    assert breaker.trouble is None
    clock.now += 10
    breaker.refused()
    with pytest.raises(RateLimited) as caught:
        breaker.check()
    assert caught.value.retry_after_s == breaker.wait_s == 580.0
    assert breaker.trouble is not None and "10 more minutes" in breaker.trouble.text()
    clock.now += 581
    breaker.check()
    assert breaker.trouble is None


def test_refusals_far_apart_are_no_trouble() -> None:
    """One every three minutes, for a day."""
    clock = Clock()
    breaker = Breaker(5, 600.0, clock)
    for _ in range(480):
        clock.now += 180
        breaker.refused()
        breaker.check()
