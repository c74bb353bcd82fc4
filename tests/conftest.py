"""Shared scenery: small real parts in temporary folders. Nothing here fakes a model; stubs say so in their name."""

import asyncio
import functools
import os
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest
import sqlalchemy as sa

os.environ.setdefault("OMP_NUM_THREADS", "1")

from bot.domain.event import Author, Message, MessageKey
from bot.process import logs
from bot.store import Sealer, Store
from bot.store.integrity import overwrite_freed
from bot.store.store import migrate
from model.classifier import Item, Unscorable, Verdict
from model.labels import Label

logs.configure()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The tests that train come first: among several workers none of them is left to run alone at the end."""
    items.sort(key=lambda item: "tests/training/" not in item.nodeid)


def verdict(hate: float = 0.0, offensive: float = 0.0) -> Verdict:
    """A verdict with these probabilities; the rest is neutral."""
    shares = {Label.HATE: hate, Label.OFFENSIVE: offensive, Label.NEUTRAL: 1 - hate - offensive}
    return Verdict(shares, "stub", "global/stub")


def said(text: str, number: str = "1", author: str = "ann", **more: object) -> Message:
    """A message in the try-out room."""
    who = Author(author, author.title(), **more)  # type: ignore[arg-type]
    return Message(MessageKey("webchat", "try-out", "lounge", number), who, text, datetime.now(UTC))


class StubClassifier:
    """Stands where a test is not about the model: a text that contains "HATE" is hate, "RUDE" offensive; one with
    "HUGE" cannot be scored."""

    def __init__(self) -> None:
        self.batches: list[list[str]] = []

    async def classify(self, items: Sequence[Item]) -> list[Verdict]:
        if places := frozenset(place for place, item in enumerate(items) if "HUGE" in item.text):
            raise Unscorable("stub: too large", places)
        self.batches.append([item.text for item in items])
        return [
            verdict(0.95, 0.04) if "HATE" in i.text else verdict(0.1, 0.7) if "RUDE" in i.text else verdict(0.01, 0.02)
            for i in items
        ]

    async def embed(self, texts: Sequence[str]) -> list[list[float]]:
        return [[1.0, 0.0] for _ in texts]


one_ssl_context = functools.cache(httpx.create_ssl_context)


@pytest.fixture(autouse=True)
def certificates_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each of a Telegram bot's two HTTP clients reads all certificates: 25 ms, and the simulators use no TLS."""
    monkeypatch.setattr("httpx._transports.default.create_ssl_context", one_ssl_context)


@functools.cache
def _empty_store() -> bytes:
    """A store's file after all migrations. They take a tenth of a second, and every scene needs their outcome."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "domovoi.db"
        engine = sa.create_engine(f"sqlite:///{path}")
        with engine.connect() as connection:
            connection.exec_driver_sql("PRAGMA journal_mode=WAL")
            migrate(connection)
            connection.commit()
        engine.dispose()
        overwrite_freed(path)
        return path.read_bytes()


def migrated(path: Path) -> Path:
    """The same path; where no file was, there is an empty store of the newest schema now."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(_empty_store())
    return path


@pytest.fixture
def sealer() -> Sealer:
    """A made-up key."""
    return Sealer(bytes(range(32)))


@pytest.fixture
async def store(tmp_path: Path, sealer: Sealer) -> AsyncIterator[Store]:
    """An empty real store."""
    async with Store.open(migrated(tmp_path / "domovoi.db"), sealer) as opened:
        yield opened


def now() -> datetime:
    """This moment."""
    return datetime.now(UTC)


async def unchanged(count: Callable[[], int], for_s: float = 1.0) -> int:
    """The count once it has stayed the same for so long: what was under way is through."""
    async with asyncio.timeout(60):
        before, since = count(), time.monotonic()
        while time.monotonic() - since < for_s:
            await asyncio.sleep(0.02)
            if count() != before:
                before, since = count(), time.monotonic()
    return before
