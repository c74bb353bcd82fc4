"""The benchmark runs, compares equal work, and records its results."""

import subprocess
import sys
from pathlib import Path

from benchmarks.embedded import Results, Rung, record

ROOT = Path(__file__).parents[2]


def test_a_small_run_prints_exact_rungs() -> None:
    """All paths answer the same messages, in float32 equally to 1e-5."""
    command = [sys.executable, "-m", "benchmarks.embedded", "--messages", "24", "--rounds", "1", "--seconds", "1"]
    environment = {"COLUMNS": "120", "PATH": "", "OMP_NUM_THREADS": "1"}
    done = subprocess.run([*command, "--threads", "1"], cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    rows = [[cell.strip() for cell in line.split("│")[1:-1]] for line in done.stdout.splitlines() if "│" in line]
    assert [row[0] for row in rows][:3] == [
        "transformers + peft, one at a time",
        "transformers + peft, 32 padded to 128",
        "ours, float32, wholes only",
    ]
    assert all(float(row[5]) <= 1e-5 for row in rows[:3]) and float(rows[3][5]) < 0.1
    assert "p99" in done.stdout and "kernels" not in done.stderr


def test_a_recorded_ratio_is_that_of_each_round(tmp_path: Path) -> None:
    """The recorded ratio is the median of the rounds' ratios, not the ratio of medians."""
    slow, fast = Rung("slow", [10.0, 40.0, 12.0]), Rung("fast", [2.0, 8.0, 4.0])
    results = Results(100, 20.0, 0.5, [slow, slow, fast], 50.0, 25.0, [0.01] * 98 + [0.5] * 2)
    record(results, 2, "file.csv", tmp_path / "RESULTS.md")
    text = (tmp_path / "RESULTS.md").read_text()
    assert "| fast | 25 | 40.0 | 5.0 | 5.0 |" in text and "p50 10 ms, p99 500 ms" in text


def test_a_missing_file_is_one_line() -> None:
    """A missing file gives status 2 and one line."""
    command = [sys.executable, "-m", "benchmarks.embedded", "--data", "nowhere.csv"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 2 and done.stderr.count("\n") == 1 and "nowhere.csv" in done.stderr
