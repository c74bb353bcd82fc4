"""Repeats the article's comparison for any base and data: from no training to LoRA on every linear layer.

    python -m training.compare --data FILE.csv [--test FILE.csv] [--base mini] [--out compare]

FILE.csv has `text` and `label`. Without `--test`, a fifth of it is held out for testing; with it, test texts that are
also in FILE.csv are left out and at most `--per-label` of each label are drawn. Writes `table.md`, `results.json` and
`report.html` with plots. With `--base EleutherAI/gpt-j-6b --int8 weight-only --optimizer adam8bit --rank 2` on a GPU it
repeats the experiment of the article "How to raise a GPT-3 model at home".
"""

import argparse
import json
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import jinja2
import torch
import torch.nn.functional as F
from rich.console import Console
from rich.table import Table
from torch import Tensor

from model.base import Base, BaseNotFound, LoraSpec, TrainingModule
from model.choice import add_base_options, read_base_choice
from model.gptj.base import GPTJ
from model.labels import LABELS
from model.open import open_chosen_base
from model.plots import bars_plot, confusion_plot
from model.prompts import INSTRUCTION, RAW, Prompt
from model.table import BadData
from training.adapter_shape import add_shape_options, read_shape, targets_of
from training.evaluation import measure
from training.examples import Example, draw_balanced, exclude_texts, read_examples, split
from training.peak_memory import peak_mib, reset_peak
from training.train import progress_bar
from training.training_loop import Recipe, compute_logits, compute_training_logits, fit

SHOTS = 4
"""Examples of each label in a few-shot prompt."""

DESCRIPTIONS = {
    "hate": "hate speech that attacks people for their origin, religion, gender or sexuality",
    "offensive": "an insult or vulgar, offensive language",
    "neutral": "an ordinary, harmless message",
}
"""Descriptions of the labels, for a base that compares sentences."""


@dataclass(frozen=True, slots=True)
class MethodResult:
    """The result of one method: figures on the test texts, trained parameters, time and memory."""

    method: str
    prompt: str
    trained: int
    accuracy: float
    macro_f1: float
    confusion: Sequence[Sequence[int]]
    seconds: float
    memory_mib: float | None
    losses: Sequence[float] = field(default_factory=tuple)


RunMethod = Callable[[], tuple[Tensor, int, Sequence[float]]]
"""Runs a method; returns (N, 3) logits of the test texts, the number of trained parameters, and the losses."""


def list_methods(
    base: Base, learn: Sequence[Example], test: Sequence[Example], recipe: Recipe, lora: LoraSpec, console: Console
) -> list[tuple[str, str, RunMethod]]:
    """(method, prompt, answer) of every method, cheapest first; `lora` has rank and alpha."""
    texts = [example.text for example in test]
    prompts: list[tuple[str, Base]] = [("", base)]
    methods: list[tuple[str, str, RunMethod]] = []
    if isinstance(base, GPTJ):
        prompts = [("instruction", base.with_prompt(INSTRUCTION)), ("raw text", base.with_prompt(RAW))]
        shots = _few_shot(base, learn)
        methods += [(f"zero-shot ({name})", name, _untrained(prompted, texts)) for name, prompted in prompts[:1]]
        methods += [(f"few-shot, {SHOTS} of each label", "instruction", _untrained(shots, texts))]
    else:
        methods += [("zero-shot: nearest description", "", lambda: (_nearest_description(base, texts), 0, ()))]
        methods += [
            (f"few-shot: nearest mean of {SHOTS}", "", lambda: (_nearest_mean(base, learn, texts), 0, ())),
        ]
    named = {"attention": "LoRA on attention", "linears": "LoRA on all linears"}
    if isinstance(base, GPTJ):
        named["everything"] = "LoRA on all linears, embedding and head"
    for name, prompted in prompts:
        starts = {"layer norms only": prompted.start_norm_training}
        starts |= {method: _lora(prompted, replace(lora, targets=targets_of(base, on))) for on, method in named.items()}
        for method, start in starts.items():
            methods.append((method, name, _trained(prompted, start, learn, texts, recipe, console)))
    return methods


def compare(
    base: Base, learn: Sequence[Example], test: Sequence[Example], recipe: Recipe, lora: LoraSpec, console: Console
) -> list[MethodResult]:
    """Runs every method from the same start; raises ValueError for a rank that does not fit."""
    labels = torch.tensor([LABELS.index(example.label) for example in test])
    rows = []
    for method, prompt, answer in list_methods(base, learn, test, recipe, lora, console):
        torch.manual_seed(recipe.seed)
        reset_peak()
        began = time.monotonic()
        logits, trained, losses = answer()
        metrics = measure(logits.softmax(-1), labels)
        row = MethodResult(
            method,
            prompt,
            trained,
            metrics.accuracy,
            metrics.macro_f1,
            metrics.confusion,
            time.monotonic() - began,
            peak_mib(),
            losses,
        )
        console.print(f"{method} {prompt}: accuracy {row.accuracy:.3f}", highlight=False)
        rows.append(row)
    return rows


def _few_shot(base: GPTJ, learn: Sequence[Example]) -> GPTJ:
    """The base with a few short examples of each label in the instruction, as many as fit."""
    by_label = [sorted((e for e in learn if e.label is label), key=lambda e: (len(e.text), e.text)) for label in LABELS]
    short = [examples[len(examples) // 3 : len(examples) // 3 + SHOTS] for examples in by_label]
    for count in range(SHOTS, 0, -1):
        shown = [example for group in zip(*(examples[:count] for examples in short), strict=True) for example in group]
        examples_text = "".join(f"{e.text}{INSTRUCTION.separator} {e.label}\n\nMessage:\n" for e in shown)
        try:
            return base.with_prompt(
                Prompt(INSTRUCTION.instruction + examples_text, INSTRUCTION.separator, INSTRUCTION.answers)
            )
        except ValueError:
            continue  # too long for this base's window
    raise ValueError("one example of each label does not fit beside the instruction")


def _untrained(base: Base, texts: Sequence[str]) -> RunMethod:
    return lambda: (compute_logits(base, "", texts), 0, ())


def _nearest_description(base: Base, texts: Sequence[str]) -> Tensor:
    means = _embedded(base, [DESCRIPTIONS[label] for label in LABELS])
    return 10 * _embedded(base, texts) @ means.T


def _nearest_mean(base: Base, learn: Sequence[Example], texts: Sequence[str]) -> Tensor:
    """Cosine to the mean embedding of each label's examples (Snell et al. 2017, "Prototypical Networks")."""
    few = draw_balanced(learn, SHOTS, seed=1)
    means = [_embedded(base, [e.text for e in few if e.label is label]).mean(0) for label in LABELS]
    return 10 * _embedded(base, texts) @ F.normalize(torch.stack(means), dim=-1).T


def _embedded(base: Base, texts: Sequence[str]) -> Tensor:
    """(N, hidden)."""
    ids = [base.frame(base.encode(text)[: base.window_tokens]) for text in texts]
    return torch.cat([base.embed(ids[n : n + 32]) for n in range(0, len(ids), 32)])


def _lora(base: Base, lora: LoraSpec) -> Callable[[], TrainingModule]:
    return lambda: base.start_training(lora)


def _trained(
    base: Base,
    start: Callable[[], TrainingModule],
    learn: Sequence[Example],
    texts: Sequence[str],
    recipe: Recipe,
    console: Console,
) -> RunMethod:
    def answer() -> tuple[Tensor, int, Sequence[float]]:
        learner = start()
        bar, advance = progress_bar(console, f"training on {len(learn)} texts")
        with bar:
            losses = fit(learner, base, learn, recipe, advance).losses
        trained = sum(p.numel() for p in learner.module.parameters() if p.requires_grad)
        return compute_training_logits(base, learner, texts), trained, losses

    return answer


HEADINGS = ("method", "prompt", "accuracy", "macro-F1", "parameters trained", "peak memory", "time")


def table_cells(row: MethodResult) -> tuple[str, ...]:
    """The row's cells, as printed and written."""
    memory = "not measured" if row.memory_mib is None else f"{row.memory_mib:,.0f} MiB"
    figures = f"{row.accuracy:.3f}", f"{row.macro_f1:.3f}", f"{row.trained:,}", memory, f"{row.seconds:,.0f} s"
    return (row.method, row.prompt or "–", *figures)


_PAGE = jinja2.Environment(autoescape=True, trim_blocks=True).from_string("""<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>Comparison on {{ about.data }}</title>
<style>body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#222}
table{border-collapse:collapse;font-variant-numeric:tabular-nums}td,th{border:1px solid #ccc;padding:.2rem .6rem}
td{text-align:right}td:first-child,td:nth-child(2){text-align:left}.scroll{overflow-x:auto}img{max-width:100%}
figure{display:inline-block;margin:.5rem}</style>
<h1>From no training to LoRA on every layer</h1>
<p>Base <b>{{ about.base }}</b>, trained on {{ about.learned }} texts of {{ about.data }}, tested on
{{ about.judged }} others; {{ about.recipe }}.</p>
<div class="scroll"><table><tr>{% for name in headings %}<th>{{ name }}{% endfor %}
{% for row in table %}<tr>{% for cell in row %}<td>{{ cell }}{% endfor %}{% endfor %}</table></div>
<h2>Accuracy</h2><img alt="Accuracy of each method" src="{{ bars }}">
<h2>What was called what</h2>
{% for name, image in confusions.items() %}<figure><figcaption>{{ name }}</figcaption><img alt="{{ name }}"
src="{{ image }}"></figure>{% endfor %}
""")


def write(out: Path, rows: Sequence[MethodResult], about: dict[str, Any]) -> None:
    """The three files."""
    out.mkdir(parents=True, exist_ok=True)
    lines = [HEADINGS, ("---",) * len(HEADINGS), *(table_cells(row) for row in rows)]
    (out / "table.md").write_text("".join(f"| {' | '.join(line)} |\n" for line in lines), encoding="utf-8")
    results = {"about": about, "rows": [asdict(row) for row in rows]}
    (out / "results.json").write_text(json.dumps(results, indent=1), encoding="utf-8")
    names = [f"{row.method}, {row.prompt}" if row.prompt else row.method for row in rows]
    page = _PAGE.render(
        about=about,
        headings=HEADINGS,
        table=[table_cells(row) for row in rows],
        bars=bars_plot(names, [row.accuracy for row in rows], "accuracy"),
        confusions={name: confusion_plot(row.confusion) for name, row in zip(names, rows, strict=True)},
    )
    (out / "report.html").write_text(page, encoding="utf-8")


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit status 0, or 2 with one line for a bad input."""
    parser = argparse.ArgumentParser(prog="python -m training.compare", description=(__doc__ or "").splitlines()[0])
    add_base_options(parser)
    parser.set_defaults(base="mini")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--test", type=Path)
    parser.add_argument("--per-label", type=int, default=300)
    parser.add_argument("--out", type=Path, default=Path("compare"))
    parser.add_argument("--epochs", type=float, default=3.0)
    add_shape_options(parser)
    parser.add_argument("--optimizer", choices=("adamw", "adam8bit"), default=Recipe().optimizer)
    options = parser.parse_args(arguments)
    console = Console(stderr=True)
    try:
        base = open_chosen_base(read_base_choice(options), training=True)
        learn, test = read_examples(options.data, options.data.stem), []
        if options.test:
            test = draw_balanced(exclude_texts(read_examples(options.test), learn), options.per_label, seed=1)
        else:
            learn, test = split(learn, 0.2, seed=1)
        rate, lora = base.default_learning_rate, read_shape(options, base)
        recipe = replace(Recipe(), epochs=options.epochs, learning_rate=rate, optimizer=options.optimizer)
        rows = compare(base, learn, test, recipe, lora, console)
    except (BadData, BaseNotFound, ValueError) as error:
        console.print(f"error: {error}", style="red", markup=False, soft_wrap=True)
        return 2
    recipe_text = f"{options.epochs:g} epochs, rank {lora.rank}, {options.optimizer}, learning rate {rate:g}"
    about = {
        "base": base.name,
        "data": options.data.name,
        "learned": len(learn),
        "judged": len(test),
        "recipe": recipe_text,
    }
    write(options.out, rows, about)
    table = Table(*HEADINGS, caption=f"{base.name}: {recipe_text}")
    for row in rows:
        table.add_row(*table_cells(row))
    Console().print(table)
    console.print(f"written to {options.out}", soft_wrap=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
