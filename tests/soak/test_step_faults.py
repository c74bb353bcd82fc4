"""Fail the first step at a boundary, then the second, and so on until the day has none left: nothing is lost, nothing
is done twice, nothing is done that the journal does not say. The invariants are in `tests/soak/oracle.py`."""

import itertools
import json
import sqlite3
from pathlib import Path

import pytest

from tests.soak.faults import EXCUSED, KINDS, Fault
from tests.soak.oracle import Journal, Row, compare
from tests.soak.outside import World
from tests.soak.steps import Day, run, template

__all__ = ["template"]
COMBINATIONS = [(boundary, kind) for boundary, kinds in KINDS.items() for kind in kinds]
AT_LEAST = 400
tried: dict[tuple[str, str], int] = {}


@pytest.mark.parametrize(("boundary", "kind"), COMBINATIONS)
async def test_every_step_at_a_boundary_may_fail(
    boundary: str, kind: str, template: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One fault a day, and the day after it is as it should be."""
    for number in itertools.count(1):
        fault = Fault(boundary, kind, number)
        folder = tmp_path / str(number)
        world, day = await run(template, folder, fault, monkeypatch)
        check(world, day, folder, fault)
        if not fault.fired:
            break
    tried[boundary, kind] = number - 1
    assert number > 1, "the boundary was never reached"


def test_there_were_enough() -> None:
    """The aim; when only some were asked for there is nothing to count."""
    if len(tried) == len(COMBINATIONS):
        assert sum(tried.values()) >= AT_LEAST, tried


def check(world: World, day: Day, folder: Path, fault: Fault) -> None:
    """All invariants; a fault that excuses something excuses one message, and the journal says that it was not done."""
    told = f"{fault.boundary}: {fault.kind}, step {fault.number}"
    found = compare(world.record(), journal(folder / "domovoi.db"))
    assert not (found.lost or found.doubled or found.unjournalled), f"{told}\n{found}"
    excused = 1 if fault.fired and fault.kind in EXCUSED else 0
    of = {sentence.split(":")[0] for sentence in found.not_done}
    assert len(of) <= excused, f"{told}\n{found}"
    if fault.kind not in ("crash", "crash after", "unreachable", "unreachable after"):
        assert not found.maybe_sent, f"{told}\n{found}"
    assert found.maybe_sent <= 4 and found.shown_again <= 5, f"{told}\n{found}"
    with sqlite3.connect(folder / "domovoi.db") as connection:
        words = dict(connection.execute("SELECT case_id, label FROM correction").fetchall())
        adapters = {name for (name,) in connection.execute("SELECT DISTINCT adapter FROM message")}
    connection.close()
    assert day.words.items() <= words.items(), told
    assert adapters - {None} <= {"global/shipped-3", "global/v1", "global/v2"}, told
    assert day.registry.current() == "global/v2", told


def journal(path: Path) -> Journal:
    """As the oracle reads it, without unsealing: the harness knows the key."""
    sealer = Sealer(bytes(range(32)))
    connection = sqlite3.connect(path)
    try:
        rows = connection.execute("SELECT platform, message, state, text_sealed, decision, unsure FROM message")
        cases = 'SELECT "case".id, message.platform FROM "case" JOIN message ON message.id = "case".message_id'
        return Journal(
            tuple(Row(*start, sealer.unseal(text), json.loads(d or "{}"), doubt) for *start, text, d, doubt in rows),
            dict(connection.execute(cases).fetchall()),
            dict(connection.execute("SELECT case_id, message FROM card WHERE message IS NOT NULL").fetchall()),
        )
    finally:
        connection.close()
