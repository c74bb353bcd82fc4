"""Killed at seeded moments, the whole service loses nothing and does nothing twice; and the oracle can tell."""

import os
from dataclasses import replace
from pathlib import Path

import pytest

from tests.soak.crash import crash
from tests.soak.oracle import Journal, Row, compare
from tests.soak.record import Record, Said, Shown

LONG = bool(os.environ.get("DOMOVOI_SOAK"))
MESSAGES, KILLS = (50_000, 500) if LONG else (4_000, 16)
SEED = int(os.environ.get("DOMOVOI_SEED", "1"))


@pytest.mark.timeout(3600 if LONG else 900)
@pytest.mark.parametrize("half", [0, 1])
async def test_killed_again_and_again(half: int, tmp_path: Path) -> None:
    """SIGKILL while it starts, while it catches up, at calls that people see and at any moment; two services, each of
    which reads half of the messages and is killed half as often, so that they can run beside each other."""
    seed = SEED + 1000 * half
    result = await crash(MESSAGES, KILLS, seed, tmp_path / "soak")
    assert not result.findings, f"seed {seed}: {result.findings}"
    assert result.cases > MESSAGES / 100 and result.at_calls > KILLS / 5


DELETED = {"enforced": True, "actions": [{"name": "delete"}, {"name": "warn"}, {"name": "ban"}, {"name": "alert"}]}
TIMED_OUT = {"enforced": True, "actions": [{"name": "timeout", "minutes": 60}, {"name": "alert"}]}
CLEAR = {"enforced": False, "actions": []}
RECORD = Record(
    (
        Said("discord", "1", "discord:ann", ("hello", "hello again"), each=False, deleted=False),
        Said("telegram", "-7:2", "telegram:ben", ("HATE",), each=True, deleted=True),
        Said("telegram", "-7:3", "telegram:cem", ("one", "two"), each=True, deleted=False),
        Said("discord", "4", "discord:dan", ("RUDE",), each=False, deleted=False),
    ),
    {"telegram:ben": 1},
    frozenset({"telegram:ben"}),
    frozenset({"discord:dan"}),
    (Shown("telegram", "900", 1, False, False), Shown("discord", "800", 2, False, True)),
    {"discord:800": 1},
)
JOURNAL = Journal(
    (
        Row("discord", "1", "done", "hello again", CLEAR),
        Row("telegram", "-7:2", "done", "HATE", DELETED),
        Row("telegram", "-7:3", "done", "one", CLEAR),
        Row("telegram", "-7:3", "done", "two", CLEAR),
        Row("discord", "4", "gone", "RUDE", TIMED_OUT),
        Row("discord", "name-4", "done", "Dan", CLEAR),
    ),
    {1: "telegram", 2: "discord"},
    {1: "900", 2: "800"},
)


def row(number: int, **changes: object) -> Journal:
    """The journal with one row changed."""
    rows = list(JOURNAL.rows)
    rows[number] = replace(rows[number], **changes)  # type: ignore[arg-type]
    return replace(JOURNAL, rows=tuple(rows))


def without(number: int) -> Journal:
    """The journal with one row less."""
    return replace(JOURNAL, rows=tuple(one for place, one in enumerate(JOURNAL.rows) if place != number))


def with_more(*more: Row) -> Journal:
    """The journal with more rows."""
    return replace(JOURNAL, rows=(*JOURNAL.rows, *more))


def shown(*more: Shown) -> Record:
    """The record with more cards."""
    return replace(RECORD, shown=(*RECORD.shown, *more))


def test_the_oracle_is_content_with_what_is_right() -> None:
    """Also with the first text of an edited message that Discord showed only as edited."""
    assert not compare(RECORD, JOURNAL)
    assert not compare(RECORD, with_more(Row("discord", "1", "done", "hello", CLEAR)))


@pytest.mark.parametrize(
    ("kind", "record", "journal", "named"),
    [
        ("lost", RECORD, without(0), "discord 1 'hello': no row for 'hello again'"),
        ("lost", RECORD, without(2), "no row for 'one'"),
        ("lost", RECORD, row(2, text="other"), "a row with 'other', which nobody wrote"),
        ("lost", RECORD, row(2, state="seen"), "still seen"),
        ("lost", RECORD, row(5, state="intended"), "discord name-4 'Dan': still intended"),
        ("lost", RECORD, with_more(Row("discord", "5", "done", "?", CLEAR)), "nobody wrote it"),
        ("lost", RECORD, replace(JOURNAL, set_aside=1), "1 updates set aside"),
        ("lost", RECORD, replace(JOURNAL, waiting=2), "2 waiting"),
        ("doubled", RECORD, with_more(JOURNAL.rows[0]), "2 rows for 'hello again'"),
        ("doubled", RECORD, with_more(JOURNAL.rows[5]), "discord name-4: 2 rows"),
        ("doubled", replace(RECORD, warned={"telegram:ben": 2}), JOURNAL, "telegram:ben: warned 2 times"),
        ("doubled", shown(Shown("telegram", "901", 1, False, False)), JOURNAL, "case 1 (telegram) is shown in"),
        ("doubled", shown(Shown("discord", "801", 2, False, False)), JOURNAL, "case 2 (discord) is shown in"),
        ("unjournalled", RECORD, row(1, decision=CLEAR), "telegram -7:2 'HATE': gone, and no decision says so"),
        ("unjournalled", RECORD, row(1, decision=CLEAR), "telegram:ben: ban, and no decision says so"),
        ("unjournalled", RECORD, row(1, decision=CLEAR), "telegram:ben: warn, and no decision says so"),
        ("unjournalled", RECORD, row(4, decision=CLEAR), "discord:dan: timeout, and no decision says so"),
        ("unjournalled", RECORD, row(1, decision=DELETED | {"enforced": False}), "gone, and no decision says so"),
        ("unjournalled", replace(RECORD, warned={"telegram:ben": 1, "discord:ann": 1}), JOURNAL, "discord:ann: warn"),
        ("not_done", replace(RECORD, warned={}), JOURNAL, "no warn, though decided; the journal says done"),
        ("not_done", replace(RECORD, banned=frozenset()), JOURNAL, "no ban, though decided"),
        ("not_done", replace(RECORD, timed_out=frozenset()), JOURNAL, "no timeout, though decided"),
        ("not_done", RECORD, row(2, state="failed"), "failed, though nothing was in its way"),
        ("not_done", RECORD, row(4, undone=True), "discord 4 'RUDE': timeout, though undone"),
        ("not_done", replace(RECORD, shown=()), JOURNAL, "case 1 (telegram) was never shown"),
        ("not_done", replace(RECORD, digests={"discord:800": 0}), JOURNAL, "digest discord:800 shows 0 of 1 cases"),
    ],
)
def test_the_oracle_names_what_is_wrong(kind: str, record: Record, journal: Journal, named: str) -> None:
    """One doctored record or journal after the other."""
    assert any(named in sentence for sentence in getattr(compare(record, journal), kind))


def test_what_is_allowed_is_counted() -> None:
    """A warning that may have been sent, once marked; a card that stands twice and says so; what was undone need not
    have been done."""
    assert not compare(replace(RECORD, timed_out=frozenset()), row(4, undone=True, state="failed"))
    doubtful = compare(replace(RECORD, warned={}), row(1, unsure="warn"))
    assert not doubtful and doubtful.maybe_sent == 1
    again = compare(shown(Shown("telegram", "901", 1, True, False)), JOURNAL)
    assert not again and again.shown_again == 1
