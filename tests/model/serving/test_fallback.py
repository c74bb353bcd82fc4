"""The embedded base stands in for a production base that is killed, hung or missing, and hands back later."""

import asyncio
import contextlib
import os
import signal
from collections.abc import AsyncIterator, Callable, Sequence

import pytest

from model.adapters.registry import SHIPPED
from model.classifier import AdapterRejected, Item, Unavailable, Verdict
from model.serving.fallback import Fallback, ProductionClassifier
from model.serving.worker import Worker
from tests.conftest import StubClassifier

STAND_IN = "embedded/shipped"
RUDE = Item("RUDE words", "global/big")


class StubProduction(StubClassifier):
    """A production base that answers while `works`; `restart` repairs it after `mended` is set."""

    def __init__(self) -> None:
        super().__init__()
        self.pid: int | None = 1
        self.works, self.mended, self.spoilt = True, False, False

    async def classify(self, items: Sequence[Item]) -> list[Verdict]:
        if not self.works:
            raise Unavailable("no such folder")
        if self.spoilt:
            raise AdapterRejected("spoilt")
        return await super().classify(items)

    async def restart(self) -> None:
        self.works = self.works or self.mended


@contextlib.asynccontextmanager
async def running(
    production: ProductionClassifier, stand_in: StubClassifier | Worker, **more: float
) -> AsyncIterator[Fallback]:
    notices: list[str] = []
    fallback = Fallback(
        production,
        stand_in,
        trial_adapter=lambda: "global/big",
        stand_in_adapter=STAND_IN,
        on_notice=notices.append,
        **{"retry_after_s": 0.02, **more},  # type: ignore[arg-type]
    )
    fallback.notices = notices  # type: ignore[attr-defined]
    async with asyncio.TaskGroup() as group:
        task = group.create_task(fallback.run())
        yield fallback
        task.cancel()


async def until(condition: Callable[[], bool], timeout_s: float = 30.0) -> None:
    async with asyncio.timeout(timeout_s):
        while not condition():
            await asyncio.sleep(0.01)


async def test_a_killed_production_process_is_stood_in_for_and_comes_back() -> None:
    """After SIGKILL during 20 requests every caller has an answer, and the production model answers later ones."""
    async with (
        Worker("minilm", lambda _: SHIPPED, threads=1, attempts=1) as production,
        Worker("minilm", lambda _: SHIPPED, threads=1) as stand_in,
        running(production, stand_in, first_start_wait_s=60) as fallback,
    ):
        (before,) = await fallback.classify([Item("hello", "global/big")])
        assert not before.stand_in and before.adapter == "global/big"
        async with asyncio.TaskGroup() as group:
            calls = [
                group.create_task(fallback.classify([Item(f"hello {n}", "global/big") for n in range(100)]))
                for _ in range(20)
            ]
            await asyncio.sleep(0.1)
            assert production.pid is not None
            os.kill(production.pid, signal.SIGKILL)
        marks = {verdict.stand_in for call in calls for verdict in call.result()}
        assert True in marks and len(fallback.notices) == 1  # type: ignore[attr-defined]
        await until(lambda: not fallback.trouble)
        (after,) = await fallback.classify([Item("hello", "global/big")])
        assert not after.stand_in and after.harm == pytest.approx(before.harm, abs=1e-6)
        assert len(fallback.notices) == 2 and "taken over" in fallback.notices[1]  # type: ignore[attr-defined]


async def test_a_missing_base_is_told_once_and_tried_again() -> None:
    """With a missing base the stand-in answers from the start until the base appears."""
    production = StubProduction()
    production.works = False
    async with running(production, StubClassifier()) as fallback:
        for _ in range(3):
            (verdict,) = await fallback.classify([RUDE])
            assert verdict.stand_in and verdict.label == "offensive"
            await asyncio.sleep(0.05)
        assert len(fallback.notices) == 1 and "no such folder" in fallback.trouble  # type: ignore[attr-defined]
        production.mended = True
        await until(lambda: not fallback.trouble)
        assert not (await fallback.classify([RUDE]))[0].stand_in


async def test_a_process_that_ended_unasked_is_noticed_before_the_next_message() -> None:
    """After the process ends by itself, the stand-in answers the next message at once."""
    production = StubProduction()
    async with running(production, StubClassifier()) as fallback:
        assert not (await fallback.classify([RUDE]))[0].stand_in
        production.pid, production.works = None, False
        assert (await fallback.classify([RUDE]))[0].stand_in


async def test_a_slow_first_start_is_waited_for_only_so_long() -> None:
    """Messages do not wait for a base that loads for minutes."""

    class Slow(StubProduction):
        async def classify(self, items: Sequence[Item]) -> list[Verdict]:
            await asyncio.sleep(0.3)
            return await super().classify(items)

    async with running(Slow(), StubClassifier(), first_start_wait_s=0.05) as fallback:
        assert (await fallback.classify([RUDE]))[0].stand_in and "loaded" in fallback.trouble
        await until(lambda: not fallback.trouble)


async def test_a_case_of_the_stand_in_is_explained_by_the_stand_in() -> None:
    """An old case goes to the stand-in that scored it, and the answers keep their order."""
    production, stand_in = StubProduction(), StubClassifier()
    async with running(production, stand_in) as fallback:
        items = [Item("HATE", STAND_IN), RUDE, Item("hi", STAND_IN)]
        verdicts = await fallback.classify(items)
        assert [v.stand_in for v in verdicts] == [True, False, True]
        assert [v.label for v in verdicts] == ["hate", "offensive", "neutral"]
        assert ["HATE", "hi"] in stand_in.batches


async def test_a_spoilt_adapter_is_no_dead_model() -> None:
    """A rejected adapter is reported and not replaced by the stand-in."""
    production = StubProduction()
    production.spoilt = True
    async with running(production, StubClassifier()) as fallback:
        with pytest.raises(AdapterRejected):
            await fallback.classify([RUDE])
        assert not fallback.trouble


async def test_without_either_the_caller_is_told() -> None:
    """If both bases fail, the caller gets `Unavailable` and messages wait in the journal."""

    class Nothing(StubClassifier):
        async def classify(self, items: Sequence[Item]) -> list[Verdict]:
            raise Unavailable("nothing answers")

    production = StubProduction()
    production.works = False
    async with running(production, Nothing()) as fallback:
        with pytest.raises(Unavailable):
            await fallback.classify([RUDE])
