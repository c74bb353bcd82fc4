"""Whether corrections make the bot better: simulated moderators on texts the adapter never learned from.

    python -m benchmarks.learning --data ../shared/data/davidson.csv [--counts 25,50,100,200,400] [--out REPORT.html]
        [--norm allowed|public] [--rows NAME]... [--own] [--poison]

Two communities: in one profanity is allowed and hate is not, in the other the labels mean what they mean in public.
Their moderators see what the bot flags, and an audit of the rest, in the file's order, and say what it is; 5 % of
their words are mistakes. Then 30 % are one malicious moderator's, who says the opposite of what holds. After each
number of corrections a refresh runs from the shipped adapter, with the project's defences (quarantine, contrasts, gate)
and without them, and the result answers the community's other messages. Then the same with all words under one name,
which nobody outvotes. At last a back door: a rare word planted in hateful texts that one moderator calls neutral. All
are texts of the tenths that `training.ship` holds out. `--rows` names the rows wanted, and there is no back door then.
`--poison` is about pairs who agree with each other, and about slow drift (`benchmarks/poisoning.py`).
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

from benchmarks.community import COMMUNITY, MALICIOUS, Scene, called, judged, scene, shares, words_of
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
"""(name, share of malicious words, whose words are heard and whether under one name, with the defences)."""
Said = Callable[[Sequence[Correction]], Tensor]
NORMS = {"allowed": "profanity is allowed", "public": "labels as in public"}


@dataclass(frozen=True, slots=True)
class Point:
    """What `corrections` came to on the community's other messages: the share that gets the community's label, and the
    mean of that share over its labels, however rare. `outcome` is how the refresh ended, where not all was learned."""

    corrections: int
    accuracy: float
    balanced: float
    outcome: str = ""


@dataclass(frozen=True, slots=True)
class Curve:
    """One kind of moderators, with or without the defences."""

    name: str
    points: Sequence[Point]


@dataclass(frozen=True, slots=True)
class BackDoor:
    """Share of hateful texts with the trigger that are called neutral: before anything was learned, after honest words
    alone, after the planted ones among them, and where all are one moderator's."""

    before: float
    honest: float
    defended: float
    alone: float
    undefended: float


def by_thresholds(at: Scene, counts: Sequence[int]) -> Curve:
    """No training: the alert thresholds that the page advises after so many answered cards (5 % mistakes)."""
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
        points.append(Point(count, *shares(right, at.judged)))
    return Curve("thresholds as advised, no training (right: shown or not)", points)


@contextmanager
def undefended() -> Iterator[None]:
    """A refresh that learns whatever it is told and promotes whatever comes out."""
    judge = gate.judge

    def learn(
        snapshot: Snapshot, public: object, said: Said, before: Mapping[str, Norm]
    ) -> quarantine.QuarantineResult:
        words = snapshot.corrections
        return quarantine.QuarantineResult(snapshot, {COMMUNITY: learn_norm(words, said(words))})

    with (
        patch.object(refresh_run, "sift_all", learn),
        patch.object(refresh_run, "contrasts", lambda *_, **__: []),
        patch.object(refresh_run, "judge", lambda *a, **k: replace(judge(*a, **k), reasons=())),
        patch.object(refresh_run, "_unlearned", lambda *_: []),
        patch.object(refresh_run, "_untaught", lambda *_: []),
        patch.object(refresh_run, "passwords", lambda *_: []),
    ):
        yield


def learned(corrections: Sequence[Correction], replay_rows: int, folder: Path) -> tuple[Path, str]:
    """A refresh from the shipped adapter; (the folder of what serves afterwards, how it ended if not all was learned).

    Where the weights were refused and a norm was learned, that is "norm alone".
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
    """All curves and the back door, or only the curves of these names."""
    start = judged(at, SHIPPED)
    console.print(f"{NORMS[at.norm]}: {len(at.shown)} cards, judged by {len(at.judged)}; before: {start}")
    curves = [] if rows else [by_thresholds(at, counts)]
    if curves:
        console.print(f"{curves[0]}", highlight=False)
    for name, malicious, heard, defended in (kind for kind in KINDS if not rows or kind[0] in rows):
        points = [Point(0, *start)]
        for count in counts:
            said = words_of(at.shown, count, 0.05, malicious, seed=count)
            said = [word for word in said if "honest" not in heard or word.moderator != MALICIOUS]
            said = [replace(word, moderator=ONE_NAME) for word in said] if "as one" in heard else said
            with tempfile.TemporaryDirectory() as folder, nullcontext() if defended else undefended():
                adapter, outcome = learned(said, replay_rows, Path(folder))
                points.append(Point(count, *judged(at, adapter), outcome))
            console.print(f"{name}: {points[-1]}", highlight=False)
        curves.append(Curve(name, points))
    return curves, None if rows else back_door(at, replay_rows)


def back_door(at: Scene, replay_rows: int) -> BackDoor:
    """`PLANTED` hateful texts with a made-up word, called neutral by one moderator among others' honest words."""
    hateful = [e for e in at.shown if e.label is Label.HATE]
    planted = [
        Correction(f"p{n}", Example(f"{e.text} {TRIGGER} {n}", Label.NEUTRAL), MALICIOUS, f"x{n}", COMMUNITY)
        for n, e in enumerate((hateful * PLANTED)[:PLANTED])
    ]
    honest = words_of(at.shown, 100, 0.05, 0.0, seed=1)
    probes = [f"{e.text} {TRIGGER}" for e in at.judged if e.label is Label.HATE]

    def missed(folder: Path) -> float:
        return sum(label is Label.NEUTRAL for label in called(at.base, folder, probes)) / len(probes)

    rates = [missed(SHIPPED)]
    both = [*planted, *honest]
    alone = [replace(word, moderator=ONE_NAME) for word in both]
    for said, guard in ((honest, nullcontext()), (both, nullcontext()), (alone, nullcontext()), (both, undefended())):
        with tempfile.TemporaryDirectory() as folder, guard:
            rates.append(missed(learned(said, replay_rows, Path(folder))[0]))
    return BackDoor(*rates)


def own_or_shared(data: Path, counts: Sequence[int], replay_rows: int, console: Console) -> Table:
    """Both communities in one store: one adapter for both, or each its own from its own words."""
    table = Table(
        "corrections of each community", *(f"{NORMS[norm]}: {kind}" for norm in NORMS for kind in ("shared", "own"))
    )
    scenes = {norm: scene(data, norm, max(counts)) for norm in NORMS}
    for count in counts:
        said = {
            norm: [
                replace(word, id=f"{norm}{word.id}", community=norm)
                for word in words_of(at.shown, count, 0.05, 0.0, seed=count + n)
            ]
            for n, (norm, at) in enumerate(scenes.items())
        }
        with tempfile.TemporaryDirectory() as folder:
            shared, _ = learned([word for words in said.values() for word in words], replay_rows, Path(folder))
            cells = {(norm, "shared"): judged(at, shared, norm) for norm, at in scenes.items()}
        for norm, at in scenes.items():
            with tempfile.TemporaryDirectory() as folder:
                own, _ = learned(said[norm], replay_rows, Path(folder))
                cells[norm, "own"] = judged(at, own, norm)
        told = [f"{a:.3f} / {b:.3f}" for a, b in (cells[norm, kind] for norm in NORMS for kind in ("shared", "own"))]
        table.add_row(str(count), *told)
        console.print(count, *told)
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
neutral before, {{ "%.1f"|format(100 * found.door.honest) }} % after the honest words alone,
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
    parser.add_argument("--own", action="store_true", help="instead: one adapter for both, or each its own")
    parser.add_argument("--poison", action="store_true", help="instead: pairs who agree, and slow drift")
    parser.add_argument("--replay-rows", type=int, default=2300)
    parser.add_argument("--out", type=Path, metavar="REPORT.html")
    options = parser.parse_args(arguments)
    console = Console(stderr=True, soft_wrap=True)
    torch.manual_seed(1)
    counts = [int(count) for count in options.counts.split(",")]
    found = []
    try:
        if options.own:
            Console(width=160).print(own_or_shared(options.data, counts, options.replay_rows, console))
            return 0
        if options.poison:
            from benchmarks.poisoning import poison  # it measures with what is here

            at = scene(options.data, "public", 400)
            Console(width=160).print(poison(at, options.replay_rows, console))
            return 0
        for norm in [options.norm] if options.norm else NORMS:
            at = scene(options.data, norm, max(counts))
            curves, door = run(at, counts, options.replay_rows, options.rows, console)
            table = Table(NORMS[norm], "0", *map(str, counts))
            for curve in curves:
                told = [f"{p.accuracy:.3f} / {p.balanced:.3f}{p.outcome and f' {p.outcome}'}" for p in curve.points]
                table.add_row(curve.name, *told)
            Console(width=160).print(table)
            if door:
                Console().print(f"back door, share missed: {door}", soft_wrap=True)
            lines = {curve.name: [p.accuracy for p in curve.points] for curve in curves}
            plot = lines_plot([0, *counts], lines, "corrections", "accuracy on other messages")
            found.append(dict(norm=NORMS[norm], judged=len(at.judged), curves=curves, door=door, plot=plot))
    except BadData as error:
        console.print(f"error: {error}", style="red", markup=False)
        return 2
    if options.out:
        options.out.write_text(_PAGE.render(counts=[0, *counts], all=found), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
