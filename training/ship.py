"""Makes the shipped adapters from public data, and the samples in the repository.

    python -m training.ship --data ../shared/data [--base minilm|e5|mini] [--start ADAPTER]

Two stages: first all sources and our own sentences, to learn hate and its harmless look-alikes; then mostly Davidson's
data at a lower rate, because other sources draw the line between hate and offence elsewhere and Davidson's line is the
target. With `--start` the first stage continues from an adapter's weights and takes one pass instead of 1.7; with
`--finish` it is left out. With `--average` the mean of the result's and of another adapter's weights is shipped. Writes
`model/shipped/minilm/`, `training/data/{replay,heldout}.csv.gz` and the page on how good it is (`docs/quality.md`). It
takes about half an hour on one core.

`e5` learns in the same two stages, from fewer English texts and, beside them, from those of `training.languages`.
`mini` was pretrained on all sources except Davidson's, so its adapter needs only the second stage.
"""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from rich.console import Console
from torch import Tensor

from model.adapters.registry import SHIPPED_FOLDER
from model.base import Base, LoraSpec
from model.calibration import apply_temperature
from model.choice import E5, EMBEDDED
from model.labels import LABELS, Label
from model.open import open_base
from model.serving.scorer import read_adapter
from training import counterfactuals, languages
from training.evaluation import area_under_curve, flagged_by_slice, flagged_share, measure
from training.examples import Example
from training.public_data import split_data
from training.quality_page import PAGE, Served, write_page
from training.samples import read_everyday, read_handwritten, read_held_out, write_language_samples, write_samples
from training.train import TrainedAdapter, calibrate, progress_bar, save_adapter, train
from training.training_loop import Recipe, TrainingHistory, compute_logits

BROAD_RECIPE = Recipe(
    epochs=1.7, batch_rows=24, learning_rate=3.5e-4, label_smoothing=0.03, max_tokens=96, balance=False
)
CONTINUED_RECIPE = replace(BROAD_RECIPE, epochs=1.0, learning_rate=3e-4)
FINISH_RECIPE = replace(BROAD_RECIPE, epochs=1.0, learning_rate=2e-4, head_learning_rate=3e-4)
MINI_RECIPE = Recipe(epochs=1.0, batch_rows=24, learning_rate=6e-4, max_tokens=96, balance=False)
E5_RECIPE = replace(BROAD_RECIPE, epochs=1.0, max_tokens=64)
E5_FINISH_RECIPE = replace(FINISH_RECIPE, max_tokens=64)
VERSIONS = {EMBEDDED: "shipped-6", E5: "e5-1", "mini": "mini-1"}


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit status 0 when the adapter was written."""
    parser = argparse.ArgumentParser(prog="python -m training.ship", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--base", choices=VERSIONS, default=EMBEDDED)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--start", type=Path, help="an adapter's folder: continue from its weights")
    parser.add_argument("--finish", action="store_true", help="with --start: the second stage alone")
    parser.add_argument("--average", type=Path, help="another adapter's folder: ship the mean of both weights")
    options = parser.parse_args(arguments)
    console = Console(stderr=True)
    first_stage, second_stage, tune, tests = split_data(options.data)
    base = open_base(options.base)
    begun = TrainedAdapter({}, LoraSpec(16, 32.0, base.default_lora.targets), TrainingHistory())
    made_from: dict[str, str] = {}  # no parent: an adapter with one was made by a refresh
    if options.start:
        begun, made_from["started_from"] = _read_start(base, options.start)
    elif base.name in (EMBEDDED, E5):
        begun = replace(begun, lora=LoraSpec(32, 64.0, base.default_lora.targets))
    stages = [(second_stage, MINI_RECIPE)]
    if base.name == EMBEDDED:
        broad = CONTINUED_RECIPE if options.start else BROAD_RECIPE
        stages = [(first_stage, broad), (second_stage, FINISH_RECIPE)][options.finish :]
    elif base.name == E5:
        mixed = languages.mix_with_english(options.data, first_stage, second_stage)
        stages = [(mixed.first_stage, E5_RECIPE), (mixed.second_stage, E5_FINISH_RECIPE)][options.finish :]
        tune, tests = [*tune, *mixed.tune], {**tests, **mixed.tests}
        write_language_samples(mixed.replayed, mixed.tests)
    trained = train_in_stages(base, begun, stages, console)
    if options.average:
        other, made_from["averaged_with"] = _read_start(base, options.average)
        trained = average(trained, other)
    if base.name in (EMBEDDED, E5):
        trained = replace(trained, tensors=correct_bias(base, trained, tune))
    if base.name == EMBEDDED:
        write_samples(first_stage, tests)
    temperature, _ = calibrate(base, trained, tune)
    base.attach("candidate", trained.lora, trained.tensors)
    tests = {"held_out": read_held_out(base.name)[1], **tests}
    metrics: dict[str, Any] = {}
    for name, held_out in tests.items():
        logits = compute_logits(base, "candidate", [example.text for example in held_out])
        labels = torch.tensor([LABELS.index(example.label) for example in held_out])
        metrics[name] = measure(apply_temperature(logits, temperature), labels).to_json()
    metrics |= measure_own_sentences(base, "candidate", temperature)
    metrics |= measure_everyday(base, "candidate", temperature)
    if base.name == E5:
        metrics |= languages.measure_by_language(base, "candidate", temperature)
    out, recipes = (
        options.out or SHIPPED_FOLDER / base.name,
        {"stages": [asdict(recipe) for _, recipe in stages], **made_from},
    )
    learned, recipe = stages[0][0], stages[-1][1]
    named = VERSIONS[base.name]
    manifest = save_adapter(out, base, trained, learned, recipe, temperature, metrics, name=named, more=recipes)
    console.print(f"adapter {manifest.version} written to {out}", soft_wrap=True)
    if out == SHIPPED_FOLDER / base.name and base.name in (EMBEDDED, E5):
        write_page(PAGE, Served.shipped(), split_data(options.data)[3])
        console.print(f"{PAGE} written", soft_wrap=True)
    return 0


def _read_start(base: Base, folder: Path) -> tuple[TrainedAdapter, str]:
    """(the adapter to continue from, its version)."""
    manifest, lora, tensors = read_adapter(base, folder)
    start = {name: tensor.float() for name, tensor in tensors.items()}
    return TrainedAdapter(start, lora, TrainingHistory()), manifest.version


def average(one: TrainedAdapter, other: TrainedAdapter) -> TrainedAdapter:
    """The mean of the weights of two adapters that began with the same ones: better on texts like neither's training
    than each (Wortsman et al. 2022, "Model soups: averaging weights of multiple fine-tuned models ...")."""
    return replace(one, tensors={name: (one.tensors[name] + other.tensors[name]) / 2 for name in one.tensors})


def train_in_stages(
    base: Base, begun: TrainedAdapter, stages: Sequence[tuple[list[Example], Recipe]], console: Console
) -> TrainedAdapter:
    """Trains in several stages, each from the result of the one before; the history has all stages."""
    trained = begun
    for examples, recipe in stages:
        bar, advance = progress_bar(console, f"training on {len(examples)} texts")
        with bar:
            last = train(base, examples, recipe, lora=begun.lora, start=trained.tensors or None, advance=advance)
        trained = replace(last, history=trained.history.followed_by(last.history))
    return trained


def correct_bias(base: Base, trained: TrainedAdapter, tune: Sequence[Example]) -> dict[str, Tensor]:
    """The adapter with the output bias that has the least cross-entropy on label-balanced texts.

    Davidson's labels are 16 to 1; without this correction rare hate is predicted as offensive (bias-corrected
    temperature scaling, Alexandari et al. 2020, "Maximum Likelihood with Bias-Corrected Calibration ...", section 3).
    """
    base.attach("candidate", trained.lora, trained.tensors)
    logits = compute_logits(base, "candidate", [example.text for example in tune])
    labels = torch.tensor([LABELS.index(example.label) for example in tune])
    share = torch.bincount(labels, minlength=len(LABELS)).float()
    bias = torch.zeros(len(LABELS), requires_grad=True)
    optimizer = torch.optim.LBFGS([bias], max_iter=100)

    def loss() -> Tensor:
        optimizer.zero_grad()
        value = F.cross_entropy(logits + bias, labels, weight=1 / share)
        value.backward()  # type: ignore[no-untyped-call]
        return value

    optimizer.step(loss)  # type: ignore[no-untyped-call]
    return {**trained.tensors, "head.out.bias": trained.tensors["head.out.bias"] + (bias - bias.mean()).detach()}


def measure_own_sentences(base: Base, adapter: str, temperature: float) -> dict[str, Any]:
    """Figures on our own sentences: from templates and groups that were never trained on, and written by hand."""
    sentences = counterfactuals.development_sentences(1500, seed=3)
    figures = _measure_sentences(base, adapter, temperature, "own sentences", sentences)
    harmless = [example for name, example in sentences if name in ("identity_neutral", "identity_positive", "in_group")]
    figures["own sentences: harmless identity mentions flagged"] = flagged_share(
        _probabilities(base, adapter, temperature, harmless)
    )
    return figures | _measure_sentences(
        base, adapter, temperature, "written by hand", [(e.source, e) for e in read_handwritten()]
    )


def measure_everyday(base: Base, adapter: str, temperature: float) -> dict[str, Any]:
    """Share of the hand-written everyday texts, by kind, that are not called neutral."""
    everyday = read_everyday()
    probabilities = _probabilities(base, adapter, temperature, everyday)
    flagged = flagged_by_slice(probabilities, [example.source for example in everyday])
    return {f"everyday flagged: {kind}": share for kind, share in flagged.items()}


def _measure_sentences(
    base: Base, adapter: str, temperature: float, name_of_set: str, sentences: Sequence[tuple[str, Example]]
) -> dict[str, Any]:
    probabilities = _probabilities(base, adapter, temperature, [example for _, example in sentences])
    pairs = [
        (float(p[0]), example.label is Label.HATE)
        for p, (_, example) in zip(probabilities, sentences, strict=True)
        if example.label is not Label.OFFENSIVE
    ]
    area = area_under_curve([score for score, _ in pairs], [hateful for _, hateful in pairs])
    flagged = {
        f"{name_of_set} flagged: {n}": s
        for n, s in flagged_by_slice(probabilities, [name for name, _ in sentences]).items()
    }
    return {f"{name_of_set}: area under the curve, hate against harmless": area, **flagged}


def _probabilities(base: Base, adapter: str, temperature: float, examples: Sequence[Example]) -> Tensor:
    return apply_temperature(compute_logits(base, adapter, [example.text for example in examples]), temperature)


if __name__ == "__main__":
    sys.exit(main())
