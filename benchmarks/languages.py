"""Measures how well each language is read, as the service reads it: by the base of its language, at the thresholds of
the standard preset.

    python -m benchmarks.languages [--data FOLDER]

The lines are those of `training/data/languages.csv`, written by hand, from which nothing learned. With `--data` also
the held-out part of the public data, and of it the Russian texts in Latin letters.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from model.adapters.registry import SHIPPED_FOLDER
from model.choice import E5, EMBEDDED
from model.classifier import Item, Verdict
from model.labels import HARMFUL, Label
from model.languages import ACTING, foreign_language
from model.open import open_base
from model.presets import PRESET_THRESHOLDS
from model.serving.scorer import Scorer
from training.evaluation import area_under_curve
from training.examples import Example
from training.languages import RUSSIAN, read_languages, split_languages, transliterated

FALSE_ALERTS = 0.02
HEADINGS = ("texts", "harmful / harmless", "area: harm", "hate", f"found at {FALSE_ALERTS:.0%} false alerts")
SHARES = ("harmful shown", "acted on", "harmless shown", "acted on", "read as English")
_ARABIC = range(0x600, 0x700)


class TwoBases:
    """Both bases with their shipped adapters, each for its languages."""

    def __init__(self) -> None:
        self._scorers = {base: Scorer(open_base(base)) for base in (EMBEDDED, E5)}
        for base, scorer in self._scorers.items():
            scorer.load("shipped", SHIPPED_FOLDER / base)

    def read(self, texts: Sequence[str]) -> list[tuple[str, Verdict]]:
        """(language or "" for English, verdict) of each text."""
        languages = [foreign_language(text) for text in texts]
        verdicts: dict[int, Verdict] = {}
        for base, scorer in self._scorers.items():
            places = [place for place, language in enumerate(languages) if bool(language) is (base == E5)]
            verdicts |= dict(zip(places, scorer.classify([Item(texts[p], "shipped") for p in places]), strict=True))
        return [(language, verdicts[place]) for place, language in enumerate(languages)]


def main(arguments: Sequence[str] | None = None) -> int:
    """Prints the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.languages", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, help="the folder of other_languages.csv.gz")
    options = parser.parse_args(arguments)
    lines = read_languages()
    sets = {f"by hand: {name}": [e for e in lines if e.source.startswith(name)] for name in sorted(ACTING)}
    if options.data:
        _, _, tests = split_languages(options.data / "other_languages.csv.gz")
        arabic = [e for e in tests["mlma"] if any(ord(char) in _ARABIC for char in e.text)]
        sets |= {
            "public: ru": [e for source in RUSSIAN for e in tests[source]],
            "public: ru, ruDetox alone": tests["mera-rudetox"],
            "public: de": tests["germeval2018"],
            "public: fr": [e for e in tests["mlma"] if e not in arabic],
            "public: ar": arabic,
            "public: ru in Latin letters": transliterated(tests["mera-rudetox"], 500),
        }
    table, bases = Table(*HEADINGS, *SHARES), TwoBases()
    for name, examples in sets.items():
        table.add_row(name, *_row(examples, bases.read([example.text for example in examples])))
    Console(width=200).print(table)
    return 0


def _row(examples: Sequence[Example], read: Sequence[tuple[str, Verdict]]) -> list[str]:
    harmful = [example.label is not Label.NEUTRAL for example in examples]
    harm = [verdict.harm for _, verdict in read]
    hate = [
        (verdict.probabilities[Label.HATE], example.label is Label.HATE)
        for example, (_, verdict) in zip(examples, read, strict=True)
        if example.label is not Label.OFFENSIVE
    ]
    area = (
        f"{area_under_curve(*map(list, zip(*hate, strict=True))):.2f}" if any(is_hate for _, is_hate in hate) else "–"
    )
    harmless = sorted((score for score, is_harm in zip(harm, harmful, strict=True) if not is_harm), reverse=True)
    bar = harmless[int(FALSE_ALERTS * len(harmless))]
    found = sum(score > bar for score, is_harm in zip(harm, harmful, strict=True) if is_harm) / sum(harmful)
    shares = []
    for is_harm in (True, False):
        of_them = [pair for pair, each in zip(read, harmful, strict=True) if each is is_harm]
        shares += [
            f"{sum(_reaches(*pair, acts=acts) for pair in of_them) / len(of_them):.2f}" for acts in (False, True)
        ]
    english = sum(not language for language, _ in read) / len(read)
    counts = f"{sum(harmful)} / {len(harmless)}"
    return [counts, f"{area_under_curve(harm, harmful):.2f}", area, f"{found:.2f}", *shares, f"{english:.2f}"]


def _reaches(language: str, verdict: Verdict, *, acts: bool) -> bool:
    """Whether the verdict is shown, or acted on, by the standard preset."""
    if acts and language and language not in ACTING:
        return False
    preset = PRESET_THRESHOLDS["standard"]
    bars = preset.act_at if acts else preset.alert_at
    scores = {Label.HATE: verdict.probabilities[Label.HATE], Label.OFFENSIVE: verdict.harm}
    return any(scores[label] >= bars[label] for label in HARMFUL)


if __name__ == "__main__":
    sys.exit(main())
