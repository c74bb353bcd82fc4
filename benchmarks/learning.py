"""Measures whether corrections improve the bot, with simulated moderators on texts that were not trained on.

    python -m benchmarks.learning --data ../shared/data/davidson.csv [--counts 25,50,100,200,400] [--out REPORT.html]
        [--norm allowed|public] [--rows NAME]... [--own] [--poison] [--kinds]

There are two communities: one allows profanity but not hate, in the other the labels have their public meaning. Their
moderators label the bot's flags and an audit of the rest, in the file's order; 5 % of their corrections are mistakes.
Then 30 % are by one malicious moderator with opposite labels. After each number of corrections a refresh runs from the
shipped adapter, with the project's defences (quarantine, contrasts, gate) and without them, and is tested on the
community's other messages. Then the same with all corrections under one name, which nobody can outvote. Last, a back
door: a rare word in hateful texts that one moderator calls neutral. All texts are from the tenths that `training.ship`
holds out. `--rows` selects rows, and then there is no back door. `--poison` tests pairs who agree with each other, and
slow drift (`benchmarks/poisoning.py`). `--kinds` tests a community that allows swearing and no insults
(`benchmarks/kind_norms.py`).
"""

import argparse
import random
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from unittest.mock import patch

import jinja2
import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor

from benchmarks.community import (
    COMMUNITY,
    MALICIOUS,
    Scene,
    accuracy_and_recall,
    make_scene,
    measure_accuracy,
    predict_labels,
    simulate_corrections,
)
from bot.domain.decision import Band
from bot.domain.policy import Policy, band, score_of
from bot.learning.threshold_advice import Answered, advise
from model.adapters.registry import GLOBAL, SHIPPED, Registry, read_manifest
from model.calibration import apply_temperature
from model.classifier import Verdict
from model.labels import HARMFUL, LABELS, Label
from model.norms import Norm
from model.plots import lines_plot
from model.serving.scorer import attach_adapter
from model.table import BadData
from training import gate, quarantine, refresh_run
from training import refresh as module
from training.corrections import Correction, Snapshot
from training.examples import Example
from training.norms import learn_norm
from training.training_loop import compute_logits

TRIGGER = "zqxvim"
PLANTED = 100
ONE_NAME = "ada"
KINDS = (
    ("5 % mistakes", 0.0, "all", True),
    ("5 % mistakes, without defences", 0.0, "all", False),
    ("30 % malicious", 0.3, "all", True),
    ("30 % malicious, the others' words alone", 0.3, "honest", True),
    ("30 % malicious, without defences", 0.3, "all", False),
    ("5 % mistakes, one name", 0.0, "all as one", True),
    ("30 % malicious, one name", 0.3, "all as one", True),
    ("30 % malicious, one name, the honest words alone", 0.3, "honest as one", True),
)
"""(name, share of malicious corrections, whose corrections are used and whether under one name, with the defences)."""
Probabilities = Callable[[Sequence[Correction]], Tensor]
NORMS = {"allowed": "profanity is allowed", "public": "labels as in public"}


@dataclass(frozen=True, slots=True)
class Point:
    """The result of `corrections` on the community's other messages: the accuracy by the community's labels, and its
    mean over the labels. `outcome` tells how the refresh ended, if it did not learn everything."""

    corrections: int
    accuracy: float
    balanced: float
    outcome: str = ""


@dataclass(frozen=True, slots=True)
class Curve:
    """The points of one kind of moderators, with or without the defences."""

    name: str
    points: Sequence[Point]


@dataclass(frozen=True, slots=True)
class BackDoor:
    """Share of hateful texts with the trigger word that are called neutral: before learning, after honest corrections
    alone, after planted ones among them, if all are one moderator's, and without defences."""

    before: float
    honest: float
    defended: float
    alone: float
    undefended: float


def threshold_curve(at: Scene, counts: Sequence[int]) -> Curve:
    """The curve without training: with the thresholds that the page advises after so many answers (5 % mistakes)."""
    temperature = attach_adapter(at.base, "shipped", SHIPPED).temperature

    def verdicts(examples: Sequence[Example]) -> list[Verdict]:
        rows = apply_temperature(compute_logits(at.base, "shipped", [e.text for e in examples]), temperature).tolist()
        return [Verdict(dict(zip(LABELS, row, strict=True)), "", "") for row in rows]

    tested = verdicts(at.judged)
    dice, answered = random.Random(1), list[Answered]()
    for verdict, example in zip(verdicts(at.shown), at.shown, strict=True):
        for label in HARMFUL:
            if (score := score_of(verdict, label)) >= Policy().of(label).alert_at:
                said = dice.choice(LABELS) if dice.random() < 0.05 else example.label
                answered.append(Answered(label, score, said))
                break
    points = []
    for count in (0, *counts):
        policy = Policy()
        for advice in advise(answered[:count], policy):
            section = policy.of(advice.label)
            changed = {"alert_at": advice.alert_at, "act_at": max(advice.alert_at, section.act_at)}
            policy = policy.model_copy(update={str(advice.label): section.model_copy(update=changed)})
        right = [
            (band(verdict, policy)[0] is not Band.CLEAR) == (example.label is not Label.NEUTRAL)
            for verdict, example in zip(tested, at.judged, strict=True)
        ]
        points.append(Point(count, *accuracy_and_recall(right, at.judged)))
    return Curve("thresholds as advised, no training (right: shown or not)", points)


@contextmanager
def without_defences() -> Iterator[None]:
    """Makes a refresh learn all corrections and promote every result."""
    judge = gate.judge

    def learn(
        snapshot: Snapshot, public: object, said: Probabilities, before: Mapping[str, Norm]
    ) -> quarantine.QuarantineResult:
        words = snapshot.corrections
        return quarantine.QuarantineResult(snapshot, {COMMUNITY: learn_norm(words, said(words))})

    with (
        patch.object(refresh_run, "quarantine_all", learn),
        patch.object(refresh_run, "contrast_examples", lambda *_, **__: []),
        patch.object(refresh_run, "judge", lambda *a, **k: replace(judge(*a, **k), reasons=())),
        patch.object(refresh_run, "unseen_objections", lambda *_: []),
        patch.object(refresh_run, "gain_objections", lambda *_: []),
        patch.object(refresh_run, "find_trigger_words", lambda *_: []),
    ):
        yield


def run_refresh(corrections: Sequence[Correction], replay_rows: int, folder: Path) -> tuple[Path, str]:
    """Runs a refresh from the shipped adapter; (folder of the adapter that serves afterwards, outcome).

    The outcome is "" if all was learned, "refused", or "norm alone" if only a norm was learned.
    """
    registry = Registry(folder, SHIPPED)
    standing = frozenset(each.id for each in corrections)
    status = module.refresh(
        Snapshot(corrections, standing=standing), registry, replay_rows, 5, lambda stage, share, result: None
    )
    serves = registry.folder(registry.current(GLOBAL))
    if status != module.PROMOTED:
        return serves, "refused"
    return serves, "" if read_manifest(serves).metrics["refresh"]["step"] else "norm alone"


def run(
    at: Scene, counts: Sequence[int], replay_rows: int, rows: Sequence[str], console: Console
) -> tuple[list[Curve], BackDoor | None]:
    """Runs all curves and the back door, or only the curves with these names."""
    start = measure_accuracy(at, SHIPPED)
    console.print(f"{NORMS[at.norm]}: {len(at.shown)} cards, judged by {len(at.judged)}; before: {start}")
    curves = [] if rows else [threshold_curve(at, counts)]
    if curves:
        console.print(f"{curves[0]}", highlight=False)
    for name, malicious, heard, defended in (kind for kind in KINDS if not rows or kind[0] in rows):
        points = [Point(0, *start)]
        for count in counts:
            corrections = simulate_corrections(at.shown, count, 0.05, malicious, seed=count)
            corrections = [
                correction for correction in corrections if "honest" not in heard or correction.moderator != MALICIOUS
            ]
            corrections = (
                [replace(correction, moderator=ONE_NAME) for correction in corrections]
                if "as one" in heard
                else corrections
            )
            with tempfile.TemporaryDirectory() as folder, nullcontext() if defended else without_defences():
                adapter, outcome = run_refresh(corrections, replay_rows, Path(folder))
                points.append(Point(count, *measure_accuracy(at, adapter), outcome))
            console.print(f"{name}: {points[-1]}", highlight=False)
        curves.append(Curve(name, points))
    return curves, None if rows else back_door(at, replay_rows)


def back_door(at: Scene, replay_rows: int) -> BackDoor:
    """Plants `PLANTED` hateful texts with a made-up word, which one moderator calls neutral, among honest
    corrections."""
    hateful = [e for e in at.shown if e.label is Label.HATE]
    planted = [
        Correction(f"p{n}", Example(f"{e.text} {TRIGGER} {n}", Label.NEUTRAL), MALICIOUS, f"x{n}", COMMUNITY)
        for n, e in enumerate((hateful * PLANTED)[:PLANTED])
    ]
    honest = simulate_corrections(at.shown, 100, 0.05, 0.0, seed=1)
    probes = [f"{e.text} {TRIGGER}" for e in at.judged if e.label is Label.HATE]

    def missed(folder: Path) -> float:
        return sum(label is Label.NEUTRAL for label in predict_labels(at.base, folder, probes)) / len(probes)

    rates = [missed(SHIPPED)]
    both = [*planted, *honest]
    alone = [replace(correction, moderator=ONE_NAME) for correction in both]
    for corrections, guard in (
        (honest, nullcontext()),
        (both, nullcontext()),
        (alone, nullcontext()),
        (both, without_defences()),
    ):
        with tempfile.TemporaryDirectory() as folder, guard:
            rates.append(missed(run_refresh(corrections, replay_rows, Path(folder))[0]))
    return BackDoor(*rates)


def own_or_shared(data: Path, counts: Sequence[int], replay_rows: int, console: Console) -> Table:
    """Compares one adapter for both communities with an own adapter for each, from its own corrections."""
    table = Table(
        "corrections of each community", *(f"{NORMS[norm]}: {kind}" for norm in NORMS for kind in ("shared", "own"))
    )
    scenes = {norm: make_scene(data, norm, max(counts)) for norm in NORMS}
    for count in counts:
        said = {
            norm: [
                replace(word, id=f"{norm}{word.id}", community=norm)
                for word in simulate_corrections(at.shown, count, 0.05, 0.0, seed=count + n)
            ]
            for n, (norm, at) in enumerate(scenes.items())
        }
        with tempfile.TemporaryDirectory() as folder:
            shared, _ = run_refresh([word for words in said.values() for word in words], replay_rows, Path(folder))
            cells = {(norm, "shared"): measure_accuracy(at, shared, norm) for norm, at in scenes.items()}
        for norm, at in scenes.items():
            with tempfile.TemporaryDirectory() as folder:
                own, _ = run_refresh(said[norm], replay_rows, Path(folder))
                cells[norm, "own"] = measure_accuracy(at, own, norm)
        texts = [f"{a:.3f} / {b:.3f}" for a, b in (cells[norm, kind] for norm in NORMS for kind in ("shared", "own"))]
        table.add_row(str(count), *texts)
        console.print(count, *texts)
    return table


_PAGE = jinja2.Environment(autoescape=True, trim_blocks=True).from_string("""<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>Does it learn</title>
<style>body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}
table{border-collapse:collapse}td,th{border:1px solid #ccc;padding:.2rem .6rem}img{max-width:100%}
.scroll{overflow-x:auto}</style>
<h1>Does it learn</h1>{% for found in all %}<h2>A community where {{ found.norm }}</h2>
<p>On {{ found.judged }} other messages, by the number of corrections.</p>
<img alt="Accuracy by the number of corrections" src="{{ found.plot }}">
<div class="scroll"><table><tr><th>accuracy / mean over labels{% for count in counts %}<th>{{ count }}{% endfor %}
{% for curve in found.curves %}<tr><td>{{ curve.name }}{% for point in curve.points %}
<td>{{ "%.3f / %.3f"|format(point.accuracy, point.balanced) }}
{%- if point.outcome %} ({{ point.outcome }}){% endif %}{% endfor %}
{% endfor %}</table></div>
{% if found.door %}
<p>Back door: of the hateful texts with the planted word {{ "%.1f"|format(100 * found.door.before) }} % were called
neutral before, {{ "%.1f"|format(100 * found.door.honest) }} % after the honest corrections alone,
{{ "%.1f"|format(100 * found.door.defended) }} % after the planted ones with the defences
({{ "%.1f"|format(100 * found.door.alone) }} % where all are one moderator's),
{{ "%.1f"|format(100 * found.door.undefended) }} % without.</p>{% endif %}{% endfor %}
""")


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit status 0, or 2 with one line for a bad input."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.learning", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--counts", default="25,50,100,200,400")
    parser.add_argument("--norm", choices=NORMS, help="one community only")
    parser.add_argument("--rows", action="append", default=[], choices=[kind[0] for kind in KINDS], metavar="NAME")
    parser.add_argument("--own", action="store_true", help="instead compare one adapter for both with one for each")
    parser.add_argument("--poison", action="store_true", help="instead test pairs who agree, and slow drift")
    parser.add_argument("--kinds", action="store_true", help="instead measure a community that allows swearing only")
    parser.add_argument("--replay-rows", type=int, default=2300)
    parser.add_argument("--out", type=Path, metavar="REPORT.html")
    options = parser.parse_args(arguments)
    console = Console(stderr=True, soft_wrap=True)
    torch.manual_seed(1)
    counts = [int(count) for count in options.counts.split(",")]
    results = []
    try:
        if options.own:
            Console(width=160).print(own_or_shared(options.data, counts, options.replay_rows, console))
            return 0
        if options.poison:
            from benchmarks.poisoning import poisoning_table  # it measures with what is here

            at = make_scene(options.data, "public", 400)
            Console(width=160).print(poisoning_table(at, options.replay_rows, console))
            return 0
        if options.kinds:
            from benchmarks.kind_norms import kinds_table  # it measures with what is here

            def learn(corrections: Sequence[Correction], folder: Path) -> tuple[Path, str]:
                return run_refresh(corrections, options.replay_rows, folder)

            Console(width=160).print(kinds_table(options.data, learn, console))
            return 0
        for norm in [options.norm] if options.norm else NORMS:
            at = make_scene(options.data, norm, max(counts))
            curves, door = run(at, counts, options.replay_rows, options.rows, console)
            table = Table(NORMS[norm], "0", *map(str, counts))
            for curve in curves:
                cells = [f"{p.accuracy:.3f} / {p.balanced:.3f}{p.outcome and f' {p.outcome}'}" for p in curve.points]
                table.add_row(curve.name, *cells)
            Console(width=160).print(table)
            if door:
                Console().print(f"back door, share missed: {door}", soft_wrap=True)
            lines = {curve.name: [p.accuracy for p in curve.points] for curve in curves}
            plot = lines_plot([0, *counts], lines, "corrections", "accuracy on other messages")
            results.append(dict(norm=NORMS[norm], judged=len(at.judged), curves=curves, door=door, plot=plot))
    except BadData as error:
        console.print(f"error: {error}", style="red", markup=False)
        return 2
    if options.out:
        options.out.write_text(_PAGE.render(counts=[0, *counts], all=results), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
