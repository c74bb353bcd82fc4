"""The store: schema from migrations, sealed texts, and only what has a basis is seen by training."""

import asyncio
import contextlib
import sqlite3
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from alembic import command

from bot.domain.decision import Band, Decision
from bot.domain.policy import Mode, Policy
from bot.domain.row_state import RowState
from bot.store import KeyMissing, NewerStore, Sealer, Store
from bot.store import tables as t
from bot.store.engines import _config, migrate
from model.labels import Label
from tests.conftest import said, verdict
from tests.journal import commits, unfinished

NOW = datetime(2026, 1, 2, 12, tzinfo=UTC)


def schema(engine: sa.Engine) -> dict[str, object]:
    """Every column, index and constraint, comparably."""
    found = sa.inspect(engine)

    def where(index: Any) -> str:
        return str(index.get("dialect_options", {}).get("sqlite_where"))

    return {
        name: (
            [(c["name"], str(c["type"]), c["nullable"]) for c in found.get_columns(name)],
            sorted((i["name"], i["column_names"], where(i)) for i in found.get_indexes(name)),
            sorted(str(u) for u in found.get_unique_constraints(name)),
            sorted(str(f["referred_table"]) for f in found.get_foreign_keys(name)),
        )
        for name in found.get_table_names()
        if name != "alembic_version"
    }


def test_all_migrations_together_make_the_schema() -> None:
    """What the code says and what migrations built are the same tables."""
    built, written = sa.create_engine("sqlite://"), sa.create_engine("sqlite://")
    with built.begin() as connection:
        migrate(connection)
    t.metadata.create_all(written)
    assert schema(built) == schema(written)
    views = sa.inspect(built)
    found = {name: views.get_view_definition(name).split() for name in views.get_view_names()}
    assert found == {name: view.split() for name, view in t.VIEWS.items()}
    built.dispose()
    written.dispose()


def test_an_upgrade_keeps_what_was_there() -> None:
    """Rows of the version before are whole after it, and after the way back and forth again."""
    engine = sa.create_engine("sqlite://")
    rows = (
        "INSERT INTO message VALUES (1, 'webchat', 'try-out', 'lounge', '1', 0, 'ann', NULL, x'00', '2026-01-02',"
        " '2026-01-02', 'done', 'global/1', '{}', '{\"band\": \"alert\", \"label\": \"hate\"}', 0)",
        "INSERT INTO \"case\" VALUES (1, 1, 'confirmed', 'dana', NULL, 0, '2026-01-02')",
        "INSERT INTO correction VALUES (1, 1, 'dana', 'hate', 'authored', '2026-01-02')",
    )
    with engine.begin() as connection:
        config = _config(connection)
        command.upgrade(config, "0004")
        for row in rows:
            connection.exec_driver_sql(row)
        for step in (command.upgrade, command.downgrade, command.upgrade):
            step(config, "0004" if step is command.downgrade else "0005")
        new = connection.exec_driver_sql('SELECT erased_at, posted_back, decision FROM message, "case"').one()
        assert tuple(new) == (None, 0, '{"band": "alert", "label": "hate"}')
        assert connection.exec_driver_sql("SELECT label, basis FROM training_example").all() == [("hate", "authored")]
        assert len(connection.exec_driver_sql("SELECT * FROM training_audit").all()) == 2
    engine.dispose()


async def seen_case(store: Store, text: str = "those idiots lost again", number: str = "1") -> int:
    """A message that was scored and became a case."""
    row = (await store.record_seen(said(text, number), NOW)).row
    assert row is not None
    decision = Decision(Band.ALERT, Label.OFFENSIVE, 0.8, 0.7, reason="offensive 0.80 ≥ 0.70")
    case = await store.record_decision(row, verdict(0.1, 0.7), decision, RowState.DONE, NOW, case=True)
    assert case is not None
    return case


def examples(path: Path) -> list[tuple[str, str]]:
    """What training sees: (label, basis)."""
    with sqlite3.connect(path) as connection:
        rows = connection.execute("SELECT label, basis FROM training_example ORDER BY id").fetchall()
    connection.close()
    return rows


def left_out(path: Path) -> list[str]:
    """Why training sees nothing of the others."""
    with contextlib.closing(sqlite3.connect(path)) as connection:
        return [reason for (reason,) in connection.execute("SELECT reason FROM training_left_out")]


async def test_only_corrections_with_a_basis_become_examples(store: Store, tmp_path: Path) -> None:
    """No basis, no example; the moderators' last word counts; a withdrawn consent takes its example away."""
    path = tmp_path / "domovoi.db"
    case = await seen_case(store)
    await store.record_correction(case, "dana", "neutral", None, NOW, confirms=False)
    assert examples(path) == []
    await store.record_correction(case, "dana", "offensive", "authored", NOW, confirms=False)
    await store.record_correction(case, "dana", "hate", "authored", NOW, confirms=False)
    assert examples(path) == [("hate", "authored")]
    other = await seen_case(store, number="2")
    await store.record_correction(other, "dana", "neutral", "consent:1", NOW, confirms=False)
    assert len(examples(path)) == 1
    assert await store.consents.give("try-out", "x", NOW) == "consent:1"
    assert examples(path) == [("hate", "authored"), ("neutral", "consent:1")]
    assert await store.consents.withdraw("try-out", "x", NOW)
    assert examples(path) == [("hate", "authored")]
    unfounded = await seen_case(store, number="3")
    await store.record_correction(unfounded, "dana", "neutral", None, NOW, confirms=False)
    assert sorted(left_out(path)) == ["consent withdrawn", "no basis"]
    assert set(await store.training_views.standing()) == {"3"}
    await store.forget_texts(NOW + timedelta(days=1))
    assert set(await store.training_views.standing()) == {"3"}  # forgotten in time is not taken back
    assert sorted(left_out(path)) == ["consent withdrawn", "no basis", "text forgotten"]


async def test_an_example_says_how_many_moderators_agree(store: Store, tmp_path: Path) -> None:
    """Each moderator's last word counts once."""
    case = await seen_case(store)
    for moderator, label, agreeing in (("dana", "hate", 1), ("eve", "hate", 2), ("dana", "neutral", 1)):
        await store.record_correction(case, moderator, label, "authored", NOW, confirms=False)
        with contextlib.closing(sqlite3.connect(tmp_path / "domovoi.db")) as connection:
            assert connection.execute("SELECT agreeing FROM training_example").fetchall() == [(agreeing,)]


async def test_a_consent_holds_until_it_is_withdrawn(store: Store) -> None:
    """Twice given is once; another community's is another; after a withdrawal a new one starts anew."""
    first = await store.consents.give("try-out", "ann", NOW)
    assert await store.consents.give("try-out", "ann", NOW) == first == await store.consents.basis("try-out", "ann")
    assert await store.consents.basis("elsewhere", "ann") is None
    assert await store.consents.withdraw("try-out", "ann", NOW)
    assert not await store.consents.withdraw("try-out", "ann", NOW)
    assert await store.consents.basis("try-out", "ann") is None
    assert await store.consents.give("try-out", "ann", NOW) != first


async def test_the_same_revision_is_seen_once(store: Store) -> None:
    """A replayed event changes nothing."""
    assert await store.record_seen(said("x"), NOW) is not None
    assert await store.record_seen(said("x"), NOW) is None


async def test_neither_text_nor_author_lies_open_on_disk(store: Store, tmp_path: Path) -> None:
    """The words and the id are in no file of the data folder."""
    await seen_case(store, "a very particular sentence")
    content = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert b"particular" not in content and b"Ann" not in content


async def test_texts_are_forgotten_after_their_time(store: Store) -> None:
    """The row stays, its text and author do not."""
    await seen_case(store)
    assert await store.forget_texts(NOW + timedelta(days=1)) == 1
    assert [case.message.text for case in await store.cases("try-out")] == [""]


async def test_the_first_undo_wins(store: Store) -> None:
    """The second click is told that nothing was left to undo."""
    case = await seen_case(store)
    assert await store.record_undone(case, "dana")
    assert not await store.record_undone(case, "eve")


async def test_policies_are_kept(store: Store) -> None:
    """A new community starts in shadow mode; what is saved comes back."""
    assert (await store.policy("new")).mode is Mode.SHADOW
    await store.save_policy("new", Policy(mode=Mode.ENFORCE), NOW)
    assert await store.policy("new") == Policy(mode=Mode.ENFORCE)


async def test_strikes_are_messages_acted_on_and_not_undone(store: Store) -> None:
    """Only enforced actions that were not undone count."""
    decision = Decision(Band.ACTION, Label.HATE, 0.9, 0.8, enforced=True)
    for number in "12":
        row = (await store.record_seen(said("x", number), NOW)).row
        case = await store.record_decision(row or 0, verdict(0.9), decision, RowState.DONE, NOW, case=True)
    since = NOW - timedelta(days=1)
    assert set((await store.standings.strikes(said("y", "3"), since)).strikes) == {"1", "2"}
    await store.record_undone(case or 0, "dana")
    assert set((await store.standings.strikes(said("y", "3"), since)).strikes) == {"1"}
    assert (await store.standings.strikes(said("y", "3", author="ben"), since)).strikes == {}


async def test_a_store_from_the_future_is_left_alone(tmp_path: Path, sealer: Sealer) -> None:
    """It names both versions and changes nothing."""
    path = tmp_path / "s.db"
    async with Store.open(path, sealer):
        pass
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    connection.close()
    with pytest.raises(NewerStore, match="9999"):
        async with Store.open(path, sealer):
            pass


async def test_a_wrong_key_is_found_at_start(tmp_path: Path, sealer: Sealer) -> None:
    """Not in the middle of a case."""
    async with Store.open(tmp_path / "s.db", sealer) as store:
        await seen_case(store)
    with pytest.raises(KeyMissing, match="another key"):
        async with Store.open(tmp_path / "s.db", Sealer(bytes(32))):
            pass


def test_a_missing_key_is_never_replaced_silently(tmp_path: Path) -> None:
    """With a store there is no new key; without one a key is made, readable only by its owner."""
    with pytest.raises(KeyMissing, match="restore"):
        Sealer.from_file(tmp_path / "k", create=False)
    Sealer.from_file(tmp_path / "k", create=True)
    assert (tmp_path / "k").stat().st_mode & 0o077 == 0


async def test_writes_that_come_together_share_commits(store: Store) -> None:
    """Forty at once take fewer than ten."""
    before = await commits(store)
    rows = await asyncio.gather(*(store.record_seen(said(f"text {n}", str(n)), NOW) for n in range(40)))
    assert sorted(row.row for row in rows) == list(range(1, 41)) and await commits(store) - before < 10


async def test_a_write_that_fails_fails_alone(store: Store) -> None:
    """What shared its commit is on disk all the same."""
    bad = store.record_correction(999, "dana", None, None, NOW, confirms=False)  # type: ignore[arg-type]
    good = [store.record_seen(said(f"text {n}", str(n)), NOW) for n in range(40)]
    *rows, failed = await asyncio.gather(*good, bad, return_exceptions=True)
    assert isinstance(failed, sa.exc.IntegrityError) and len(await unfinished(store, "webchat")) == len(rows) == 40


async def test_a_cancelled_writer_leaves_the_others_their_commit(store: Store) -> None:
    """The one that leaves while its batch is being written takes nothing with it."""
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(store.record_seen(said(f"text {n}", str(n)), NOW)) for n in range(20)]
        await asyncio.sleep(0.001)
        tasks[0].cancel()
    assert all(task.result() is not None for task in tasks[1:])
    assert len(await unfinished(store, "webchat")) >= 19
