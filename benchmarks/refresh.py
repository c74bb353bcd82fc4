"""Measures how long a refresh takes, and the share of the messages' own tokens in a training step.

    python -m benchmarks.refresh --data ../shared/data/davidson.csv [--base minilm|mini] [--corrections 200]
        [--replay-rows 2000] [--rounds 3]

First a whole refresh, from reading to promotion, on corrections from the tenth that `training.ship` holds out. Then the
same training steps in three ways, interleaved: as in a refresh (similar lengths together; a GPT-J packs messages after
an instruction that is computed once), with lengths in random order, and one message at a time with its whole prompt, as
in the article.
"""

import argparse
import random
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import torch
from rich.console import Console
from rich.table import Table

from model.adapters.registry import open_registry
from model.base import Base, Encoded
from model.choice import BaseChoice
from model.open import open_chosen_base
from model.table import BadData
from training import refresh as module
from training.corrections import Correction, Snapshot
from training.examples import Example, read_examples, split
from training.training_loop import Recipe, encode, make_optimizer

STEPS, ROWS = 8, 16


def time_refresh(base: str, examples: Sequence[Example], replay_rows: int, console: Console) -> float:
    """Seconds of a whole refresh; prints its result."""
    corrections = [Correction(str(n), e, f"mo{n % 3}", f"author {n % 97}", "town") for n, e in enumerate(examples)]
    results: list[str] = []
    with tempfile.TemporaryDirectory() as folder:
        began = time.monotonic()
        snapshot = Snapshot(corrections, standing=frozenset(each.id for each in corrections))
        registry = open_registry(base, Path(folder))
        module.refresh(
            snapshot, registry, replay_rows, 5, lambda stage, share, text: results.append(text), BaseChoice(base)
        )
        seconds = time.monotonic() - began
    console.print(results[-1], highlight=False, soft_wrap=True)
    return seconds


def batchings(base: Base, examples: Sequence[Example]) -> dict[str, list[list[Encoded]]]:
    """The training steps of each way: batches of encoded texts."""
    encoded = [encode(base, example.text, Recipe().max_tokens) for example in examples]
    mixed = random.Random(1).sample(encoded, len(encoded))
    like = sorted(encoded, key=len)
    batches = [[texts[at : at + ROWS] for at in range(0, len(texts), ROWS)] for texts in (like, mixed)]
    return {
        "like lengths together": batches[0],
        "lengths as they come": batches[1],
        "one at a time, whole prompt": [[ids] for ids in encoded],
    }


def measure(base: Base, batches: Sequence[Sequence[Encoded]]) -> tuple[float, float]:
    """(messages' own tokens a second, their share of the tokens computed) of forward, backward and step."""
    torch.manual_seed(1)
    learner = base.start_training(base.default_lora)
    optimizer = make_optimizer(learner, Recipe())
    useful = computed = 0
    began = time.monotonic()
    for batch in batches:
        targets = torch.eye(3)[[n % 3 for n in range(len(batch))]]
        learner.loss(batch, targets, torch.ones(len(batch))).backward()  # type: ignore[no-untyped-call]
        if len(batch) > 1:
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        useful += sum(map(len, batch))
        computed += learner.computed_tokens(batch)
    return useful / (time.monotonic() - began), useful / computed


def compare(base: Base, examples: Sequence[Example], rounds: int) -> Table:
    """Runs the ways interleaved; the table has the median of the rounds."""
    measured: dict[str, list[tuple[float, float]]] = {name: [] for name in batchings(base, examples)}
    for _ in range(rounds):
        for name, batches in batchings(base, examples).items():
            measured[name].append(measure(base, batches))
    median = {name: sorted(rows)[len(rows) // 2] for name, rows in measured.items()}
    slowest = median["one at a time, whole prompt"][0]
    table = Table(f"training, {base.name}", "useful tokens/s", "× one at a time", "share of useful tokens")
    for name, (speed, share) in median.items():
        table.add_row(name, f"{speed:,.0f}", f"{speed / slowest:.1f}", f"{share:.3f}")
    return table


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit status 0, or 2 with one line for a bad input."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.refresh", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--base", choices=("minilm", "mini"), default="minilm")
    parser.add_argument("--corrections", type=int, default=200)
    parser.add_argument("--replay-rows", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args(arguments)
    console = Console(stderr=True)
    try:
        examples = split(read_examples(options.data, "davidson"), 0.1, seed=11)[1][: options.corrections]
    except BadData as error:
        console.print(f"error: {error}", style="red", markup=False, soft_wrap=True)
        return 2
    seconds = time_refresh(options.base, examples, options.replay_rows, console)
    threads = torch.get_num_threads()
    caption = f"{len(examples)} corrections, {options.replay_rows} replayed texts, {threads} threads: {seconds:.0f} s"
    Console().print(f"a whole refresh: {caption}", highlight=False)
    base = open_chosen_base(BaseChoice(options.base), training=True)
    Console().print(compare(base, examples[: STEPS * ROWS], options.rounds))
    return 0


if __name__ == "__main__":
    sys.exit(main())
