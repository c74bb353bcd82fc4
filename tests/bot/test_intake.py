"""Who is next: everybody gets a turn, newcomers soon, and nobody is shed for what others write."""

import asyncio
import itertools

from bot.intake import NEW_IN_A_ROW, Intake, Throttle


async def test_who_has_just_come_goes_before_who_still_waits() -> None:
    """A flooder's second message waits for the first of everybody else, but not for ever."""
    intake: Intake[str] = Intake()
    for number in range(3):
        await intake.put("flooder", f"f{number}")
    assert await intake.take() == "f0"
    for number in range(5):
        await intake.put(f"author {number}", f"a{number}")
    turns = [await intake.take() for _ in range(7)]
    assert turns == ["a0", "a1", "f1", "a2", "a3", "a4", "f2"] and NEW_IN_A_ROW == 3


async def test_an_authors_own_messages_stay_in_order() -> None:
    """Also when others come between them."""
    intake: Intake[tuple[int, int]] = Intake()
    for number, author in itertools.product(range(20), range(5)):
        await intake.put(str(author), (author, number))
    turns = [await intake.take() for _ in range(100)]
    for author in range(5):
        assert [number for who, number in turns if who == author] == list(range(20))


async def test_the_longest_line_makes_room() -> None:
    """Whoever has several messages waiting keeps them as long as another has more."""
    intake: Intake[str] = Intake(max_waiting=10)
    for number in range(8):
        await intake.put("flooder", f"f{number}")
    for number in range(2):
        assert await intake.put("ann", f"a{number}") is None
    assert await intake.put("ann", "a2") == "f7"
    assert await intake.put("flooder", "f8") == "f8"
    assert await intake.put("ben", "b0") == "f6"
    assert await intake.put("ann", "a3") == "f5"
    assert await intake.put("ann", "a4") == "a4", "by now hers would be the longest"
    assert len(intake) == 10


async def test_only_as_many_are_in_hand_as_are_answered_in_time() -> None:
    """Slow answers lower the limit to the least, quick ones raise it to the most and let the waiting in."""
    throttle = Throttle(8, aim_s=0.5, least=2, first=4)
    for _ in range(10):
        throttle.took(1.0)
    assert throttle.limit == 2
    async with asyncio.timeout(5), asyncio.TaskGroup() as group:
        waiting = group.create_task(throttle.turn(3))
        await throttle.turn(1)
        await asyncio.sleep(0)
        assert not waiting.done()
        for _ in range(10):
            throttle.took(0.1)
        await waiting
    assert throttle.limit == 8
