"""Identical texts are scored once, and no caller gets another text's answer."""

import asyncio
from collections.abc import Coroutine, Sequence
from dataclasses import replace
from typing import Any

import pytest

from model.classifier import Died, Item, Unscorable, Verdict
from model.serving.coalescing import Coalescer
from tests.conftest import StubClassifier


class Gated(StubClassifier):
    """A classifier that answers when the gate opens, or fails with the given error."""

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


def start(coalescer: Coroutine[Any, Any, list[Verdict]]) -> asyncio.Task[list[Verdict]]:
    """Starts a call that the test may cancel."""
    return asyncio.get_running_loop().create_task(coalescer)


def item(text: str, adapter: str = "global/1", community: str = "") -> Item:
    return Item(text, adapter, community=community)


async def test_equal_texts_at_the_same_time_and_later_are_scored_once() -> None:
    """A hundred callers with two texts make two questions, and later callers make none."""
    device = Gated()
    coalescer = Coalescer(device)
    calls = [start(coalescer.classify([item("HATE" if n % 2 else "hello")])) for n in range(100)]
    await asyncio.sleep(0)
    device.gate.set()
    labels = [(await call)[0].label for call in calls]
    assert labels == ["neutral", "hate"] * 50
    assert sorted(device.batches) == [["HATE"], ["hello"]]
    assert [v.label for v in await coalescer.classify([item("HATE"), item("hello")])] == ["hate", "neutral"]
    assert len(device.batches) == 2


async def test_another_adapter_community_or_case_is_another_question() -> None:
    """Items that may have different verdicts are never shared."""
    device = StubClassifier()
    coalescer = Coalescer(device)
    for other in (
        item("x"),
        item("x", "global/2"),
        item("x", community="a"),
        replace(item("x"), categories=(("a", ""),)),
    ):
        await coalescer.classify([other])
    assert len(device.batches) == 4


async def test_a_caller_who_leaves_takes_nobodys_answer_along() -> None:
    """When the first caller is cancelled, ten others with the same text still get an answer."""
    device = Gated()
    coalescer = Coalescer(device)
    first = start(coalescer.classify([item("HATE")]))
    await asyncio.sleep(0)
    others = [start(coalescer.classify([item("HATE")])) for _ in range(10)]
    await asyncio.sleep(0)
    first.cancel()
    device.gate.set()
    assert {(await other)[0].label for other in others} == {"hate"}
    assert len(device.batches) == 2


async def test_an_error_reaches_everybody_and_is_not_remembered() -> None:
    """An error reaches all waiting callers, and the same text can be scored again."""
    device = Gated()
    device.error = Died("stub died")
    coalescer = Coalescer(device)
    calls = [start(coalescer.classify([item("x")])) for _ in range(3)]
    await asyncio.sleep(0)
    device.gate.set()
    for call in calls:
        with pytest.raises(Died):
            await call
    device.error = None
    assert (await coalescer.classify([item("x")]))[0].label == "neutral"
    assert len(device.batches) == 2


async def test_what_is_remembered_is_bounded_and_grows_old() -> None:
    """The oldest verdict goes at the limit, all go after their time, and a stand-in's is never kept."""

    class StandIn(StubClassifier):
        async def classify(self, items: Sequence[Item]) -> list[Verdict]:
            return [
                replace(verdict, stand_in="stand-in" in i.text)
                for i, verdict in zip(items, await super().classify(items), strict=True)
            ]

    device = StandIn()
    coalescer = Coalescer(device, max_verdicts=2)
    for text in ("a", "b", "c", "a", "c", "stand-in", "stand-in"):
        await coalescer.classify([item(text)])
    assert [text for (text,) in device.batches] == ["a", "b", "c", "a", "stand-in", "stand-in"]
    brief = Coalescer(device, max_age_s=0.0)
    for _ in range(2):
        await brief.classify([item("x")])
    assert device.batches[-2:] == [["x"], ["x"]]


async def test_long_texts_do_not_fill_the_memory() -> None:
    """Long texts are bounded by characters, because five thousand of them would be hundreds of megabytes."""
    device = StubClassifier()
    coalescer = Coalescer(device, max_characters=1000)
    for number in range(20):
        await coalescer.classify([item(f"{number} " + "x" * 400)])
    assert sum(len(one.text) for one in coalescer._remembered_verdicts) == coalescer._characters <= 1000
    await coalescer.classify([item("19 " + "x" * 400)])
    assert len(device.batches) == 20, "the newest are known"


async def test_what_is_asked_alone_is_asked_every_time() -> None:
    """An item that must be alone is always sent to the model."""
    device = StubClassifier()
    coalescer = Coalescer(device)
    for _ in range(2):
        await coalescer.classify([replace(item("hello"), alone=True)])
    assert len(device.batches) == 2


async def test_what_is_asked_together_goes_on_together() -> None:
    """All unknown texts go in one call, each once, and the answers keep the caller's order."""
    device = StubClassifier()
    coalescer = Coalescer(device)
    await coalescer.classify([item("b")])
    texts = ("a", "b", "HATE", "a", "c")
    assert [v.label for v in await coalescer.classify([item(text) for text in texts])] == ["neutral"] * 2 + ["hate"] + [
        "neutral"
    ] * 2
    assert device.batches == [["b"], ["a", "HATE", "c"]]


async def test_one_text_that_cannot_be_scored_is_nobody_elses_trouble() -> None:
    """An unscorable text does not fail a caller that waits for another text of the same call."""
    device = Gated()
    device.error = Unscorable("stub", frozenset({0}))
    coalescer = Coalescer(device)
    both = start(coalescer.classify([item("HUGE"), item("HATE")]))
    await asyncio.sleep(0)
    waiting = start(coalescer.classify([item("HATE")]))
    await asyncio.sleep(0)
    device.gate.set()
    with pytest.raises(Unscorable):
        await both
    device.error = None
    assert (await waiting)[0].label == "hate"
