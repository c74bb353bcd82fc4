"""A batch that does not fit into memory is halved; a text that never fits is reported, the others are scored."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import pytest
import torch

from model.adapters.registry import SHIPPED
from model.choice import BaseChoice
from model.classifier import Item, Unscorable
from model.open import open_chosen_base
from model.serving.batcher import Batcher
from model.serving.scorer import Scorer, compute_in_halves
from tests.conftest import StubClassifier

TEXTS = ["hello", "you are such a moron", "what a lovely day", "go away", "see you", "thanks", "no way", "fine " * 60]


def items() -> list[Item]:
    return [Item(text, "global/shipped") for text in TEXTS]


@pytest.fixture(scope="module")
def scorer() -> Scorer:
    """The embedded base with the shipped adapter."""
    scorer = Scorer(open_chosen_base(BaseChoice("minilm")))
    scorer.load("global/shipped", SHIPPED)
    return scorer


def too_small_for(scorer: Scorer, monkeypatch: pytest.MonkeyPatch, rows: int, tokens: int) -> list[int]:
    """Makes the real base run out of memory for more than `rows` texts or a text of more than `tokens` tokens."""
    batch_sizes: list[int] = []

    def limited(real: Callable[..., Any]) -> Callable[..., Any]:
        def compute(batch: Sequence[Any], *others: Any) -> Any:
            batch_sizes.append(len(batch))
            if len(batch) > rows or max(map(len, batch)) > tokens:
                torch.empty(10**15)  # a real refusal of the real allocator
            return real(batch, *others)

        return compute

    for name in ("label_logits", "span_logits"):
        monkeypatch.setattr(scorer.base, name, limited(getattr(scorer.base, name)))
    return batch_sizes


def test_a_batch_that_does_not_fit_is_scored_in_halves(scorer: Scorer, monkeypatch: pytest.MonkeyPatch) -> None:
    """With memory for two texts at a time, all verdicts are the same and in order."""
    before = scorer.classify(items())
    batch_sizes = too_small_for(scorer, monkeypatch, rows=2, tokens=10_000)
    after = scorer.classify(items())
    assert max(batch_sizes) > 2
    for whole, halved in zip(before, after, strict=True):
        assert whole.label == halved.label and abs(whole.harm - halved.harm) < 1e-2


def test_a_text_that_fits_nowhere_is_named(scorer: Scorer, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error has both places of the text in the call and no other place."""
    too_small_for(scorer, monkeypatch, rows=4, tokens=40)
    with pytest.raises(Unscorable, match="memory") as caught:
        scorer.classify([*items(), Item(TEXTS[-1], "global/shipped")])
    assert caught.value.places == {7, 8}


def test_an_error_that_is_not_about_memory_is_raised() -> None:
    """An error that is not about memory is raised unchanged."""

    def compute(jobs: Sequence[int]) -> list[list[float]]:
        raise RuntimeError("shapes cannot be multiplied")

    with pytest.raises(RuntimeError, match="shapes"):
        compute_in_halves(compute, [1, 2])


@pytest.mark.parametrize("error", [MemoryError(), torch.OutOfMemoryError("CUDA out of memory")])
def test_batches_are_halved_down_to_one_job(error: Exception) -> None:
    """Of eight jobs the sixth never fits: its row is empty and the others are complete."""
    sizes: list[int] = []

    def compute(jobs: Sequence[int]) -> list[list[float]]:
        sizes.append(len(jobs))
        if 5 in jobs:
            raise error
        return [[float(job)] for job in jobs]

    assert compute_in_halves(compute, range(8)) == [[0.0], [1.0], [2.0], [3.0], [4.0], [], [6.0], [7.0]]
    assert sizes == [8, 4, 4, 2, 1, 1, 2] and compute_in_halves(compute, []) == []


async def test_an_unscorable_text_fails_only_its_own_caller() -> None:
    """Three callers share a batch; only the caller with the unscorable text gets an error."""

    batcher = Batcher(StubClassifier())
    async with asyncio.TaskGroup() as group:
        serving = group.create_task(batcher.run())
        calls = [batcher.classify([Item(text, "global/x")]) for text in ("HATE", "HUGE", "hello")]
        first, second, third = await asyncio.gather(*calls, return_exceptions=True)
        serving.cancel()
    assert isinstance(second, Unscorable)
    assert not isinstance(first, BaseException) and not isinstance(third, BaseException)
    assert (first[0].label, third[0].label) == ("hate", "neutral")


async def test_an_item_that_must_be_alone_is_alone() -> None:
    """An item that must be alone is scored alone, and the other items share batches."""
    device = StubClassifier()
    batcher = Batcher(device)
    items = [Item("a", "x"), Item("b", "x"), Item("suspect", "x", alone=True), Item("c", "x"), Item("d", "x")]
    async with asyncio.TaskGroup() as group:
        serving = group.create_task(batcher.run())
        await batcher.classify(items)
        serving.cancel()
    assert device.batches == [["a", "b"], ["suspect"], ["c", "d"]]
