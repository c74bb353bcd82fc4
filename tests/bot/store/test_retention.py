"""What is left of harmless messages once their time is over: counts, and everything that asks the journal gets the same
answer as before."""

import asyncio
import contextlib
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from bot.domain.event import Message, MessageKey
from bot.domain.policy import Policy, Standing, decide
from bot.domain.row_state import RowState
from bot.store import Sealer, Store
from bot.store import retention as module
from tests.conftest import said, verdict

NOW = datetime.now(UTC)
LONG_AGO = NOW - timedelta(days=60)
FORGET = NOW - timedelta(days=30)


async def wrote(
    store: Store, number: int | str, *, harm: float = 0.0, room: str = "lounge", author: str = "ann"
) -> int:
    """A message that was read sixty days ago."""
    event = said("a text of about as many words as people write in a chat", str(number), author)
    event = replace(event, sent_at=LONG_AGO, key=replace(event.key, room=room))
    seen = await store.record_seen(event, LONG_AGO)
    assert seen is not None
    found = verdict(harm)
    decision = decide(event, found, Standing(), Policy())
    await store.record_decision(seen.row, found, decision, RowState.DONE, LONG_AGO, case=bool(decision.actions))
    return seen.row


def rows(path: Path) -> list[str]:
    with contextlib.closing(sqlite3.connect(path)) as connection:
        return [number for (number,) in connection.execute("SELECT message FROM message ORDER BY id")]


def audit(path: Path) -> list[tuple[str, str, int]]:
    with contextlib.closing(sqlite3.connect(path)) as connection:
        query = "SELECT community, band, messages FROM training_audit WHERE label IS NULL ORDER BY community, band"
        return connection.execute(query).fetchall()


async def test_harmless_rows_go_and_what_counts_stays(store: Store, tmp_path: Path) -> None:
    """A case, a report, a name, an erased text, an action and the journal's last row all stay."""
    path = tmp_path / "domovoi.db"
    for number in range(20):
        await wrote(store, number)
    await wrote(store, "case", harm=0.7)
    reported = await wrote(store, "reported")
    await store.reports.record(reported, "somebody", LONG_AGO)
    await wrote(store, "name-7")
    await wrote(store, "chat:title-7")
    await wrote(store, "erased", author="eve")
    await store.personal_data.erase(store.sealer.author("webchat", "try-out", "eve"), "try-out", LONG_AGO)
    await wrote(store, "last")
    before = audit(path)
    assert await store.forget_texts(FORGET) == 25
    assert rows(path) == ["case", "reported", "name-7", "chat:title-7", "erased", "last"]
    assert audit(path) == before
    seen = await store.record_seen(said("new", "new"), NOW)
    assert seen is not None and seen.row > 25, "numbers are counted on"


async def test_a_row_stays_for_a_week_longer_than_its_text(store: Store, tmp_path: Path) -> None:
    """Previews and counts look back for a week, however short the texts are kept."""
    await wrote(store, 1)
    await wrote(store, 2)
    assert await store.forget_texts(LONG_AGO + timedelta(days=1)) == 2
    assert rows(tmp_path / "domovoi.db") == ["1", "2"]
    assert await store.forget_texts(LONG_AGO + module.ROWS_LONGER + timedelta(seconds=1)) == 0
    assert rows(tmp_path / "domovoi.db") == ["2"]


async def test_a_room_that_was_moderated_is_one_for_ever(store: Store) -> None:
    """Nothing turns it into the moderators' own room once its rows are gone; one that was left alone is none."""
    await wrote(store, 1, room="lounge")
    await wrote(store, 2, room="lounge/thread")
    left_alone = await wrote(store, 3, room="left alone")
    await store.record_state(left_alone, RowState.EXEMPT)
    await wrote(store, 4, room="elsewhere")
    await store.forget_texts(FORGET)
    assert await store.has_messages("webchat", "try-out", "lounge")
    assert not await store.has_messages("webchat", "try-out", "left alone")
    assert not await store.has_messages("webchat", "try-out", "loun")
    assert not await store.has_messages("discord", "try-out", "lounge")


async def test_whoever_was_known_is_known(store: Store) -> None:
    """Of whom only harmless old messages are known, a model gone wrong would hit an ordinary member."""
    await wrote(store, 1, author="ann")
    await wrote(store, 2, author="ben")

    async def is_ordinary(author: str) -> bool:
        past = await store.standings.past(said("x", "9", author), NOW, NOW, NOW)
        return past.is_ordinary

    before = [await is_ordinary(name) for name in ("ann", "ben", "new")]
    await store.forget_texts(FORGET)
    assert [await is_ordinary(name) for name in ("ann", "ben", "new")] == before == [True, True, False]
    ann = store.sealer.author("webchat", "try-out", "ann")
    assert await store.written_in([(ann, "try-out"), ("try-out", ann)]) == {"try-out"}


async def test_a_message_that_has_a_case_keeps_its_revisions(store: Store, tmp_path: Path) -> None:
    """Its card says what became of it."""
    await wrote(store, "m", harm=0.7)
    event = replace(said("better", "m"), sent_at=LONG_AGO)
    seen = await store.record_seen(replace(event, key=replace(event.key, revision=1)), LONG_AGO)
    assert seen is not None and seen.revises
    good = verdict()
    decided = decide(event, good, Standing(), Policy())
    await store.record_decision(seen.row, good, decided, RowState.DONE, LONG_AGO, case=False)
    await wrote(store, "last")
    await store.forget_texts(FORGET)
    (case,) = await store.cases("try-out")
    assert case.edited == "clear" and rows(tmp_path / "domovoi.db") == ["m", "m", "last"]


async def test_a_room_is_not_read_again_from_its_beginning(store: Store) -> None:
    """Its watermark has counted with the rows that go."""
    await store.watermarks.begin("webchat", "lounge", 100, LONG_AGO)
    for number in (150, 200, 250):
        await wrote(store, number)
    await wrote(store, 300, room="other")
    await store.forget_texts(FORGET)
    await store.watermarks.open_gaps("webchat", 10**6, NOW)
    assert await store.watermarks.gaps("webchat") == {"lounge": 250}


async def test_an_erased_text_does_not_come_back_by_a_report(store: Store) -> None:
    """However long ago it was erased."""
    await wrote(store, "m")
    await store.personal_data.erase(store.sealer.author("webchat", "try-out", "ann"), "try-out", LONG_AGO)
    await wrote(store, "last", author="ben")
    await store.forget_texts(FORGET)
    key = MessageKey("webchat", "try-out", "lounge", "m")
    event = Message(key, said("x").author, "a secret", LONG_AGO)
    number = await store.record_shown(event, verdict(), decide(event, verdict(), Standing(), Policy()), NOW)
    case = await store.case(number)
    assert case is not None and case.message.text == ""


async def test_a_message_reported_meanwhile_stays(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the look and the deletion somebody reports it."""
    row = await wrote(store, "m")
    await wrote(store, "last")
    looked = module.Retention._ids

    async def report_meanwhile(self: module.Retention, *asked: object) -> list[int]:
        found = await looked(self, *asked)  # type: ignore[arg-type]
        if asked[1]:
            await store.reports.record(row, "somebody", NOW)
        return found

    monkeypatch.setattr(module.Retention, "_ids", report_meanwhile)
    await store.forget_texts(FORGET)
    assert rows(tmp_path / "domovoi.db") == ["m", "last"]


async def test_writers_do_not_wait_for_the_hourly_job(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each step has few rows, and who writes comes between two."""
    monkeypatch.setattr(module, "AT_ONCE", 10)
    monkeypatch.setattr(module, "_DUE", module._DUE.replace("LIMIT 500", "LIMIT 10"))
    for number in range(200):
        await wrote(store, number)
    async with asyncio.TaskGroup() as group:
        forgetting = group.create_task(store.forget_texts(FORGET))
        written = 0
        while not forgetting.done():
            await store.record_seen(said("meanwhile", f"new {written}"), NOW)
            written += 1
    assert written >= 20


async def test_what_went_does_not_come_back_with_a_backup(tmp_path: Path, sealer: Sealer) -> None:
    """The log of changes does again what was counted and deleted, once."""
    path = tmp_path / "domovoi.db"
    async with opened(path, sealer) as store:
        for number in range(5):
            await wrote(store, number)
        await store.back_up()
        await store.forget_texts(FORGET)
        expected = audit(path)
    path.unlink()
    async with opened(path, sealer):
        assert rows(path) == ["4"] and audit(path) == expected


@asynccontextmanager
async def opened(path: Path, sealer: Sealer) -> AsyncIterator[Store]:
    async with Store.open(path, sealer) as store:
        yield store


async def test_harmless_messages_leave_almost_nothing(tmp_path: Path, sealer: Sealer) -> None:
    """Bytes in the file for each: of two thousand by fifty authors in five rooms."""
    path = tmp_path / "domovoi.db"

    def used() -> int:
        with contextlib.closing(sqlite3.connect(path)) as connection:
            ask = connection.execute
            pages = ask("PRAGMA page_count").fetchone()[0] - ask("PRAGMA freelist_count").fetchone()[0]
            return int(pages * ask("PRAGMA page_size").fetchone()[0])

    async with opened(path, sealer) as store:
        empty = used()
        for start in range(0, 2000, 100):
            await asyncio.gather(
                *(
                    wrote(store, 10**17 + number, room=f"room {number % 5}", author=f"author {number % 50}")
                    for number in range(start, start + 100)
                )
            )
        full = (used() - empty) / 2000
        await store.forget_texts(FORGET + module.ROWS_LONGER - timedelta(days=40))
        textless = (used() - empty) / 2000
        await store.forget_texts(FORGET)
        left = (used() - empty) / 2000
    assert left < 40, f"{full:.0f} bytes with its text, {textless:.0f} without, {left:.1f} in the end"
