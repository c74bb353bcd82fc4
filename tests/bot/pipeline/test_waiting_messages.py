"""Which rows are in hand, and what an edit costs in the line."""

import pytest

from bot.pipeline.fair_queue import FairQueue
from bot.pipeline.waiting_messages import REVISION_COSTS, WaitingMessages
from model.serving.batcher import estimate_tokens
from tests.conftest import said


async def test_a_row_is_in_hand_until_it_is_through() -> None:
    waiting = WaitingMessages(max_waiting=2)
    assert waiting.put(1, said("one", "1")) is None and waiting.put(2, said("two", "2")) is None
    assert waiting.put(3, said("three", "3")) == 3, "there is no room"
    assert [(await waiting.line.take())[0] for _ in range(2)] == [1, 2]
    waiting.revising.add(1)
    waiting.end(1)
    assert waiting.in_hand == {2, 3} and not waiting.revising


@pytest.mark.parametrize(("revises", "times"), [(False, 1), (True, REVISION_COSTS)])
def test_an_edit_costs_more(revises: bool, times: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """It may be compared with what stood there before."""
    waiting, charged = WaitingMessages(max_waiting=9), list[int]()
    put_now = FairQueue.put_now

    def noted(*arguments: object, tokens: int = 0, **more: object) -> object:
        charged.append(tokens)
        return put_now(*arguments, tokens=tokens, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(FairQueue, "put_now", noted)
    if revises:
        waiting.revising.add(1)
    text = "a text of some words " * 9
    waiting.put(1, said(text, "1"))
    assert charged == [times * estimate_tokens(text)]
