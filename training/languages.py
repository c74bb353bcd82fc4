"""Texts in other languages than English: public data, and sentences from templates in nine languages.

Each language has a few templates of each class, in which one detail decides between hate and a harmless counterpart, as
in `training.counterfactuals`; what an adapter learns from the many English ones carries over. All sentences were
written for this project. `training/data/languages.csv`, for judging only, shares no sentence with them.
"""

import json
import random
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from model.base import Base
from model.calibration import apply_temperature
from model.labels import Label
from training import counterfactuals
from training.evaluation import area_under_curve
from training.examples import Example, draw_balanced, exclude_texts, read_examples, split
from training.training_loop import compute_logits

TEMPLATES_FILE = Path(__file__).with_name("languages.json")
ROWS_PER_LABEL: Mapping[str, int] = {
    "rudetoxifier": 2200,
    "mera-rudetox": 900,
    "mera-rutie": 900,
    "germeval2018": 1500,
    "mlma": 1500,
}
"""Texts of each label and source that are learned. Nearly all of Russian abuse is of one source and nearly all harmless
Russian of two others, so the first is cut down to what the others and the templates can balance."""
TEMPLATE = "template"
ENGLISH_ROWS, FEW_ENGLISH_ROWS = 10_000, 3_000
"""English texts of the two stages; the many English templates of hate and its look-alikes are a third of them."""
SENTENCES, FEW_SENTENCES, REPLAYED_SENTENCES = 8_000, 3_000, 1_000
TRANSLITERATED_PER_LABEL = 700
RUSSIAN = ("rudetoxifier", "mera-rudetox", "mera-rutie")
HANDWRITTEN = Path(__file__).with_name("data") / "languages.csv"


@dataclass(frozen=True, slots=True)
class Mixture:
    """The texts of both stages, those for calibration, test texts by source, and what a refresh replays."""

    first_stage: list[Example]
    second_stage: list[Example]
    tune: list[Example]
    tests: dict[str, list[Example]]
    replayed: list[Example]


def mix_with_english(data: Path, first_stage: Sequence[Example], second_stage: Sequence[Example]) -> Mixture:
    """Mixes a sample of each stage of the English adapter with the other languages. A harmless Russian text is learned
    as it is and in a plainer form."""
    learned, tune, tests = split_languages(data / "other_languages.csv.gz")
    russian = [e for e in learned if e.source.startswith("mera") and e.label is Label.NEUTRAL]
    everything = [*learned, *plainer(russian, seed=1)]
    sentences = language_sentences(FEW_SENTENCES, seed=2)
    in_russian = [e for e in everything if e.source in RUSSIAN] + sentences
    chance = random.Random(1)  # noqa: S311 - a reproducible sample, not a secret
    return Mixture(
        [
            *chance.sample(list(first_stage), ENGLISH_ROWS),
            *everything,
            *language_sentences(SENTENCES, seed=1, all_classes=False),
        ],
        [
            *chance.sample(list(second_stage), FEW_ENGLISH_ROWS),
            *chance.sample(everything, len(everything) // 4),
            *sentences,
            *transliterated(chance.sample(in_russian, len(in_russian)), TRANSLITERATED_PER_LABEL),
        ],
        tune,
        tests,
        [*learned, *language_sentences(REPLAYED_SENTENCES, seed=3)],
    )


def language_sentences(count: int, seed: int, *, all_classes: bool = True) -> list[Example]:
    """Makes about `count` different sentences, evenly by language and class; their source is `template`. Without
    `all_classes` greetings and more mentions of groups, which only the second stage needs, are left out."""
    chance = random.Random(seed)  # noqa: S311 - a reproducible sample, not a secret
    data: dict[str, Any] = json.loads(TEMPLATES_FILE.read_text(encoding="utf-8"))
    made: list[Example] = []
    for language in data["languages"].values():
        words: Mapping[str, Sequence[str]] = language["words"]
        left_out = () if all_classes else data["second_stage_only"]
        classes: dict[str, list[str]] = {n: t for n, t in language["classes"].items() if n not in left_out}
        wanted = max(1, count // len(data["languages"]) // len(classes))
        for name, templates in classes.items():
            votes = tuple(data["votes"].get(name, ()))
            pool = [
                template.format(**filling)
                for template in templates
                for filling in counterfactuals.fillings(template, words, chance, 1 + 2 * wanted // len(templates))
            ]
            chance.shuffle(pool)
            texts = list(dict.fromkeys(_styled(text, chance) for text in pool))[:wanted]
            made += [Example(text, Label(data["labels"][name]), TEMPLATE, votes=votes) for text in texts]
    return made


def split_languages(path: Path) -> tuple[list[Example], list[Example], dict[str, list[Example]]]:
    """(texts for training, for calibration, {source: test texts}) of the public data; no text is in two parts.

    Sources without harmless texts, or with nothing else, calibrate nothing.
    """
    kept, held_out = split(read_examples(path), 0.08, seed=11)
    kept, tune = split(exclude_texts(kept, held_out), 0.04, seed=12)
    tune = draw_balanced([e for e in tune if e.source in ("germeval2018", "mlma", "mera-rudetox")], 60, seed=1)
    learned = [
        example
        for source, rows in ROWS_PER_LABEL.items()
        for example in draw_balanced([e for e in kept if e.source == source], rows, seed=1)
    ]
    tests = {source: [e for e in held_out if e.source == source] for source in ROWS_PER_LABEL}
    return learned, tune, tests


def plainer(examples: Sequence[Example], seed: int) -> list[Example]:
    """The examples as another source would write them: half of each label in lower case, half without the full stop.

    Without this, the capital letter of a sentence tells the harmless source from the harmful one.
    """
    chance = random.Random(seed)  # noqa: S311 - a reproducible choice, not a secret
    changed = []
    for example in examples:
        text = example.text
        if chance.random() < 0.5:
            text = text.lower()
        if chance.random() < 0.5:
            text = text.rstrip(" .!")
        changed.append(replace(example, text=text or example.text))
    return changed


def read_languages() -> list[Example]:
    """Everyday lines, insults, threats and hate in nine languages, written by hand. `source` is "language: kind". They
    are never trained on."""
    return read_examples(HANDWRITTEN)


def measure_by_language(base: Base, adapter: str, temperature: float) -> dict[str, Any]:
    """Figures on the hand-written lines, by language: areas under the curve of hate and of harm against the harmless
    lines, and the share of each kind that is not called neutral."""
    examples = read_languages()
    shares = apply_temperature(compute_logits(base, adapter, [example.text for example in examples]), temperature)
    figures: dict[str, Any] = {}
    for language in dict.fromkeys(example.source.partition(":")[0] for example in examples):
        rows = [
            (float(row[0]), 1 - float(row[2]), example)
            for row, example in zip(shares, examples, strict=True)
            if example.source.startswith(f"{language}:")
        ]
        hate = [(score, e.label is Label.HATE) for score, _, e in rows if e.label is not Label.OFFENSIVE]
        harm = [(score, e.label is not Label.NEUTRAL) for _, score, e in rows]
        for name, pairs in (("hate", hate), ("harm", harm)):
            area = area_under_curve([score for score, _ in pairs], [harmful for _, harmful in pairs])
            figures[f"{language}: area under the curve, {name} against harmless"] = area
        for kind, harmful in (("harmless", False), ("harmful", True)):
            of_kind = [score > 0.5 for _, score, e in rows if (e.label is not Label.NEUTRAL) is harmful]
            figures[f"{language}: {kind} flagged"] = sum(of_kind) / max(1, len(of_kind))
    return figures


def transliterated(examples: Sequence[Example], per_label: int) -> list[Example]:
    """The Russian examples in Latin letters, as people write who have no Russian keyboard; the first of each label."""
    made: dict[Label, list[Example]] = {label: [] for label in Label}
    for example in examples:
        if _CYRILLIC.search(example.text) and len(made[example.label]) < per_label:
            made[example.label].append(replace(example, text=example.text.lower().translate(_LATIN_LETTERS)))
    return [example for of_label in made.values() for example in of_label]


_CYRILLIC = re.compile("[а-яё]", re.IGNORECASE)
_LATIN_LETTERS = str.maketrans(
    {
        **dict(zip("абвгдеёзийклмнопрстуфхцыэ", "abvgdeeziyklmnoprstufhcye", strict=True)),
        **{"ж": "zh", "ч": "ch", "ш": "sh", "щ": "sch", "ю": "yu", "я": "ya", "ъ": "", "ь": ""},
    }
)


def _styled(text: str, chance: random.Random) -> str:
    """The text as people type: a capital, a full stop, a mention, sometimes a typo or a disguise."""
    draw = chance.random()
    if draw < 0.3:
        text = text[:1].upper() + text[1:] + "."
    elif draw < 0.5:
        text = text[:1].upper() + text[1:] + chance.choice(["!", "!!", "...", ""])
    elif draw < 0.6:
        text = f"@user {text}"
    elif draw < 0.63:
        text = text.upper()
    if len(text) >= counterfactuals.SHORTEST_MISSPELT and chance.random() < 0.08:
        return counterfactuals.misspelt(text, chance)
    return text
