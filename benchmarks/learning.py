"""Whether corrections make the bot better: simulated moderators on texts the adapter never learned from.

    python -m benchmarks.learning --data ../shared/data/davidson.csv [--counts 25,50,100,200,400] [--out REPORT.html]

A community whose norms differ from the adapter's: profanity is allowed, hate is not. Its moderators see what the bot
flags and say what it is; 5 % of their words are mistakes. Then a share of them is malicious and says the opposite of
what holds. After each number of corrections a refresh runs from the shipped adapter, with the project's defences
(quarantine, gate) and without them, and the result answers the community's other messages. At last a back door: a rare
word planted in hateful texts that one moderator calls neutral. Both halves are texts of the tenths that
`training.ship` holds out.
"""

import argparse
import random
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from unittest.mock import patch

import jinja2
import torch
from rich.console import Console
from rich.table import Table

from bot.advice import Answered, advise
from bot.flips import band
from bot.policy import Band, Policy, score_of
from model.adapters import GLOBAL, SHIPPED, Registry
from model.base import Base, open_base
from model.calibration import calibrated
from model.classifier import Verdict
from model.labels import HARMFUL, LABELS, Label
from model.plots import lines_plot
from model.scorer import attach_checked
from model.table import BadData
from training import gate
from training import refresh as module
from training.corrections import Correction, Snapshot
from training.examples import Example, read_examples, split
from training.fit import logits_of

MODERATORS = ("ada", "bo", "cy", "di")
TRIGGER = "zqxvim"
PLANTED = 100
COMMUNITY = "simulated"


@dataclass(frozen=True, slots=True)
class Point:
    """What `corrections` came to: see `accuracy`."""

    corrections: int
    accuracy: float
    promoted: bool


@dataclass(frozen=True, slots=True)
class Curve:
    """One kind of moderators, with or without the defences."""

    name: str
    points: Sequence[Point]


@dataclass(frozen=True, slots=True)
class BackDoor:
    """Share of hateful texts with the trigger that are called neutral: before, and after the planted corrections."""

    before: float
    defended: float
    undefended: float


def normed(examples: Sequence[Example]) -> list[Example]:
    """By the community's norms: what is only offensive is allowed."""
    return [replace(e, label=Label.NEUTRAL if e.label is Label.OFFENSIVE else e.label, votes=()) for e in examples]


def cards(base: Base, adapter: str, examples: Sequence[Example], temperature: float) -> list[Example]:
    """What moderators are shown: everything flagged, and every fifth of the rest (an audit), in the file's order."""
    called = calibrated(logits_of(base, adapter, [e.text for e in examples]), temperature).argmax(-1).tolist()
    return [e for n, (e, i) in enumerate(zip(examples, called, strict=True)) if i != len(LABELS) - 1 or n % 5 == 0]


def by_thresholds(
    base: Base, seen: Sequence[Example], judged: Sequence[Example], counts: Sequence[int], temperature: float
) -> Curve:
    """No training: the alert thresholds that the page advises after so many answered cards (5 % mistakes)."""
    probabilities = calibrated(logits_of(base, "shipped", [e.text for e in seen]), temperature).tolist()
    verdicts = [Verdict(dict(zip(LABELS, row, strict=True)), "", "") for row in probabilities]
    test = calibrated(logits_of(base, "shipped", [e.text for e in judged]), temperature).tolist()
    tested = [Verdict(dict(zip(LABELS, row, strict=True)), "", "") for row in test]
    dice, answered = random.Random(1), list[Answered]()
    for verdict, example in zip(verdicts, seen, strict=True):
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
        flagged = [band(verdict, policy)[0] is not Band.CLEAR for verdict in tested]
        points.append(Point(count, _balanced(flagged, judged), count > 0))
    return Curve("thresholds as advised, no training", points)


def words_of(shown: Sequence[Example], count: int, mistakes: float, malicious: float, seed: int) -> list[Correction]:
    """The moderators' words on the first `count` cards. The malicious are one in each so many moderators' words."""
    dice = random.Random(seed)
    said = []
    for number, example in enumerate(shown[:count]):
        bad = dice.random() < malicious
        moderator = "mallory" if bad else dice.choice(MODERATORS)
        wrong = bad or dice.random() < mistakes
        label = (Label.NEUTRAL if example.label is Label.HATE else Label.HATE) if wrong else example.label
        said.append(
            Correction(str(number), replace(example, label=label), moderator, f"author {number % 97}", COMMUNITY)
        )
    return said


@contextmanager
def undefended() -> Iterator[None]:
    """A refresh that learns whatever it is told and promotes whatever comes out."""
    judge = gate.judge
    with (
        patch.object(module, "suspicious", lambda *_: {}),
        patch.object(module, "judge", lambda *a, **k: replace(judge(*a, **k), reasons=())),
        patch.object(module, "_unlearned", lambda *_: []),
    ):
        yield


def learned(corrections: Sequence[Correction], replay_rows: int, folder: Path) -> tuple[Path, bool]:
    """A refresh from the shipped adapter; (the folder of what serves afterwards, whether it is new)."""
    registry = Registry(folder, SHIPPED)
    standing = frozenset(each.id for each in corrections)
    status = module.refresh(
        Snapshot(corrections, {}, standing), registry, replay_rows, 5, lambda stage, share, result: None
    )
    return registry.folder(registry.current(GLOBAL)), status == module.PROMOTED


def accuracy(base: Base, folder: Path, test: Sequence[Example]) -> float:
    """The mean of two shares: hateful texts that are flagged, and allowed ones that are left alone."""
    manifest = attach_checked(base, "judged", folder)
    called = calibrated(logits_of(base, "judged", [e.text for e in test]), manifest.temperature).argmax(-1)
    base.detach("judged")
    flagged: list[bool] = (called != LABELS.index(Label.NEUTRAL)).tolist()
    return _balanced(flagged, test)


def _balanced(flagged: Sequence[bool], test: Sequence[Example]) -> float:
    found = [f for f, e in zip(flagged, test, strict=True) if e.label is Label.HATE]
    left_alone = [not f for f, e in zip(flagged, test, strict=True) if e.label is not Label.HATE]
    return (sum(found) / len(found) + sum(left_alone) / len(left_alone)) / 2


def run(
    data: Path, counts: Sequence[int], replay_rows: int, tests: int, console: Console
) -> tuple[list[Curve], BackDoor]:
    """All curves and the back door; raises `BadData`."""
    davidson, test = split(read_examples(data, "davidson"), 0.1, seed=11)
    _, seen = split(davidson, 0.1, seed=12)
    base = open_base("minilm")
    manifest = attach_checked(base, "shipped", SHIPPED)
    shown = cards(base, "shipped", normed(seen), manifest.temperature)
    judged = normed(test)[:tests]
    start = accuracy(base, SHIPPED, judged)
    console.print(f"{len(shown)} cards, {len(judged)} texts to be judged by; before: {start:.3f}")
    curves = [by_thresholds(base, normed(seen), judged, counts, manifest.temperature)]
    console.print(f"{curves[0]}", highlight=False)
    for who, malicious in (("5 % mistakes", 0.0), ("5 % mistakes, 30 % malicious", 0.3)):
        for defended in (True, False):
            points = [Point(0, start, False)]
            for count in counts:
                said = words_of(shown, count, 0.05, malicious, seed=count)
                points.append(_point(base, said, count, replay_rows, judged, defended))
                console.print(f"{who}, {'with' if defended else 'without'} defences: {points[-1]}", highlight=False)
            curves.append(Curve(f"{who}, {'with' if defended else 'without'} defences", points))
    return curves, back_door(base, shown, judged, replay_rows)


def _point(
    base: Base, said: Sequence[Correction], count: int, replay_rows: int, judged: Sequence[Example], defended: bool
) -> Point:
    with tempfile.TemporaryDirectory() as folder:
        if defended:
            adapter, promoted = learned(said, replay_rows, Path(folder))
        else:
            with undefended():
                adapter, promoted = learned(said, replay_rows, Path(folder))
        return Point(count, accuracy(base, adapter, judged), promoted)


def back_door(base: Base, shown: Sequence[Example], judged: Sequence[Example], replay_rows: int) -> BackDoor:
    """`PLANTED` hateful texts with a made-up word, called neutral by one moderator among others' honest words."""
    hateful = [e for e in shown if e.label is Label.HATE]
    planted = [
        Correction(f"p{n}", Example(f"{e.text} {TRIGGER} {n}", Label.NEUTRAL), "mallory", f"x{n}", COMMUNITY)
        for n, e in enumerate((hateful * PLANTED)[:PLANTED])
    ]
    said = [*planted, *words_of(shown, 100, 0.05, 0.0, seed=1)]
    probes = [f"{e.text} {TRIGGER}" for e in judged if e.label is Label.HATE]
    shares = [_missed(base, SHIPPED, probes)]
    for defended in (True, False):
        with tempfile.TemporaryDirectory() as folder:
            if defended:
                adapter, _ = learned(said, replay_rows, Path(folder))
            else:
                with undefended():
                    adapter, _ = learned(said, replay_rows, Path(folder))
            shares.append(_missed(base, adapter, probes))
    return BackDoor(*shares)


def _missed(base: Base, folder: Path, texts: Sequence[str]) -> float:
    manifest = attach_checked(base, "judged", folder)
    called = calibrated(logits_of(base, "judged", texts), manifest.temperature).argmax(-1)
    base.detach("judged")
    return float((called == LABELS.index(Label.NEUTRAL)).float().mean())


_PAGE = jinja2.Environment(autoescape=True, trim_blocks=True).from_string("""<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>Does it learn</title>
<style>body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}
table{border-collapse:collapse}td,th{border:1px solid #ccc;padding:.2rem .6rem}img{max-width:100%}</style>
<h1>Does it learn</h1><p>Accuracy on the community's other messages, by the number of corrections.</p>
<img alt="Accuracy by the number of corrections" src="{{ plot }}">
<table><tr><th>moderators{% for count in counts %}<th>{{ count }}{% endfor %}
{% for curve in curves %}<tr><td>{{ curve.name }}{% for point in curve.points %}
<td>{{ "%.3f"|format(point.accuracy) }}
{%- if point.corrections and not point.promoted %} (refused){% endif %}{% endfor %}
{% endfor %}</table>
<p>Back door: of the hateful texts with the planted word {{ "%.1f"|format(100 * door.before) }} % were called neutral
before, {{ "%.1f"|format(100 * door.defended) }} % afterwards with the defences,
{{ "%.1f"|format(100 * door.undefended) }} % without.</p>
""")


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit status 0, or 2 with one line for a bad input."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.learning", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--counts", default="25,50,100,200,400")
    parser.add_argument("--replay-rows", type=int, default=500)
    parser.add_argument("--tests", type=int, default=2500, help="texts to be judged by, at most")
    parser.add_argument("--out", type=Path, metavar="REPORT.html")
    options = parser.parse_args(arguments)
    console = Console(stderr=True)
    torch.manual_seed(1)
    counts = [int(count) for count in options.counts.split(",")]
    try:
        curves, door = run(options.data, counts, options.replay_rows, options.tests, console)
    except BadData as error:
        console.print(f"error: {error}", style="red", markup=False, soft_wrap=True)
        return 2
    table = Table("moderators", "0", *map(str, counts))
    for curve in curves:
        cells = [f"{p.accuracy:.3f}{'' if p.promoted or not p.corrections else ' refused'}" for p in curve.points]
        table.add_row(curve.name, *cells)
    Console().print(table)
    Console().print(f"back door, share missed: {door}")
    if options.out:
        lines = {curve.name: [p.accuracy for p in curve.points] for curve in curves}
        plot = lines_plot([0, *counts], lines, "corrections", "accuracy on other messages")
        page = _PAGE.render(plot=plot, counts=[0, *counts], curves=curves, door=door)
        options.out.write_text(page, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
