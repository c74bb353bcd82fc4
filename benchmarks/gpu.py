"""Measures GPT-J-6B on a GPU: the ladder, latency, memory, and the share of the device's multiplication speed.

    python -m benchmarks.gpu [--out RESULTS.md]

It needs torch, transformers, peft and bitsandbytes, but no checkpoint and no network: the weights are random, made on
the device in the shape of the 6B, as every caption says. For bfloat16 and for int8 with each arithmetic it measures the
rungs of `benchmarks.ladder`; then the latencies of messages in an open loop (Poisson) at half of saturation, each from
the moment the message was due; and the step of a single message against reading the weights once. Last, it serves
within 8 GiB and trains within 11 GiB under a memory cap. All of it takes less than eight minutes. With `--device cpu
--layers 2 --hidden 64` a small version runs without a GPU; figures that need a GPU are "not measured".
"""

import argparse
import datetime
import gc
import os
import random
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.table import Table

from benchmarks.rungs import (
    ADAPTER,
    HEADINGS,
    SHIPPED_TEXTS,
    Corpus,
    climb,
    markdown,
    measure,
    plain_twin,
    random_gptj,
    ratio,
    read_corpus,
    rows,
)
from model.choice import ADAPTER_MIB
from model.gptj.base import DEFAULT_LORA, GPTJ, PREFIX_MIB
from model.gptj.int8 import Arithmetic
from model.gptj.memory import CUDA_RESERVE, GIB, TRAINING_ROWS, TRAINING_TOKENS, LoadPlan, memory_table
from model.gptj.network import GPTJ_6B, Shape
from model.prompts import INSTRUCTION
from model.table import BadData

NOT_MEASURED = "not measured"
WAYS: dict[str, Arithmetic | None] = {
    "bf16": None,
    "int8, threshold 0": "threshold-0",
    "int8, threshold 6": "threshold-6",
    "int8, weight-only": "weight-only",
}
TYPICAL_TOKENS = 18
"""The median chat message."""
SERVING_GIB, TRAINING_GIB = 8, 11


@dataclass(frozen=True, slots=True)
class Machine:
    """The device and its best speed, measured and not from a data sheet."""

    device: torch.device
    name: str
    dtype: torch.dtype
    flops: float
    bytes_per_second: float

    @property
    def cuda(self) -> bool:
        """Whether the device is a GPU."""
        return self.device.type == "cuda"


def inspect(device: torch.device, shape: Shape, tokens: int, seconds: float) -> Machine:
    """Multiplies `tokens` rows through one block's linear layers, and reads a large tensor."""
    cuda = device.type == "cuda"
    dtype = torch.bfloat16 if cuda else torch.float32
    pairs = []
    for out_features, in_features in (
        (3 * shape.hidden + shape.inner, shape.hidden),
        (shape.hidden, shape.hidden),
        (shape.hidden, shape.inner),
    ):
        a = torch.randn(tokens, in_features, device=device, dtype=dtype)
        pairs.append((a, torch.randn(in_features, out_features, device=device, dtype=dtype)))

    def multiply() -> None:
        for a, b in pairs:
            a @ b

    flops = sum(2 * tokens * b.numel() for _, b in pairs)
    large = torch.zeros(2**28 if cuda else 2**22, device=device)
    name = torch.cuda.get_device_name(device) if cuda else "CPU"
    return Machine(
        device,
        name,
        dtype,
        flops / median_seconds(multiply, seconds),
        large.nbytes / median_seconds(lambda: large.sum(), seconds),
    )


def median_seconds(run: Callable[[], object], seconds: float) -> float:
    """Median seconds of one run, after two to warm up."""
    times: list[float] = []
    began = time.perf_counter()
    for n in range(10_000):
        wait()
        start = time.perf_counter()
        run()
        wait()
        if n >= 2:
            times.append(time.perf_counter() - start)
        if len(times) >= 3 and time.perf_counter() - began > seconds:
            break
    return statistics.median(times)


def wait() -> None:
    """Waits until the GPU has finished."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()


@torch.inference_mode()
def open_loop(
    base: GPTJ, batch: Sequence[list[int]], per_second: float, seconds: float
) -> tuple[Sequence[float], float]:
    """(latencies in seconds of Poisson arrivals from when each was due, messages per pass).

    As the batcher does it: what is due when the device gets free goes out together, up to the token budget.
    """
    chance = random.Random(5)
    due, at = [], 0.0
    while at < seconds:
        at += chance.expovariate(per_second)
        due.append(at)
    messages = [chance.choice(batch) for _ in due]
    latencies: list[float] = []
    passes, done = 0, 0
    began = time.perf_counter()
    while done < len(due):
        now = time.perf_counter() - began
        if now < due[done]:
            time.sleep(min(due[done] - now, 0.001))
            continue
        end, tokens = done, 0
        while end < len(due) and due[end] <= now and (end == done or tokens < base.batch_tokens):
            tokens += len(messages[end])
            end += 1
        base.label_logits(messages[done:end], ADAPTER)
        finished = time.perf_counter() - began
        latencies += [finished - moment for moment in due[done:end]]
        passes += 1
        done = end
    return latencies, len(due) / passes


def measure_precision(
    machine: Machine, shape: Shape, corpus: Corpus, name: str, batch_tokens: int, seconds: float, console: Console
) -> str:
    """Measures one precision and prints the results as they come; returns its markdown."""
    arithmetic = WAYS[name]
    clear(machine)
    base, tensors = random_gptj(
        shape,
        corpus.encode,
        device=machine.device,
        dtype=machine.dtype,
        int8=arithmetic,
        batch_tokens=batch_tokens,
    )
    rungs = climb(base, plain_twin(base, DEFAULT_LORA, tensors), corpus.texts)
    measure(rungs, 0.6 * seconds)
    ours = rungs[-2]
    rate = 1 / statistics.median(ours.seconds)
    batch = [base.frame(base.encode(text)) for text in corpus.texts]
    latencies, per_pass = open_loop(base, batch, rate / 2, 0.25 * seconds)
    p50, p99 = (1000 * statistics.quantiles(latencies, n=100)[n] for n in (49, 98))
    single = base.frame([10] * TYPICAL_TOKENS)
    with torch.inference_mode():
        step = median_seconds(lambda: base.label_logits([single], ADAPTER), 0.05 * seconds)
    weights = sum(tensor.nbytes for layer in base.network.layers for tensor in layer.tensors)
    reading = weights / machine.bytes_per_second
    linear = sum(size[0] * size[1] for key, size in shape.tensors() if ".h." in key and len(size) == 2)
    useful = sum(corpus.lengths) / len(corpus.texts) * rate * 2 * linear
    facts = {
        "× B1": f"{ratio(ours, rungs[1]):.1f}",
        "share of the bf16 ceiling, useful message tokens": f"{useful / machine.flops:.0%}",
        "one message's step": f"{1000 * step:.2f} ms",
        "reading its weights once": f"{1000 * reading:.2f} ms, the step is {step / reading:.1f} times that",
        "open loop at half of saturation": f"{rate / 2:,.0f} messages/s: p50 {p50:.1f} ms, p99 {p99:.1f} ms, "
        f"{per_pass:.1f} messages per pass",
        "most memory of tensors": f"{torch.cuda.max_memory_allocated() / GIB:.2f} GiB"
        if machine.cuda
        else NOT_MEASURED,
    }
    lines = rows(rungs)
    title = f"{name}, random weights"
    table = Table(title=title)
    for heading in HEADINGS:
        table.add_column(heading, justify="left" if heading == "way" else "right", no_wrap=True)
    for line in lines:
        table.add_row(*line)
    console.print(table)
    for fact, value in facts.items():
        console.print(f"{fact}: {value}", soft_wrap=True, highlight=False)
    listed = "".join(f"- {fact}: {value}\n" for fact, value in facts.items())
    return f"\n### {title}\n\n{markdown(HEADINGS, lines)}\n{listed}"


def clear(machine: Machine) -> None:
    """Frees the memory of the precision before, with reference cycles, and resets the memory counter."""
    gc.collect()
    if machine.cuda:
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()


def _most_memory(machine: Machine) -> str:
    return f"{torch.cuda.max_memory_allocated() / GIB:.2f} GiB" if machine.cuda else NOT_MEASURED


def check_memory_caps(
    machine: Machine, shape: Shape, encode: Callable[[str], list[int]], batch_tokens: int
) -> dict[str, str]:
    """Serves within 8 GiB and trains within 11 GiB, minus the driver's share, with random int8 weights."""
    tries: dict[str, tuple[int, Callable[[GPTJ], None]]] = {
        "serving": (SERVING_GIB, _serve),
        "training": (TRAINING_GIB, _train),
    }
    made: dict[str, Any] = {"device": machine.device, "dtype": machine.dtype, "batch_tokens": batch_tokens}
    made["int8"] = "weight-only"
    results = {}
    for what, (limit, run) in tries.items():
        load = LoadPlan(
            machine.dtype, True, DEFAULT_LORA, batch_tokens, len(encode(INSTRUCTION.instruction)), PREFIX_MIB,
            ADAPTER_MIB, training=what == "training", device=machine.device.type,
        )  # fmt: skip
        predicted_gib = memory_table(shape, load).total_bytes / GIB
        if not machine.cuda:
            run(random_gptj(shape, encode, **made)[0])
            results[what] = f"{NOT_MEASURED}; the table says {predicted_gib:.2f} GiB"
            continue
        clear(machine)
        total = torch.cuda.get_device_properties(machine.device).total_memory
        torch.cuda.set_per_process_memory_fraction((limit * GIB - CUDA_RESERVE) / total)
        try:
            run(random_gptj(shape, encode, **made)[0])
            wait()
            most = (torch.cuda.max_memory_reserved() + CUDA_RESERVE) / GIB
            driver = f"{CUDA_RESERVE / GIB:.2f} for the driver"
            results[what] = f"fits into {limit} GiB: {most:.2f} with {driver}; the table says {predicted_gib:.2f}"
        except torch.OutOfMemoryError:
            results[what] = f"does not fit into {limit} GiB; the table says {predicted_gib:.2f} GiB"
        finally:
            torch.cuda.set_per_process_memory_fraction(1.0)
    return results


def _serve(base: GPTJ) -> None:
    """Runs full passes with as many adapters and prefixes as the defaults allow."""
    count = min(16, int(ADAPTER_MIB * 2**20 / base.held_bytes(ADAPTER)))
    shapes = base.adapter_shapes(DEFAULT_LORA)
    batch = [base.frame([10] * 28)] * (base.batch_tokens // 32)
    for n in range(count - 1):
        base.attach(f"a{n}", DEFAULT_LORA, {name: torch.zeros(sizes) for name, sizes in shapes.items()})
        base.label_logits(batch, f"a{n}")
    base.label_logits([base.frame([10] * base.window_tokens)] * 4, ADAPTER)


def _train(base: GPTJ) -> None:
    """Runs three training steps with the default recipe's batch."""
    learner = base.start_training(DEFAULT_LORA, recompute=True)
    optimizer = torch.optim.AdamW(learner.parameters(), lr=1e-4)
    batch = [base.frame([10] * TRAINING_TOKENS)] * TRAINING_ROWS
    targets = torch.eye(3)[[n % 3 for n in range(TRAINING_ROWS)]]
    for _ in range(3):
        learner.loss(batch, targets, torch.ones(TRAINING_ROWS)).backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        optimizer.zero_grad()


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit status 0, or 2 with one line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpu", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--data", type=Path, default=SHIPPED_TEXTS)
    parser.add_argument("--text", default="text", metavar="COLUMN")
    parser.add_argument("--messages", type=int, default=384)
    parser.add_argument("--seconds", type=float, default=70.0, help="for each precision")
    parser.add_argument("--layers", type=int, default=GPTJ_6B.layers)
    parser.add_argument("--hidden", type=int, default=GPTJ_6B.hidden)
    parser.add_argument("--vocabulary", type=int, default=GPTJ_6B.vocabulary)
    parser.add_argument("--batch-tokens", type=int, default=4096)
    parser.add_argument("--ways", nargs="+", choices=list(WAYS), default=list(WAYS))
    parser.add_argument("--threads", type=int, default=min(2, os.cpu_count() or 1))
    parser.add_argument("--out", type=Path, help="append a section to this file")
    options = parser.parse_args(arguments)
    torch.set_num_threads(options.threads)
    errors = Console(stderr=True)
    if options.device.startswith("cuda") and not torch.cuda.is_available():
        fix = "a small run without one: --device cpu --layers 2 --hidden 64"
        errors.print(f"error: no GPU can be used here; {fix}", style="red", soft_wrap=True)
        return 2
    try:
        corpus = read_corpus(options.data, options.text, options.messages)
    except BadData as error:
        errors.print(f"error: {error}", style="red", markup=False, soft_wrap=True)
        return 2
    hidden = options.hidden
    heads = GPTJ_6B.heads if hidden % (16 * GPTJ_6B.heads) == 0 else 1
    rotary = min(GPTJ_6B.rotary, hidden // heads // 2)
    shape = Shape(options.layers, hidden, heads, rotary, 4 * hidden, options.vocabulary, GPTJ_6B.positions)
    machine = inspect(torch.device(options.device), shape, options.batch_tokens, min(2.0, options.seconds))
    lengths = corpus.lengths
    console = Console()
    text = (
        f"{machine.name}, torch {torch.__version__}; random weights made on the device, {shape.layers} layers of "
        f"{shape.hidden}, vocabulary {shape.vocabulary:,}, LoRA of rank {DEFAULT_LORA.rank} on all linear layers. "
        f"{len(lengths)} messages of {options.data.name}, {statistics.mean(lengths):.0f} tokens on average behind an "
        f"instruction of {len(corpus.encode(INSTRUCTION.instruction))}; passes of at most {options.batch_tokens}. "
        f"Measured ceiling: {machine.flops / 1e12:.1f} TFLOP/s in {str(machine.dtype).removeprefix('torch.')}, "
        f"{machine.bytes_per_second / 1e9:,.0f} GB/s read."
    )
    console.print(text, soft_wrap=True, highlight=False)
    sections = [
        measure_precision(machine, shape, corpus, way, options.batch_tokens, options.seconds, console)
        for way in options.ways
    ]
    capped = check_memory_caps(machine, shape, corpus.encode, min(options.batch_tokens, 2048))
    for name, result in capped.items():
        console.print(f"{name} in int8 under a cap: {result}", soft_wrap=True, highlight=False)
    if options.out:
        when = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d")
        caps = "".join(f"- {name} in int8 under a cap: {result}\n" for name, result in capped.items())
        with options.out.open("a", encoding="utf-8") as file:
            file.write(f"\n## GPT-J-6B's shape on a GPU, {when}\n\n{text}\n{''.join(sections)}\n### Memory\n\n{caps}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
