"""A platform that keeps refusing is left alone for a while, before it shuts the bot out."""

import pytest

from bot.domain.notice import Notice
from bot.domain.platform import RateLimited
from bot.pipeline.circuit_breaker import CircuitBreaker


class Clock:
    """Seconds, as the test says."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_it_opens_at_the_limit_and_closes_by_itself() -> None:
    """Four of five within ten minutes are fine; the fifth opens it until half of them are older."""
    clock = Clock()
    circuit_breaker = CircuitBreaker(5, 600.0, clock)
    for _ in range(4):
        clock.now += 10
        circuit_breaker.refused()
    circuit_breaker.check()
    assert circuit_breaker.trouble() is None
    clock.now += 10
    circuit_breaker.refused()
    with pytest.raises(RateLimited) as caught:
        circuit_breaker.check()
    assert caught.value.retry_after_s == circuit_breaker.wait_s() == 580.0
    assert (trouble := circuit_breaker.trouble()) is not None and "10 more minutes" in trouble.text()
    clock.now += 581
    circuit_breaker.check()
    assert circuit_breaker.trouble() is None


def test_refusals_far_apart_are_no_trouble() -> None:
    """One every three minutes, for a day."""
    clock = Clock()
    circuit_breaker = CircuitBreaker(5, 600.0, clock)
    for _ in range(480):
        clock.now += 180
        circuit_breaker.refused()
        circuit_breaker.check()


def refused(circuit_breaker: CircuitBreaker, community: str, times: int) -> None:
    """So many calls for this community, or for none."""
    with circuit_breaker.asking_for(community):
        for _ in range(times):
            circuit_breaker.refused()


def waits(circuit_breaker: CircuitBreaker, community: str) -> bool:
    """Whether an action there must wait."""
    try:
        with circuit_breaker.asking_for(community):
            circuit_breaker.check()
    except RateLimited:
        return True
    return False


def test_a_community_that_is_refused_rests_alone() -> None:
    """It is told, others and cards go on, and the rest of the count is theirs."""
    clock, told = Clock(), list[Notice]()
    circuit_breaker = CircuitBreaker(100, 600.0, clock, told.append)
    refused(circuit_breaker, "good", 19)
    refused(circuit_breaker, "", 19)
    clock.now += 60
    refused(circuit_breaker, "bad", 61)
    assert not waits(circuit_breaker, "bad")
    refused(circuit_breaker, "bad", 1)
    assert waits(circuit_breaker, "bad") and not waits(circuit_breaker, "good") and not waits(circuit_breaker, "")
    assert (
        circuit_breaker.trouble() is None
        and circuit_breaker.trouble("good") is None
        and circuit_breaker.trouble("bad") == told[0]
    )
    assert [(notice.name, notice.community) for notice in told] == [("breaker-open-here", "bad")]
    refused(circuit_breaker, "good", 61)  # with the 38 before
    assert not waits(circuit_breaker, "good")
    refused(circuit_breaker, "", 1)
    assert waits(circuit_breaker, "good") and not waits(circuit_breaker, "")
    clock.now += 601
    assert (
        not waits(circuit_breaker, "good")
        and not waits(circuit_breaker, "bad")
        and circuit_breaker.trouble("bad") is None
    )


@pytest.mark.parametrize("communities", [("",), tuple("abcdefgh")])
def test_what_is_nobodys_or_everybodys_closes_it_for_all(communities: tuple[str, ...]) -> None:
    """A token that is no longer good, or rights lost everywhere."""
    clock = Clock()
    circuit_breaker = CircuitBreaker(80, 600.0, clock)
    for community in communities:
        refused(circuit_breaker, community, 80 // len(communities))
    assert waits(circuit_breaker, "") and waits(circuit_breaker, "a") and circuit_breaker.trouble("a") is None
    assert circuit_breaker.trouble() is not None
