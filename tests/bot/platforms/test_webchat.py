"""The try-out chat keeps the same rules as the platforms: nothing is made shorter, and Undo takes back only its own."""

from bot.domain.action import Ban, Timeout
from bot.domain.event import Author, MessageKey
from bot.platforms.webchat import Refused, WebChat
from tests.conftest import now

ANN = Author("ann", "Ann")


def key(number: int) -> MessageKey:
    return MessageKey("webchat", "try-out", "lounge", str(number))


def may_write(chat: WebChat) -> bool:
    try:
        chat.compose("ann", "hello", now())
    except Refused:
        return False
    return True


async def test_a_shorter_timeout_leaves_a_longer_one_and_each_undo_its_own() -> None:
    """A day, then five minutes, then a ban: taken back one by one."""
    chat = WebChat(lambda posted: None)
    assert await chat.perform(Timeout(1440), key(1), ANN) is None
    unchanged = await chat.perform(Timeout(5), key(2), ANN)
    assert unchanged is not None and unchanged.by == "bot"
    assert await chat.perform(Ban(2), key(3), ANN) is None
    for number, action in ((3, Ban(2)), (2, Timeout(5))):
        await chat.undo(action, key(number), ANN)
        assert not may_write(chat)
    assert await chat.undo(Timeout(1440), key(1), ANN) is True and may_write(chat)


async def test_done_twice_it_looks_like_done_once() -> None:
    """The same message again, and one undo takes it back."""
    chat = WebChat(lambda posted: None)
    for _ in range(2):
        assert await chat.perform(Timeout(10), key(1), ANN) is None
    assert not may_write(chat)
    await chat.undo(Timeout(10), key(1), ANN)
    assert may_write(chat)
