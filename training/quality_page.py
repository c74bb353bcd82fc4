"""Writes the page "how good is it, where is it wrong" about a shipped adapter.

    python -m training.quality_page --data ../shared/data [--out docs/quality.md]

All texts are held out from training: lines written by hand, sentences from templates and groups that were never
trained on, and public data. They are scored as the service scores a message's words, each by the base that reads its
language, at a new community's thresholds. Each share has its 95 % interval.
"""

import argparse
import base64
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import jinja2
import torch
from rich.console import Console
from torch import Tensor

from model.adapters.registry import SHIPPED_FOLDER
from model.choice import E5, EMBEDDED
from model.labels import LABELS, Label
from model.languages import ACTING, foreign_language
from model.open import open_base
from model.plots import curves_plot, reliability_plot
from model.presets import PRESET_THRESHOLDS, Thresholds
from model.quality import Metrics, wilson_interval
from model.serving.scorer import attach_adapter
from training import counterfactuals
from training.attached_adapter import AttachedAdapter
from training.evaluation import area_under_curve, measure
from training.examples import Example
from training.hate_recall import share_reaching
from training.languages import read_languages
from training.public_data import split_data
from training.samples import read_everyday, read_handwritten

PAGE = Path("docs/quality.md")
ORDINARY_SOURCE = "goemotions_neu"
"""Comments that annotators found neither angry nor profane: the largest held-out set of ordinary messages."""
FEW = 3
"""False alerts in 1,000 ordinary messages that the standard preset would have if it cost nothing."""
TWO_SIDED = 1.96
"""Standard errors of a two-sided 95 % interval."""
_WORDS = {
    "bare": "a group's name alone",
    "counter": "counter-speech",
    "critique": "criticism of an institution or idea",
    "demand": "demand for equality",
    "derog": "derogation of a group",
    "exclude": "exclusion of a group",
    "hyperbole": "violent words about things",
    "in_group": "people speaking of their own group",
    "negated": "negated hate",
    "news": "news about a group",
    "positive": "praise of a group",
    "profane": "profanity against a group",
    "question": "honest question",
    "quoted": "quoted hate",
    "reclaim": "reclaimed word",
    "self": "people speaking of themselves",
    "things": "hate of things",
}
"""The names of slices whose own name is hard to read."""
_GRID = tuple(n / 200 for n in range(60, 200))


@dataclass(frozen=True, slots=True)
class Slice:
    """The texts of one kind: how many, how many are shown to moderators, and how many are acted on."""

    name: str
    texts: int
    shown: int
    acted: int

    def share(self, count: int) -> str:
        """ "0.85 (0.64 – 0.95)": a share of the texts and its interval."""
        low, high = wilson_interval(count, self.texts, TWO_SIDED)
        return f"{count / self.texts:.2f} ({low:.2f} – {high:.2f})"


@dataclass(frozen=True, slots=True)
class Scored:
    """Texts, their (N, 3) probabilities, and whether their language is one in which the bot acts."""

    examples: Sequence[Example]
    probabilities: Tensor
    acts: Sequence[bool]

    def of(self, rows: Sequence[int]) -> "Scored":
        """Some of them."""
        return Scored([self.examples[n] for n in rows], self.probabilities[list(rows)], [self.acts[n] for n in rows])

    def counts(self, thresholds: Thresholds) -> tuple[int, int]:
        """(how many are shown, how many are acted on)."""
        acting = self.of([n for n, acts in enumerate(self.acts) if acts])
        pairs = ((self, thresholds.alert_at), (acting, thresholds.act_at))
        shown, acted = (
            round(share_reaching(of.probabilities, at) * len(of.examples)) if of.examples else 0 for of, at in pairs
        )
        return shown, acted

    def labelled(self, *labels: Label) -> "Scored":
        """Those with one of these labels."""
        return self.of([n for n, example in enumerate(self.examples) if example.label in labels])


def slices(scored: Scored, names: Sequence[str], thresholds: Thresholds) -> dict[str, list[Slice]]:
    """{"harmless" or "harmful": the slices of the texts by name}, in the order of their first text."""
    found: dict[str, list[Slice]] = {"harmless": [], "harmful": []}
    for name in dict.fromkeys(names):
        rows = [n for n, of_text in enumerate(names) if of_text == name]
        for harm, labels in (("harmless", [Label.NEUTRAL]), ("harmful", [Label.HATE, Label.OFFENSIVE])):
            if (part := scored.of(rows).labelled(*labels)).examples:
                words = _WORDS.get(name, name.replace("_", " "))
                found[harm].append(Slice(words, len(part.examples), *part.counts(thresholds)))
    return found


@dataclass(frozen=True, slots=True)
class PresetRow:
    """What a preset means: shown and acted on among 1,000 ordinary messages, and shares of harmful ones shown."""

    name: str
    ordinary: Slice
    everyday: Slice
    threats: Slice
    hate: Slice
    offensive: Slice

    def per_thousand(self, count: int) -> str:
        """ "14 (8 – 23)": a count of the ordinary messages among 1,000, and its interval."""
        low, high = wilson_interval(count, self.ordinary.texts, TWO_SIDED)
        return f"{1000 * count / self.ordinary.texts:.0f} ({1000 * low:.0f} – {1000 * high:.0f})"


def preset_rows(ordinary: Scored, everyday: Scored, davidson: Scored) -> list[PresetRow]:
    """A row for each preset."""
    harmless = everyday.labelled(Label.NEUTRAL)
    threats = everyday.of([n for n, e in enumerate(everyday.examples) if e.source in ("threat", "self-harm abuse")])
    sets = (ordinary, harmless, threats, davidson.labelled(Label.HATE), davidson.labelled(Label.OFFENSIVE))
    return [
        PresetRow(name, *(Slice("", len(one.examples), *one.counts(at)) for one in sets))
        for name, at in PRESET_THRESHOLDS.items()
    ]


def recall_curve(ordinary: Scored, harmful: Scored) -> list[tuple[float, float]]:
    """(false alerts among 1,000 ordinary messages, recall of harmful ones) for one threshold of P(harm), rising."""
    harm = [1 - one.probabilities[:, LABELS.index(Label.NEUTRAL)] for one in (ordinary, harmful)]
    return [
        (1000 * float((harm[0] >= at).float().mean()), float((harm[1] >= at).float().mean())) for at in reversed(_GRID)
    ]


class Served:
    """The shipped adapters of both embedded bases, and which of them reads a text."""

    def __init__(self, english: AttachedAdapter, other: AttachedAdapter) -> None:
        self._english, self._other = english, other
        self.versions = [each.manifest.version for each in (english, other)]

    @classmethod
    def shipped(cls) -> "Served":
        """Opens both."""
        bases = [(name, open_base(name)) for name in (EMBEDDED, E5)]
        return cls(
            *(
                AttachedAdapter(base, "shipped", attach_adapter(base, "shipped", SHIPPED_FOLDER / name))
                for name, base in bases
            )
        )

    def score(self, examples: Sequence[Example]) -> Scored:
        """The texts with the probabilities of the adapter that reads each."""
        rows = torch.zeros(len(examples), len(LABELS))
        languages = [foreign_language(example.text) for example in examples]
        for adapter, reads_foreign in ((self._english, False), (self._other, True)):
            places = [n for n, language in enumerate(languages) if bool(language) is reads_foreign]
            if places:
                rows[places] = adapter.probabilities([examples[n] for n in places])
        return Scored(examples, rows, [not language or language in ACTING for language in languages])


@dataclass(frozen=True, slots=True)
class LanguageRow:
    """The hand-written lines of one language, and the area under the curve of harm against harmless lines."""

    language: str
    acts: bool
    area: float
    harmless: Slice
    harmful: Slice


def language_rows(scored: Scored, thresholds: Thresholds) -> list[LanguageRow]:
    """A row for each language of lines whose source is "language: kind"."""
    names = [example.source.partition(":")[0] for example in scored.examples]
    rows = []
    for name in dict.fromkeys(names):
        lines = scored.of([n for n, language in enumerate(names) if language == name])
        found = slices(lines, [name] * len(lines.examples), thresholds)
        harm = (1 - lines.probabilities[:, LABELS.index(Label.NEUTRAL)]).tolist()
        area = area_under_curve(harm, [example.label is not Label.NEUTRAL for example in lines.examples])
        rows.append(LanguageRow(name, name in ACTING, area, found["harmless"][0], found["harmful"][0]))
    return rows


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit status 0 when the page was written."""
    parser = argparse.ArgumentParser(
        prog="python -m training.quality_page", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, default=PAGE)
    options = parser.parse_args(arguments)
    write_page(options.out, Served.shipped(), split_data(options.data)[3])
    Console(stderr=True).print(f"{options.out} written", soft_wrap=True)
    return 0


def write_page(path: Path, served: Served, tests: Mapping[str, Sequence[Example]]) -> None:
    """Scores all sets and writes the page with its plots beside it."""
    everyday, handwritten = served.score(read_everyday()), served.score(read_handwritten())
    own = counterfactuals.development_sentences(1500, seed=3)
    templates, davidson = served.score([example for _, example in own]), served.score(tests["davidson"])
    mix = served.score(tests["mix"])
    ordinary = mix.of([n for n, example in enumerate(mix.examples) if example.source == ORDINARY_SOURCE])
    standard, rows = PRESET_THRESHOLDS["standard"], preset_rows(ordinary, everyday, davidson)
    measured = {"Davidson's tweets": _metrics(davidson), "all public sets": _metrics(mix)}
    curves = {
        name: recall_curve(ordinary, harmful)
        for name, harmful in (
            ("hateful tweets", davidson.labelled(Label.HATE)),
            ("offensive tweets", davidson.labelled(Label.OFFENSIVE)),
            ("everyday threats, insults and hate", everyday.labelled(Label.HATE, Label.OFFENSIVE)),
        )
    }
    points = {row.name: 1000 * row.ordinary.shown / row.ordinary.texts for row in rows}
    plots = {
        "curve": curves_plot(curves, "false alerts among 1,000 ordinary messages", "share shown", points),
        "calibration": reliability_plot(measured["Davidson's tweets"].reliability),
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    for name, image in plots.items():
        path.with_name(f"{path.stem}-{name}.png").write_bytes(base64.b64decode(image.partition(",")[2]))
    page = _PAGE.render(
        versions=served.versions,
        rows=rows,
        everyday=slices(everyday, [example.source for example in everyday.examples], standard),
        templates=slices(templates, [name for name, _ in own], standard),
        handwritten=slices(handwritten, [example.source for example in handwritten.examples], standard),
        languages=language_rows(served.score(read_languages()), standard),
        measured=measured,
        labels=LABELS,
        recalls=_recalls,
        thresholds=PRESET_THRESHOLDS,
        hate=Label.HATE,
        offensive=Label.OFFENSIVE,
        few=FEW,
        at_few={name: max(recall for false, recall in curve if false <= FEW) for name, curve in curves.items()},
        plots={name: f"{path.stem}-{name}.png" for name in plots},
        ordinary=len(ordinary.examples),
    )
    path.write_text(page, encoding="utf-8")


def _metrics(scored: Scored) -> Metrics:
    return measure(scored.probabilities, torch.tensor([LABELS.index(example.label) for example in scored.examples]))


def _recalls(metrics: Metrics) -> list[str]:
    """For each label the share of its texts that are called so, with its interval."""
    return [
        Slice("", sum(row), row[n], 0).share(row[n]) if sum(row) else "none" for n, row in enumerate(metrics.confusion)
    ]


_MARKDOWN = jinja2.Environment(  # noqa: S701 - no HTML
    trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined
)
_PAGE = _MARKDOWN.from_string("""\
# How good is it, where is it wrong

`python -m training.quality_page` writes this page; it describes the adapters **{{ versions[0] }}**, which reads
English, and **{{ versions[1] }}**, which reads other languages. No text here was trained on. *Shown* is the share that
moderators see a card for, *acted on* the share that a new community in enforce mode would act on. In brackets is the
95 % interval: with few texts it is wide.

## Presets

Ordinary messages are {{ ordinary }} comments that annotators found neither angry nor profane; some hold a slur all the
same. Everyday lines are written by hand.

| preset | thresholds: hate, offensive | of 1,000 ordinary messages shown | acted on | harmless everyday lines shown \
| threats and calls to suicide shown | hateful tweets shown | offensive tweets shown |
|---|---|--:|--:|--:|--:|--:|--:|
{% for row in rows %}
{% set at = thresholds[row.name] %}
| {{ row.name }} | {{ at.alert_at[hate] }} / {{ at.act_at[hate] }}, {{ at.alert_at[offensive] }} / \
{{ at.act_at[offensive] }} | {{ row.per_thousand(row.ordinary.shown) }} | {{ row.per_thousand(row.ordinary.acted) }} \
| {{ row.everyday.share(row.everyday.shown) }} | {{ row.threats.share(row.threats.shown) }} \
| {{ row.hate.share(row.hate.shown) }} | {{ row.offensive.share(row.offensive.shown) }} |
{% endfor %}

![Recall by false alerts]({{ plots.curve }})

With one threshold for all harm and at most {{ few }} false alerts in 1,000, the shares shown would be: \
{% for name, share in at_few.items() %}{{ name }} {{ "%.2f"|format(share) }}{{ ", " if not loop.last else "." }}\
{% endfor %}



{% macro table(title, groups) %}
## {{ title }}

{% for harm, kinds in groups.items() if kinds %}
| {{ "should be left alone" if harm == "harmless" else "should be shown" }} | texts | shown | acted on |
|---|--:|--:|--:|
{% for kind in kinds %}
| {{ kind.name }} | {{ kind.texts }} | {{ kind.share(kind.shown) }} | {{ kind.share(kind.acted) }} |
{% endfor %}

{% endfor %}
{% endmacro %}
{{ table("Everyday chat, written by hand", everyday) }}
{{ table("Difficult sentences, written by hand", handwritten) }}
{{ table("Difficult sentences from templates", templates) }}
## Other languages

Lines written by hand, thirty to forty in each language: small samples. The area under the curve says how often a
harmful line scores above a harmless one. In any other language the bot shows what reaches a threshold and never acts;
in a script that it has no pieces for, a message is *not read*.

| language | acts | area under the curve | harmless lines | shown | acted on | harmful lines | shown | acted on |
|---|---|--:|--:|--:|--:|--:|--:|--:|
{% for row in languages %}
| {{ row.language }} | {{ "yes" if row.acts else "no" }} | {{ "%.3f"|format(row.area) }} | {{ row.harmless.texts }} \
| {{ row.harmless.share(row.harmless.shown) }} | {{ row.harmless.share(row.harmless.acted) }} \
| {{ row.harmful.texts }} | {{ row.harmful.share(row.harmful.shown) }} | {{ row.harmful.share(row.harmful.acted) }} |
{% endfor %}

## Public data

| set | texts | balanced accuracy | macro-F1 | calibration error{% for label in labels %} | of {{ label }} called so\
{% endfor %} |
|---|--:|--:|--:|--:|--:|--:|--:|
{% for name, metrics in measured.items() %}
| {{ name }} | {{ metrics.rows }} | {{ "%.3f"|format(metrics.balanced_accuracy) }} \
| {{ "%.3f"|format(metrics.macro_f1) }} | {{ "%.3f"|format(metrics.calibration_error) }} \
| {{ recalls(metrics)|join(" | ") }} |
{% endfor %}

Calibration on Davidson's tweets: how often a label is right, by how sure the model is of it.

![Calibration]({{ plots.calibration }})
""")


if __name__ == "__main__":
    sys.exit(main())
