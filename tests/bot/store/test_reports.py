"""What members report."""

import sqlite3
from contextlib import closing
from datetime import timedelta
from pathlib import Path

from bot.domain.decision import Band, Decision
from bot.domain.row_state import RowState
from bot.store import Store
from model.labels import Label
from tests.bot.cases.test_audit import CLEAR, clear
from tests.bot.store.test_store import NOW, seen_case
from tests.conftest import said, verdict
from tests.journal import unfinished

RUDE = Decision(Band.ACTION, Label.OFFENSIVE, 0.96, 0.95, enforced=True)


async def test_each_member_counts_once(store: Store) -> None:
    """The second report of the same member is none."""
    case = await store.case(await seen_case(store))
    assert case is not None and await store.reports.count(case.id) == 0
    row = case.message.id
    reporters = ("ann", "ben", "ann")
    assert [await store.reports.record(row, reporter, NOW) for reporter in reporters] == [True, True, False]
    assert await store.reports.count(case.id) == 2


async def test_a_message_that_was_never_journalled_can_be_shown(store: Store) -> None:
    """With text and author; reported again it is the same case; it is no strike, for nothing was done."""
    number = await store.record_shown(said("you idiots", "7"), verdict(0.1, 0.86), RUDE, NOW)
    assert await store.record_shown(said("you idiots", "7"), verdict(), CLEAR, NOW) == number
    case = await store.case(number)
    assert case is not None and case.message.text == "you idiots" and case.author.name == "Ann"
    assert case.message.state == "done" and case.decision.label == "offensive"
    assert (await store.standings.strikes(said("x"), NOW - timedelta(days=1))).strikes == {}


async def test_an_exempt_message_gets_a_decision_and_a_clear_one_keeps_its_own(store: Store) -> None:
    """And of both the author is known, so that something can be done."""
    row = (await store.record_seen(said("you idiots", "7"), NOW)).row
    await store.record_state(row or 0, RowState.EXEMPT)
    exempt = await store.case(await store.record_shown(said("you idiots", "7"), verdict(0.1, 0.86), RUDE, NOW))
    assert exempt is not None and exempt.message.state == "exempt" and exempt.message.decision == RUDE
    row = await clear(store, 1)
    shown = await store.record_shown(said("good morning 1", "c1"), verdict(0.1, 0.86), RUDE, NOW)
    kept = await store.case(shown)
    assert kept is not None and kept.message.decision == CLEAR and kept.author.name == "Ann"


async def test_a_message_reported_while_it_waits_is_decided_all_the_same(store: Store) -> None:
    """Its turn's decision replaces the report's; the case stays and its author known."""
    row = (await store.record_seen(said("you idiots", "7"), NOW)).row
    number = await store.record_shown(said("you idiots", "7"), verdict(0.1, 0.86), RUDE, NOW)
    assert [old.id for old in await unfinished(store, "webchat")] == [row]
    assert await store.record_decision(row or 0, verdict(), CLEAR, RowState.DONE, NOW, case=False) is None
    case = await store.case(number)
    assert case is not None and case.message.decision == CLEAR and case.author.name == "Ann"


async def test_a_text_that_is_gone_does_not_come_back_by_a_report(store: Store) -> None:
    """Neither the text nor who wrote it."""
    row = (await store.record_seen(said("you idiots", "7"), NOW)).row
    await store.record_state(row or 0, RowState.EXEMPT)
    await store.personal_data.erase(store.author(said("x")), "try-out", NOW)
    case = await store.case(await store.record_shown(said("you idiots", "7"), verdict(0.1, 0.86), RUDE, NOW))
    assert case is not None and case.message.text == "" and case.author.id == ""


async def test_a_reported_clear_message_says_nothing_about_the_others(store: Store, tmp_path: Path) -> None:
    """It was not drawn evenly, so the audit leaves out what moderators said of it."""
    row = await clear(store, 1)
    (case,) = await store.audit.draw("try-out", 1, NOW, NOW)
    await store.reports.record(row, "ben", NOW)
    await store.record_correction(case, "dana", "hate", None, NOW, confirms=False)
    assert await store.audit.found("try-out") == {}
    with closing(sqlite3.connect(tmp_path / "domovoi.db")) as connection:
        rows = connection.execute("SELECT band, label, messages FROM training_audit").fetchall()
    assert rows == [("clear", None, 1)]
