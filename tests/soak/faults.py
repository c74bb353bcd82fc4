"""One fault: the n-th step at a boundary goes wrong, before or after it took effect, or the process ends there."""

import asyncio
import os
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from bot.domain.notice import Notice
from bot.domain.platform import Gone, MissingPermission, RateLimited, Unreachable, Unreadable
from bot.store.writer import Writer
from model.classifier import AdapterRejected, Died, Overloaded, Unavailable, Unscorable


class Crash(BaseException):
    """The process ended here."""


@dataclass
class Fault:
    """The `number`-th step at `boundary` goes wrong in the way of `kind`; a crash is for good."""

    boundary: str
    kind: str
    number: int
    reached: int = 0
    fired: bool = False
    dead: bool = False
    crashed: asyncio.Event = field(default_factory=asyncio.Event)
    loop: asyncio.AbstractEventLoop = field(default_factory=asyncio.get_running_loop)

    def at(self, boundary: str) -> str:
        """The way in which this step goes wrong, or ""."""
        if self.dead:
            raise Crash
        if boundary != self.boundary or self.fired:
            return ""
        self.reached += 1
        self.fired = self.reached == self.number
        return self.kind if self.fired else ""

    def crash(self) -> None:
        """From now on nothing happens any more."""
        self.dead = True
        self.loop.call_soon_threadsafe(self.crashed.set)  # the store's writer is another thread
        raise Crash


Step = Callable[[], Any]
PLATFORM_ERRORS: dict[str, Callable[[], Exception]] = {
    "unreachable": lambda: Unreachable("stub"),
    "unreadable": lambda: Unreadable("stub"),
    "rate limited": lambda: RateLimited(0.01),
    "gone": lambda: Gone("stub"),
    "missing right": lambda: MissingPermission(Notice("missing-48-hours")),
    "mistake": lambda: ValueError("stub"),
}
MODEL_ERRORS: dict[str, Callable[[], Exception]] = {
    "unavailable": lambda: Unavailable("stub"),
    "died": lambda: Died("stub"),
    "overloaded": lambda: Overloaded("stub"),
    "rejected": lambda: AdapterRejected("stub"),
    "unscorable": lambda: Unscorable("stub", frozenset({0})),
}


def _store_error(said: str, name: str) -> Exception:
    """As SQLAlchemy passes SQLite's on."""
    cause = sqlite3.OperationalError(said)
    cause.sqlite_errorname = name
    return sa.exc.OperationalError("stub", None, cause)


STORE_ERRORS: dict[str, Callable[[], Exception]] = {
    "full": lambda: _store_error("database or disk is full", "SQLITE_FULL"),
    "locked": lambda: _store_error("database is locked", "SQLITE_BUSY"),
}
DISK_ERRORS: dict[str, Callable[[], Exception]] = {"disk error": lambda: OSError(5, "stub")}
KINDS = {
    "commit": (*STORE_ERRORS, *(f"{kind} after" for kind in STORE_ERRORS), "crash", "crash after"),
    "log": (*DISK_ERRORS, *(f"{kind} after" for kind in DISK_ERRORS), "crash", "crash after"),
    "platform": (*PLATFORM_ERRORS, "unreachable after", "unreadable after", "mistake after", "crash", "crash after"),
    "board": (*PLATFORM_ERRORS, "unreachable after", "unreadable after", "mistake after", "crash", "crash after"),
    "model": (*MODEL_ERRORS, "crash", "crash after"),
    "swap": (*DISK_ERRORS, *(f"{kind} after" for kind in DISK_ERRORS), "crash", "crash after"),
    "clock": ("an hour back", "a day back", "two hours on", "two days on"),
}
JUMPS = {"an hour back": -1.0, "a day back": -24.0, "two hours on": 2.0, "two days on": 48.0}
EXCUSED = {"gone", "missing right", "mistake", "mistake after", "unscorable"}
"""Ways in which one thing may stay undone; the journal then says so."""


def step(fault: Fault, boundary: str, errors: dict[str, Callable[[], Exception]], do: Step) -> Any:
    """Does it, or fails before, or after it took effect."""
    kind = fault.at(boundary)
    if kind == "crash":
        fault.crash()
    if kind in errors:
        raise errors[kind]()
    done = do()
    if kind == "crash after":
        fault.crash()
    if kind.endswith(" after"):
        raise errors[kind.removesuffix(" after")]()
    return done


_COMMIT = Writer._transaction


def hook(monkeypatch: pytest.MonkeyPatch, fault: Fault) -> None:
    """Puts the fault where the service meets its disk and its clock, and takes its patience away."""
    commit = _COMMIT
    monkeypatch.setattr(
        Writer, "_transaction", lambda me, batch: step(fault, "commit", STORE_ERRORS, lambda: commit(me, batch))
    )
    monkeypatch.setattr("bot.store.change_log.os", Disk(fault, "log", ("pwrite", "fdatasync", "ftruncate")))
    monkeypatch.setattr("model.adapters.files.os", Disk(fault, "swap", ("replace", "fsync")))

    class Clock(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> datetime:  # type: ignore[override]
            return datetime.now(tz) + timedelta(hours=JUMPS.get(fault.at("clock"), 0.0))

    pipeline = ("pipeline", "decisions", "hourly_cap", "policy_cache", "warning_pace")
    for module in (*(f"pipeline.{name}" for name in pipeline), "cases.service", "cases.delivery", "learning.refresh"):
        monkeypatch.setattr(f"bot.{module}.datetime", Clock)
    for name in (
        "pipeline.pipeline.RETRY_AFTER_S",
        "store.retry.RETRY_S",
        "pipeline.enforcement.FIRST_WAIT_S",
        "pipeline.warning_pace.GATHER_S",
        "cases.delivery.GATHER_S",
    ):
        monkeypatch.setattr(f"bot.{name}", 0.01)
    for name in ("delivery.RETRY_S", "delivery.BROKEN_RETRY_S", "delivery.REFUSED_RETRY_S"):
        monkeypatch.setattr(f"bot.cases.{name}", 0.02)
    for name in ("LOOK_EVERY_S", "ORPHANS_EVERY_S"):
        monkeypatch.setattr(f"bot.pipeline.recovery.{name}", 0.04)


class Disk:
    """`os` as a module sees it, in which some calls are steps."""

    def __init__(self, fault: Fault, boundary: str, names: tuple[str, ...]) -> None:
        self.fault, self.boundary, self.names = fault, boundary, names

    def __getattr__(self, name: str) -> Any:
        real = getattr(os, name)
        if name not in self.names:
            return real
        return lambda *arguments: step(self.fault, self.boundary, DISK_ERRORS, lambda: real(*arguments))
