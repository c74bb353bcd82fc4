"""What the journal does with many messages at once, it does as with each alone."""

import asyncio
import contextlib
import sqlite3
from pathlib import Path

import pytest
import sqlalchemy as sa

from bot.domain.decision import Band, Decision
from bot.domain.row_state import RowState
from bot.store import Sealer, Store, journal
from model.labels import Label
from tests.conftest import now, said, verdict
from tests.journal import unfinished

CLEAR = Decision(Band.CLEAR, Label.NEUTRAL, 0.1, 0.0)
SHOWN = Decision(Band.ALERT, Label.HATE, 0.9, 0.5)


async def test_known_revisions_among_new_ones_are_noticed(store: Store) -> None:
    """Of equal ones that come together, the first is new."""
    await store.record_seen(said("old", "1"), now())
    numbers = ["2", "1", "3", "3", "4", "2"]
    rows = await asyncio.gather(*(store.record_seen(said("x", number), now()) for number in numbers))
    assert [row is not None for row in rows] == [True, False, True, False, True, False]
    kept = await unfinished(store, "webchat")
    assert {old.id: old.key.message for old in kept} == {
        1: "1",
        **{rows[place].row: number for place, number in ((0, "2"), (2, "3"), (4, "4"))},
    }


async def test_more_than_fits_one_statement(store: Store) -> None:
    """Every row is there once, with its own text, verdict and state."""
    many = 2 * journal.ROWS_AT_ONCE + 17
    rows = await asyncio.gather(*(store.record_seen(said(f"text {n}", str(n)), now()) for n in range(many)))
    assert len({row for row in rows if row is not None}) == many
    decided = (
        store.record_decision(
            row.row, verdict(n / many), CLEAR, RowState.SENT if n % 2 else "scored", now(), case=False
        )
        for n, row in enumerate(rows)
    )
    assert set(await asyncio.gather(*decided)) == {None}
    for n, old in enumerate(await unfinished(store, "webchat")):
        assert (old.id, old.text, old.state) == (rows[n].row, f"text {n}", "sent" if n % 2 else "scored")
        assert old.probabilities["hate"] == n / many and old.decision == CLEAR


async def test_what_is_written_by_hand_reads_as_what_sqlalchemy_writes(store: Store, tmp_path: Path) -> None:
    """Moments, JSON and truth values have one form in the file, whoever wrote them."""
    event, moment = said("x"), now()
    await store.record_seen(event, moment)
    await store.record_decision(1, verdict(0.1), CLEAR, RowState.DONE, moment, case=False)
    await store.record_shown(said("y", "2"), verdict(0.1), CLEAR, moment)
    with contextlib.closing(sqlite3.connect(tmp_path / "domovoi.db")) as connection:
        columns = "typeof(sent_at), length(sent_at), seen_at, probabilities, decision, enforced, typeof(enforced)"
        first, second = connection.execute(f"SELECT {columns} FROM message ORDER BY id")  # noqa: S608
    assert first == second


async def test_an_author_stays_known_only_where_there_is_a_case(store: Store) -> None:
    """One opened now, or before by a member's report; deciding again opens no second one."""
    for number in "123":
        await store.record_seen(said("x", number), now())
    reported = await store.record_shown(said("x", "2"), verdict(0.1), CLEAR, now())
    answers = await asyncio.gather(
        store.record_decision(1, verdict(0.9), SHOWN, RowState.DONE, now(), case=True),
        store.record_decision(2, verdict(0.1), CLEAR, RowState.DONE, now(), case=False),
        store.record_decision(3, verdict(0.1), CLEAR, RowState.DONE, now(), case=False),
    )
    assert answers[0] is not None and answers[1:] == [None, None] and answers[0] != reported
    assert [await store.event(row) is not None for row in (1, 2, 3)] == [True, True, False]
    assert await store.record_decision(1, verdict(0.9), SHOWN, RowState.DONE, now(), case=True) == answers[0]


async def test_one_bad_row_fails_only_its_own_caller(store: Store) -> None:
    """Its neighbours in the same statement are on disk all the same."""
    bad = said("x", "bad")
    object.__setattr__(bad.key, "room", None)
    events = [said("x", str(number)) for number in range(20)]
    events.insert(7, bad)
    answers = await asyncio.gather(*(store.record_seen(event, now()) for event in events), return_exceptions=True)
    failed = [isinstance(answer, sa.exc.IntegrityError) for answer in answers]
    assert failed == [number == 7 for number in range(21)] and len(await unfinished(store, "webchat")) == 20


async def test_works_are_done_in_the_order_in_which_they_were_asked_for(store: Store) -> None:
    """What counts the journal's rows counts those that were asked for before it, and no others."""

    def count(connection: sa.Connection) -> int:
        return int(connection.scalar(sa.text("SELECT count(*) FROM message")) or 0)

    works = [
        store._writer.write(count) if n % 3 == 2 else store.record_seen(said("x", str(n)), now()) for n in range(30)
    ]
    assert (await asyncio.gather(*works))[2::3] == list(range(2, 21, 2))


async def test_a_coroutine_is_no_work(store: Store) -> None:
    """It would never run."""

    async def work(connection: sa.Connection) -> None: ...

    with pytest.raises(TypeError, match="plain function"):
        await store._writer.write(work)


async def test_closing_waits_for_the_commit_under_way(tmp_path: Path, sealer: Sealer) -> None:
    """Whoever was cancelled before may still find it written, and nobody finds it half written."""
    async with Store.open(tmp_path / "s.db", sealer) as store, asyncio.TaskGroup() as group:
        tasks = [group.create_task(store.record_seen(said("x", str(n)), now())) for n in range(50)]
        while not store._writer._busy:
            await asyncio.sleep(0)
        await asyncio.sleep(0)
        for task in tasks:
            task.cancel()
    async with Store.open(tmp_path / "s.db", sealer) as store:
        assert len(await unfinished(store, "webchat")) in (0, 50)
    with pytest.raises(RuntimeError, match="closed"):
        await store.record_seen(said("x"), now())
