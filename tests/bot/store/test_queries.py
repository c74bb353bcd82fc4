"""What can be asked of the journal and its cases."""

import sqlite3
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import sqlalchemy as sa

from bot.domain.decision import Band, Decision
from bot.domain.event import Attached
from bot.domain.row_state import RowState
from bot.store import Counts, Store
from model.labels import Label
from tests.bot.cases.test_audit import clear
from tests.bot.store.test_store import NOW, examples, seen_case
from tests.conftest import said, verdict

DELETED = Decision(Band.ACTION, Label.HATE, 0.9, 0.8, enforced=True)


async def test_an_author_has_a_history(store: Store) -> None:
    """Their cases in this community, newest first; neither examples nor another's."""
    cases = [await seen_case(store, number=number) for number in "123"]
    await clear(store, 1)
    await store.record_example("try-out", "webchat", "ann", "such vermin", "hate", NOW)
    ann, ben = (store.author(said("x", author=name)) for name in ("ann", "ben"))
    assert [case.id for case in await store.history("try-out", ann)] == cases[::-1]
    assert [case.id for case in await store.history("try-out", ann, limit=1)] == cases[-1:]
    assert await store.history("try-out", ben) == [] == await store.history("elsewhere", ann)


async def test_what_stands_beside_the_authors_words_is_kept_as_long(store: Store) -> None:
    """What is quoted and attached comes back with the event, and goes with the text."""
    beside = {"quoted": "such vermin", "attached": (Attached("sticker", "x"),), "unreadable": "hologram"}
    event = replace(said("not nice"), **beside)  # type: ignore[arg-type]
    assert await store.record_seen(event, NOW) == (1, False)
    (left,) = await store.left([1], ("seen",))
    assert left.event is not None
    assert replace(left.event, sent_at=event.sent_at) == event and left.row.quoted == "such vermin"
    await store.forget_texts(NOW + timedelta(days=1))
    (left,) = await store.left([1], ("seen",))
    assert left.event is None and not left.row.quoted and not left.row.attached


async def test_a_message_is_found_by_its_platforms_number(store: Store) -> None:
    """In whatever room: its latest revision, and the latest case there is of any."""
    case = await seen_case(store, "those idiots", "7")
    address = said("x", "7").key.address
    edited = said("those people", "7")
    await store.record_seen(replace(edited, key=replace(edited.key, revision=1)), NOW)
    found, shown = await store.journalled(*address), await store.case_of(*address)
    assert found is not None and (found.text, found.key.revision) == ("those people", 1)
    assert shown is not None and shown.id == case
    assert await store.journalled("discord", "try-out", "7") is None is await store.case_of("webchat", "try-out", "8")


async def test_numbers_and_authors_are_looked_up_in_an_index(store: Store) -> None:
    """Without reading the community's other messages."""
    asked: list[tuple[str, tuple[object, ...]]] = []

    @sa.event.listens_for(store._engine.sync_engine, "before_cursor_execute")
    def _note(_c: object, _cursor: object, statement: str, parameters: tuple[object, ...], *_: object) -> None:
        asked.append((statement, parameters))

    await store.journalled("discord", "g1", "7")
    await store.case_of("discord", "g1", "7")
    await store.history("g1", "someone")
    await store.personal_data.export("someone", "g1")
    plans = []
    async with store._engine.connect() as connection:
        for statement, parameters in list(asked):
            rows = await connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)
            plans.append(next(row.detail for row in rows if " message " in row.detail))
    number = "INDEX message_by_number (platform=? AND community=? AND message=?)"
    author = "INDEX message_by_author (community=? AND author=?)"
    assert [plan.removeprefix("SEARCH message USING ").removeprefix("COVERING ") for plan in plans] == [
        number,
        number,
        author,
        author,
    ]


async def test_a_status_line_has_its_counts(store: Store) -> None:
    """Since a moment; examples are no messages and no cards, what was undone was not done."""
    before = await seen_case(store)
    later = NOW + timedelta(hours=1)
    for number in "234":
        row = (await store.record_seen(said("x", number), later)).row
        case = await store.record_decision(row or 0, verdict(0.9), DELETED, RowState.DONE, later, case=True)
    foreign = (await store.record_seen(said("გამარჯობა", "5"), later)).row
    not_read = Decision(Band.CLEAR, Label.NEUTRAL, 0.0, 0.0, unread_script="Georgian")
    await store.record_decision(foreign or 0, verdict(), not_read, RowState.DONE, later, case=False)
    await store.record_undone(case or 0, "dana")
    await store.record_correction(before, "dana", "neutral", None, later, confirms=False)
    await store.record_example("try-out", "webchat", "dana", "such vermin", "hate", later)
    assert await store.counts("try-out", later) == Counts(messages=4, opened=3, answered=1, acted=2, not_read=1)
    assert await store.counts("try-out", NOW) == Counts(messages=5, opened=4, answered=2, acted=2, not_read=1)
    assert await store.counts("elsewhere", NOW) == Counts(0, 0, 0, 0, 0)


async def test_what_a_moderator_types_teaches_and_counts_nowhere(store: Store, tmp_path: Path) -> None:
    """An example is in training's sight, in no list, no audit, and does not make older cards look passed over."""
    path = tmp_path / "domovoi.db"
    answered, _waiting = [await seen_case(store, number=number) for number in "12"]
    await store.record_correction(answered, "dana", "offensive", None, NOW, confirms=True)
    number = await store.record_example("try-out", "webchat", "dana", "such vermin", "hate", NOW)
    assert examples(path) == [("hate", "authored")]
    assert number not in [case.id for case in await store.cases("try-out")]
    assert await store.messages("try-out", NOW - timedelta(days=1)) != []
    assert "such vermin" not in [each.text for each in await store.messages("try-out", NOW - timedelta(days=1))]
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT * FROM training_passed_over").fetchall() == []
        counted = connection.execute("SELECT band, label, messages FROM training_audit").fetchall()
    assert counted == [("shown", None, 2), ("shown", "offensive", 1)]
    case = await store.case(number)
    assert case is not None and (case.message.text, case.state, case.teaches) == ("such vermin", "confirmed", True)
    dana = store.sealer.author("webchat", "try-out", "dana")
    assert [each.text for each in await store.personal_data.export(dana, "try-out")] == ["such vermin"]
