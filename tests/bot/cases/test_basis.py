"""By which right a text teaches: it follows from where it was written and by whom, never from who corrects it where."""

import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path

import pytest
import sqlalchemy as sa
from aiohttp import ClientSession
from alembic import command

from bot.app import Running, service
from bot.config import Config, Learning, Service
from bot.domain.case import Case
from bot.domain.event import Author, Message, MessageKey
from bot.store.engines import _config
from model.labels import Label
from tests.bot.signed_in import operator
from tests.conftest import now


@pytest.fixture
async def running(tmp_path: Path) -> AsyncIterator[Running]:
    """The service with the real model on a free port."""
    settings = Service(port=0, data_folder=str(tmp_path / "data"), key_file=str(tmp_path / "keys" / "sealing.key"))
    async with service(Config(service=settings, learning=Learning(replay_rows=500))) as started:
        yield started


async def reported(running: Running, platform: str, community: str) -> Case:
    """A case from there, of an author who agreed to nothing."""
    key = MessageKey(platform, community, "5", "5:7")
    return await running.parts.case_service.report(
        Message(key, Author("7", "Tim"), "you idiot", now()), "somebody", now()
    )


def lessons(tmp_path: Path) -> list[tuple[str, str]]:
    """What training sees: (label, basis)."""
    with closing(sqlite3.connect(tmp_path / "data" / "domovoi.db")) as store:
        return store.execute("SELECT label, basis FROM training_example ORDER BY id").fetchall()


async def test_the_page_makes_no_lesson_of_another_platforms_text(running: Running, tmp_path: Path) -> None:
    """A click there on a case of Telegram or Discord is the operator's word: it teaches once its author agrees.
    Without a sign-in it is refused. What is typed on the page is the moderator's own."""
    cases = [await reported(running, *where) for where in (("telegram", "telegram--5"), ("discord", "discord-5"))]
    async with ClientSession(f"http://127.0.0.1:{running.port}") as stranger:
        for case in cases:
            for method, verb in (("POST", "correct"), ("POST", "confirm"), ("POST", "undo"), ("GET", "explain")):
                url = f"/api/cases/{case.id}/{verb}"
                async with stranger.request(method, url, json={"label": "neutral"}) as answer:
                    assert answer.status == 401 and "idiot" not in await answer.text()
            assert not await running.parts.store.words(case.id)
    async with operator(running) as session:
        for case in cases:
            async with session.post(f"/api/cases/{case.id}/correct", json={"label": "neutral"}) as answer:
                assert answer.status == 200 and not (await answer.json())["case"]["teaches"]
            (said,) = await running.parts.store.words(case.id)
            assert said.moderator == "Operator"
    assert lessons(tmp_path) == []
    for case in cases:
        await running.parts.store.consents.give(case.message.key.community, case.message.author, now())
        assert (await running.parts.case_service.confirm(case, "dana")).case.teaches
    own = await reported(running, "webchat", "try-out")
    await running.parts.case_service.correct(own, "dana", Label.OFFENSIVE)
    assert [basis.partition(":")[0] for _, basis in lessons(tmp_path)] == ["consent", "consent", "authored"]


def test_an_upgrade_takes_back_what_was_taken_from_the_place_of_the_click() -> None:
    """Lessons that the page made of Telegram's and Discord's texts, and Discord's permission on Telegram's; a text that
    was typed to teach, a consent, and Discord's permission on its own texts stay."""
    engine = sa.create_engine("sqlite://")
    rows = [
        ("telegram", "5", "authored", None),
        ("discord", "5", "authored", None),
        ("telegram", "5", "permission:DC-1", None),
        ("discord", "5", "permission:DC-1", "permission:DC-1"),
        ("telegram", "examples", "authored", "authored"),
        ("discord", "examples", "authored", "authored"),
        ("webchat", "lounge", "authored", "authored"),
        ("telegram", "5", "consent:1", "consent:1"),
    ]
    with engine.begin() as connection:
        command.upgrade(_config(connection), "0012")
        for number, (platform, room, basis, _) in enumerate(rows, 1):
            connection.exec_driver_sql(
                "INSERT INTO message (id, platform, community, room, message, revision, author, sent_at, seen_at,"
                " state) VALUES (?, ?, 'c', ?, ?, 0, 'a', '2026-01-02', '2026-01-02', 'done')",
                (number, platform, room, str(number)),
            )
            connection.exec_driver_sql(
                'INSERT INTO "case" (id, message_id, state, undone, created_at, posted_back)'
                " VALUES (?, ?, 'corrected', 0, '2026-01-02', 0)",
                (number, number),
            )
            connection.exec_driver_sql(
                "INSERT INTO correction (case_id, moderator, label, basis, created_at)"
                " VALUES (?, 'm', 'hate', ?, '2026-01-02')",
                (number, basis),
            )
        connection.exec_driver_sql("INSERT INTO chat (platform, chat, community) VALUES ('telegram', '-2', 'x')")
        command.upgrade(_config(connection), "0013")
        found = connection.exec_driver_sql("SELECT basis FROM correction ORDER BY case_id").scalars().all()
        assert list(found) == [left for *_, left in rows]
        assert connection.exec_driver_sql("SELECT moved_from FROM chat").scalars().all() == [None]
    engine.dispose()
