"""What one person can have the service compute by asking its page again and again."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bot.app import Running, service
from bot.config import Config, Service
from bot.policy import Policy
from bot.questions import LIMITS, Rank
from bot.web.server import ADVICE_A_MINUTE
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
    case = await running.parts.desk.report(said("you idiot"), "somebody", now())
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
