"""NaN and infinity from outside: in a store that took them once, in requests, in config.toml."""

import asyncio
import contextlib
import json
import math
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession
from pydantic import ValidationError

from bot.app import Running, service
from bot.config import BadConfig, Config, Service, read_config
from bot.console.components import dumps, loads
from bot.domain.policy import Mode, Policy
from bot.store import Sealer, Store
from model.labels import Label
from tests.bot.signed_in import operator
from tests.journal import unfinished
from training.corrections import read_corrections
from training.refresh import NOTHING

TEXTS = ("good morning", "fuck all refugees, they are vermin", "see you at dinner", "you fucking moron")
NUMBERS = ("NaN", "Infinity", "-Infinity")


@contextlib.asynccontextmanager
async def started(folder: Path) -> AsyncIterator[Running]:
    settings = Service(port=0, data_folder=str(folder / "data"), key_file=str(folder / "sealing.key"))
    async with service(Config(service=settings)) as running:
        yield running


async def say(running: Running, *texts: str) -> None:
    for text in texts:
        await running.parts.pipeline.receive(running.parts.chat.compose("ann", text, datetime.now(UTC)))
    async with asyncio.timeout(60):
        while await unfinished(running.parts.store, "webchat"):
            await asyncio.sleep(0.02)


def poison(path: Path, number: str) -> None:
    """As an older version wrote it: JSON that Python reads and nobody else does."""
    with contextlib.closing(sqlite3.connect(path)) as store, store:
        rows = store.execute("SELECT id, probabilities, decision FROM message ORDER BY id").fetchall()
        for row, probabilities, decision in rows[:2]:
            shares, said = json.loads(probabilities), json.loads(decision)
            shares["hate"] = said["score"] = said["threshold"] = "X"
            values = [json.dumps(data).replace('"X"', number) for data in (shares, said)]
            store.execute("UPDATE message SET probabilities = ?, decision = ? WHERE id = ?", (*values, row))
        policy = Policy(mode=Mode.ENFORCE, names_alert_at=0.97).model_dump(mode="json")
        policy["hate"]["act_at"] = "X"
        text = json.dumps(policy).replace('"X"', number)
        store.execute("INSERT OR REPLACE INTO policy VALUES ('town', ?, '2026-01-01')", (text,))


async def asked(session: ClientSession, method: str, path: str, **more: Any) -> Any:
    async with session.request(method, path, **more) as answer:
        assert answer.status in (200, 201, 202), (path, answer.status, await answer.text())
        return loads(await answer.text())


@pytest.mark.parametrize("number", NUMBERS)
async def test_a_store_that_holds_nan_opens_and_everything_over_it_works(
    tmp_path: Path, number: str, capfd: pytest.CaptureFixture[str]
) -> None:
    """It failed for good: state, audit, preview, advice, flips, backup and refresh. One line says how many rows."""
    database = tmp_path / "data" / "domovoi.db"
    async with started(tmp_path) as running:
        await say(running, *TEXTS)
    poison(database, number)
    capfd.readouterr()
    async with (
        started(tmp_path) as running,
        operator(running) as session,
    ):
        assert capfd.readouterr().out.count("scores that were no numbers") == 1
        state = await asked(session, "GET", "/api/state")
        (mended,) = [case for case in state["cases"] if case["text"] == TEXTS[1]]
        assert mended["score"] == 0 and not mended["probabilities"] and "not a number" in mended["reason"]
        headers = {"X-CSRF-Token": state["csrf"]}
        assert (await asked(session, "POST", "/api/audit", headers=headers))["opened"] == 2
        policy = state["policy"]
        sentence = (await asked(session, "POST", "/api/policy/preview", json=policy, headers=headers))["sentence"]
        assert "of 2 messages" in sentence
        for path in ("/api/advice", "/api/adapters", "/api/card", "/api/platforms", "/healthz"):
            await asked(session, "GET", path)
        async with session.get(f"/api/cases/{mended['id']}/explain") as answer:
            assert answer.status == 503  # nothing was scored
        confirmed = await asked(session, "POST", f"/api/cases/{mended['id']}/confirm", headers=headers)
        assert confirmed["case"]["state"] == "confirmed"
        town = await running.parts.pipeline.policy("town")
        assert (town.mode, town.hate, town.names_alert_at) == (Mode.SHADOW, Policy().hate, 0.97)
        await running.parts.store.back_up()
        messages = await running.parts.store.messages("try-out", datetime.now(UTC) - timedelta(days=1))
        assert {message.text for message in messages} == set(TEXTS[2:])
        await say(running, TEXTS[1])
        newest = (await running.parts.store.cases("try-out"))[0]
        assert newest.message.decision.label == "hate" and newest.message.probabilities["hate"] > 0.5
    assert read_corrections(database, tmp_path / "sealing.key").corrections
    command = [sys.executable, "-W", "ignore", "-m", "training.refresh", "--store", str(database), "--replay-rows", "0"]
    command += ["--key", str(tmp_path / "sealing.key"), "--adapters", str(tmp_path / "data" / "adapters")]
    done = subprocess.run([*command, "--community", "nobody"], capture_output=True, text=True, timeout=120)
    assert done.returncode == NOTHING, done.stderr


async def test_a_backup_with_nan_is_restored_and_mended(tmp_path: Path, sealer: Sealer) -> None:
    """What was mended is in no log of changes: the backups begin anew, and a lost store comes back mended."""
    async with started(tmp_path) as running:
        await say(running, *TEXTS)
    database = tmp_path / "data" / "domovoi.db"
    poison(database, "NaN")
    async with started(tmp_path):
        pass
    for path in database.parent.glob("domovoi.db*"):
        path.unlink()
    async with started(tmp_path) as running:
        assert len(await running.parts.store.cases("try-out")) == 2
    with contextlib.closing(sqlite3.connect(database)) as store:
        assert not store.execute("SELECT id FROM message WHERE instr(decision, 'NaN')").fetchall()


async def test_the_word_nan_in_a_decision_is_no_number(tmp_path: Path, sealer: Sealer) -> None:
    """A category may be called so."""
    path = tmp_path / "s.db"
    async with Store.open(path, sealer):
        pass
    with contextlib.closing(sqlite3.connect(path)) as store, store:
        store.execute(
            "INSERT INTO message (platform, community, room, message, revision, author, sent_at, seen_at, state,"
            " decision) VALUES ('webchat', 'a', 'b', '1', 0, 'ann', '2026-01-02', '2026-01-02', 'done',"
            ' \'{"band": "clear", "reason": "category \\"NaN\\" Infinity"}\')'
        )
    async with Store.open(path, sealer) as opened:
        row = await opened.journalled("webchat", "a", "1")
        assert row is not None and row.decision.reason == 'category "NaN" Infinity'


@pytest.mark.parametrize("number", [*NUMBERS, "1e400", "-1e400", "[" * 200_000])
async def test_a_request_with_a_number_that_is_none(tmp_path: Path, number: str) -> None:
    """400, and the policy stays."""
    with pytest.raises(ValueError, match=r"number|brackets"):
        loads(f'{{"a": {number}}}')


async def test_a_policy_with_a_number_that_is_none_is_not_saved(tmp_path: Path) -> None:
    """Over a real request: Python's JSON would take it."""
    async with (
        started(tmp_path) as running,
        operator(running) as session,
    ):
        state = await asked(session, "GET", "/api/state")
        policy = state["policy"]
        for number in (*NUMBERS, "1e400"):
            policy["hate"]["act_at"] = "X"
            body = json.dumps(policy).replace('"X"', number)
            headers = {"X-CSRF-Token": state["csrf"], "Content-Type": "application/json"}
            for method, path in (("PUT", "/api/policy"), ("POST", "/api/policy/preview")):
                async with session.request(method, path, data=body, headers=headers) as answer:
                    assert answer.status == 400 and "error" in await answer.json()
        assert await asked(session, "GET", "/healthz")
        assert await running.parts.store.policy("try-out") == Policy()


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
def test_json_for_the_page_has_no_number_that_is_none(number: float) -> None:
    """An error where it was written says more than a page that does not open."""
    with pytest.raises(ValueError, match="JSON compliant"):
        dumps({"cases": [{"score": number}]})


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("label", [str(label) for label in Label if label is not Label.NEUTRAL])
@pytest.mark.parametrize("bound", ["alert_at", "act_at"])
def test_a_policy_has_no_threshold_that_is_none(label: str, bound: str, number: float) -> None:
    """Nothing reaches NaN, and everything reaches minus infinity."""
    policy = Policy().model_dump()
    policy[label][bound] = number
    with pytest.raises(ValidationError):
        Policy.model_validate(policy)


@pytest.mark.parametrize("number", ["nan", "-nan", "inf", "-inf", "1e400"])
@pytest.mark.parametrize(
    "key", ["model.first_stage_below", "model.audit_share", "model.adapter_mib", "lora.alpha", "service.retention_days"]
)
def test_a_setting_that_is_no_number_is_named(tmp_path: Path, key: str, number: str) -> None:
    """TOML knows nan and inf."""
    section, name = key.split(".")
    base = '\nbase = "mini"' if section == "model" else ""
    (tmp_path / "config.toml").write_text(f"[{section}]{base}\n{name} = {number}\n")
    with pytest.raises(BadConfig, match=name):
        read_config(tmp_path / "config.toml")
