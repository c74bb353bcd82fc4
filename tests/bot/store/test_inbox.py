"""Updates are kept before they are confirmed, and each is handled once."""

from datetime import timedelta

import sqlalchemy as sa

from bot.store import Store
from bot.store import tables as t
from bot.store.inbox import ANEW, Waiting
from tests.bot.store.test_store import NOW


async def test_an_update_is_taken_once(store: Store) -> None:
    """Delivered again, or twice in one answer, it is known; another platform counts for itself; texts are sealed."""
    assert await store.inbox.take("telegram", [(7, "a"), (8, "b"), (7, "a")], NOW) == {7: 7, 8: 8}
    assert await store.inbox.take("telegram", [(8, "b"), (9, "secret")], NOW) == {9: 9}
    assert await store.inbox.take("other", [(7, "x")], NOW) == {7: 7}
    assert await store.inbox.take("telegram", [], NOW) == {}
    assert [waiting.number for waiting in await store.inbox.waiting("telegram")] == [7, 8, 9]
    assert await store.inbox.newest("telegram") == 9 and await store.inbox.newest("nobody") is None
    async with store._engine.connect() as connection:
        sealed = (await connection.execute(sa.select(t.inbox.c.update_sealed))).scalars().all()
    assert not any(b"secret" in text for text in sealed)


async def test_what_is_handled_keeps_its_number_and_loses_its_text(store: Store) -> None:
    """So a late second delivery is still known, until two days have gone by; what waits is never forgotten."""
    await store.inbox.take("telegram", [(1, "a"), (2, "b"), (3, "c"), (4, "d")], NOW)
    await store.inbox.done("telegram", [1, 2])
    await store.inbox.tried("telegram", 3)
    await store.inbox.set_aside("telegram", 4)
    assert await store.inbox.waiting("telegram") == [Waiting(3, "c", 1)]
    assert await store.inbox.take("telegram", [(1, "a")], NOW) == {}
    async with store._engine.connect() as connection:
        kept = dict((await connection.execute(sa.select(t.inbox.c.number, t.inbox.c.update_sealed))).all())
    assert kept[1] is None and kept[4] is not None
    await store.inbox.forget(NOW + timedelta(seconds=1))
    assert await store.inbox.take("telegram", [(1, "a"), (3, "c")], NOW) == {1: 1}


async def test_a_number_that_is_given_out_again(store: Store) -> None:
    """To something else: kept under a number of its own, each time; a repetition of either is known."""
    take = store.inbox.take
    assert await take("telegram", [(1, "a"), (2, "b")], NOW) == {1: 1, 2: 2}
    await store.inbox.done("telegram", [1])
    assert await take("telegram", [(1, "c"), (2, "b"), (3, "d")], NOW) == {1: 1 + ANEW, 3: 3}
    assert await take("telegram", [(1, "a"), (1, "c")], NOW) == {}
    assert await take("telegram", [(1, "e"), (2, "f")], NOW) == {1: 1 + 2 * ANEW, 2: 2 + ANEW}
    waiting = {one.number: one.text for one in await store.inbox.waiting("telegram")}
    assert waiting == {2: "b", 3: "d", 1 + ANEW: "c", 2 + ANEW: "f", 1 + 2 * ANEW: "e"}


async def test_a_number_from_before_digests_is_known(store: Store) -> None:
    """Nobody can tell what it was."""
    await store.inbox.take("telegram", [(1, "a")], NOW)
    await store.inbox._change(sa.update(t.inbox).values(digest=None))
    assert await store.inbox.take("telegram", [(1, "b")], NOW) == {}


async def test_a_chat_belongs_to_the_community_it_was_linked_with(store: Store) -> None:
    """The last link holds."""
    await store.chats.link("telegram", "-100", "discord-1")
    await store.chats.link("telegram", "-100", "discord-2")
    await store.chats.link("telegram", "-200", "telegram--7")
    assert await store.chats.all("telegram") == {"-100": "discord-2", "-200": "telegram--7"}
    assert await store.chats.all("discord") == {}
