"""A file goes through the whole pipeline, is counted rightly, and leaves a page behind."""

import asyncio
import csv
import os
import signal
import subprocess
import sys
import tracemalloc
from collections.abc import Iterable, Sequence
from pathlib import Path

import psutil
import pytest

from bot.domain.decision import Band
from bot.replay.replay import Latencies, replay
from bot.replay.report import write_report
from model.classifier import Item, Verdict
from model.labels import Label
from model.table import BadData
from tests.conftest import StubClassifier

ROOT = Path(__file__).parents[3]
COMMAND = [sys.executable, "-m", "bot", "replay"]


def written(path: Path, rows: Iterable[Sequence[str]]) -> Path:
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("text", "label"), *rows])
    return path


async def test_every_row_is_counted_once(tmp_path: Path) -> None:
    """Empty rows are only counted; hate is called hate and would be removed; the labels make a confusion."""
    rows = [("HATE now", "hate"), ("RUDE", "offensive"), ("", "neutral"), ("hello", "neutral"), ("HATE?", "neutral")]
    source = written(tmp_path / "in.csv", rows)
    found = await replay(source, "text", "label", StubClassifier(), "global/stub")
    assert (found.rows, found.empty, found.failed) == (5, 1, 0)
    assert found.called == {Label.HATE: 2, Label.OFFENSIVE: 1, Label.NEUTRAL: 1}
    assert found.bands[Band.ACTION] == 2 and found.removed == 2
    assert found.tally is not None and found.tally.metrics().confusion == ((1, 0, 0), (0, 1, 0), (1, 0, 1))
    assert sum(found.alerting[Label.HATE].values()) == 4


async def test_a_replay_asks_for_a_communitys_norm(tmp_path: Path) -> None:
    """The one that was named; without a name the only one the adapter has."""
    source = written(tmp_path / "in.csv", [("hello", "neutral")])
    for community in ("town", ""):
        asked: list[str] = []

        class StubListening(StubClassifier):
            async def classify(self, items: Sequence[Item]) -> list[Verdict]:
                asked.extend(item.community for item in items)  # noqa: B023 - used at once
                return await super().classify(items)

        await replay(source, "text", None, StubListening(), "global/stub", community=community)
        assert asked == [community]


async def test_memory_does_not_grow_with_the_file(tmp_path: Path) -> None:
    """Five times the rows take no more memory at the peak, give or take what Python keeps for itself."""
    peaks = []
    for rows in (300, 1500):
        source = written(tmp_path / f"{rows}.csv", ((f"message {n} " + "x" * 2000, "neutral") for n in range(rows)))
        tracemalloc.start()
        await replay(source, "text", "label", StubClassifierWithoutMemory(), "global/stub")
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < peaks[0] + 1_000_000, peaks  # the longer file alone holds 3 MB


class StubClassifierWithoutMemory(StubClassifier):
    """The stub, not keeping what it saw."""

    async def classify(self, items):  # type: ignore[no-untyped-def]
        verdicts = await super().classify(items)
        self.batches.clear()
        return verdicts


async def test_a_bad_label_ends_it_with_its_row(tmp_path: Path) -> None:
    """The command checks beforehand; a file that changes meanwhile is named too."""
    source = written(tmp_path / "in.csv", [("hello", "neutral"), ("hello", "rude")])
    with pytest.raises(ExceptionGroup) as caught:
        await replay(source, "text", "label", StubClassifier(), "global/stub")
    assert caught.group_contains(BadData, match="row 3")


def test_quantiles_round_up_by_at_most_five_percent() -> None:
    """A histogram instead of a list: the memory is constant."""
    latencies = Latencies()
    for milliseconds in range(1, 1001):
        latencies.add(milliseconds / 1000)
    assert 0.5 <= latencies.quantile(0.5) <= 0.5 * 1.06 and 0.99 <= latencies.quantile(0.99) <= 0.99 * 1.06
    assert Latencies().quantile(0.99) == 0.0


async def test_the_report_shows_text_as_text(tmp_path: Path) -> None:
    """A file's name can be hostile; without labels there is no confusion plot."""
    source = written(tmp_path / "in.csv", [("HATE", ""), ("hello", "")])
    found = await replay(source, "text", None, StubClassifier(), "global/stub")
    write_report(tmp_path / "out.html", "<script>alert(1)</script>.csv", found, 64)
    page = (tmp_path / "out.html").read_text()
    assert "<script>" not in page and "&lt;script&gt;" in page and "Confusion" not in page
    assert not list(tmp_path.glob("*.part"))


@pytest.mark.parametrize(
    ("content", "more", "expected"),
    [
        (None, (), "no such file"),
        (b"text\nhello\xff\n", (), "not utf-8"),
        (b"hello,neutral\n", (), 'no column "text"'),
        (b"text,label\nhello,rude\n", ("--label", "label"), "row 2"),
        (b"text\nhello\n", ("--out", "nowhere/r.html"), "no such folder"),
    ],
)
def test_a_bad_file_is_one_line(content: bytes | None, more: tuple[str, ...], expected: str, tmp_path: Path) -> None:
    """Exit status 2 before the model is loaded, and no report."""
    path = tmp_path / "in.csv"
    if content is not None:
        path.write_bytes(content)
    out = () if "--out" in more else ("--out", str(tmp_path / "r.html"))
    command = [*COMMAND, str(path), "--text", "text", *more, *out]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 2 and expected in done.stderr.lower() and done.stderr.count("\n") == 1, done.stderr
    assert not (tmp_path / "r.html").exists()


def configured(folder: Path) -> tuple[str, ...]:
    """A data folder of its own."""
    config = folder / "config.toml"
    config.write_text(f'[service]\ndata_folder = "{folder / "data"}"\nkey_file = "{folder / "k" / "key"}"\n')
    return ("--config", str(config))


def test_the_command_writes_the_page(tmp_path: Path) -> None:
    """The shipped model, all the way: counts, speed, confusion, thresholds; no trace in the service's own data."""
    rows = [("good morning all", "neutral"), ("you fucking moron", "offensive"), ("see you tomorrow", "neutral")] * 20
    source, out = written(tmp_path / "in.csv", rows), tmp_path / "r.html"
    command = [*COMMAND, str(source), "--text", "text", "--label", "label", "--out", str(out), *configured(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0 and "60 rows" in done.stderr, done.stderr
    page = out.read_text()
    for wanted in ("Balanced accuracy <b>1.000", "Confusion", "Calibration", "messages a second", "shadow mode"):
        assert wanted in page
    assert not (tmp_path / "data").exists()


async def test_ctrl_c_ends_it_without_a_report(tmp_path: Path) -> None:
    """Exit status 130, no traceback, no half-written page, no process left."""
    source, out = written(tmp_path / "in.csv", [(f"message {n}", "") for n in range(50_000)]), tmp_path / "r.html"
    command = [*COMMAND, str(source), "--text", "text", "--out", str(out), *configured(tmp_path)]
    (scratch := tmp_path / "scratch").mkdir()
    process = await asyncio.create_subprocess_exec(
        *command,
        cwd=ROOT,
        env=os.environ | {"TMPDIR": str(scratch)},
        stderr=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.DEVNULL,
        start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # which a shell's "&" has ignored
    )
    command_itself = psutil.Process(process.pid)
    while not (children := command_itself.children()):
        await asyncio.sleep(0.1)
    async with asyncio.timeout(60):  # until it is in the middle of the file
        while not any(log.stat().st_size > 100_000 for log in scratch.glob("*/replay.db-wal")):
            await asyncio.sleep(0.1)
    os.killpg(process.pid, signal.SIGINT)
    _, errors = await asyncio.wait_for(process.communicate(), 30)
    assert process.returncode == 130 and b"Traceback" not in errors, errors.decode()
    assert not list(tmp_path.glob("r.html*"))
    assert psutil.wait_procs(children, timeout=10)[1] == []
