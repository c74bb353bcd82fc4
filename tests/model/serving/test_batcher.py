"""Waiting items form one batch, cancelled callers cost nothing, and a full queue is reported."""

import asyncio
from collections.abc import Sequence

import pytest

from model.classifier import Item, Overloaded, Unavailable, Verdict
from model.serving.batcher import Batcher
from tests.conftest import StubClassifier


class GatedStub(StubClassifier):
    """A device that is busy until the test opens the gate."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = asyncio.Event()

    async def classify(self, items: Sequence[Item]) -> list[Verdict]:
        verdicts = await super().classify(items)
        await self.gate.wait()
        return verdicts


def items(*texts: str) -> list[Item]:
    return [Item(text, "global/x") for text in texts]


async def test_what_arrives_while_the_device_is_busy_goes_out_as_one_batch() -> None:
    """The first message starts at once, and the next three share a batch."""
    device = GatedStub()
    batcher = Batcher(device)
    async with asyncio.TaskGroup() as group:
        serving = group.create_task(batcher.run())
        calls = [group.create_task(batcher.classify(items("first")))]
        await asyncio.sleep(0.01)
        calls += [group.create_task(batcher.classify(items(text))) for text in ("a", "b HATE", "c")]
        await asyncio.sleep(0.01)
        device.gate.set()
        labels = [(await call)[0].label for call in calls]
        serving.cancel()
    assert device.batches == [["first"], ["a", "b HATE", "c"]]
    assert labels == ["neutral", "neutral", "hate", "neutral"]


async def test_a_batch_keeps_to_the_token_budget() -> None:
    """Six messages of 10 tokens with 25 tokens a batch go in pairs, in order."""
    device = StubClassifier()
    batcher = Batcher(device, max_batch_tokens=25, count_tokens=lambda _: 10)
    async with asyncio.TaskGroup() as group:
        serving = group.create_task(batcher.run())
        await batcher.classify(items("a", "b", "c", "d", "e", "f"))
        serving.cancel()
    assert device.batches == [["a", "b"], ["c", "d"], ["e", "f"]]


async def test_a_cancelled_caller_never_reaches_the_device() -> None:
    """A cancelled caller's item is dropped before the batch is built."""
    device = GatedStub()
    batcher = Batcher(device)
    async with asyncio.TaskGroup() as group:
        serving = group.create_task(batcher.run())
        first = group.create_task(batcher.classify(items("first")))
        await asyncio.sleep(0.01)
        gone = group.create_task(batcher.classify(items("gone")))
        stays = group.create_task(batcher.classify(items("stays")))
        await asyncio.sleep(0.01)
        gone.cancel()
        device.gate.set()
        await first
        await stays
        serving.cancel()
    assert device.batches == [["first"], ["stays"]]


async def test_beyond_the_bound_the_caller_is_told_at_once() -> None:
    """A full queue raises `Overloaded` instead of growing without end."""
    device = GatedStub()
    batcher = Batcher(device, max_waiting_tokens=25, count_tokens=lambda _: 10)
    async with asyncio.TaskGroup() as group:
        serving = group.create_task(batcher.run())
        calls = [group.create_task(batcher.classify(items("now")))]
        await asyncio.sleep(0.01)
        calls += [group.create_task(batcher.classify(items("a", "b")))]
        await asyncio.sleep(0.01)
        with pytest.raises(Overloaded):
            await batcher.classify(items("c"))
        device.gate.set()
        for call in calls:
            await call
        serving.cancel()


async def test_nobody_is_left_hanging_when_the_batcher_stops() -> None:
    """At the end both running and queued calls get `Unavailable`."""
    device = GatedStub()
    batcher = Batcher(device)

    async def told(text: str) -> None:
        with pytest.raises(Unavailable):
            await batcher.classify(items(text))

    async with asyncio.timeout(5), asyncio.TaskGroup() as group:
        serving = group.create_task(batcher.run())
        group.create_task(told("under way"))
        await asyncio.sleep(0.01)
        group.create_task(told("in line"))
        await asyncio.sleep(0.01)
        serving.cancel()
