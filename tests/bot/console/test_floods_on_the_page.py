"""What one person can have the whole service do by asking again and again."""

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bot.app import Running, service
from bot.config import Config, Service
from bot.console.routes import ADVICE_A_MINUTE
from bot.domain.event import Message
from bot.domain.policy import Policy
from bot.pipeline.pipeline import Judgement
from bot.pipeline.question_lane import LIMITS, Asker, Rank
from tests.bot.signed_in import operator
from tests.conftest import now, said


@pytest.fixture
async def running(tmp_path: Path) -> AsyncIterator[Running]:
    """The service with the real model on a free port."""
    settings = Service(port=0, data_folder=str(tmp_path / "data"), key_file=str(tmp_path / "keys" / "sealing.key"))
    async with service(Config(service=settings)) as started:
        yield started


async def test_explain_preview_and_advice_again_and_again(running: Running) -> None:
    """Even whoever runs the service is told to come again, and when; the page itself goes on."""
    case = await running.parts.case_service.report(said("you idiot"), "somebody", now())
    async with operator(running) as session:
        async with session.get(f"/api/cases/{case.id}/explain") as answer:
            assert answer.status == 200 and (await answer.json())["words"]
        policy = Policy().model_dump(mode="json")
        for _ in range(LIMITS[Rank.OPERATOR].questions - 1):
            async with session.post("/api/policy/preview", json=policy) as answer:
                assert answer.status == 200
        for method, path in (("GET", f"/api/cases/{case.id}/explain"), ("POST", "/api/policy/preview")):
            async with session.request(method, path, json=policy if method == "POST" else None) as answer:
                assert answer.status == 429 and 0 < int(answer.headers["Retry-After"]) <= 60
                assert "ask again in" in (await answer.json())["error"]
        for number in range(ADVICE_A_MINUTE + 1):
            async with session.get("/api/advice") as answer:
                assert answer.status == (200 if number < ADVICE_A_MINUTE else 429)
        async with session.get("/api/state") as answer:
            assert answer.status == 200


async def test_explaining_the_longest_texts_keeps_nobody_waiting(running: Running) -> None:
    """The real model. Two explanations of 4,000 characters made everybody wait for 26 s."""
    parts, took = running.parts, dict[str, float]()
    began: dict[str, float] = {}

    def through(event: Message, judged: Judgement | None) -> None:
        took[event.key.message] = time.monotonic() - began[event.key.message]

    parts.pipeline._settled = through

    async def say(number: str) -> None:
        began[number] = time.monotonic()
        await parts.pipeline.receive(said(f"number {number} of somebody else", number, f"author {number}"))

    async with asyncio.timeout(120), asyncio.TaskGroup() as group:
        await say("first")
        while not took:  # the model is being loaded
            await asyncio.sleep(0.05)
        took.clear()
        text = " ".join(f"word {number} of a sentence that goes on." for number in range(200))[:4000]
        asked = [
            group.create_task(
                parts.case_service.explain(said(f"{number} {text}"), Asker("try-out", f"somebody:{number}"))
            )
            for number in range(2)
        ]
        number = 0
        while not all(one.done() for one in asked) or number < 20:
            number += 1
            await say(str(number))
            await asyncio.sleep(0.05)
        while len(took) < number:
            await asyncio.sleep(0.05)
    assert max(took.values()) < 5
