"""What people ask of the model: so much in a minute, in slices, in fair turns, and never before what is to be read."""

import asyncio
import time
from collections.abc import Sequence

import pytest

from bot.pipeline import question_lane as module
from bot.pipeline.question_lane import (
    LIMITS,
    MOST_OF_ONE_COMMUNITY,
    SLICE_TOKENS_BUSY,
    Asker,
    AskLater,
    Questions,
    Rank,
)
from bot.store import Store
from model.classifier import Item, Overloaded, Unavailable, Unscorable, Verdict
from model.explain import MAX_TEXTS, find_evidence
from model.labels import Label
from model.serving.batcher import estimate_tokens
from tests.bot.scenes import room
from tests.conftest import StubClassifier, said, verdict

ANN, MO = Asker("town", "discord:1"), Asker("town", "discord:2", Rank.MODERATOR)
OPERATOR = Asker("town", "page:me", Rank.OPERATOR)


class Clock:
    """A minute passes when the test says so."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1000.0
        monkeypatch.setattr(module, "time", self)

    def monotonic(self) -> float:
        return self.now


class Gated(StubClassifier):
    """Answers when the test opens the gate."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = asyncio.Event()

    async def classify(self, items: Sequence[Item]) -> list[Verdict]:
        await self.gate.wait()
        return await super().classify(items)


def items(*texts: str) -> list[Item]:
    return [Item(text, "global/stub") for text in texts]


def ask(questions: Questions, asker: Asker) -> None:
    with questions.asked(asker):
        pass


@pytest.mark.parametrize("asker", [ANN, MO, OPERATOR])
def test_twenty_clicks_are_not_twenty_questions(asker: Asker, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each rank has a limit of its own; who has reached it hears when to come again, and then may."""
    clock, questions = Clock(monkeypatch), Questions(StubClassifier())
    limit = LIMITS[asker.rank].questions
    for _ in range(limit):
        clock.now += 0.5
        ask(questions, asker)
    with pytest.raises(AskLater) as refused:
        ask(questions, asker)
    assert 0 < refused.value.wait_s <= 60
    ask(questions, Asker("town", "discord:somebody else"))
    clock.now += refused.value.wait_s - 1
    with pytest.raises(AskLater):
        ask(questions, asker)
    clock.now += 1
    ask(questions, asker)


def test_another_community_is_no_other_person(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who owns a hundred groups has not a hundred times as much."""
    Clock(monkeypatch)
    questions = Questions(StubClassifier())
    for number in range(LIMITS[Rank.MODERATOR].questions):
        ask(questions, Asker(f"group {number}", "telegram:7", Rank.MODERATOR))
    with pytest.raises(AskLater):
        ask(questions, Asker("another group", "telegram:7", Rank.MODERATOR))


async def test_long_texts_use_up_a_minute_sooner(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is asked costs tokens; the wait ends when what was spent is a minute old."""
    clock, questions = Clock(monkeypatch), Questions(StubClassifier())
    with questions.asked(ANN) as classifier:
        await classifier.classify(items("x" * 4000, *("y" * 4000 for _ in range(5))))
    clock.now += 10
    with pytest.raises(AskLater) as refused:
        ask(questions, ANN)
    assert refused.value.wait_s == 50
    clock.now += 50
    ask(questions, ANN)


def test_nobody_is_remembered_for_longer_than_a_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    """Twenty thousand people who asked once leave nothing."""
    clock, questions = Clock(monkeypatch), Questions(StubClassifier())
    for number in range(20_000):
        ask(questions, Asker("town", f"discord:{number}"))
    clock.now += 61
    ask(questions, ANN)
    assert len(questions._spent) == 1 and not questions._under_way


async def test_one_community_does_not_take_all_places() -> None:
    """Its ninth question at once is refused; another community's is not, and its own moderators' are not."""
    questions, device = Questions(device := Gated()), device
    async with asyncio.TaskGroup() as group:

        async def one(asker: Asker) -> None:
            with questions.asked(asker) as classifier:
                await classifier.classify(items(f"by {asker.person}"))

        for number in range(MOST_OF_ONE_COMMUNITY):
            group.create_task(one(Asker("town", f"discord:{number}")))
        await asyncio.sleep(0)
        with pytest.raises(AskLater):
            await one(Asker("town", "discord:99"))
        group.create_task(one(MO))
        group.create_task(one(Asker("village", "discord:99")))
        await asyncio.sleep(0)
        device.gate.set()
    assert sum(len(batch) for batch in device.batches) == MOST_OF_ONE_COMMUNITY + 2


async def test_a_second_communitys_question_is_next() -> None:
    """Not behind a hundred slices of the first one's."""
    device = Gated()
    questions = Questions(device, lambda: True)
    async with asyncio.TaskGroup() as group:

        async def one(asker: Asker, texts: Sequence[str]) -> None:
            with questions.asked(asker) as classifier:
                await asyncio.gather(*(classifier.classify(items(text)) for text in texts))

        for number in range(4):
            group.create_task(one(Asker("loud", f"discord:{number}"), [f"{number} {n} " * 60 for n in range(10)]))
        await asyncio.sleep(0.01)
        group.create_task(one(Asker("calm", "discord:9"), ["calm"]))
        await asyncio.sleep(0.01)
        device.gate.set()
    assert ["calm"] in device.batches[:3]


async def test_while_messages_wait_slices_are_small_and_far_between() -> None:
    """The model has as much time for messages after each slice as the slice took."""

    class Slow(StubClassifier):
        def __init__(self) -> None:
            super().__init__()
            self.began: list[float] = []

        async def classify(self, items: Sequence[Item]) -> list[Verdict]:
            self.began.append(time.monotonic())
            await asyncio.sleep(0.05)
            return await super().classify(items)

    device = Slow()
    questions = Questions(device, lambda: True)
    with questions.asked(MO) as classifier:
        await classifier.classify(items(*("some words " * 20 for _ in range(12))))
    assert len(device.batches) >= 3
    assert all(sum(map(estimate_tokens, batch)) <= SLICE_TOKENS_BUSY for batch in device.batches)
    gaps = [after - before for before, after in zip(device.began, device.began[1:], strict=False)]
    assert min(gaps) >= 0.095


async def test_what_fails_for_one_fails_for_nobody_else() -> None:
    """Texts that cannot be scored are named by their places; who asked beside gets an answer; later ones too."""
    questions = Questions(StubClassifier())
    with questions.asked(MO) as classifier:
        asked = [classifier.classify(items("hello", "HUGE")), classifier.classify(items("HATE"))]
        bad, good = await asyncio.gather(*asked, return_exceptions=True)
        assert isinstance(bad, Unscorable) and bad.places == {1}
        assert not isinstance(good, BaseException) and good[0].label is Label.HATE
        assert (await classifier.classify(items("hello")))[0].label is Label.NEUTRAL


async def test_whoever_gives_up_leaves_the_lane_to_others() -> None:
    """Cancelled while with the model, and while waiting for a turn."""
    device = Gated()
    questions = Questions(device)

    async def one(asker: Asker) -> list[Verdict]:
        with questions.asked(asker) as classifier:
            return await classifier.classify(items(asker.person))

    async with asyncio.TaskGroup() as group:
        first, second, third = (group.create_task(one(Asker("town", f"discord:{n}"))) for n in range(3))
        await asyncio.sleep(0.01)
        second.cancel()
        first.cancel()
        await asyncio.sleep(0.01)
        device.gate.set()
        assert len(await third) == 1
    assert first.cancelled() and second.cancelled() and not questions._under_way


async def test_a_silent_model_is_told_to_each_who_asks() -> None:
    """Nobody waits for ever, and the lane goes on when it is back."""

    class Silent(StubClassifier):
        is_silent = True

        async def classify(self, items: Sequence[Item]) -> list[Verdict]:
            if self.is_silent:
                raise Unavailable("stub: silent")
            return await super().classify(items)

    device = Silent()
    questions = Questions(device)
    with questions.asked(MO) as classifier, pytest.raises(Unavailable):
        await classifier.classify(items("hello"))
    device.is_silent = False
    with questions.asked(MO) as classifier:
        assert await classifier.classify(items("hello"))


async def test_too_many_waiting_slices_are_refused() -> None:
    """The busiest person's newest is; nobody else's."""
    lane = module.Lane(lambda: False, max_waiting=5)
    await lane.enter(ANN, 1)

    async def leave() -> None:
        for _ in range(6):
            await asyncio.sleep(0)
            lane.leave(0.0)

    turns = [lane.enter(ANN, 1) for _ in range(5)]
    *mine, other, _ = await asyncio.gather(*turns, lane.enter(MO, 1), leave(), return_exceptions=True)
    assert [type(one) for one in mine] == [type(None)] * 4 + [Overloaded] and other is None


@pytest.mark.parametrize(
    "text",
    [
        "you are HATE itself",
        "word " * 79 + "HATE",
        "This is a sentence of eight words. " * 50 + "You are HATE itself. " + "And more of it! " * 100,
        "x" * 2000 + " HATE " + "y" * 2000,
        "z" * 100_000 + " HATE",
        "HATE",
        "a HATE " * 600,
    ],
    ids=["short", "eighty words", "sentences", "no blanks", "endless", "one word", "everywhere"],
)
async def test_an_explanation_reads_so_many_texts_whatever_its_length(text: str) -> None:
    """And points at the word all the same."""
    device = StubClassifier()
    found = await find_evidence(device, text, verdict(0.95, 0.04), Label.HATE)
    asked = [one for batch in device.batches for one in batch]
    assert len(asked) <= MAX_TEXTS and sum(map(estimate_tokens, asked)) <= 8_000
    if text.count("HATE") == 1:
        assert "HATE" in max(found, key=lambda piece: piece.weight).word
    if len(text) <= 4096 and "xx" not in text:
        assert " ".join(piece.word for piece in found) == " ".join(text.split())


async def test_a_preview_is_read_in_few_slices(store: Store) -> None:
    """Two hundred messages are not two hundred turns."""
    device = StubClassifier()
    async with room(store, device) as scene:
        events = [said(f"hi {number}", str(number)) for number in range(200)]
        judged = await scene.case_service.preview(events, MO)
        assert [event.text for event, _ in judged] == [event.text for event in events]
        assert len(device.batches) <= 6


async def test_past_corrections_are_embedded_once(store: Store) -> None:
    """Not for each explanation anew."""

    class Counting(StubClassifier):
        embedded = 0

        async def embed(self, texts: Sequence[str]) -> list[list[float]]:
            self.embedded += len(texts)
            return await super().embed(texts)

    device = Counting()
    async with room(store, device) as scene:
        for number in range(3):
            await scene.says("ann", f"HATE {number}")
        for case in await store.cases("try-out"):
            await scene.case_service.confirm(case, "mo")
        (case, *_) = await store.cases("try-out")
        for _ in range(3):
            assert (await scene.case_service.explain_case(case, MO)).nearest
        assert device.embedded <= 4 + 2
