"""Identical texts are scored once, and nobody gets another one's answer."""

import asyncio
from collections.abc import Coroutine, Sequence
from dataclasses import replace
from typing import Any

import pytest

from model.classifier import Died, Item, Unscorable, Verdict
from model.serving.coalescing import Coalescing
from tests.conftest import StubClassifier


class Gated(StubClassifier):
    """Answers once the gate is open, or fails with what it is given."""

    def __init__(self) -> None:
        super().__init__()
        self.gate, self.error = asyncio.Event(), None

    error: Exception | None

    async def classify(self, items: Sequence[Item]) -> list[Verdict]:
        verdicts = await super().classify(items)
        await self.gate.wait()
        if self.error is not None:
            raise self.error
        return verdicts


def start(asked: Coroutine[Any, Any, list[Verdict]]) -> asyncio.Task[list[Verdict]]:
    """A caller of its own, whom the test may send away."""
    return asyncio.get_running_loop().create_task(asked)


def item(text: str, adapter: str = "global/1", community: str = "") -> Item:
    return Item(text, adapter, community=community)


async def test_equal_texts_at_the_same_time_and_later_are_scored_once() -> None:
    """A hundred callers, two texts: two questions; afterwards none."""
    device = Gated()
    asked = Coalescing(device)
    calls = [start(asked.classify([item("HATE" if n % 2 else "hello")])) for n in range(100)]
    await asyncio.sleep(0)
    device.gate.set()
    labels = [(await call)[0].label for call in calls]
    assert labels == ["neutral", "hate"] * 50
    assert sorted(device.batches) == [["HATE"], ["hello"]]
    assert [v.label for v in await asked.classify([item("HATE"), item("hello")])] == ["hate", "neutral"]
    assert len(device.batches) == 2


async def test_another_adapter_community_or_case_is_another_question() -> None:
    """Nothing is shared across what may give another verdict."""
    device = StubClassifier()
    asked = Coalescing(device)
    for other in (
        item("x"),
        item("x", "global/2"),
        item("x", community="a"),
        replace(item("x"), categories=(("a", ""),)),
    ):
        await asked.classify([other])
    assert len(device.batches) == 4


async def test_a_caller_who_leaves_takes_nobodys_answer_along() -> None:
    """The first is cancelled while ten wait for the same text: they get theirs."""
    device = Gated()
    asked = Coalescing(device)
    first = start(asked.classify([item("HATE")]))
    await asyncio.sleep(0)
    others = [start(asked.classify([item("HATE")])) for _ in range(10)]
    await asyncio.sleep(0)
    first.cancel()
    device.gate.set()
    assert {(await other)[0].label for other in others} == {"hate"}
    assert len(device.batches) == 2


async def test_an_error_reaches_everybody_and_is_not_remembered() -> None:
    """After a death the same text may be asked for again."""
    device = Gated()
    device.error = Died("stub died")
    asked = Coalescing(device)
    calls = [start(asked.classify([item("x")])) for _ in range(3)]
    await asyncio.sleep(0)
    device.gate.set()
    for call in calls:
        with pytest.raises(Died):
            await call
    device.error = None
    assert (await asked.classify([item("x")]))[0].label == "neutral"
    assert len(device.batches) == 2


async def test_what_is_remembered_is_bounded_and_grows_old() -> None:
    """The oldest goes when there are too many, and everything after its time; a stand-in's word is never kept."""

    class StandIn(StubClassifier):
        async def classify(self, items: Sequence[Item]) -> list[Verdict]:
            return [
                replace(verdict, stand_in="stand-in" in i.text)
                for i, verdict in zip(items, await super().classify(items), strict=True)
            ]

    device = StandIn()
    asked = Coalescing(device, keep=2)
    for text in ("a", "b", "c", "a", "c", "stand-in", "stand-in"):
        await asked.classify([item(text)])
    assert [text for (text,) in device.batches] == ["a", "b", "c", "a", "stand-in", "stand-in"]
    brief = Coalescing(device, keep_s=0.0)
    for _ in range(2):
        await brief.classify([item("x")])
    assert device.batches[-2:] == [["x"], ["x"]]


async def test_long_texts_do_not_fill_the_memory() -> None:
    """Five thousand of the longest would be hundreds of megabytes."""
    device = StubClassifier()
    asked = Coalescing(device, keep_characters=1000)
    for number in range(20):
        await asked.classify([item(f"{number} " + "x" * 400)])
    assert sum(len(one.text) for one in asked._known) == asked._characters <= 1000
    await asked.classify([item("19 " + "x" * 400)])
    assert len(device.batches) == 20, "the newest are known"


async def test_what_is_asked_alone_is_asked_every_time() -> None:
    """A health check and a suspect want the model's word of now."""
    device = StubClassifier()
    asked = Coalescing(device)
    for _ in range(2):
        await asked.classify([replace(item("hello"), alone=True)])
    assert len(device.batches) == 2


async def test_what_is_asked_together_goes_on_together() -> None:
    """One call for all that nobody knows yet, each text once; the order is the caller's."""
    device = StubClassifier()
    asked = Coalescing(device)
    await asked.classify([item("b")])
    texts = ("a", "b", "HATE", "a", "c")
    assert [v.label for v in await asked.classify([item(text) for text in texts])] == ["neutral"] * 2 + ["hate"] + [
        "neutral"
    ] * 2
    assert device.batches == [["b"], ["a", "HATE", "c"]]


async def test_one_text_that_cannot_be_scored_is_nobody_elses_trouble() -> None:
    """It shares a call with another; whoever waits for that other one gets its verdict."""
    device = Gated()
    device.error = Unscorable("stub", frozenset({0}))
    asked = Coalescing(device)
    both = start(asked.classify([item("HUGE"), item("HATE")]))
    await asyncio.sleep(0)
    waiting = start(asked.classify([item("HATE")]))
    await asyncio.sleep(0)
    device.gate.set()
    with pytest.raises(Unscorable):
        await both
    device.error = None
    assert (await waiting)[0].label == "hate"
