"""Messages with which the model's process dies: counted on disk before each try, tried three times, then shown."""

import asyncio
import time
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import pytest

from bot.cases.card import card
from bot.domain.event import Message
from bot.domain.policy import Mode, Policy
from bot.pipeline.pipeline import Pipeline
from bot.pipeline.poison_messages import MOST_TRIES
from bot.pipeline.question_lane import Asker
from bot.pipeline.recovery import MOST_DEATHS
from bot.platforms.webchat import WebChat
from bot.store import Sealer, Store
from bot.store.journal import Seen
from model.adapters.registry import SHIPPED
from model.classifier import TRIAL, Died, Item, Unavailable, Verdict
from model.serving.batcher import Batcher
from model.serving.worker import Worker
from tests.bot.pipeline.test_pipeline import community
from tests.conftest import StubClassifier, now, said
from tests.journal import unfinished

KILLER = "HATE kills the tokenizer"


class Dying(StubClassifier):
    """A stub whose process dies with one text; it notes what the journal said of it at that moment."""

    def __init__(self, store: Store) -> None:
        super().__init__()
        self.store, self.counted, self.sick = store, list[int](), False

    async def classify(self, items: Sequence[Item]) -> list[Verdict]:
        verdicts = await super().classify(items)
        if self.sick or any(item.text == KILLER for item in items):
            if any(item.text == KILLER for item in items):
                self.counted += [old.tries for old in await unfinished(self.store, "webchat") if old.text == KILLER]
            raise Died("the stub died")
        return verdicts


async def test_a_message_that_kills_is_tried_three_times_and_shown(store: Store) -> None:
    """The count is on disk before each further try; its neighbours in the batch are scored; nothing is punished."""
    device = Dying(store)
    batcher = Batcher(device)
    async with asyncio.TaskGroup() as group:
        serving = group.create_task(batcher.run())
        async with community(store, batcher) as scene:
            await scene.pipeline.set_policy("try-out", Policy(mode=Mode.ENFORCE))
            for number in range(6):
                await scene.says("ann", KILLER if number == 3 else f"hello {number}")
            await scene.settled()
            killed = [batch for batch in device.batches if KILLER in batch]
            assert len(killed) == MOST_TRIES and [len(batch) for batch in killed[1:]] == [1, 1]
            assert device.counted == [0, 2, 3]
            (case,) = await store.cases("try-out")
            assert case.message.text == KILLER and case.message.state == "failed"
            shown = card(case, "en")
            assert "could not" in shown.lines[0] and not shown.buttons and "Nothing was done" in shown.lines[1]
            async with asyncio.timeout(60):
                while not scene.notices:  # it is told after the card is shown
                    await asyncio.sleep(0.01)
            assert [notice.name for notice in scene.notices] == ["notice-unread"]
            again = len(device.batches)
            await scene.says("ben", KILLER)
            await scene.settled()
            assert not any(KILLER in batch for batch in device.batches[again:]), "the same text does no more harm"
            with pytest.raises(Unavailable):
                await scene.case_service.explain_case(case, Asker("try-out", "webchat:dana"))
        serving.cancel()


async def test_a_sick_model_is_no_messages_fault(store: Store) -> None:
    """Everything kills it for a while: nothing is set aside, and all is read once it is well."""
    device = Dying(store)
    device.sick = True
    async with community(store, device) as scene:
        for number in range(3):
            await scene.says("ann", f"HATE {number}")
        async with asyncio.timeout(60):
            while scene.pipeline.trouble is None:
                await asyncio.sleep(0.01)
        await asyncio.sleep(0.5)
        assert not await store.cases("try-out") and scene.pipeline.trouble is not None
        device.sick = False
        await scene.settled()
        assert len(await store.cases("try-out")) == 3
        assert {case.message.state for case in await store.cases("try-out")} == {"done"}


async def test_what_may_have_killed_the_bot_itself_is_counted_at_the_next_starts(
    tmp_path: Path, sealer: Sealer
) -> None:
    """Left over with some tries: those are tried once more, all but the first of them alone; not after very many, since
    most processes end for another reason."""
    async with Store.open(tmp_path / "s.db", sealer) as store:
        for tries in (MOST_DEATHS, 2, 1, 0):
            row = (await store.record_seen(said(f"HATE {tries}", str(tries)), now())).row
            assert row is not None
            if tries:
                await store.record_tried(row, tries)
    async with Store.open(tmp_path / "s.db", sealer) as store:
        device = StubClassifier()
        async with community(store, device) as scene:
            await scene.settled()
        read = Counter(text for batch in device.batches for text in batch)
        assert read == Counter({TRIAL: 1, "HATE 0": 1, "HATE 1": 1, "HATE 2": 1})
        cases = {case.message.text: case.message for case in await store.cases("try-out")}
        assert {text: message.tries for text, message in cases.items()} == {
            "HATE 0": 1,
            "HATE 1": 2,
            "HATE 2": 3,
            f"HATE {MOST_DEATHS}": MOST_DEATHS,
        }
        assert cases[f"HATE {MOST_DEATHS}"].state == "failed" and cases["HATE 2"].state == "done"


async def test_the_least_tried_are_begun_first(tmp_path: Path, sealer: Sealer) -> None:
    """One that every process begins with would be there at every early end."""
    async with Store.open(tmp_path / "s.db", sealer) as store:
        for tries in (3, 1, 0, 2):
            row = (await store.record_seen(said(f"HATE {tries}", str(tries)), now())).row
            assert row is not None
            await store.record_tried(row, tries)
    device, chat = StubClassifier(), WebChat(lambda posted: None)
    async with Store.open(tmp_path / "s.db", sealer) as store, asyncio.timeout(60), asyncio.TaskGroup() as group:
        pipeline = Pipeline(store, device, {"webchat": chat}, adapter_of=lambda community: "global/x", concurrency=1)
        task = group.create_task(pipeline.run())
        while await unfinished(store, "webchat"):
            await asyncio.sleep(0.01)
        task.cancel()
    read = [text for batch in device.batches for text in batch if text != TRIAL]
    assert read == ["HATE 0", "HATE 1", "HATE 2", "HATE 3"]


async def test_what_arrives_while_the_service_starts_is_no_suspect(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It stands in the journal before whoever received it knows: the first look at what a former process left must
    not take it for that."""
    record = store.record_seen

    async def slow(event: Message, moment: datetime) -> Seen | None:
        row = await record(event, moment)
        await asyncio.sleep(0.3)
        return row

    monkeypatch.setattr(store, "record_seen", slow)
    device = StubClassifier()
    pipeline = Pipeline(
        store, device, {"webchat": WebChat(lambda posted: None)}, adapter_of=lambda community: "global/x"
    )
    async with asyncio.timeout(60), asyncio.TaskGroup() as group:
        received = group.create_task(pipeline.receive(said("HATE")))
        while not await unfinished(store, "webchat"):
            await asyncio.sleep(0.01)
        task = group.create_task(pipeline.run())
        assert await received
        while left := await unfinished(store, "webchat"):
            assert left[0].tries == 0
            await asyncio.sleep(0.01)
        task.cancel()
    assert device.batches == [["HATE"]]


async def test_what_could_not_be_tried_is_not_counted(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process died with it once, then the model is away for a long while: it is read once the model is back."""
    monkeypatch.setattr("bot.pipeline.pipeline.RETRY_AFTER_S", 0.01)

    class Away(StubClassifier):
        answers = iter([Died("stub")] + [Unavailable("stub")] * 30)

        async def classify(self, items: Sequence[Item]) -> list[Verdict]:
            if (error := next(self.answers, None)) is not None:
                raise error
            return await super().classify(items)

    async with community(store, Away()) as scene:
        await scene.says("ann", "HATE")
        await scene.settled()
        (case,) = await store.cases("try-out")
        assert case.message.state == "done" and case.message.tries == 2


async def test_a_real_process_killed_by_a_text(tmp_path: Path, sealer: Sealer) -> None:
    """The model's real process with its real weights, but its tokenizer ends it by SIGKILL at one text. It is back
    within a minute each time, the others have their verdicts, and the text is on a card."""
    script = tmp_path / "killer.py"
    script.write_text(_SCRIPT, encoding="utf-8")
    async with (
        Store.open(tmp_path / "s.db", sealer) as store,
        Worker("minilm", lambda _: SHIPPED, threads=1, attempts=1) as worker,
        asyncio.TaskGroup() as group,
    ):
        python, _, _, *arguments = worker._command
        worker._command = [python, str(script), *arguments]
        await worker.restart()
        batcher = Batcher(worker)
        chat = WebChat(lambda posted: None)
        pipeline = Pipeline(store, batcher, {"webchat": chat}, adapter_of=lambda community: "global/shipped")
        tasks = [group.create_task(batcher.run()), group.create_task(pipeline.run())]
        began = time.monotonic()
        for number in range(40):
            text = KILLER if number == 7 else RUDE if number == 8 else f"good morning {number}"
            await pipeline.receive(chat.compose("ann", text, datetime.now(UTC)))
        async with asyncio.timeout(60):
            while await unfinished(store, "webchat"):
                await asyncio.sleep(0.01)
        took_s = time.monotonic() - began
        assert worker.restarts == MOST_TRIES and took_s < 60
        cases = {case.message.text: case.message for case in await store.cases("try-out")}
        assert cases.keys() == {KILLER, RUDE}
        assert (cases[KILLER].state, cases[KILLER].tries) == ("failed", MOST_TRIES)
        assert cases[RUDE].decision.label == "hate" and cases[RUDE].state == "done"
        for task in tasks:
            task.cancel()


RUDE = "fuck all refugees, they are vermin"
_SCRIPT = f"""
import os, runpy, signal, sys
sys.path.insert(0, os.getcwd())
from model.encoder import minilm

encode = minilm.MiniLM.encode

def killing(base, text):
    if {KILLER!r} in text:
        os.kill(os.getpid(), signal.SIGKILL)
    return encode(base, text)

minilm.MiniLM.encode = killing
runpy.run_module("model.serving.worker", run_name="__main__")
"""
