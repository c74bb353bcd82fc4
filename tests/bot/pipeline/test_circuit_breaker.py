"""A platform that keeps refusing is left alone for a while, before it shuts the bot out."""

import pytest

from bot.domain.notice import Notice
from bot.domain.platform import RateLimited
from bot.pipeline.circuit_breaker import Breaker


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
    assert breaker.trouble() is None
    clock.now += 10
    breaker.refused()
    with pytest.raises(RateLimited) as caught:
        breaker.check()
    assert caught.value.retry_after_s == breaker.wait_s() == 580.0
    assert (trouble := breaker.trouble()) is not None and "10 more minutes" in trouble.text()
    clock.now += 581
    breaker.check()
    assert breaker.trouble() is None


def test_refusals_far_apart_are_no_trouble() -> None:
    """One every three minutes, for a day."""
    clock = Clock()
    breaker = Breaker(5, 600.0, clock)
    for _ in range(480):
        clock.now += 180
        breaker.refused()
        breaker.check()


def refused(breaker: Breaker, community: str, times: int) -> None:
    """So many calls for this community, or for none."""
    with breaker.asking_for(community):
        for _ in range(times):
            breaker.refused()


def waits(breaker: Breaker, community: str) -> bool:
    """Whether an action there must wait."""
    try:
        with breaker.asking_for(community):
            breaker.check()
    except RateLimited:
        return True
    return False


def test_a_community_that_is_refused_rests_alone() -> None:
    """It is told, others and cards go on, and the rest of the count is theirs."""
    clock, told = Clock(), list[Notice]()
    breaker = Breaker(100, 600.0, clock, told.append)
    refused(breaker, "good", 19)
    refused(breaker, "", 19)
    clock.now += 60
    refused(breaker, "bad", 61)
    assert not waits(breaker, "bad")
    refused(breaker, "bad", 1)
    assert waits(breaker, "bad") and not waits(breaker, "good") and not waits(breaker, "")
    assert breaker.trouble() is None and breaker.trouble("good") is None and breaker.trouble("bad") == told[0]
    assert [(notice.name, notice.community) for notice in told] == [("breaker-open-here", "bad")]
    refused(breaker, "good", 61)  # with the 38 before
    assert not waits(breaker, "good")
    refused(breaker, "", 1)
    assert waits(breaker, "good") and not waits(breaker, "")
    clock.now += 601
    assert not waits(breaker, "good") and not waits(breaker, "bad") and breaker.trouble("bad") is None


@pytest.mark.parametrize("communities", [("",), tuple("abcdefgh")])
def test_what_is_nobodys_or_everybodys_closes_it_for_all(communities: tuple[str, ...]) -> None:
    """A token that is no longer good, or rights lost everywhere."""
    clock = Clock()
    breaker = Breaker(80, 600.0, clock)
    for community in communities:
        refused(breaker, community, 80 // len(communities))
    assert waits(breaker, "") and waits(breaker, "a") and breaker.trouble("a") is None
    assert breaker.trouble() is not None
