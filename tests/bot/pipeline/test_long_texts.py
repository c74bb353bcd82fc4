"""No text keeps the event loop from its other work: what is done with one there is linear, or bounded, or elsewhere."""

import asyncio
import time
from collections.abc import Callable

import pytest

from bot.domain.decision import Band
from bot.pipeline.edits import has_same_flagged_words
from bot.platforms.authored_text import Piece, Whose, joined
from bot.platforms.discord import inert_markdown as inert
from bot.platforms.telegram import card_layout as layout
from bot.store import Store
from bot.text.inert import one_line, plain
from tests.bot.scenes import room
from tests.model.test_linear_views import KINDS

TEXTS: dict[str, Callable[[int], str]] = {
    **KINDS,
    "blanks": lambda n: " " * n,
    "lines": lambda n: "a\n" * (n // 2),
    "backticks": lambda n: "`" * n,
    "tags": lambda n: "<b" * (n // 2),
    "brackets within each other": lambda n: "[" * n,
    "addresses": lambda n: "".join(f"https://a.example/{number}\n" for number in range(n // 24)),
}


async def _alert(_: str) -> Band:
    return Band.ALERT


def _edited(text: str) -> object:
    return asyncio.run(has_same_flagged_words(text[: len(text) // 2], text, _alert))


WORK: dict[str, Callable[[str], object]] = {
    "as a card shows it": lambda text: plain(text, 3500),
    "in one line": lambda text: one_line(text, 80),
    "on Discord": lambda text: (inert.block(text, "en"), inert.inline(text)),
    "on Telegram": lambda text: (
        layout.block(text, "en"),
        layout.inline(text),
        layout.fitting(layout.block(text, "en")),
    ),
    "in pieces": lambda text: joined([Piece(line, Whose.AUTHOR) for line in text.split("\n")], Whose.AUTHOR),
    "as an edit": _edited,
}


def _took(work: Callable[[str], object], *texts: str) -> list[float]:
    """The shortest of eight times of each text, in seconds of this thread; in turns, under the same load."""
    times: list[list[float]] = [[] for _ in texts]
    for _ in range(8):
        for text, took in zip(texts, times, strict=True):
            began = time.thread_time()
            work(text)
            took.append(time.thread_time() - began)
    return [min(took) for took in times]


@pytest.mark.parametrize("how", WORK)
@pytest.mark.parametrize("kind", TEXTS)
def test_twice_the_text_is_at_most_twice_the_work(kind: str, how: str) -> None:
    """Of everything that is done with a text on the loop."""
    short, long = _took(WORK[how], TEXTS[kind](40_000), TEXTS[kind](80_000))
    assert long < 3 * max(short, 0.004), f"{short:.4f} s, then {long:.4f} s"


@pytest.mark.parametrize("how", ["as a card shows it", "in one line", "on Discord", "on Telegram"])
def test_a_megabyte_is_shown_as_fast_as_its_beginning(how: str) -> None:
    """What is cut is not looked at."""
    for kind in TEXTS.values():
        short, long = _took(WORK[how], kind(100_000), kind(2**20))
        assert long < 10 * max(short, 0.004)


async def test_the_loop_goes_on_while_hostile_texts_are_read(store: Store) -> None:
    """Every kind, as long as a message may be and far longer, new and as an edit. One with 100,000 marks held the loop
    for 34 s."""
    longest_s, longest_wait_s = 0.0, 0.0

    async def tick() -> None:
        nonlocal longest_s, longest_wait_s
        while True:
            busy, began = time.thread_time(), time.monotonic()
            await asyncio.sleep(0.002)
            longest_s = max(longest_s, time.thread_time() - busy)
            longest_wait_s = max(longest_wait_s, time.monotonic() - began)

    async with room(store) as scene, asyncio.TaskGroup() as group:
        ticking = group.create_task(tick())
        for number, kind in enumerate(TEXTS.values()):
            event = await scene.says(f"author {number % 5}", kind(4_000) + " HATE", wait=False)
            await scene.says("endless", kind(100_000), wait=False)
            await scene.edits(event, kind(20_000) + " HATE", wait=False)
        await scene.settled()
        ticking.cancel()
        cases = await store.cases("try-out", limit=500)
    assert longest_s < 0.25 and longest_wait_s < 2.0, f"{longest_s:.3f} s at work, {longest_wait_s:.3f} s in all"
    assert len({case.message.key.message for case in cases}) >= len(TEXTS) - 1
