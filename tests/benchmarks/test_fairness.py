"""The fairness benchmark counts all messages, and its baseline is slower."""

import asyncio
from unittest import mock

from benchmarks.fairness import HONEST, AuthorQueue, run
from bot.pipeline import waiting_messages


async def _run(seconds: float) -> tuple[int, float]:
    wait = await run(200, seconds, 1)
    assert not wait.unread and wait.flood > 0
    return len(wait.seconds), max(wait.seconds)


def test_every_honest_message_is_counted_in_both_ways() -> None:
    """All of the ten honest messages a second are read and counted."""
    count, longest = asyncio.run(_run(2.0))
    with mock.patch.object(waiting_messages, "FairQueue", AuthorQueue):
        counted, by_author = asyncio.run(_run(2.0))
    assert abs(count - 2 * HONEST) <= 1 and abs(counted - 2 * HONEST) <= 1
    assert longest < by_author
