"""A dead model is back within a minute, and what it said before it says again."""

from tests.soak.device import deaths


async def test_a_dead_worker_is_back_within_a_minute() -> None:
    """Killed three times; the real process with the real weights."""
    found = await deaths(3)
    assert found.same == found.deaths == 3 and found.slowest_back_s <= 60, found
