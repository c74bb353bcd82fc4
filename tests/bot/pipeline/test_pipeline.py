"""The pipeline on a real store and the real web chat; only the classifier is a stub."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from bot.cases.service import CaseService
from bot.domain.action import Delete
from bot.domain.notice import Notice
from bot.domain.policy import Mode, Policy
from bot.pipeline.fair_queue import FairQueue
from bot.pipeline.pipeline import Pipeline
from bot.platforms.webchat import WebChat
from bot.store import Sealer, Store
from model.classifier import Classifier, Item, Overloaded, Unavailable, Verdict
from model.labels import Label
from tests.conftest import StubClassifier, now, said, unchanged
from tests.journal import unfinished


class Community:
    """A room, its moderator and what they were told."""

    def __init__(self, store: Store, classifier: Classifier) -> None:
        self.store, self.notices = store, list[Notice]()
        self.chat = WebChat(lambda posted: None)
        self.pipeline = Pipeline(
            store,
            classifier,
            {"webchat": self.chat},
            adapter_of=lambda community: "global/stub",
            notice=self.notices.append,
        )
        self.case_service = CaseService(store, self.pipeline, classifier)

    async def says(self, person: str, text: str) -> str:
        from datetime import UTC, datetime

        event = self.chat.compose(person, text, datetime.now(UTC))
        self.chat.show(event)
        await self.pipeline.receive(event)
        return event.key.message

    async def settled(self, state: str = "done") -> None:
        """Waits until nothing is under way."""
        async with asyncio.timeout(60):
            while await unfinished(self.store, "webchat"):
                await asyncio.sleep(0.01)


@asynccontextmanager
async def community(store: Store, classifier: Classifier | None = None) -> AsyncIterator[Community]:
    scene = Community(store, classifier or StubClassifier())
    async with asyncio.TaskGroup() as group:
        running = group.create_task(scene.pipeline.run())
        yield scene
        running.cancel()


async def test_in_shadow_mode_a_case_opens_and_the_message_stays(store: Store) -> None:
    """What would have been done is in the journal; the room is untouched."""
    async with community(store) as scene:
        message = await scene.says("ann", "HATE")
        await scene.settled()
        (case,) = await store.cases("try-out")
        assert scene.chat.messages[message].state == "shown"
        assert case.decision.actions[0] == Delete() and not case.decision.enforced


async def test_enforced_removed_undone_restored(store: Store) -> None:
    """Delete, then Undo brings the message back, once, and teaches nothing."""
    async with community(store) as scene:
        await scene.pipeline.set_policy("try-out", Policy(mode=Mode.ENFORCE))
        message = await scene.says("ann", "HATE")
        await scene.settled()
        assert scene.chat.messages[message].state == "removed"
        (case,) = await store.cases("try-out")
        outcome = await scene.case_service.undo(case, "dana")
        assert scene.chat.messages[message].state == "restored"
        assert outcome.case.state == "undone" and outcome.case.teaches is None


async def test_a_correction_to_neutral_restores_and_teaches(store: Store) -> None:
    """The label was wrong: the action is taken back and the text becomes an example."""
    async with community(store) as scene:
        scene.case_service.basis_of["webchat"] = scene.chat.basis_of
        await scene.pipeline.set_policy("try-out", Policy(mode=Mode.ENFORCE))
        message = await scene.says("ann", "HATE")
        await scene.settled()
        (case,) = await store.cases("try-out")
        outcome = await scene.case_service.correct(case, "dana", Label.NEUTRAL)
        assert scene.chat.messages[message].state == "restored" and outcome.case.teaches is True
        assert await store.corrections("try-out") == [("HATE", "neutral")]


async def test_an_author_who_agreed_teaches_without_another_basis(store: Store) -> None:
    """The platform knows of no basis; the author's consent is one, until it is withdrawn."""
    async with community(store) as scene:
        for agreed in (True, False):
            author = store.sealer.author("webchat", "try-out", "ann")
            change = store.consents.give if agreed else store.consents.withdraw
            await change("try-out", author, now())
            await scene.says("ann", f"HATE {agreed}")
            await scene.settled()
            case = (await store.cases("try-out"))[0]
            outcome = await scene.case_service.correct(case, "dana", Label.NEUTRAL)
            assert outcome.case.teaches is agreed and ("nothing" in outcome.text()) is not agreed


async def test_while_the_classifier_is_down_messages_wait_and_nothing_is_punished(store: Store) -> None:
    """One notice when it goes, one when it is back; the message is handled then."""

    class DownForAWhile(StubClassifier):
        up = False

        async def classify(self, items: Sequence[Item]) -> list[Verdict]:
            if not self.up:
                raise Unavailable("stub is down")
            return await super().classify(items)

    classifier = DownForAWhile()
    async with community(store, classifier) as scene:
        for _ in range(3):
            await scene.says("ann", "HATE")
        assert await unchanged(lambda: len(scene.notices), 0.2) == 1 and not await store.cases("try-out")
        classifier.up = True
        await scene.settled()
        assert len(scene.notices) == 2 and len(await store.cases("try-out")) == 3


async def test_what_a_crash_left_is_finished_at_start(tmp_path: Path, sealer: Sealer) -> None:
    """A message that was committed and never handled is handled by the next start."""
    async with Store.open(tmp_path / "s.db", sealer) as store:
        await store.record_seen(said("HATE"), now())
    async with Store.open(tmp_path / "s.db", sealer) as store, community(store) as scene:
        await scene.settled()
        assert [case.message.text for case in await store.cases("try-out")] == ["HATE"]


async def test_every_author_gets_a_turn() -> None:
    """A flood from one author does not delay another's single message."""
    fair_queue: FairQueue[str] = FairQueue()
    for n in range(100):
        await fair_queue.put("flooder", f"f{n}")
    await fair_queue.put("ann", "hello")
    assert [await fair_queue.take(), await fair_queue.take()] == ["f0", "hello"]


async def test_a_full_intake_sheds_the_flooder_first() -> None:
    """The newest of the longest line makes room; the flooder itself is refused."""
    fair_queue: FairQueue[str] = FairQueue(max_waiting=3)
    for n in range(3):
        await fair_queue.put("flooder", f"f{n}")
    assert await fair_queue.put("flooder", "f3") == "f3"
    assert await fair_queue.put("ann", "hello") == "f2"
    assert [await fair_queue.take() for _ in range(3)] == ["f0", "hello", "f1"] and fair_queue.shed == 2


async def test_a_message_that_arrives_while_the_journal_is_worked_off_is_handled_once(store: Store) -> None:
    """Received before the moderator runs and again found in the journal at its start: one verdict."""
    settled: list[str] = []
    classifier = StubClassifier()
    pipeline = Pipeline(
        store,
        classifier,
        {"webchat": WebChat(lambda posted: None)},
        adapter_of=lambda community: "global/stub",
        settled=lambda event, judged: settled.append(event.key.message),
    )
    for n in range(30):
        await pipeline.receive(said(f"text {n}", str(n)))
    async with asyncio.timeout(60), asyncio.TaskGroup() as group:
        task = group.create_task(pipeline.run())
        while len(settled) < 30:
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.2)
        task.cancel()
    assert sorted(settled, key=int) == [str(n) for n in range(30)] and sum(map(len, classifier.batches)) == 30


async def test_what_the_line_has_no_room_for_is_taken_from_the_journal_later(store: Store) -> None:
    """A burst that is many times the line: every message gets one verdict, in spite of those that come meanwhile."""
    settled: list[str] = []
    classifier = StubClassifier()
    pipeline = Pipeline(
        store,
        classifier,
        {"webchat": WebChat(lambda posted: None)},
        adapter_of=lambda community: "global/stub",
        settled=lambda event, judged: settled.append(event.key.message),
        max_waiting=40,
    )
    async with asyncio.timeout(30), asyncio.TaskGroup() as group:
        task = group.create_task(pipeline.run())
        for burst in range(3):
            events = [said(f"text {n}", f"{burst}-{n}", f"author {n % 7}") for n in range(500)]
            await asyncio.gather(*(pipeline.receive(event) for event in events))
            await asyncio.sleep(0.5)
        while len(settled) < 1500:
            await asyncio.sleep(0.01)
        await asyncio.sleep(1.2)
        task.cancel()
    assert pipeline._waiting.line.shed > 0
    assert len(settled) == len(set(settled)) == 1500 == sum(map(len, classifier.batches))
    assert not await unfinished(store, "webchat")


async def test_a_message_that_waits_for_the_model_is_not_taken_up_beside(store: Store) -> None:
    """The journal is worked off while one message waits out an overload: it is handled once."""

    class OnceOverloaded(StubClassifier):
        refused = False

        async def classify(self, items: Sequence[Item]) -> list[Verdict]:
            if items[0].text == "text 0" and not self.refused:
                self.refused = True
                raise Overloaded("stub is full")
            return await super().classify(items)

    classifier = OnceOverloaded()
    pipeline = Pipeline(
        store,
        classifier,
        {"webchat": WebChat(lambda posted: None)},
        adapter_of=lambda community: "global/stub",
        max_waiting=5,
    )
    async with asyncio.timeout(30), asyncio.TaskGroup() as group:
        task = group.create_task(pipeline.run())
        await asyncio.gather(*(pipeline.receive(said(f"text {n}", str(n))) for n in range(100)))
        while await unfinished(store, "webchat"):
            await asyncio.sleep(0.01)
        await asyncio.sleep(1.2)
        task.cancel()
    assert classifier.refused and sum(map(len, classifier.batches)) == 100


async def test_a_cancelled_taker_takes_nobodys_turn() -> None:
    """Woken and cancelled in the same turn of the loop: the entry goes to the next."""
    fair_queue: FairQueue[str] = FairQueue()
    async with asyncio.timeout(60), asyncio.TaskGroup() as group:
        first, second = group.create_task(fair_queue.take()), group.create_task(fair_queue.take())
        await asyncio.sleep(0)
        await fair_queue.put("ann", "hello")
        first.cancel()
        assert await second == "hello"
