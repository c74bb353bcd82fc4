"""Measures how fast the embedded model answers, against transformers and peft with the same model.

    python -m benchmarks.embedded [--data FILE.csv] [--record]

Baselines: transformers and peft in float32, one message at a time, and in batches of 32 padded to 128 tokens. Ours:
the same adapter in float32, in the processor's best precision, with and without the parts of a text, and through the
batcher and the model's process as in the service. Every round runs every path on the same messages, in a rotated order;
a ratio is the median over the rounds. With `--threads 1`, "ms each" of the last but one path is the cost of a message
on one core. Then messages arrive in an open loop (Poisson) at half the rate that the service path sustained, and each
latency counts from the moment the message was due. `--record` appends to benchmarks/RESULTS.md.
"""

import argparse
import asyncio
import datetime
import os
import platform
import random
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch
from rich.console import Console
from rich.progress import Progress
from rich.table import Table
from safetensors.torch import load

from model.adapters.registry import SHIPPED, read_manifest, read_weights
from model.base import LoraSpec
from model.calibration import apply_temperature
from model.classifier import Item
from model.encoder.minilm import PAD, MiniLM
from model.encoder.training import EncoderTraining
from model.normalize import conservative_view
from model.serving.batcher import Batcher
from model.serving.reading import RULE, Rule
from model.serving.scorer import Scorer
from model.serving.worker import Worker
from model.table import BadData, open_rows

SHIPPED_TEXTS = Path(__file__).parents[1] / "training" / "data" / "heldout.csv.gz"
RESULTS = Path(__file__).with_name("RESULTS.md")
PADDED_ROWS, PADDED_TOKENS = 32, 128
ADAPTER = "global/shipped"

Scores = Callable[[Sequence[str]], list[list[float]]]
"""Scores texts: (len(texts), 3) probabilities."""


@dataclass(slots=True)
class Rung:
    """One way of scoring: its seconds in each round, and the largest difference from the first rung's probabilities."""

    name: str
    seconds: list[float] = field(default_factory=list)
    furthest: float = 0.0


@dataclass(frozen=True, slots=True)
class Results:
    """The results of one run; latencies in seconds, `saturation` and `offered` in messages a second, `parts` read by
    themselves for each message."""

    messages: int
    mean_tokens: float
    parts: float
    rungs: Sequence[Rung]
    saturation: float
    offered: float
    latencies: Sequence[float]

    def rate(self, rung: Rung) -> float:
        """Messages a second in the median round."""
        return self.messages / statistics.median(rung.seconds)

    def ratio(self, rung: Rung, baseline: Rung) -> float:
        """The speed relative to the baseline: the median over rounds of the ratio within a round."""
        return statistics.median(b / s for b, s in zip(baseline.seconds, rung.seconds, strict=True))


class TransformersBaseline:
    """The baseline: the shipped adapter through transformers and peft, LoRA unmerged, float32."""

    def __init__(self) -> None:
        manifest = read_manifest(SHIPPED)
        base = MiniLM(precision="fp32")
        self._base = base
        self._temperature = manifest.temperature
        module = base.start_training(LoraSpec.from_json(manifest.lora), load(read_weights(SHIPPED, manifest)))
        module.eval()
        module._bfloat16 = False
        self._module: EncoderTraining = module

    def _ids(self, text: str) -> list[int]:
        return self._base.frame(self._base.encode(conservative_view(text))[: self._base.window_tokens])

    def one_at_a_time(self, texts: Sequence[str]) -> list[list[float]]:
        """A forward pass for each message."""
        with torch.inference_mode():
            return [self._probabilities(self._module.label_logits([self._ids(text)])) for text in texts]

    def padded(self, texts: Sequence[str]) -> list[list[float]]:
        """Batches of 32 rows, each padded or cut to 128 tokens."""
        rows: list[list[float]] = []
        with torch.inference_mode():
            for start in range(0, len(texts), PADDED_ROWS):
                batch = [self._ids(text)[:PADDED_TOKENS] for text in texts[start : start + PADDED_ROWS]]
                widest = [[PAD + 1] * PADDED_TOKENS]  # a full row makes every row this wide
                logits = self._module.label_logits([*batch, *widest])[: len(batch)]
                rows += apply_temperature(logits, self._temperature).tolist()
        return rows

    def _probabilities(self, logits: torch.Tensor) -> list[float]:
        row: list[float] = apply_temperature(logits, self._temperature)[0].tolist()
        return row


class ProcessScorer:
    """The project's scorer in this process, in one precision; without a rule it reads wholes only."""

    def __init__(self, precision: str, rule: Rule | None = RULE) -> None:
        base = MiniLM(precision=precision)
        if rule is None:
            base.short_text_odds = ()  # the baseline has no prior for short texts
        self._scorer = Scorer(base, rule=rule)
        self._scorer.load(ADAPTER, SHIPPED)

    @property
    def parts_read(self) -> int:
        """Parts read by themselves since the start."""
        return self._scorer.parts_read

    def one_at_a_time(self, texts: Sequence[str]) -> list[list[float]]:
        """A pass for each message, as at low traffic."""
        rows = [self._scorer.classify([Item(text, ADAPTER)])[0] for text in texts]
        return [list(verdict.probabilities.values()) for verdict in rows]

    def __call__(self, texts: Sequence[str]) -> list[list[float]]:
        """All messages, 256 per call."""
        verdicts = []
        for start in range(0, len(texts), 256):
            verdicts += self._scorer.classify([Item(text, ADAPTER) for text in texts[start : start + 256]])
        return [list(verdict.probabilities.values()) for verdict in verdicts]


async def measure(
    texts: Sequence[str], *, rounds: int, seconds: float, threads: int, advance: Callable[[str], None] = lambda w: None
) -> Results:
    """Runs every path in every round, then the open loop for `seconds`."""
    torch.set_num_threads(threads)
    plain, best, wholes = TransformersBaseline(), ProcessScorer("auto"), ProcessScorer("auto", None)
    inside: list[tuple[Rung, Scores]] = [
        (Rung("transformers + peft, one at a time"), plain.one_at_a_time),
        (Rung("transformers + peft, 32 padded to 128"), plain.padded),
        (Rung("ours, float32, wholes only"), ProcessScorer("fp32", None)),
        (Rung("ours, best precision, wholes only"), wholes),
        (Rung("ours, wholes only, one at a time"), wholes.one_at_a_time),
        (Rung("ours, best precision here"), best),
        (Rung("ours, best precision, one at a time"), best.one_at_a_time),
    ]
    service = Rung("ours, batcher and own process")
    base = MiniLM(precision="fp32")
    mean_tokens = statistics.mean(len(base.encode(conservative_view(text))) + 2 for text in texts)
    async with Worker("minilm", lambda adapter: SHIPPED, threads=threads) as worker, asyncio.TaskGroup() as group:
        batcher = Batcher(worker)
        running = group.create_task(batcher.run())
        for _, path in inside:
            path(texts[:PADDED_ROWS])
        await _through(batcher, texts[:PADDED_ROWS])
        for turn in range(rounds):
            answers: dict[str, list[list[float]]] = {}
            for index in range(len(inside) + 1):
                index = (index + turn) % (len(inside) + 1)
                rung = inside[index][0] if index < len(inside) else service
                advance(rung.name)
                began = time.perf_counter()
                if index < len(inside):
                    answers[rung.name] = inside[index][1](texts)
                else:
                    answers[rung.name] = await _through(batcher, texts)
                rung.seconds.append(time.perf_counter() - began)
            for rung in (*(rung for rung, _ in inside), service):
                exact = zip(answers[inside[0][0].name], answers[rung.name], strict=True)
                apart = max(abs(a - b) for one, other in exact for a, b in zip(one, other, strict=True))
                rung.furthest = max(rung.furthest, apart)
        before = best.parts_read
        best(texts)
        parts = (best.parts_read - before) / len(texts)
        saturation = len(texts) / statistics.median(service.seconds)
        advance("open loop")
        latencies = await _open_loop(batcher, texts, saturation / 2, seconds)
        running.cancel()
    rungs = [*(rung for rung, _ in inside), service]
    return Results(len(texts), mean_tokens, parts, rungs, saturation, saturation / 2, latencies)


async def _through(batcher: Batcher, texts: Sequence[str]) -> list[list[float]]:
    """Sends all messages at once; each waits for its own verdict."""
    verdicts = await asyncio.gather(*(batcher.classify([Item(text, ADAPTER)]) for text in texts))
    return [list(verdict.probabilities.values()) for (verdict,) in verdicts]


async def _open_loop(batcher: Batcher, texts: Sequence[str], per_second: float, seconds: float) -> list[float]:
    """Latencies of Poisson arrivals, each from the moment the message was due."""
    dice, latencies, due = random.Random(5), [], 0.0
    began = time.perf_counter()

    async def one(text: str, due: float) -> None:
        await batcher.classify([Item(text, ADAPTER)])
        latencies.append(time.perf_counter() - began - due)

    async with asyncio.TaskGroup() as group:
        while due < seconds:
            due += dice.expovariate(per_second)
            await asyncio.sleep(max(0.0, began + due - time.perf_counter()))
            group.create_task(one(dice.choice(texts), due))
    return latencies


def show(results: Results, console: Console) -> None:
    """Prints the table and the line of the open loop."""
    table = Table(
        title=f"{results.messages} messages, {results.mean_tokens:.0f} tokens and {results.parts:.2f} parts on average"
    )
    for column in ("path", "messages/s", "ms each", "× one", "× padded", "furthest p"):
        table.add_column(column, justify="left" if column == "path" else "right", no_wrap=True)
    for row in _rows(results):
        table.add_row(*row)
    console.print(table)
    console.print(_open_loop_line(results), soft_wrap=True, highlight=False)


def record(results: Results, threads: int, source: str, path: Path = RESULTS) -> None:
    """Appends a dated section."""
    names = ("path", "messages/s", "ms each", "× one at a time", "× padded", "furthest probability from the first")
    head = f"| {' | '.join(names)} |\n|---|--:|--:|--:|--:|--:|\n"
    body = "".join(f"| {' | '.join(row)} |\n" for row in _rows(results))
    when = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d")
    machine = f"{os.cpu_count()} cores ({platform.machine()}), {threads} threads, torch {torch.__version__}"
    text = (
        f"\n## Embedded model, {when}\n\n{machine}; {results.messages} messages of {source}, "
        f"{results.mean_tokens:.0f} tokens and {results.parts:.2f} parts on average, median of "
        f"{len(results.rungs[0].seconds)} interleaved rounds.\n"
        f"\n{head}{body}\n{_open_loop_line(results)}\n"
    )
    old = path.read_text(encoding="utf-8") if path.exists() else "# Results\n\nMade by the commands in each file.\n"
    path.write_text(old + text, encoding="utf-8")


def _rows(results: Results) -> list[tuple[str, ...]]:
    one, padded = results.rungs[:2]
    return [
        (
            rung.name,
            f"{results.rate(rung):,.0f}",
            f"{1000 / results.rate(rung):.1f}",
            f"{results.ratio(rung, one):.1f}",
            f"{results.ratio(rung, padded):.1f}",
            f"{rung.furthest:.0e}",
        )
        for rung in results.rungs
    ]


def _open_loop_line(results: Results) -> str:
    p50, p99 = (1000 * statistics.quantiles(results.latencies, n=100)[i] for i in (49, 98))
    return (
        f"Open loop at half of the service path's saturation ({results.offered:,.0f} of {results.saturation:,.0f} "
        f"messages/s, {len(results.latencies):,} messages): p50 {p50:.0f} ms, p99 {p99:.0f} ms from the scheduled "
        "arrival."
    )


def read_texts(source: Path, column: str, count: int) -> list[str]:
    """A seeded sample of the file's texts; raises `BadData`."""
    with open_rows(source, (column,)) as rows:
        texts = [row[column] for row in rows]
    return random.Random(3).sample(texts, min(count, len(texts)))


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit status 0, or 2 with one line for a bad file."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.embedded", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--data", type=Path, default=SHIPPED_TEXTS)
    parser.add_argument("--text", default="text", metavar="COLUMN")
    parser.add_argument("--messages", type=int, default=512)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--threads", type=int, default=min(2, os.cpu_count() or 1))
    parser.add_argument("--record", action="store_true", help="append to benchmarks/RESULTS.md")
    options = parser.parse_args(arguments)
    errors = Console(stderr=True)
    try:
        texts = read_texts(options.data, options.text, options.messages)
    except BadData as error:
        errors.print(f"error: {error}", style="red", markup=False, soft_wrap=True)
        return 2
    with Progress(console=errors) as bar:
        task = bar.add_task("measuring", total=options.rounds * 8 + 1)
        results = asyncio.run(
            measure(
                texts,
                rounds=options.rounds,
                seconds=options.seconds,
                threads=options.threads,
                advance=lambda what: bar.update(task, description=what, advance=1),
            )
        )
    console = Console()
    show(results, console if console.width >= 110 else Console(width=110))
    if options.record:
        record(results, options.threads, options.data.name)
    return 0


if __name__ == "__main__":
    sys.exit(main())
