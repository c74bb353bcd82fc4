"""Too little memory for a batch is not too little for its halves; a text that fits nowhere is named, others live."""

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest
import torch
from torch import Tensor

from model.adapters.registry import SHIPPED
from model.choice import Choice
from model.classifier import Item, Unscorable
from model.open import open_choice
from model.serving.batcher import Batcher
from model.serving.scorer import Scorer, in_halves
from tests.conftest import StubClassifier

TEXTS = ["hello", "you are such a moron", "what a lovely day", "go away", "see you", "thanks", "no way", "fine " * 60]


def items() -> list[Item]:
    return [Item(text, "global/shipped") for text in TEXTS]


@pytest.fixture(scope="module")
def scorer() -> Scorer:
    """The embedded base with the shipped adapter."""
    found = Scorer(open_choice(Choice("minilm")))
    found.load("global/shipped", SHIPPED)
    return found


def too_small_for(scorer: Scorer, monkeypatch: pytest.MonkeyPatch, rows: int, tokens: int) -> list[int]:
    """The real base asks for memory nobody has when a batch has more than `rows` texts or a text more than `tokens`."""
    real, asked = scorer.base.label_logits, list[int]()

    def label_logits(batch: Sequence[Any], adapter: Any) -> Tensor:
        asked.append(len(batch))
        if len(batch) > rows or max(map(len, batch)) > tokens:
            torch.empty(10**15)  # a real refusal of the real allocator
        return real(batch, adapter)

    monkeypatch.setattr(scorer.base, "label_logits", label_logits)
    return asked


def test_a_batch_that_does_not_fit_is_scored_in_halves(scorer: Scorer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Memory for two texts at once: the same verdicts, in order."""
    before = scorer.classify(items())
    asked = too_small_for(scorer, monkeypatch, rows=2, tokens=10_000)
    after = scorer.classify(items())
    assert max(asked) > 2
    for one, other in zip(before, after, strict=True):
        assert one.label == other.label and abs(one.harm - other.harm) < 1e-2


def test_a_text_that_fits_nowhere_is_named(scorer: Scorer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both of its places in the call, and none else."""
    too_small_for(scorer, monkeypatch, rows=4, tokens=40)
    with pytest.raises(Unscorable, match="memory") as caught:
        scorer.classify([*items(), Item(TEXTS[-1], "global/shipped")])
    assert caught.value.places == {7, 8}


def test_another_error_is_nobodys_lack_of_memory() -> None:
    """It is raised as it is."""

    def compute(jobs: Sequence[int]) -> list[list[float]]:
        raise RuntimeError("shapes cannot be multiplied")

    with pytest.raises(RuntimeError, match="shapes"):
        in_halves(compute, [1, 2])


@pytest.mark.parametrize("error", [MemoryError(), torch.OutOfMemoryError("CUDA out of memory")])
def test_halves_down_to_the_one(error: Exception) -> None:
    """Of eight jobs the sixth fits nowhere: its row is empty, the others' are whole."""
    sizes: list[int] = []

    def compute(jobs: Sequence[int]) -> list[list[float]]:
        sizes.append(len(jobs))
        if 5 in jobs:
            raise error
        return [[float(job)] for job in jobs]

    assert in_halves(compute, range(8)) == [[0.0], [1.0], [2.0], [3.0], [4.0], [], [6.0], [7.0]]
    assert sizes == [8, 4, 4, 2, 1, 1, 2] and in_halves(compute, []) == []


async def test_in_a_batch_only_its_own_caller_is_told() -> None:
    """Three callers share a batch, one asks for what nobody can score: the others have their verdicts."""

    batcher = Batcher(StubClassifier())
    async with asyncio.TaskGroup() as group:
        serving = group.create_task(batcher.run())
        calls = [batcher.classify([Item(text, "global/x")]) for text in ("HATE", "HUGE", "hello")]
        first, second, third = await asyncio.gather(*calls, return_exceptions=True)
        serving.cancel()
    assert isinstance(second, Unscorable)
    assert not isinstance(first, BaseException) and not isinstance(third, BaseException)
    assert (first[0].label, third[0].label) == ("hate", "neutral")


async def test_what_is_to_be_alone_is() -> None:
    """A suspect shares its batch with nobody, the others share theirs."""
    device = StubClassifier()
    batcher = Batcher(device)
    asked = [Item("a", "x"), Item("b", "x"), Item("suspect", "x", alone=True), Item("c", "x"), Item("d", "x")]
    async with asyncio.TaskGroup() as group:
        serving = group.create_task(batcher.run())
        await batcher.classify(asked)
        serving.cancel()
    assert device.batches == [["a", "b"], ["suspect"], ["c", "d"]]
