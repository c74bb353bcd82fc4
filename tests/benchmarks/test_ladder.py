"""The ladder and the GPU script run on a tiny scale and report the exactness of every rung."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from benchmarks import rungs
from benchmarks.rungs import Rung, climb, measure, plain_twin, random_gptj, ratio, read_corpus
from model.gptj.base import DEFAULT_LORA, GPTJ
from model.gptj.int8 import Arithmetic
from model.gptj.network import Shape

ROOT = Path(__file__).parents[2]
TINY = Shape(layers=2, hidden=64, heads=2, rotary=16, inner=128, vocabulary=9000, positions=512)
SMALL = ["--layers", "1", "--hidden", "64", "--vocabulary", "9000", "--messages", "12", "--threads", "1"]


def made(int8: Arithmetic | None = None) -> tuple[GPTJ, list[Rung]]:
    corpus = read_corpus(rungs.SHIPPED_TEXTS, "text", 40, repeats=0.3)
    base, tensors = random_gptj(
        TINY, corpus.encode, device=torch.device("cpu"), dtype=torch.float32, int8=int8, batch_tokens=256
    )
    return base, climb(base, plain_twin(base, DEFAULT_LORA, tensors), corpus.texts)


@pytest.fixture(scope="module")
def exact() -> tuple[GPTJ, list[Rung]]:
    return made()


def test_every_rung_gives_what_the_plain_one_gives(exact: tuple[GPTJ, list[Rung]]) -> None:
    """Every rung equals the first to 1e-5, while answers differ a thousand times more."""
    ladder = exact[1]
    measure(ladder, seconds=0.0)
    assert [rung.name[:2] for rung in ladder] == ["B0", "B1", "B2", "+ ", "+ ", "+ ", "+ "]
    assert all(rung.furthest <= 1e-5 and len(rung.seconds) == 1 for rung in ladder)
    with torch.inference_mode():
        assert rungs.spread(ladder[0]) > 0.01


def test_the_plain_twin_shares_the_weights(exact: tuple[GPTJ, list[Rung]]) -> None:
    """The twin shares the weights, so both fit on a device, and LoRA is active in both."""
    base, ladder = exact
    with torch.inference_mode():
        before = [ladder[n].score() for n in (0, 5)]
        base.network.layers[0].down.tensors[0].mul_(1.5)
        base._prefixes.drop("benchmark")  # the instruction's keys are of the weights before
        changed = [ladder[n].score() for n in (0, 5)]
        base.network.layers[0].down.tensors[0].div_(1.5)
        base._prefixes.drop("benchmark")
        bare = base.label_logits([base.frame([5, 6, 7])], "") - base.label_logits([base.frame([5, 6, 7])], "benchmark")
    assert (changed[0] - before[0]).abs().max() > 0.1 and (changed[0] - changed[1]).abs().max() < 1e-4
    assert bare.abs().max() > 0.1


@pytest.mark.parametrize("int8", ["threshold-0", "threshold-6"])
def test_int8_rungs_stay_near_the_library_s_own(int8: Arithmetic) -> None:
    """The twin's layers are bitsandbytes' with the same threshold."""
    ladder = made(int8)[1]
    measure(ladder, seconds=0.0)
    assert all(rung.furthest <= 0.05 for rung in ladder)


def test_a_ratio_is_that_of_each_round() -> None:
    """A slow round is slow for both ways, so ratios are taken per round."""
    slow, fast = Rung("slow", torch.Tensor, 1, [10.0, 40.0, 12.0]), Rung("fast", torch.Tensor, 1, [2.0, 8.0, 4.0])
    assert ratio(fast, slow) == 5.0


@pytest.mark.parametrize(
    ("module", "more", "says"),
    [
        ("ladder", ["--seconds", "0", "--clock", "process"], ["+ duplicates once", "random weights", "CPU time"]),
        ("gpu", ["--device", "cpu", "--seconds", "0.2", "--ways", "bf16", "--batch-tokens", "256"], ["not measured"]),
    ],
)
def test_the_commands_print_and_record(module: str, more: list[str], says: list[str], tmp_path: Path) -> None:
    """The commands end with status 0, a table, and a section in the file."""
    out = tmp_path / "RESULTS.md"
    command = [sys.executable, "-m", f"benchmarks.{module}", *SMALL, *more, "--out", str(out)]
    environment = {"COLUMNS": "120", "PATH": "", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert all(piece in out.read_text() and piece in done.stdout for piece in ["B1", "× B1"])
    assert all(piece.lower() in out.read_text().lower() for piece in says)


def test_without_a_gpu_it_says_so_in_one_line() -> None:
    """Without a GPU the status is 2, and one line suggests a small run."""
    if torch.cuda.is_available():
        pytest.fail("this test describes a machine without a GPU; run the benchmark itself here")
    done = subprocess.run([sys.executable, "-m", "benchmarks.gpu"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 2 and done.stderr.count("\n") == 1 and "--device cpu" in done.stderr
