"""The real service while somebody writes into its adapters' folder: the last sound adapter serves, and it is said."""

import asyncio
import contextlib
import json
import os
import shutil
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession

from bot.app import Running, service
from bot.config import Config, Service
from model.adapters.registry import SHIPPED, Registry, read_manifest, scope_of
from model.labels import Label
from tests.bot.signed_in import operator
from tests.journal import unfinished
from tests.model.adapters.test_canaries import HOSTILE, made
from tests.model.adapters.test_files import ODD_FILES, adapter, edit, replaced

SHIPPED_NAME = f"global/{read_manifest(SHIPPED).version}"
RUDE = "fuck all refugees, they are vermin"
KEY = "sealing.key"


@dataclass
class Scene:
    """A service, and what a browser asks of its page."""

    running: Running
    session: ClientSession

    async def get(self, path: str) -> Any:
        async with self.session.get(path) as answer:
            assert answer.status == 200, (path, answer.status, await answer.text())
            return await answer.json()

    async def judges(self, text: str) -> tuple[str, str]:
        """(label, adapter) of a message that was just written."""
        parts = self.running.parts
        event = parts.chat.compose("ann", text, datetime.now(UTC))
        await parts.pipeline.receive(event)
        async with asyncio.timeout(60):
            while await unfinished(parts.store, "webchat"):
                await asyncio.sleep(0.02)
        row = await parts.store.journalled(*event.key.address)
        assert row is not None
        label = max(Label, key=lambda one: row.probabilities[one])
        return str(label), row.adapter

    async def until(self, is_so: Callable[[], bool]) -> None:
        async with asyncio.timeout(30):
            while not is_so():
                await asyncio.sleep(0.05)


@contextlib.asynccontextmanager
async def started(folder: Path) -> AsyncIterator[Scene]:
    settings = Service(port=0, data_folder=str(folder / "data"), key_file=str(folder / KEY))
    async with (
        service(Config(service=settings)) as running,
        operator(running) as session,
    ):
        yield Scene(running, session)


def registry_in(folder: Path) -> Registry:
    return Registry(folder / "data" / "adapters", SHIPPED)


DAMAGED = {
    "not UTF-8": lambda path: path.write_bytes(b"v1\xff\n"),
    "one bit": lambda path: path.write_bytes(b"w1\n"),
    "zeros": lambda path: path.write_bytes(b"\x00" * 512),
    "leads away": lambda path: path.write_bytes(b"../../../etc\n"),
    **{name: ODD_FILES[name] for name in ("pipe without a writer", "folder", "link to itself", "link to a device")},
}


@pytest.mark.parametrize("damage", DAMAGED)
async def test_a_start_with_a_damaged_list_of_promoted_versions(
    tmp_path: Path, damage: str, capfd: pytest.CaptureFixture[str]
) -> None:
    """It ended every start. The shipped adapter serves, the log and the page say what to mend."""
    registry = registry_in(tmp_path)
    adapter(registry.root, "v1")
    registry.promote("global/v1")
    replaced(registry.root / "global" / "current", DAMAGED[damage])
    async with started(tmp_path) as scene:
        assert (await scene.get("/healthz"))["adapter"] == SHIPPED_NAME
        notice = (await scene.get("/api/state"))["notice"]
        assert f"{SHIPPED_NAME} serves instead" in notice and "\n" not in notice
        assert await scene.judges(RUDE) == ("hate", SHIPPED_NAME)
        assert await scene.get("/api/adapters")
    assert "adapter rejected" in capfd.readouterr().out


async def test_the_list_of_promoted_versions_is_damaged_while_it_runs_and_mended(tmp_path: Path) -> None:
    """What can be read of it counts; a new promotion mends it."""
    registry = registry_in(tmp_path)
    for version in ("v1", "v2"):
        adapter(registry.root, version)
        registry.promote(f"global/{version}")
    async with started(tmp_path) as scene:
        learning = scene.running.parts.learning
        assert (await scene.judges(RUDE))[1] == "global/v2"
        path = registry.root / "global" / "current"
        path.write_bytes(b"v1\nv\xb2\n")
        await scene.until(lambda: learning.serving == "global/v1")
        assert "line 2 is damaged" in (await scene.get("/api/state"))["notice"]
        assert await scene.judges(RUDE + "!") == ("hate", "global/v1")
        replaced(path, os.mkfifo)
        await scene.until(lambda: learning.serving == SHIPPED_NAME)
        registry.promote("global/v2")
        await scene.until(lambda: learning.serving == "global/v2")
        assert learning.problem == "" and await scene.judges(RUDE + "!!") == ("hate", "global/v2")


def infinite_alpha(folder: Path) -> None:
    path = folder / "manifest.json"
    data = json.loads(path.read_text())
    data["lora"]["alpha"] = float("inf")
    path.write_text(json.dumps(data))


def files_are_a_list(folder: Path) -> None:
    edit(folder, files=[])


def manifest_is_a_pipe(folder: Path) -> None:
    replaced(folder / "manifest.json", os.mkfifo)


@pytest.mark.parametrize("spoil", [infinite_alpha, files_are_a_list, manifest_is_a_pipe])
async def test_a_hostile_manifest_is_written_into_the_list_while_it_runs(
    tmp_path: Path, spoil: Callable[[Path], None]
) -> None:
    """Infinity was promoted, healthz said ok, and a hateful text was clear with score NaN."""
    registry = registry_in(tmp_path)
    async with started(tmp_path) as scene:
        await scene.judges("hello")
        spoil(adapter(registry.root, "v1"))
        (registry.root / "global" / "current").write_text("v1\n")  # past every command
        await scene.until(lambda: bool(scene.running.parts.learning.problem))
        assert (await scene.get("/healthz")) == {"status": "ok", "adapter": SHIPPED_NAME, "stand_in": False}
        assert await scene.judges(RUDE) == ("hate", SHIPPED_NAME)
        assert "manifest.json" in (await scene.get("/api/state"))["notice"]
        assert await scene.get("/api/adapters")


@pytest.mark.parametrize("name", HOSTILE)
async def test_an_adapter_that_the_model_refuses_never_serves(tmp_path: Path, name: str) -> None:
    """Its files are in order. The watcher has the model take it before it swaps; a start falls back at once."""
    registry, (spoil, said) = registry_in(tmp_path), HOSTILE[name]
    adapter(registry.root, "v1")
    registry.promote("global/v1")
    async with started(tmp_path) as scene:
        await scene.judges("hello")
        made(registry.root / "global" / "bad", spoil)
        registry.promote("global/bad")
        await scene.until(lambda: bool(scene.running.parts.learning.problem))
        assert scene.running.parts.learning.serving == "global/v1"
        assert said in (await scene.get("/api/state"))["notice"]
        assert await scene.judges(RUDE) == ("hate", "global/v1")
    async with started(tmp_path) as scene:
        await scene.until(lambda: scene.running.parts.learning.serving == "global/v1")
        assert await scene.judges("good morning") == ("neutral", "global/v1")
        assert said in (await scene.get("/api/state"))["notice"]
        registry.rollback()
        await scene.until(lambda: scene.running.parts.learning.problem == "")


async def test_a_communitys_own_adapter_that_the_model_refuses(tmp_path: Path) -> None:
    """Its messages wait a moment, and then the one before it judges them; the adapter for all is not touched."""
    registry, scope = registry_in(tmp_path), scope_of("try-out")
    adapter(registry.root, "v1", scope)
    made(registry.root / scope / "bad", HOSTILE["calls greetings hate"][0])
    for version in ("v1", "bad"):
        registry.promote(f"{scope}/{version}")
    async with started(tmp_path) as scene:
        assert await scene.judges("good morning") == ("neutral", f"{scope}/v1")
        learning = scene.running.parts.learning
        assert learning.serving == SHIPPED_NAME and "greetings" in (await scene.get("/api/state"))["notice"]
        shutil.rmtree(registry.root / scope / "v1")
        scene.running.parts.learning.doubt()
        await scene.until(lambda: learning.adapter_of("try-out") == SHIPPED_NAME)


async def test_the_serving_adapter_is_spoilt_and_the_process_ends(tmp_path: Path) -> None:
    """The process that comes back cannot load it: messages waited for ever. The one before it serves."""
    registry = registry_in(tmp_path)
    for version in ("v1", "v2"):
        adapter(registry.root, version)
        registry.promote(f"global/{version}")
    async with started(tmp_path) as scene:
        assert (await scene.judges(RUDE))[1] == "global/v2"
        replaced(registry.root / "global" / "v2" / "adapter_model.safetensors", os.mkfifo)
        await scene.running.worker.restart()
        assert await scene.judges(RUDE + "!") == ("hate", "global/v1")
        assert "pipe" in (await scene.get("/api/state"))["notice"]


@pytest.mark.parametrize("odd", ODD_FILES)
async def test_a_report_that_is_a_link_to_the_sealing_key(tmp_path: Path, odd: str) -> None:
    """It was served. So was a device, without end."""
    registry = registry_in(tmp_path)
    folder = adapter(registry.root, "v1")
    adapter(registry.root, "v2", "c-town")
    replaced(folder / "report.html", ODD_FILES[odd])
    async with started(tmp_path) as scene:
        for path in ("/adapters/v1/report.html", "/adapters/..%2Fv1/report.html", "/adapters/%2e%2e/report.html"):
            async with scene.session.get(path) as answer:
                assert answer.status == 404 and "00112233" not in await answer.text()
        async with scene.session.get("/adapters/own/v2/report.html?community=town") as answer:
            assert answer.status == 200 and answer.content_type == "text/html"
            assert (
                "<h1>Adapter" in await answer.text()
                and "default-src 'none'" in answer.headers["Content-Security-Policy"]
            )


async def test_a_version_that_is_a_link_to_a_folder_with_a_page(tmp_path: Path) -> None:
    """Neither a version nor a scope leads away from the registry."""
    registry = registry_in(tmp_path)
    aside = adapter(tmp_path / "aside", "v1")
    (registry.root / "global").mkdir(parents=True)
    (registry.root / "global" / "v1").symlink_to(aside)
    (registry.root / "c-town").symlink_to(aside.parent)
    async with started(tmp_path) as scene:
        for path in ("/adapters/v1/report.html", "/adapters/v1/report.html?community=town"):
            async with scene.session.get(path) as answer:
                assert answer.status == 404
        rows = (await scene.get("/api/adapters"))["adapters"]
        assert [row["version"] for row in rows] == [SHIPPED_NAME.partition("/")[2]]


async def test_figures_of_a_manifest_that_are_no_figures(tmp_path: Path) -> None:
    """The page has a number or nothing."""
    registry = registry_in(tmp_path)
    for version, metrics in (
        ("v1", {"held_out": [1]}),
        ("v2", {"held_out": {"macro_f1": ["<script>"], "balanced_accuracy": "0.9"}}),
        ("v3", {"held_out": "x", "refresh": 7}),
    ):
        edit(adapter(registry.root, version), metrics=metrics)
    async with started(tmp_path) as scene:
        rows = (await scene.get("/api/adapters"))["adapters"]
        assert [row["macro_f1"] for row in rows if row["version"] in ("v1", "v2", "v3")] == [None] * 3
