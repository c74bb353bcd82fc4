"""How far each room was read, and that a gap survives whatever happens while it is read."""

from dataclasses import replace

from bot.domain.event import MessageKey
from bot.store import Store
from tests.bot.store.test_store import NOW
from tests.conftest import said


async def journal(store: Store, room: str, number: str, community: str = "g1") -> None:
    """A message in a Discord room."""
    key = MessageKey("discord", community, room, number)
    assert await store.record_seen(replace(said("x"), key=key), NOW) is not None


async def test_a_room_is_begun_once(store: Store) -> None:
    """The first beginning stands; another room and another platform begin for themselves."""
    marks = store.watermarks
    assert await marks.begin("discord", "r1", 100, NOW)
    assert not await marks.begin("discord", "r1", 200, NOW)
    assert await marks.begin("discord", "r1/t1", 300, NOW)
    assert await marks.begin("telegram", "r1", 400, NOW)
    assert await marks.rooms("discord") == {"r1", "r1/t1"} and await marks.gaps("discord") == {}
    await marks.open_gaps("discord", 10_000, NOW)
    assert await marks.gaps("discord") == {"r1": 100, "r1/t1": 300} and await marks.gaps("telegram") == {}


async def test_a_gap_becomes_shorter_while_it_is_read(store: Store) -> None:
    """Never longer by that, not where it was opened further back meanwhile, and not where there is none."""
    marks = store.watermarks
    for room in ("r1", "r2"):
        await marks.begin("discord", room, 100, NOW)
    await marks.move_gap("discord", "r1", 100, 150, NOW)
    await marks.open_gap("discord", "r2", 100, NOW)
    assert await marks.gaps("discord") == {"r2": 100}
    for start, to in ((100, 200), (200, 180)):
        await marks.move_gap("discord", "r2", start, to, NOW)
        assert await marks.gaps("discord") == {"r2": 200}
    await marks.open_gap("discord", "r2", 120, NOW)
    await marks.move_gap("discord", "r2", 200, 300, NOW)
    assert await marks.gaps("discord") == {"r2": 120}


async def test_a_gap_begins_after_the_last_message_heard(store: Store) -> None:
    """Compared as numbers; names, other rooms, rooms never begun and what came after the loss do not count."""
    marks = store.watermarks
    await journal(store, "r1", "1500")  # before reading began: accounted for by the beginning
    for room, message in (("r1", 999), ("r2", 500)):
        await marks.begin("discord", room, message, NOW)
    for room, number in (("r1", "1000"), ("r1", "998"), ("r1", "name-7"), ("r2", "499"), ("r3", "7"), ("r2", "9000")):
        await journal(store, room, number)
    await marks.open_gaps("discord", 8000, NOW)
    assert await marks.gaps("discord") == {"r1": 1000, "r2": 500}


async def test_what_is_heard_during_a_gap_does_not_close_it(store: Store) -> None:
    """A second loss, or a crash while the first gap is read, leaves its beginning where it was."""
    marks = store.watermarks
    await marks.begin("discord", "r1", 100, NOW)
    await marks.open_gaps("discord", 200, NOW)
    await journal(store, "r1", "900")
    await marks.open_gaps("discord", 1000, NOW)
    assert await marks.gaps("discord") == {"r1": 100}
    await marks.close_gap("discord", "r1", 900, NOW)
    assert await marks.gaps("discord") == {}
    await journal(store, "r1", "950")
    await marks.open_gaps("discord", 1000, NOW)
    assert await marks.gaps("discord") == {"r1": 950}


async def test_one_message_that_was_not_kept_opens_a_gap(store: Store) -> None:
    """Its room is read again from there, also if it was never begun; an older gap stays the older."""
    marks = store.watermarks
    await marks.begin("discord", "r1", 100, NOW)
    await journal(store, "r1", "300")
    await marks.open_gap("discord", "r1", 249, NOW)
    await marks.open_gap("discord", "r2", 5, NOW)
    assert await marks.gaps("discord") == {"r1": 249, "r2": 5}
    await marks.open_gap("discord", "r1", 280, NOW)
    assert await marks.gaps("discord") == {"r1": 249, "r2": 5}
