"""How much a group hears, measured where a message leaves the bot."""

import asyncio
import contextlib
import time
from typing import Any

import pytest
from telegram.error import RetryAfter

from bot.platforms.telegram import rate_limits as limits
from bot.platforms.telegram.rate_limits import MessageLimiter

GROUP, PERSON = -1001, 7


class Sent:
    """What went out, when and where to."""

    def __init__(self) -> None:
        self.at: list[tuple[float, int]] = []

    async def __call__(self, chat: int) -> bool:
        self.at.append((time.monotonic(), chat))
        return True

    def most(self, chat: int, within_s: float) -> int:
        """The most that went to one chat in any time of that length."""
        at = [moment for moment, where in self.at if where == chat]
        return max(sum(start <= one < start + within_s for one in at) for start in at)


async def say(limiter: MessageLimiter, sent: Sent, chat: int, endpoint: str = "sendMessage") -> Any:
    """As the library calls it."""
    return await limiter.process_request(sent, (chat,), {}, endpoint, {"chat_id": chat}, None)


async def tried(limiter: MessageLimiter, sent: Sent) -> None:
    """Says something in the group, or is refused."""
    with contextlib.suppress(RetryAfter):
        await say(limiter, sent, GROUP)


async def test_no_minute_is_fuller_than_another(monkeypatch: pytest.MonkeyPatch) -> None:
    """Five that had to wait for one of the thirty a second, and five more a minute after the first five asked."""
    monkeypatch.setattr(limits, "MINUTE_S", 1.0)
    limiter, sent = MessageLimiter(5), Sent()
    await limiter.initialize()
    for number in range(30):
        await say(limiter, sent, PERSON + number)
    asked_at = time.monotonic()
    for _ in range(2):
        async with asyncio.TaskGroup() as group:
            for _ in range(5):
                group.create_task(tried(limiter, sent))
        await asyncio.sleep(asked_at + 1.001 - time.monotonic())
    assert sent.most(GROUP, 1.0) == 5


async def test_who_gave_up_waiting_used_no_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Cancelled before it was sent: the next one has its place."""
    monkeypatch.setattr(limits, "MOST_AT_ONCE", 100)
    limiter, sent = MessageLimiter(1), Sent()
    await limiter.initialize()
    for number in range(30):
        await say(limiter, sent, PERSON + number)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.001):
            await say(limiter, sent, GROUP)
    assert await say(limiter, sent, GROUP)
    with pytest.raises(RetryAfter):
        await say(limiter, sent, GROUP)
    assert await limiter.process_request(sent, (GROUP,), {}, "deleteMessage", {"chat_id": GROUP}, None)
