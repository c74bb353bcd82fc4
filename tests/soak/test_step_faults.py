"""Fail the first step at a boundary, then the second, and so on until the day has none left: nothing is lost, nothing
is done twice, nothing is done that the journal does not say. The invariants are in `tests/soak/oracle.py`."""

import asyncio
import sqlite3
from pathlib import Path

import pytest

from tests.soak.faults import KINDS, Fault
from tests.soak.steps import broken_by, every_step, made, run

COMBINATIONS = [(boundary, kind) for boundary, kinds in KINDS.items() for kind in kinds]
AT_LEAST = {"commit": 30, "log": 60, "platform": 10, "board": 4, "model": 6, "swap": 4, "clock": 20}
"""So many steps at a boundary a day has, about two thirds of what it has today; a day that lost some tests less. A slow
machine puts more cases into one drawing of a digest, so the board has fewer there."""

STRIDE = {"commit": 8, "log": 8, "clock": 8, "platform": 2}
"""Of the many steps at these boundaries each kind of fault takes every eighth or second, and each kind begins at
another one, so that several kinds cover all. `make soak` takes every step with every kind."""


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Made once: every day begins with a copy."""
    return asyncio.run(made(tmp_path_factory.mktemp("template") / "data"))


@pytest.mark.parametrize(("boundary", "kind"), COMBINATIONS)
async def test_every_step_at_a_boundary_may_fail(boundary: str, kind: str, template: Path, tmp_path: Path) -> None:
    """One fault a day, and the day after it is as it should be."""
    stride = STRIDE.get(boundary, 1)
    first = 1 + list(KINDS[boundary]).index(kind) % stride
    steps, broken = await every_step(template, tmp_path, boundary, kind, first, stride)
    assert not broken, "\n".join(broken)
    assert steps >= AT_LEAST[boundary] - stride, f"only {steps} steps at this boundary"


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        ("DELETE FROM message WHERE message = 'm0'", "no row for 'hello'"),
        ("UPDATE message SET state = 'sent' WHERE message = 'm1'", "still sent"),
        ("UPDATE message SET decision = '{}', enforced = 0 WHERE message = 'm4'", "no decision says so"),
        ("DELETE FROM card", "never shown"),
        ("DELETE FROM correction", "moderators said"),
        ('UPDATE "case" SET undone = 0', "moderators undid"),
        ("UPDATE message SET adapter = 'global/v9' WHERE message = 'm2'", "global/v9"),
    ],
)
async def test_a_broken_invariant_is_named(
    spoil: str, words: str, template: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A day without a fault breaks none; the same day with one row changed does."""
    fault = Fault("", "", 0)
    world, day = await run(template, tmp_path / "day", fault, monkeypatch)
    assert broken_by(world, day, tmp_path / "day", fault) == []
    connection = sqlite3.connect(tmp_path / "day" / "domovoi.db")
    connection.execute("PRAGMA foreign_keys=OFF")
    connection.execute(spoil)
    if spoil == "DELETE FROM card":
        world.cards.clear()
    connection.commit()
    connection.close()
    assert words in "\n".join(broken_by(world, day, tmp_path / "day", fault))
