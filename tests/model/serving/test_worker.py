"""The model's process comes back after it is killed under load, and every caller gets an answer."""

import asyncio
import os
import resource
import signal
from pathlib import Path

import pytest

from model.adapters.registry import SHIPPED
from model.classifier import AdapterRejected, Died, Item
from model.explain import find_evidence
from model.labels import Label
from model.serving.worker import Worker

ADAPTER = "global/shipped"


async def test_killed_under_load_it_is_back_and_every_caller_has_an_answer() -> None:
    """After SIGKILL twice during 20 requests of 200 texts, every request has its answer."""
    async with Worker("minilm", lambda _: SHIPPED, threads=1) as worker:
        first = (await worker.classify([Item("hello", ADAPTER)]))[0]
        async with asyncio.TaskGroup() as group:
            calls = [
                group.create_task(worker.classify([Item(f"hello number {n}", ADAPTER) for n in range(200)]))
                for _ in range(20)
            ]
            for pause_s in (0.4, 3.5):
                await asyncio.sleep(pause_s)  # the second falls on the restarted process
                if worker.pid is not None:
                    os.kill(worker.pid, signal.SIGKILL)
        answers = [verdict for call in calls for verdict in call.result()]
        assert len(answers) == 4000 and worker.restarts >= 1
        again = (await worker.classify([Item("hello", ADAPTER)]))[0]
        assert abs(again.harm - first.harm) < 1e-6


async def test_a_rejected_adapter_is_an_answer_and_the_worker_lives_on(tmp_path: Path) -> None:
    """After a rejected adapter the same process serves the next request."""
    folders = {"global/bad": tmp_path, ADAPTER: SHIPPED}
    async with Worker("minilm", folders.__getitem__, threads=1) as worker:
        with pytest.raises(AdapterRejected):
            await worker.classify([Item("hello", "global/bad")])
        await worker.classify([Item("hello", ADAPTER)])
        assert worker.restarts == 0


async def test_the_explanation_points_at_the_word_that_did_it() -> None:
    """The insult has the highest weight of five words."""
    async with Worker("minilm", lambda _: SHIPPED, threads=1) as worker:
        text = "you are such a moron"
        verdict = (await worker.classify([Item(text, ADAPTER)]))[0]
        found = await find_evidence(worker, text, verdict, Label.OFFENSIVE)
        assert " ".join(piece.word for piece in found) == text
        assert max(found, key=lambda piece: piece.weight).word == "moron"


async def test_a_process_that_gets_no_more_memory_is_replaced(capfd: pytest.CaptureFixture[str]) -> None:
    """After running out of memory the real process is replaced, because oneDNN would keep failing."""
    texts = [Item(f"{word} {number} " * 120, ADAPTER) for number in range(16) for word in ("moron", "hello")]
    async with Worker("minilm", lambda _: SHIPPED, threads=1, attempts=1) as worker:
        before = await worker.classify(texts)
        await worker.restart()
        await worker.classify([Item("hello", ADAPTER)])
        pid = worker.pid
        assert pid is not None
        held = 4096 * int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[0])
        resource.prlimit(pid, resource.RLIMIT_AS, (held, resource.RLIM_INFINITY))
        with pytest.raises(Died):
            await worker.classify(texts)
        said = capfd.readouterr().err
        assert "trying halves" in said and "with 1 texts: given up" in said
        after = await worker.classify(texts)
        assert [verdict.label for verdict in after] == [verdict.label for verdict in before]
        assert worker.restarts == 1
