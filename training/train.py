"""Trains a LoRA adapter and head on a labelled file.

    python -m training.train --base minilm --data FILE.csv --out DIR

The file has a header with `text` and `label` (hate, offensive, neutral). DIR receives `adapter_model.safetensors`,
`manifest.json` and `report.html`. A tenth of the texts is held back to fit the temperature and to report on.
"""

import argparse
import datetime
import math
import platform
import random
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

import torch
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from safetensors.torch import save as save_tensors
from torch import Tensor

from model.adapters import Manifest, write_adapter
from model.base import Base, BaseNotFound, Encoded, LoraSpec, TrainingModule
from model.calibration import calibrated, fit_temperature
from model.choice import add_choice, chosen
from model.int8 import bitsandbytes
from model.labels import LABELS
from model.normalize import conservative
from model.quality import Metrics
from model.table import BadData
from training.evaluate import measure
from training.examples import Example, data_hash, read_examples, split
from training.report import write_report

Advance = Callable[[float, float], None]
"""Called after each step with (share done 0 to 1, smoothed loss)."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """Everything that shapes a training besides its data."""

    epochs: float = 6.0
    learning_rate: float = 4e-4
    head_learning_rate: float = 1e-3
    batch_rows: int = 16
    warm_up: float = 0.06
    weight_decay: float = 0.01
    label_smoothing: float = 0.05
    max_tokens: int = 128
    balance: bool = True
    dropout: bool = True
    seed: int = 1
    optimizer: Literal["adamw", "adam8bit"] = "adamw"


@dataclass(frozen=True, slots=True)
class Trained:
    """An adapter that was just trained; `losses` has one smoothed value per step."""

    tensors: Mapping[str, Tensor]
    lora: LoraSpec
    losses: Sequence[float]
    seconds: float


def train(
    base: Base,
    examples: Sequence[Example],
    recipe: Recipe,
    *,
    lora: LoraSpec | None = None,
    start: Mapping[str, Tensor] | None = None,
    advance: Advance = lambda done, loss: None,
) -> Trained:
    """LoRA and head over the frozen base, AdamW with warm-up and cosine decay. Deterministic by `recipe.seed`.

    `start` continues from an adapter of the same `lora`; otherwise training starts from the bare base.
    """
    began = time.monotonic()
    torch.manual_seed(recipe.seed)
    lora = lora or base.default_lora
    learner = base.start_training(lora, start)
    losses = fit(learner, base, examples, recipe, advance)
    return Trained(learner.adapter_state(), lora, losses, time.monotonic() - began)


def fit(
    learner: TrainingModule, base: Base, examples: Sequence[Example], recipe: Recipe, advance: Advance
) -> list[float]:
    """Trains what is trainable in `learner`; returns the smoothed loss of each step."""
    learner.module.train(recipe.dropout)
    optimizer = make_optimizer(learner, recipe)
    trainable = [p for group in optimizer.param_groups for p in group["params"]]
    encoded = [_encode(base, example.text, recipe.max_tokens) for example in examples]
    batches = _batches(examples, encoded, recipe)
    smoothing, losses, smoothed = recipe.label_smoothing, [], math.nan
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: _rate(step, len(batches), recipe.warm_up))
    for step, batch in enumerate(batches, start=1):
        targets = torch.tensor([examples[i].target for i in batch])
        targets = targets * (1 - smoothing) + smoothing / len(LABELS)
        weights = torch.tensor([examples[i].weight for i in batch])
        loss = learner.loss([encoded[i] for i in batch], targets, weights)
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(trainable, 1.0)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad(set_to_none=True)
        smoothed = loss.item() if math.isnan(smoothed) else 0.98 * smoothed + 0.02 * loss.item()
        losses.append(smoothed)
        advance(step / len(batches), smoothed)
    return losses


def make_optimizer(learner: TrainingModule, recipe: Recipe) -> torch.optim.Optimizer:
    """AdamW, or bitsandbytes' Adam with its two moments in 8 bit, a quarter of the memory and without weight decay.

    Dettmers et al. 2022, "8-bit Optimizers via Block-wise Quantization". Matrices below 4,096 elements keep 32 bits.
    """
    named = [(name, p) for name, p in learner.module.named_parameters() if p.requires_grad]
    head = [p for name, p in named if "head" in name]
    groups: list[dict[str, Any]] = [{"params": [p for name, p in named if "head" not in name]}]
    groups += [{"params": head, "lr": recipe.head_learning_rate}] if head else []
    if recipe.optimizer == "adam8bit":
        eight_bit: torch.optim.Optimizer = bitsandbytes().optim.Adam8bit(groups, lr=recipe.learning_rate)
        return eight_bit
    return torch.optim.AdamW(groups, lr=recipe.learning_rate, weight_decay=recipe.weight_decay)


def logits_of(base: Base, adapter: str, texts: Sequence[str]) -> Tensor:
    """(N, 3) uncalibrated logits of an attached adapter, in the texts' order."""
    return _logits(base, texts, lambda batch: base.label_logits(batch, adapter))


@torch.no_grad()
def logits_while_training(base: Base, learner: TrainingModule, texts: Sequence[str]) -> Tensor:
    """(N, 3) logits of a learner that is not attached, without its dropout."""
    learner.module.eval()
    return _logits(base, texts, learner.label_logits)


def _logits(base: Base, texts: Sequence[str], ask: Callable[[list[Encoded]], Tensor]) -> Tensor:
    """Like lengths together, each answer in its text's place."""
    encoded = [_encode(base, text, base.max_tokens) for text in texts]
    order = sorted(range(len(texts)), key=lambda i: len(encoded[i]))
    logits = torch.zeros(len(texts), len(LABELS))
    for start in range(0, len(order), 24):
        chunk = order[start : start + 24]
        logits[chunk] = ask([encoded[i] for i in chunk]).float().cpu()
    return logits


def calibrate(base: Base, trained: Trained, held_out: Sequence[Example]) -> tuple[float, Metrics | None]:
    """The temperature fitted on held-out texts, and how the adapter does on them (None without any)."""
    if not held_out:
        return 1.0, None
    base.attach("candidate", trained.lora, trained.tensors)
    logits = logits_of(base, "candidate", [example.text for example in held_out])
    base.detach("candidate")
    labels = torch.tensor([LABELS.index(example.label) for example in held_out])
    temperature = fit_temperature(logits, labels)
    return temperature, measure(calibrated(logits, temperature), labels)


def save(
    folder: Path,
    base: Base,
    trained: Trained,
    examples: Sequence[Example],
    recipe: Recipe,
    temperature: float,
    metrics: Mapping[str, Any],
    *,
    name: str = "",
    parent: str | None = None,
    lineage: Sequence[str] = (),
    more: Mapping[str, Any] | None = None,
) -> Manifest:
    """Writes the adapter's files into `folder` (made if absent) and returns the manifest; `more` joins its recipe."""
    folder.mkdir(parents=True, exist_ok=True)
    now = datetime.datetime.now(datetime.UTC)
    manifest = Manifest(
        base=base.name,
        base_sha256=base.fingerprint,
        prompt=base.prompt,
        version=name or now.strftime("%Y%m%dT%H%M%S.%f"),
        created_at=now.isoformat(timespec="milliseconds"),
        lora=trained.lora.to_json(),
        temperature=temperature,
        files={},
        parent=parent,
        data={
            "sha256": data_hash(examples),
            "rows": len(examples),
            "by_source": dict(Counter(example.source for example in examples)),
        },
        seed=recipe.seed,
        recipe={**asdict(recipe), "seconds": round(trained.seconds, 1), **(more or {})},
        versions={"python": platform.python_version(), **{n: version(n) for n in ("torch", "transformers", "peft")}},
        metrics=metrics,
        examples=tuple(lineage),
    )
    half = {name: tensor.half() for name, tensor in trained.tensors.items()}
    written = write_adapter(folder, manifest, save_tensors(half))
    write_report(folder / "report.html", written, trained.losses)
    return written


def progress_bar(console: Console, what: str) -> tuple[Progress, Advance]:
    """A rich progress bar and the `advance` that moves it."""
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.percentage:3.0f} %"))
    bar = Progress(*columns, TextColumn("loss {task.fields[loss]:.3f}"), TimeRemainingColumn(), console=console)
    task = bar.add_task(what, total=1.0, loss=0.0)
    return bar, lambda done, loss: bar.update(task, completed=done, loss=loss)


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit status 0, or 2 with one line for a bad input."""
    parser = argparse.ArgumentParser(prog="python -m training.train", description=(__doc__ or "").splitlines()[0])
    add_choice(parser)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=Recipe().seed)
    parser.add_argument("--epochs", type=float, default=Recipe().epochs)
    parser.add_argument("--learning-rate", type=float, help="default: what suits the base")
    parser.add_argument("--optimizer", choices=("adamw", "adam8bit"), default=Recipe().optimizer)
    options = parser.parse_args(arguments)
    console = Console(stderr=True)
    try:
        base = chosen(options).open(training=True)
        examples = read_examples(options.data, options.data.stem)
    except (BadData, BaseNotFound) as error:
        console.print(f"error: {error}", style="red", markup=False, soft_wrap=True)
        return 2
    rate = base.default_learning_rate if options.learning_rate is None else options.learning_rate
    recipe = Recipe(seed=options.seed, epochs=options.epochs, learning_rate=rate, optimizer=options.optimizer)
    kept, held_out = split(examples, 0.1, recipe.seed)
    bar, advance = progress_bar(console, f"training on {len(kept)} texts")
    with bar:
        trained = train(base, kept, recipe, advance=advance)
    temperature, metrics = calibrate(base, trained, held_out)
    report = {"held_out": metrics.to_json()} if metrics else {}
    manifest = save(options.out, base, trained, kept, recipe, temperature, report)
    accuracy = f", balanced accuracy {metrics.balanced_accuracy:.3f} on {len(held_out)} held out" if metrics else ""
    console.print(f"adapter {manifest.version} written to {options.out}{accuracy}", soft_wrap=True)
    return 0


def _encode(base: Base, text: str, max_tokens: int) -> Encoded:
    """The text's one window for training: head and tail are kept, the middle goes."""
    ids = base.encode(conservative(text))
    size = min(max_tokens, base.window_tokens)
    if len(ids) > size:
        ids = ids[: size - size // 3] + ids[-(size // 3) :]
    return base.frame(ids)


def _batches(examples: Sequence[Example], encoded: Sequence[Encoded], recipe: Recipe) -> list[list[int]]:
    """Row numbers of each step, like lengths together; with `balance`, rarer labels are drawn more often."""
    chance = random.Random(recipe.seed)  # noqa: S311 - a reproducible order, not a secret
    total = round(len(examples) * recipe.epochs)
    if recipe.balance:
        counts = Counter(example.label for example in examples)
        weights = [1 / counts[example.label] for example in examples]
        drawn = _even_draw(weights, total, chance)
    else:
        drawn = [i for _ in range(math.ceil(recipe.epochs)) for i in chance.sample(range(len(examples)), len(examples))]
        drawn = drawn[:total]
    bucket, batches = recipe.batch_rows * 16, []
    for start in range(0, len(drawn), bucket):
        like = sorted(drawn[start : start + bucket], key=lambda i: len(encoded[i]))
        group = [like[n : n + recipe.batch_rows] for n in range(0, len(like), recipe.batch_rows)]
        chance.shuffle(group)
        batches += group
    return batches


def _even_draw(weights: Sequence[float], total: int, chance: random.Random) -> list[int]:
    """`total` row numbers, each about as often as its weight says (systematic sampling), in random order."""
    step, point, reached = sum(weights) / total, chance.random(), 0.0
    point *= step
    drawn: list[int] = []
    order = list(range(len(weights)))
    chance.shuffle(order)
    for i in order:
        reached += weights[i]
        while point < reached and len(drawn) < total:
            drawn.append(i)
            point += step
    chance.shuffle(drawn)
    return drawn


def _rate(step: int, steps: int, warm_up: float) -> float:
    """Linear warm-up, then a cosine down to a twentieth."""
    if step < (rise := max(1, round(steps * warm_up))):
        return (step + 1) / rise
    return 0.05 + 0.95 * 0.5 * (1 + math.cos(math.pi * (step - rise) / max(1, steps - rise)))


if __name__ == "__main__":
    sys.exit(main())
