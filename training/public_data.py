"""The public data of the shipped adapters, split into what is learned, what calibrates and what tests."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from model.labels import Label
from training import counterfactuals
from training.examples import Example, draw_balanced, exclude_texts, read_examples, split

MORE_PER_LABEL = {"hatemoji": 2000}
"""Texts of each label from sources that teach what no other does: HatemojiBuild has the emoji."""
HARMLESS_ROWS = {"goemotions_neu": 5000, "paradetox_neu": 1500, "edos_neu": 1000, "ghc": 500}
HATE_REPEATS = 4
"""Repetitions of Davidson's hateful texts, 5 % of its rows, so that they weigh as much as its other labels."""


def split_data(data: Path) -> tuple[list[Example], list[Example], list[Example], dict[str, list[Example]]]:
    """(first stage, second stage, calibration, {name: test texts}); no test text is in the other parts."""
    davidson = read_examples(data / "davidson.csv", "davidson")
    mix = read_examples(data / "public_mix.csv.gz")
    measuring = read_examples(data / "measuring_hate_speech.csv.gz")
    davidson, davidson_test = split(davidson, 0.1, seed=11)
    mix, mix_test = split(mix, 0.03, seed=11)
    davidson, tune = split(davidson, 0.1, seed=12)
    measuring, measuring_test = split(measuring, 0.05, seed=11)
    held_out = [*davidson_test, *mix_test, *measuring_test, *tune]
    davidson = draw_balanced(exclude_texts(davidson, held_out), 4200, seed=1)
    davidson = [replace(example, votes=()) for example in davidson]
    hateful = [example for example in davidson if example.label is Label.HATE]
    davidson += hateful * (HATE_REPEATS - 1)
    mix, measuring = exclude_texts(mix, held_out), exclude_texts(measuring, held_out)
    broad = [*_of_each_source(mix, 1000, MORE_PER_LABEL), *_lighter(draw_balanced(measuring, 3000, seed=1))]
    narrow = [*_of_each_source(mix, 200, {"hatemoji": 400}), *_lighter(draw_balanced(measuring, 500, seed=2))]
    first_stage = [*davidson, *broad, *counterfactuals.training_sentences(28_000, seed=1)]
    second_stage = [*davidson, *narrow, *_harmless(mix), *counterfactuals.training_sentences(14_000, seed=5)]
    tests = {"davidson": davidson_test, "mix": mix_test, "measuring hate speech": measuring_test}
    return first_stage, second_stage, draw_balanced(tune, 120, seed=1), tests


def _harmless(mix: Sequence[Example]) -> list[Example]:
    """Many harmless texts: in chat they are nearly all there is, and each false alert costs a moderator's time."""
    return [
        example
        for source, rows in HARMLESS_ROWS.items()
        for example in draw_balanced([e for e in mix if e.source == source and e.label is Label.NEUTRAL], rows, seed=3)
    ]


def _lighter(examples: Sequence[Example]) -> list[Example]:
    """The examples with a smaller weight than Davidson's."""
    return [replace(example, weight=0.7) for example in examples]


def _of_each_source(mix: Sequence[Example], per_label: int, more: Mapping[str, int]) -> list[Example]:
    """At most `per_label` texts of each label from each source, or `more` of some, lighter than Davidson's."""
    drawn: list[Example] = []
    for source in sorted({example.source for example in mix}):
        of_source = [example for example in mix if example.source == source]
        drawn += _lighter(draw_balanced(of_source, more.get(source, per_label), seed=1))
    return drawn
