"""The commands, as a person types them: one clear line for a bad input, and nothing half-written."""

import csv
import subprocess
import sys
from pathlib import Path

import pytest

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
    ],
)
def test_a_typo_in_the_configuration_names_the_key(line: str, expected: str, tmp_path: Path) -> None:
    """Exit status 2 and one line."""
    path = tmp_path / "config.toml"
    path.write_text(line)
    done = run("bot", "check", "--config", str(path))
    assert done.returncode == 2 and expected in done.stderr and done.stderr.count("\n") == 1


def test_check_says_what_it_found() -> None:
    """The repository's own configuration and adapter are in order."""
    done = run("bot", "check")
    assert done.returncode == 0 and done.stdout.count("in order") == 2, done.stderr


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
