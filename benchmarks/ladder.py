"""Measures what each optimisation of our GPT-J gains on a CPU, rung by rung.

    python -m benchmarks.ladder [--data FILE.csv] [--out RESULTS.md]

A GPT-J with random weights and a LoRA adapter on all linear layers scores a file's messages with the default
instruction: B0 one message at a time (the first 64) and B1 in padded batches, both with transformers and peft alone;
then each rung adds one optimisation. Every round runs every rung on the same messages in a rotated order; ratios
are medians over rounds. "furthest p" is the largest difference of any probability from B0. `--out` appends a section to
a file.
"""

import argparse
import datetime
import os
import platform
import statistics
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import torch
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from benchmarks.rungs import (
    HEADINGS,
    SHIPPED_TEXTS,
    Corpus,
    Rung,
    climb,
    markdown,
    measure,
    plain_twin,
    random_gptj,
    read_corpus,
    rows,
    spread,
)
from model.gptj.base import DEFAULT_LORA
from model.gptj.network import Shape
from model.prompts import INSTRUCTION
from model.table import BadData

DAVIDSON = Path(__file__).parents[2] / "shared" / "data" / "davidson.csv"
EXACT = 1e-5
CLOCKS = {"wall": time.perf_counter, "process": time.process_time}


def caption(corpus: Corpus, shape: Shape, source: str, rounds: int, differ: float) -> str:
    """The caption of the figures."""
    lengths = sorted(corpus.lengths)
    return (
        f"Random weights: {shape.layers} layers of {shape.hidden}, vocabulary {shape.vocabulary:,}, float32, LoRA of "
        f"rank {DEFAULT_LORA.rank} on all linear layers. {len(lengths)} messages of {source} "
        f"({1 - len(set(corpus.texts)) / len(lengths):.1%} repeats): {statistics.mean(lengths):.0f} tokens on average, "
        f"median {lengths[len(lengths) // 2]}, longest {lengths[-1]}, behind an instruction of "
        f"{len(corpus.encode(INSTRUCTION.instruction))}. Median of {rounds} rounds. Over the messages the "
        f"probabilities have a standard deviation of {differ:.2f}."
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit status 0; 1 when a rung is not exact; 2 with one line for a bad file."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.ladder", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--data", type=Path, default=DAVIDSON if DAVIDSON.is_file() else SHIPPED_TEXTS)
    parser.add_argument("--text", default="text", metavar="COLUMN")
    parser.add_argument("--messages", type=int, default=128)
    parser.add_argument("--repeats", type=float, default=0.0, help="share of messages that repeat an earlier one")
    parser.add_argument("--seconds", type=float, default=180.0)
    parser.add_argument("--layers", type=int, default=6)
    parser.add_argument("--hidden", type=int, default=512)
    parser.add_argument("--vocabulary", type=int, default=50400)
    parser.add_argument("--batch-tokens", type=int, default=2048)
    parser.add_argument("--threads", type=int, default=min(2, os.cpu_count() or 1))
    parser.add_argument(
        "--clock", choices=list(CLOCKS), default="wall", help='"process": CPU seconds, for a machine that others use'
    )
    parser.add_argument("--out", type=Path, help="append a section to this file")
    options = parser.parse_args(arguments)
    errors = Console(stderr=True)
    torch.set_num_threads(options.threads)
    try:
        corpus = read_corpus(options.data, options.text, options.messages, options.repeats)
    except BadData as error:
        errors.print(f"error: {error}", style="red", markup=False, soft_wrap=True)
        return 2
    hidden = options.hidden
    shape = Shape(options.layers, hidden, hidden // 64, min(64, hidden // 2), 4 * hidden, options.vocabulary, 2048)
    base, tensors = random_gptj(
        shape, corpus.encode, device=torch.device("cpu"), dtype=torch.float32, batch_tokens=options.batch_tokens
    )
    rungs = climb(base, plain_twin(base, DEFAULT_LORA, tensors), corpus.texts)
    with Progress(console=errors, transient=True) as bar:
        task = bar.add_task("", total=1.0)
        measure(
            rungs,
            options.seconds,
            lambda what, share: bar.update(task, description=what, completed=share),
            CLOCKS[options.clock],
        )
    with torch.inference_mode():
        text = caption(corpus, shape, options.data.name, len(rungs[0].seconds), spread(rungs[-1]))
    if options.clock == "process":
        text += " Seconds are of CPU time, all threads together."
    lines = rows(rungs)
    _show(lines, text, Console())
    if options.out:
        when = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d")
        machine = f"{os.cpu_count()} cores ({platform.machine()}), {options.threads} used, torch {torch.__version__}"
        section = f"\n## The ladder of GPT-J, {when}\n\n{machine}. {text}\n\n{markdown(HEADINGS, lines)}"
        with options.out.open("a", encoding="utf-8") as file:
            file.write(section)
    return _verdict(rungs, errors)


def _show(lines: Sequence[Sequence[str]], text: str, console: Console) -> None:
    table = Table(title="The ladder of GPT-J")
    for heading in HEADINGS:
        table.add_column(heading, justify="left" if heading == "way" else "right", no_wrap=True)
    for line in lines:
        table.add_row(*line)
    console.print(table)
    console.print(text, soft_wrap=True, highlight=False)


def _verdict(rungs: Sequence[Rung], errors: Console) -> int:
    wrong = [rung for rung in rungs if rung.furthest > EXACT]
    for rung in wrong:
        errors.print(f'error: "{rung.name}" is {rung.furthest:.1e} from B0, more than {EXACT}', style="red")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
