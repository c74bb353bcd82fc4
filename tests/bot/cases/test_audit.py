"""Random messages put before moderators, and what training may count of them: no text, no author."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from bot.domain.decision import Band, Decision
from bot.domain.policy import Policy
from bot.domain.row_state import RowState
from bot.store import Sealer, Store
from model.labels import Label
from tests.bot.store.test_store import NOW, seen_case
from tests.conftest import said, verdict
from training.corrections import read_corrections
from training.prevalence import MIN_AUDITED

CLEAR = Decision(Band.CLEAR, Label.NEUTRAL, 0.02, 0.0, reason="below every threshold")


async def clear(store: Store, number: int) -> int:
    """A message that nobody was shown; its journal row."""
    row = (await store.record_seen(said(f"good morning {number}", f"c{number}"), NOW)).row
    assert row is not None
    await store.record_decision(row, verdict(0.01, 0.01), CLEAR, RowState.DONE, NOW, case=False)
    return row


async def test_each_message_is_drawn_once_and_only_clear_ones(store: Store) -> None:
    """Of six, four and then the other two; none from before the given moment, none that was shown."""
    rows = {await clear(store, number) for number in range(6)}
    await seen_case(store)
    first = await store.audit.draw("try-out", 4, NOW, NOW)
    second = await store.audit.draw("try-out", 4, NOW, NOW)
    drawn = [case.message for case in await store.cases("try-out") if case.id in {*first, *second}]
    assert (len(first), len(second)) == (4, 2) and {message.id for message in drawn} == rows
    await clear(store, 9)
    assert await store.audit.draw("try-out", 4, NOW + timedelta(seconds=1), NOW) == []
    assert await store.audit.draw("elsewhere", 4, NOW, NOW) == []


async def test_what_was_found_is_counted(store: Store) -> None:
    """By the last word on each card; an unanswered one does not count."""
    for number in range(3):
        await clear(store, number)
    first, second, _ = await store.audit.draw("try-out", 3, NOW, NOW)
    await store.record_correction(first, "dana", "neutral", None, NOW, confirms=True)
    await store.record_correction(second, "dana", "neutral", None, NOW, confirms=True)
    await store.record_correction(second, "mo", "hate", None, NOW, confirms=False)
    assert await store.audit.found("try-out") == {Label.NEUTRAL: 1, Label.HATE: 1}


@pytest.fixture
async def key(tmp_path: Path, sealer: Sealer) -> Path:
    """The store's key in a file."""
    path = tmp_path / "key"
    path.write_text(bytes(range(32)).hex())
    return path


async def test_training_reads_the_daily_mix_the_thresholds_and_what_was_passed_over(
    store: Store, tmp_path: Path, key: Path
) -> None:
    """Counts and thresholds, without a single text that has no basis."""
    cases = [await seen_case(store, f"those idiots lost again {n}", f"s{n}") for n in range(5)]
    await store.record_correction(cases[0], "dana", "neutral", None, NOW, confirms=False)
    await store.record_correction(cases[3], "dana", "offensive", None, NOW, confirms=True)
    for number in range(MIN_AUDITED):
        await clear(store, number)
    for case in await store.audit.draw("try-out", MIN_AUDITED, NOW, NOW):
        await store.record_correction(case, "dana", "neutral", None, NOW, confirms=True)
    strict = Policy.model_validate({"hate": {"alert_at": 0.4, "act_at": 0.6}})
    await store.save_policy("try-out", strict, datetime.now(UTC))
    snapshot = read_corrections(tmp_path / "domovoi.db", key)
    assert snapshot.corrections == [] and snapshot.left_out == {"no basis": 2 + MIN_AUDITED}
    assert snapshot.passed_over == {"try-out": {Label.OFFENSIVE: 3}}  # the span ends with the audit's cards
    assert snapshot.action_thresholds == {"try-out": {Label.HATE: 0.6, Label.OFFENSIVE: 0.95}}
    found = snapshot.prevalence["try-out"]
    assert (found.audited, found.answered) == (MIN_AUDITED, 2)
    assert found.shares[LABEL_OF[Label.NEUTRAL]] == pytest.approx((MIN_AUDITED + 5 * 1.5 / 3.5) / (MIN_AUDITED + 5))


LABEL_OF = {label: number for number, label in enumerate(Label)}
