"""The service on other bases: one line in the configuration, and the embedded model while that base is away."""

import asyncio
import os
import re
import shutil
import signal
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from playwright.async_api import async_playwright, expect

from bot.app import Running, service
from bot.config import BadConfig, Config, Model, Service, read_config
from bot.domain.case import Journalled
from bot.domain.policy import Mode, Policy
from bot.process import models
from bot.process.models import WatchedAdapter
from model.adapters.registry import GLOBAL, SHIPPED, SHIPPED_FOLDER, open_registry, read_manifest
from model.choice import E5
from model.classifier import AdapterRejected
from model.gptj.files import MINI_FOLDER
from tests.bot.signed_in import link, operator
from tests.programs import CHROMIUM

RUDE = "fuck all immigrants, they are vermin and should be deported"


def configured(folder: Path, **model: object) -> Config:
    settings = Service(port=0, data_folder=str(folder / "data"), key_file=str(folder / "keys" / "sealing.key"))
    return Config(service=settings, model=Model(threads=1, **model))  # type: ignore[arg-type]


async def says(running: Running, text: str) -> Journalled:
    """Posts it as the page does; returns its journal row once it is through."""
    async with (
        operator(running) as session,
        session.post("/api/messages", json={"person": "ann", "text": text}) as answer,
    ):
        assert answer.status == 201

    async def found() -> Journalled | None:
        rows = await running.parts.store.messages("try-out", datetime.now(UTC) - timedelta(minutes=9))
        return next((row for row in rows if row.text == text and row.state == "done"), None)

    return await until(found)


async def until(question: Callable[[], Awaitable[Journalled | None]], timeout_s: float = 60.0) -> Journalled:
    async with asyncio.timeout(timeout_s):
        while (answer := await question()) is None:
            await asyncio.sleep(0.05)
        return answer


async def notice(running: Running) -> str:
    async with (
        operator(running) as session,
        session.get("/api/state") as answer,
    ):
        return str((await answer.json())["notice"])


async def test_mini_runs_the_whole_bot(tmp_path: Path) -> None:
    """base = "mini" in 8 bit, the embedded model first: judged, removed, and the page says what is lost by it."""
    chosen = {"base": "mini", "int8": "weight-only", "stand_in": False, "first_stage_below": 0.5, "audit_share": 1.0}
    async with service(configured(tmp_path, **chosen)) as running:
        await running.parts.pipeline.set_policy("try-out", Policy(mode=Mode.ENFORCE))
        row = await says(running, RUDE)
        assert row.decision.label == "hate" and row.adapter == "global/mini-1"
        assert row.decision.enforced and row.probabilities["hate"] > 0.5
        row = await says(running, "see you tomorrow")
        assert row.decision.band == "clear" and row.adapter == "global/mini-1"
        assert running.parts.tally is not None and running.parts.tally.audited == 1
        async with async_playwright() as playwright:
            browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
            page = await browser.new_page()
            await page.goto(link(running))
            await expect(page.get_by_test_id("two-stages")).to_contain_text("of 1 audited ones 0 were harmful")
            await browser.close()


async def test_other_languages_have_a_base_of_their_own(tmp_path: Path) -> None:
    """Its process starts with the first message that is not English; while it fails, nothing is punished."""
    async with service(configured(tmp_path)) as running:
        await running.parts.pipeline.set_policy("try-out", Policy(mode=Mode.ENFORCE))
        assert (await says(running, RUDE)).adapter == f"global/{read_manifest(SHIPPED).version}"
        row = await says(running, "Ausländer sind Ungeziefer, man sollte sie alle erschießen")
        assert row.adapter == f"e5/{read_manifest(SHIPPED_FOLDER / 'e5').version}"
        assert row.decision.label == "hate" and row.decision.band == "action"
        row = await says(running, "Kommt ihr heute Abend mit ins Kino?")
        assert row.decision.band == "clear" and row.adapter.startswith("e5/")
        row = await says(running, "დღეს კარგი ამინდია, წავიდეთ სასეირნოდ")
        assert row.adapter.startswith("e5/") and row.decision.band != "action"


async def test_a_promoted_adapter_for_other_languages_serves_at_once(tmp_path: Path) -> None:
    """So does the one before it after a rollback; one with damaged files never does."""
    registry = open_registry(E5, tmp_path)
    for version in ("second", "damaged"):
        shutil.copytree(SHIPPED_FOLDER / E5, registry.root / GLOBAL / version)
    watched = WatchedAdapter(registry, E5)
    first = f"e5/{read_manifest(SHIPPED_FOLDER / E5).version}"
    assert watched.name == first and watched.folder(first) == SHIPPED_FOLDER / E5

    async def serves(name: str) -> None:
        async with asyncio.timeout(20):
            while watched.name != name:
                await asyncio.sleep(0.01)

    async with asyncio.TaskGroup() as group:
        task = group.create_task(watched.watch(every_s=0.01))
        registry.promote("global/second")
        await serves("e5/second")
        assert watched.folder("e5/second") == registry.root / GLOBAL / "second"
        (registry.root / GLOBAL / "damaged" / "adapter_model.safetensors").write_bytes(b"\0" * 100)
        registry._write_promoted(GLOBAL, ["second", "damaged"])  # what a disk may do to it afterwards
        await asyncio.sleep(0.2)
        await serves("e5/second")
        registry.rollback()
        registry.rollback()
        await serves(first)
        task.cancel()


async def test_without_the_second_base_only_english_is_read(tmp_path: Path) -> None:
    """other_languages = "off" """
    async with service(configured(tmp_path, other_languages="off")) as running:
        row = await says(running, "დღეს კარგი ამინდია, წავიდეთ სასეირნოდ")
        assert row.decision.unread_script == "Georgian" and not row.adapter.startswith("e5/")


async def test_a_missing_folder_and_a_killed_process_are_stood_in_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Enforcing all the while: what the embedded model says is only shown, what the base says is done."""
    monkeypatch.setattr(models, "RETRY_AFTER_S", 0.2)
    folder = tmp_path / "my-gptj"
    config = configured(tmp_path, base=str(folder))
    with pytest.raises(AdapterRejected, match="make the first one") as refused:
        models.adapters_of(config)
    shutil.copytree(SHIPPED_FOLDER / "mini", re.findall(r"--out (\S+)", str(refused.value))[0])
    async with service(config) as running:
        await running.parts.pipeline.set_policy("try-out", Policy(mode=Mode.ENFORCE))
        row = await says(running, RUDE)
        assert row.adapter.startswith("minilm/") and row.decision.band == "alert"
        assert [action.name for action in row.decision.actions] == ["alert"]
        assert "stand-in" in row.decision.reason and "no such folder" in await notice(running)

        shutil.copytree(MINI_FOLDER, folder)
        await until(lambda: _when(not running.parts.model_trouble(), row))
        row = await says(running, RUDE + " now")
        assert row.adapter == "global/mini-1" and await notice(running) == ""

        assert running.worker.pid is not None
        os.kill(running.worker.pid, signal.SIGKILL)
        row = await says(running, RUDE + " all")
        assert row.adapter.startswith("minilm/") and row.decision.band == "alert"
        await until(lambda: _when(not running.parts.model_trouble(), row))
        row = await says(running, RUDE + " at last")
        assert row.adapter == "global/mini-1"


async def _when(condition: bool, row: Journalled) -> Journalled | None:
    return row if condition else None


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ('int8 = "threshold-6"', "for a GPT-J"),
        ('base = "mini"\nint8 = "threshold-7"', "model.int8"),
        ('base = "mini"\nint8 = "weight-only"\nprecision = "bf16"', "precision"),
        ('device = "gpu"', "model.device"),
        ('base = ""', "model.base"),
    ],
)
def test_a_choice_that_cannot_be_is_refused_by_name(line: str, expected: str, tmp_path: Path) -> None:
    """At the start, in one line."""
    path = tmp_path / "config.toml"
    path.write_text(f"[model]\n{line}\n")
    with pytest.raises(BadConfig, match=expected):
        read_config(path)
