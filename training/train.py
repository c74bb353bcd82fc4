"""Trains a LoRA adapter (and the embedded base's head) on a labelled file.

    python -m training.train --base minilm --data FILE.csv --out DIR

The file has a header with `text` and `label` (hate, offensive, neutral). DIR receives `adapter_model.safetensors`,
`manifest.json` and `report.html`. A tenth of the texts is held out for calibration and the report. After a kill the
same command continues from its checkpoint.
"""

import argparse
import datetime
import platform
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from safetensors.torch import save as save_tensors
from torch import Tensor

from model.adapters.registry import Manifest, check_tensor, write_adapter
from model.base import Base, BaseNotFound, LoraSpec
from model.calibration import apply_temperature, fit_temperature
from model.choice import add_base_options, finite_number, read_base_choice
from model.classifier import AdapterRejected
from model.labels import LABELS
from model.norms import Norm
from model.open import open_chosen_base
from model.quality import Metrics
from model.table import BadData
from training.adapter_shape import add_shape_options, read_shape
from training.checkpoint import Checkpoint
from training.evaluation import measure
from training.examples import Example, data_hash, read_examples, split
from training.report import write_report
from training.training_loop import Advance, Recipe, TrainingHistory, compute_logits, fit


@dataclass(frozen=True, slots=True)
class TrainedAdapter:
    """A trained adapter in memory, and the history of its training."""

    tensors: Mapping[str, Tensor]
    lora: LoraSpec
    history: TrainingHistory


def train(
    base: Base,
    examples: Sequence[Example],
    recipe: Recipe,
    *,
    lora: LoraSpec | None = None,
    start: Mapping[str, Tensor] | None = None,
    advance: Advance = lambda done, loss: None,
    watched: Sequence[Example] = (),
    checkpoint: Checkpoint | None = None,
) -> TrainedAdapter:
    """Trains LoRA and head over the frozen base: AdamW, warm-up and cosine decay. Deterministic by `recipe.seed`.

    With `start`, tensors of the same `lora`, training continues from that adapter, else it starts from the bare base.
    See `fit` for `watched` and `checkpoint`.
    """
    torch.manual_seed(recipe.seed)
    lora = lora or base.default_lora
    learner = base.start_training(lora, start)
    history = fit(learner, base, examples, recipe, advance, watched=watched, checkpoint=checkpoint)
    return TrainedAdapter(learner.adapter_state(), lora, history)


def calibrate(base: Base, trained: TrainedAdapter, held_out: Sequence[Example]) -> tuple[float, Metrics | None]:
    """(temperature fitted on the held-out texts, metrics on them); (1, None) without such texts."""
    if not held_out:
        return 1.0, None
    base.attach("candidate", trained.lora, trained.tensors)
    logits = compute_logits(base, "candidate", [example.text for example in held_out])
    base.detach("candidate")
    labels = torch.tensor([LABELS.index(example.label) for example in held_out])
    temperature = fit_temperature(logits, labels)
    return temperature, measure(apply_temperature(logits, temperature), labels)


def save_adapter(
    folder: Path,
    base: Base,
    trained: TrainedAdapter,
    examples: Sequence[Example],
    recipe: Recipe,
    temperature: float,
    metrics: Mapping[str, Any],
    *,
    name: str = "",
    parent: str | None = None,
    lineage: Sequence[str] = (),
    norms: Mapping[str, Norm] | None = None,
    more: Mapping[str, Any] | None = None,
) -> Manifest:
    """Writes the adapter's files into `folder` (created if missing) and returns the manifest.

    `lineage` has the ids of all corrections it learned from; `more` is added to the manifest's recipe. Raises
    `AdapterRejected` if a weight or figure is not finite.
    """
    half = {name: tensor.half() for name, tensor in trained.tensors.items()}
    for tensor_name, tensor in half.items():
        check_tensor(tensor_name, bool(torch.isfinite(tensor).all()), float(tensor.float().norm()))
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
        recipe={**asdict(recipe), **trained.history.to_json(), **(more or {})},
        versions={"python": platform.python_version(), **{n: version(n) for n in ("torch", "transformers", "peft")}},
        metrics=metrics,
        examples=tuple(lineage),
        norms={community: norm.to_json() for community, norm in (norms or {}).items()},
    )
    written = write_adapter(folder, manifest, save_tensors(half))
    write_report(folder / "report.html", written, trained.history.losses, trained.history.accuracies)
    return written


def progress_bar(console: Console, description: str) -> tuple[Progress, Advance]:
    """A rich progress bar, and the `advance` that moves it."""
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.percentage:3.0f} %"))
    bar = Progress(*columns, TextColumn("loss {task.fields[loss]:.3f}"), TimeRemainingColumn(), console=console)
    task = bar.add_task(description, total=1.0, loss=0.0)
    return bar, lambda done, loss: bar.update(task, completed=done, loss=loss)


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit status 0, or 2 with one line for a bad input."""
    parser = argparse.ArgumentParser(prog="python -m training.train", description=(__doc__ or "").splitlines()[0])
    add_base_options(parser)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=Recipe().seed)
    parser.add_argument("--epochs", type=finite_number, default=Recipe().epochs)
    parser.add_argument("--learning-rate", type=finite_number, help="default: the base's own")
    parser.add_argument("--optimizer", choices=("adamw", "adam8bit"), default=Recipe().optimizer)
    add_shape_options(parser)
    options = parser.parse_args(arguments)
    console = Console(stderr=True)
    try:
        base = open_chosen_base(read_base_choice(options), training=True)
        lora = read_shape(options, base)
        examples = read_examples(options.data, options.data.stem)
    except (BadData, BaseNotFound) as error:
        console.print(f"error: {error}", style="red", markup=False, soft_wrap=True)
        return 2
    rate = base.default_learning_rate if options.learning_rate is None else options.learning_rate
    recipe = Recipe(seed=options.seed, epochs=options.epochs, learning_rate=rate, optimizer=options.optimizer)
    kept, held_out = split(examples, 0.1, recipe.seed)
    bar, advance = progress_bar(console, f"training on {len(kept)} texts")
    with bar:
        key = f"{data_hash(kept)} {recipe} {lora} {base.fingerprint} {base.prompt}"
        checkpoint = Checkpoint(options.out / "checkpoint.pt", key)
        trained = train(base, kept, recipe, lora=lora, advance=advance, watched=held_out[:200], checkpoint=checkpoint)
    try:
        temperature, metrics = calibrate(base, trained, held_out)
        report = {"held_out": metrics.to_json()} if metrics else {}
        manifest = save_adapter(options.out, base, trained, kept, recipe, temperature, report)
    except (AdapterRejected, ValueError) as error:
        console.print(f"error: {error}; try a lower --learning-rate", style="red", markup=False, soft_wrap=True)
        return 2
    accuracy = f", balanced accuracy {metrics.balanced_accuracy:.3f} on {len(held_out)} held out" if metrics else ""
    console.print(f"adapter {manifest.version} written to {options.out}{accuracy}", soft_wrap=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
