"""Who is next: everybody gets a turn, newcomers soon, and nobody is shed for what others write."""

import asyncio
import itertools
import random
import time

from bot.pipeline.fair_queue import NEW_IN_A_ROW, TURN_TOKENS, FairQueue, Throttle


async def test_who_has_just_come_goes_before_who_still_waits() -> None:
    """A flooder's second message waits for the first of everybody else, but not for ever."""
    fair_queue: FairQueue[str] = FairQueue()
    for number in range(3):
        await fair_queue.put("flooder", f"f{number}")
    assert await fair_queue.take() == "f0"
    for number in range(5):
        await fair_queue.put(f"author {number}", f"a{number}")
    turns = [await fair_queue.take() for _ in range(7)]
    assert turns == ["a0", "a1", "f1", "a2", "a3", "a4", "f2"] and NEW_IN_A_ROW == 3


async def test_an_authors_own_messages_stay_in_order() -> None:
    """Also when others come between them."""
    fair_queue: FairQueue[tuple[int, int]] = FairQueue()
    for number, author in itertools.product(range(20), range(5)):
        await fair_queue.put(str(author), (author, number))
    turns = [await fair_queue.take() for _ in range(100)]
    for author in range(5):
        assert [number for who, number in turns if who == author] == list(range(20))


async def test_the_longest_line_makes_room() -> None:
    """Whoever has several messages waiting keeps them as long as another has more."""
    fair_queue: FairQueue[str] = FairQueue(max_waiting=10)
    for number in range(8):
        await fair_queue.put("flooder", f"f{number}")
    for number in range(2):
        assert await fair_queue.put("ann", f"a{number}") is None
    assert await fair_queue.put("ann", "a2") == "f7"
    assert await fair_queue.put("flooder", "f8") == "f8"
    assert await fair_queue.put("ben", "b0") == "f6"
    assert await fair_queue.put("ann", "a3") == "f5"
    assert await fair_queue.put("ann", "a4") == "a4", "by now hers would be the longest"
    assert len(fair_queue) == 10


async def test_only_as_many_are_in_hand_as_are_answered_in_time() -> None:
    """Slow answers lower the limit to the least, quick ones raise it to the most and let the waiting in."""
    throttle = Throttle(8, aim_s=0.5, least=2, first=4)
    for _ in range(10):
        throttle.took(1.0)
    assert throttle.limit == 2
    async with asyncio.timeout(60), asyncio.TaskGroup() as group:
        waiting = group.create_task(throttle.turn(3))
        await throttle.turn(1)
        await asyncio.sleep(0)
        assert not waiting.done()
        for _ in range(10):
            throttle.took(0.1)
        await waiting
    assert throttle.limit == 8


async def _fill(
    fair_queue: FairQueue[tuple[str, str, int]], community: str, authors: int, each: int, tokens: int = 10
) -> None:
    for number, author in itertools.product(range(each), range(authors)):
        who = f"{community}/{author}"
        await fair_queue.put(who, (community, who, number), community=community, tokens=10)


async def test_a_community_of_two_thousand_authors_has_one_turn_in_two() -> None:
    """The other community's one author is not one among 2,001."""
    fair_queue: FairQueue[tuple[str, str, int]] = FairQueue(10_000)
    await _fill(fair_queue, "flood", 2000, 2)
    await _fill(fair_queue, "calm", 1, 50)
    turns = [(await fair_queue.take())[0] for _ in range(120)]
    assert turns.count("calm") >= 50


async def test_whoever_comes_back_at_once_is_nobody_new() -> None:
    """Somebody whose line is empty after each turn has a turn like others, and does not go before them each time."""
    fair_queue: FairQueue[str] = FairQueue()
    for number in range(40):
        await fair_queue.put("waits", f"w{number}", community="waits")
    turns = []
    for _ in range(40):
        await fair_queue.put("comes back", "again", community="comes back")
        turns += [await fair_queue.take(), await fair_queue.take()]
    assert 35 <= sum(turn.startswith("w") for turn in turns) <= 45


async def test_long_messages_wait_as_many_turns_as_they_cost() -> None:
    """Of two communities with one author each, the one that writes 20 times as long gets far fewer turns; so does an
    author beside another of the same community."""
    for communities in (("a", "b"), ("same", "same")):
        fair_queue: FairQueue[tuple[str, int]] = FairQueue()
        for community, author, tokens in zip(communities, ("long", "short"), (20 * TURN_TOKENS, 10), strict=True):
            for number in range(100):
                await fair_queue.put(author, (author, number), community=community, tokens=tokens)
        turns = [(await fair_queue.take())[0] for _ in range(60)]
        assert turns.count("long") <= 5


async def test_the_busiest_author_of_the_busiest_community_makes_room() -> None:
    """A community keeps what it has as long as another has more; in the flooding one the flooder loses their newest."""
    fair_queue: FairQueue[tuple[str, str, int]] = FairQueue(20)
    await _fill(fair_queue, "flood", 5, 2)
    for number in range(2, 8):
        await fair_queue.put("flood/0", ("flood", "flood/0", number), community="flood")
    await _fill(fair_queue, "calm", 2, 2)
    shed = await fair_queue.put("calm/0", ("calm", "calm/0", 9), community="calm")
    assert shed == ("flood", "flood/0", 7)
    shed = await fair_queue.put("flood/9", ("flood", "flood/9", 0), community="flood")
    assert shed == ("flood", "flood/0", 6), "a newcomer among the flooders is not shed for one of them"
    shed = await fair_queue.put("flood/0", ("flood", "flood/0", 10), community="flood")
    assert shed == ("flood", "flood/0", 10)


async def test_nothing_is_lost_or_doubled_whatever_comes() -> None:
    """Ten thousand random puts and takes: each entry comes out once, or was shed, in each author's order."""
    dice, fair_queue = random.Random(7), FairQueue[tuple[str, int]](50)
    came, shed, out = 0, list[tuple[str, int]](), list[tuple[str, int]]()
    for number in range(10_000):
        if dice.random() < 0.6:
            community, author = f"c{dice.randrange(6)}", str(dice.randrange(8))
            who = f"{community}/{author}"
            dropped = await fair_queue.put(who, (who, number), community=community, tokens=dice.randrange(900))
            came += 1
            shed += [dropped] if dropped is not None else []
        elif len(fair_queue):
            out.append(await fair_queue.take())
    out += [await fair_queue.take() for _ in range(len(fair_queue))]
    assert len(out) + len(shed) == came == len({*out, *shed}) and shed
    for who in {who for who, _ in out}:
        numbers = [number for one, number in out if one == who]
        assert numbers == sorted(numbers)


def test_a_turn_takes_as_long_with_twenty_thousand_authors_as_with_twenty() -> None:
    """And with 5,000 communities: nothing looks through them all."""

    def took(communities: int, authors: int) -> float:
        fair_queue: FairQueue[int] = FairQueue(20_000)
        for number in range(20_000):
            fair_queue.put_now(f"a{number % authors}", number, community=f"c{number % communities}", tokens=10)
        began = time.process_time()
        for number in range(20_000):  # half of them are shed, which looks for the longest line
            fair_queue.put_now(f"a{number % authors}", number, community=f"c{number % communities}", tokens=10)
            if number % 2:
                fair_queue.take_now()
        return time.process_time() - began

    few = min(took(1, 20) for _ in range(3))
    assert min(took(1, 20_000) for _ in range(3)) < 8 * few
    assert min(took(5_000, 20_000) for _ in range(3)) < 8 * few


async def test_who_has_gone_is_forgotten() -> None:
    """Twenty thousand authors who wrote one long message each leave nothing, also while others wait."""
    fair_queue: FairQueue[int] = FairQueue()
    await fair_queue.put("waits", -1, community="town", tokens=10)
    for number in range(20_000):
        await fair_queue.put("waits", -1, community="town", tokens=10)
        await fair_queue.put(f"author {number}", number, community="town", tokens=700)
        await fair_queue.put(f"author {number}", number, community=f"place {number}", tokens=700)
        for _ in range(3):
            await fair_queue.take()
    town = fair_queue._communities["town"]
    assert len(fair_queue) == 1 and len(fair_queue._communities) < 100
    assert len(town.lines) < 100 and len(town.turns._credit) < 100 and len(fair_queue._turns._credit) < 100
    await fair_queue.take()
    assert not fair_queue._communities and not fair_queue._turns._credit
