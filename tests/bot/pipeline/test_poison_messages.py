"""Which messages ended the model's process: each try is on disk before it begins, and a sick model is no message's
fault."""

from collections.abc import Awaitable, Callable, Sequence

import pytest

from bot.domain.event import Message
from bot.pipeline.poison_messages import MOST_TEXTS, MOST_TRIES, PoisonMessages
from bot.pipeline.reader import Read, Reader
from bot.pipeline.recovery import MOST_DEATHS
from model.classifier import Died, Item, Overloaded, Unavailable, Unscorable, Verdict
from tests.conftest import StubClassifier, said

KILLER = said("kills the model", "1")
ROW = 7


class Sick(StubClassifier):
    """A stub that raises these, one a call, before it answers."""

    def __init__(self, *errors: Exception) -> None:
        super().__init__()
        self.errors = list(errors)

    async def classify(self, items: Sequence[Item]) -> list[Verdict]:
        if self.errors:
            raise self.errors.pop(0)
        return await super().classify(items)


class Scene:
    """A row's tries, and what was on disk when each began."""

    def __init__(self, classifier: StubClassifier) -> None:
        self.disk: list[tuple[int, int]] = []
        self.tried: list[bool] = []
        self.reader = Reader(classifier, lambda community: "global/stub", lambda notice: None)
        self.poison = PoisonMessages(self.reader, self.record)

    async def record(self, row: int, count: int) -> None:
        self.disk.append((row, count))

    def dying(self, error: Exception | None = None) -> Callable[[bool], Awaitable[Read]]:
        """A try that raises this; none answers."""

        async def read(alone: bool) -> Read:
            self.tried.append(alone)
            if error is not None:
                raise error
            (verdict,) = await StubClassifier().classify([Item("hello", "global/stub")])
            return Read(verdict)

        return read


async def test_a_suspect_is_tried_alone_and_counted_before_each_try() -> None:
    """Three times in all, the death that made it a suspect included; then its text does no more harm."""
    scene = Scene(StubClassifier())
    assert not scene.poison.is_suspect(ROW)
    scene.poison.suspect(ROW)
    scene.poison.check(KILLER)
    for _ in range(MOST_TRIES - 2):
        with pytest.raises(Died):
            await scene.poison.read(ROW, KILLER, scene.dying(Died("dead")))
    with pytest.raises(Unscorable, match=f"died with it {MOST_TRIES} times"):
        await scene.poison.read(ROW, KILLER, scene.dying(Died("dead")))
    assert scene.disk == [(ROW, count) for count in range(2, MOST_TRIES + 1)] and set(scene.tried) == {True}
    with pytest.raises(Unscorable, match="the same text"):
        scene.poison.check(said("kills the model", "2"))
    scene.poison.check(said("another text", "3"))
    scene.poison.forget(ROW)
    assert not scene.poison.is_suspect(ROW)


async def test_a_model_that_answers_nothing_is_no_messages_fault() -> None:
    """After the last try it is asked for a harmless text: while it does not answer, the count goes back to one."""
    scene = Scene(Sick())
    scene.poison.suspect(ROW)
    with pytest.raises(Died):
        await scene.poison.read(ROW, KILLER, scene.dying(Died("dead")))
    scene.reader._classifier = Sick(Unavailable("sick"))
    with pytest.raises(Unavailable, match="dead"):
        await scene.poison.read(ROW, KILLER, scene.dying(Died("dead")))
    assert scene.disk[-1] == (ROW, 1)
    scene.poison.check(KILLER)


@pytest.mark.parametrize("error", [Unavailable("away"), Overloaded("full")])
async def test_what_was_not_tried_does_not_count(error: Exception) -> None:
    scene = Scene(StubClassifier())
    scene.poison.suspect(ROW)
    with pytest.raises(type(error)):
        await scene.poison.read(ROW, KILLER, scene.dying(error))
    assert scene.disk == [(ROW, 2), (ROW, 1)]


@pytest.mark.parametrize(
    ("former", "first", "alone"), [(0, (ROW, 1), False), (1, (ROW, 2), True), (4, (ROW, 5), True)], ids=str
)
async def test_a_row_of_a_former_process(former: int, first: tuple[int, int], alone: bool) -> None:
    """One that was never begun is tried with the others; tries of former processes stay on disk."""
    scene = Scene(StubClassifier())
    scene.poison.suspect_former(ROW, former)
    await scene.poison.read(ROW, KILLER, scene.dying())
    assert scene.disk[0] == first and scene.tried == [alone]


async def test_a_row_with_which_many_processes_ended_is_not_tried() -> None:
    scene = Scene(StubClassifier())
    scene.poison.suspect_former(ROW, MOST_DEATHS)
    with pytest.raises(Unscorable, match=f"{MOST_DEATHS} times"):
        await scene.poison.read(ROW, KILLER, scene.dying())
    assert not scene.tried and not scene.disk


async def test_nothing_is_tried_before_the_model_has_answered() -> None:
    """A process that ends while it loads has not died of a message."""
    scene = Scene(Sick(Unavailable("loading")))
    scene.poison.suspect(ROW)
    with pytest.raises(Unavailable, match="does not answer yet"):
        await scene.poison.read(ROW, KILLER, scene.dying())
    assert not scene.tried and not scene.disk
    await scene.poison.read(ROW, KILLER, scene.dying())
    assert scene.tried == [True]


def texts(count: int) -> list[Message]:
    return [said(f"text {number}", str(number)) for number in range(count)]


def test_the_oldest_texts_are_forgotten() -> None:
    poison = Scene(StubClassifier()).poison
    events = texts(MOST_TEXTS + 1)
    for event in events:
        poison._remember(event)
    poison.check(events[0])
    with pytest.raises(Unscorable):
        poison.check(events[1])
