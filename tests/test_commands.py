"""The commands, as a person types them: one clear line for a bad input, and nothing half-written."""

import asyncio
import contextlib
import csv
import json
import os
import shutil
import socket
import sqlite3
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psutil
import pytest

from bot.store import Sealer, Store
from tests.conftest import said

ROOT = Path(__file__).parents[1]


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", *arguments], cwd=ROOT, capture_output=True, text=True, timeout=200)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("[service]\nprot = 1", 'unknown key "service.prot"'),
        ("[service]\nport = 'x'", "\"service.port\" = 'x'"),
        ("[service]\nport = 99999", '"service.port" = 99999'),
        ("port 8080", "not TOML"),
        ('[console]\norigin = "https://mod.example.org/"', 'write it as in "https://mod.example.org"'),
        ('[console]\norigin = "mod.example.org"', 'write it as in "https://mod.example.org"'),
        ('[console]\noperators = ["ann"]', 'write it as in "discord:80351110224678912"'),
        ('[console]\ndiscord_client_id = "ann"', 'write it as in "1574858475450662920"'),
        ('[model]\nint8 = "weight-only"', "[model]: int8 and fp16 are for a GPT-J"),
    ],
)
def test_a_typo_in_the_configuration_names_the_key(line: str, expected: str, tmp_path: Path) -> None:
    """Exit status 2 and one line."""
    path = tmp_path / "config.toml"
    path.write_text(line)
    done = run("bot", "check", "--config", str(path))
    assert done.returncode == 2 and expected in done.stderr and done.stderr.count("\n") == 1
    assert "Value error" not in done.stderr


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (None, "No such file"),
        (b"text,label\nhello,\xff\n", "not UTF-8"),
        (b"hello,neutral\n", 'no column "text"'),
    ],
)
def test_a_bad_csv_is_named_and_nothing_is_written(content: bytes | None, expected: str, tmp_path: Path) -> None:
    """Missing, not UTF-8, without a header."""
    path, out = tmp_path / "in.csv", tmp_path / "out.csv"
    if content is not None:
        path.write_bytes(content)
    done = run("model.score", str(path), "--text", "text", "--out", str(out))
    assert done.returncode == 2 and expected.lower() in done.stderr.lower() and not out.exists()


def test_a_file_is_scored(tmp_path: Path) -> None:
    """Every row comes back in order with a label and three probabilities."""
    path, out = tmp_path / "in.csv", tmp_path / "out.csv"
    texts = ["good morning", "you fucking moron", "", "a\nb"]
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([("id", "said"), *enumerate(texts)])
    done = run("model.score", str(path), "--text", "said", "--out", str(out))
    assert done.returncode == 0, done.stderr
    with out.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["said"] for row in rows] == texts
    assert [row["label"] for row in rows[:2]] == ["neutral", "offensive"]
    assert all(abs(sum(float(row[n]) for n in ("hate", "offensive", "neutral")) - 1) < 1e-4 for row in rows)


def test_an_adapter_is_trained_and_scores(tmp_path: Path) -> None:
    """A labelled file becomes an adapter, and `--adapter` answers with it: colours mean what the file says."""
    data, colours = tmp_path / "data.csv", {"hate": "red", "offensive": "green", "neutral": "blue"}
    with data.open("w", newline="") as file:
        rows = [(f"a {colour} thing number {n}", label) for label, colour in colours.items() for n in range(40)]
        csv.writer(file).writerows([("text", "label"), *rows])
    done = run("training.train", "--base", "minilm", "--data", str(data), "--out", str(tmp_path / "adapter"))
    assert done.returncode == 0, done.stderr
    assert {"report.html", "loss.png", "accuracy.png"} <= {path.name for path in (tmp_path / "adapter").iterdir()}
    out = tmp_path / "out.csv"
    options = ("--text", "text", "--out", str(out), "--adapter", str(tmp_path / "adapter"))
    assert run("model.score", str(data), *options).returncode == 0
    with out.open(newline="") as file:
        scored = list(csv.DictReader(file))
    assert sum(row["label"] == label for row, (_, label) in zip(scored, rows, strict=True)) >= 0.95 * len(rows)


def configured(folder: Path, port: int = 0) -> tuple[str, ...]:
    """`bot run` with a data folder and a key of its own."""
    lines = (
        f'[service]\nport = {port}\ndata_folder = "{folder / "data"}"\nkey_file = "{folder / "keys" / "sealing.key"}"\n'
    )
    (folder / "config.toml").write_text(lines)
    return ("bot", "run", "--config", str(folder / "config.toml"))


@contextlib.contextmanager
def serving(folder: Path) -> Iterator[str]:
    """The service as a process of its own; yields its address, ends it with SIGTERM and expects a clean exit."""
    command = [sys.executable, "-m", *configured(folder)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            line = next(line for line in process.stdout if "Domovoi is at" in line)
            yield line.split()[-1]
        finally:
            process.terminate()
        assert process.wait(timeout=30) == 0


def test_the_service_starts_serves_and_stops(tmp_path: Path) -> None:
    """Twice on the same data: the page comes, and SIGTERM ends it with exit status 0."""
    for _ in range(2):
        with serving(tmp_path) as address, urllib.request.urlopen(address, timeout=30) as answer:  # noqa: S310
            assert "Domovoi" in answer.read().decode()


async def test_the_running_service_forgets_old_texts(tmp_path: Path) -> None:
    """A month and a day old: the text goes, the row stays; yesterday's text stays."""
    with serving(tmp_path):
        pass
    path, now = tmp_path / "data" / "domovoi.db", datetime.now(UTC)
    async with Store.open(path, Sealer.from_file(tmp_path / "keys" / "sealing.key", create=False)) as store:
        for number, days in (("1", 31), ("2", 1)):
            assert await store.record_seen(said("hello", number), now - timedelta(days=days)) is not None

    def kept() -> list[bool]:
        with contextlib.closing(sqlite3.connect(path)) as connection:
            query = "SELECT text_sealed IS NOT NULL FROM message ORDER BY id"
            return [bool(row) for (row,) in connection.execute(query)]

    assert kept() == [True, True]
    with serving(tmp_path):
        for _ in range(100):
            if kept() != [True, True]:
                break
            await asyncio.sleep(0.1)
    assert kept() == [False, True]


def test_a_port_in_use_is_one_line(tmp_path: Path) -> None:
    """It names the address and the setting; exit status 2."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = run(*configured(tmp_path, port))
    assert done.returncode == 2 and f"127.0.0.1:{port}" in done.stderr
    assert "config.toml" in done.stderr and "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("spoil", "expected"),
    [
        ("key", "sealing.key"),
        ("newer", "newer"),
        ("adapter", "SHA-256"),
    ],
)
def test_a_spoilt_installation_is_named_and_nothing_is_lost(spoil: str, expected: str, tmp_path: Path) -> None:
    """A missing sealing key, a store from a newer version, an adapter that was tampered with."""
    with serving(tmp_path):
        pass
    store = tmp_path / "data" / "domovoi.db"
    command = configured(tmp_path)
    if spoil == "key":
        (tmp_path / "keys" / "sealing.key").unlink()
    elif spoil == "newer":
        with contextlib.closing(sqlite3.connect(store)) as connection, connection:
            connection.execute("UPDATE alembic_version SET version_num = '9999'")
    else:
        folder = tmp_path / "data" / "adapters" / "global" / "bent-1"
        shutil.copytree(ROOT / "model" / "shipped" / "minilm", folder)
        with (folder / "adapter_model.safetensors").open("r+b") as file:
            file.seek(5000)
            file.write(b"\0\1\2\3")
        manifest = json.loads((folder / "manifest.json").read_text())
        (folder / "manifest.json").write_text(json.dumps({**manifest, "version": "bent-1"}))
        (folder.parent / "current").write_text("bent-1\n")
        command = ("bot", "check", *command[2:])
    before = store.read_bytes()
    done = run(*command)
    errors = [line for line in done.stderr.splitlines() if line.startswith("error:")]
    assert done.returncode == 2 and len(errors) == 1 and expected in errors[0], done.stderr
    assert store.read_bytes() == before and "Traceback" not in done.stderr


def others_can(folder: Path) -> list[str]:
    """What in it the group or others have any right to."""
    return [str(path) for path in (folder, *folder.rglob("*")) if path.lstat().st_mode & 0o077]


def test_what_the_service_writes_is_for_its_user_alone(tmp_path: Path) -> None:
    """Database, its log, backups, key and links, whatever the terminal's umask; and what was open is closed."""
    before = os.umask(0)
    try:
        with serving(tmp_path) as address:
            assert not others_can(tmp_path / "data") and not others_can(tmp_path / "keys")
        for path in (tmp_path / "data").rglob("*"):  # as an earlier version left it
            path.chmod(0o777 if path.is_dir() else 0o666)
        with serving(tmp_path):
            assert not others_can(tmp_path / "data"), address
        copy = tmp_path / "copy.db"
        run("bot", "backup", str(copy), "--config", str(tmp_path / "config.toml"))
        assert not others_can(copy)
    finally:
        os.umask(before)


def test_no_core_is_dumped(tmp_path: Path) -> None:
    """Neither of the service nor of the model's process, whatever the terminal allows."""
    call = "print(ctypes.CDLL(None).prctl(3, 0, 0, 0, 0))"
    ask = f"import ctypes; from model.serving import core_dumps; core_dumps.forbid(); {call}"
    done = subprocess.run([sys.executable, "-c", ask], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.stdout.strip() == "0", done.stderr
    command = [sys.executable, "-m", *configured(tmp_path)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            next(line for line in process.stdout if "started" in line)
            family = [psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)]
            assert len(family) >= 2
            for one in family:
                assert one.rlimit(psutil.RLIMIT_CORE) == (0, 0), one
        finally:
            process.terminate()
