"""Measures how many messages the embedded model can answer alone, and how much harm is then missed.

    python -m benchmarks.two_stages [--base mini] [--data FILE.csv] [--harmful 0.05] [--out REPORT.html]

Baseline: the second stage reads every message. Both stages score the same labelled texts (by default the held-out texts
that people wrote, which neither adapter was trained on). A message whose harm in the first stage is below the band is
skipped. The lost recall is the skipped share of the harmful messages that the second stage finds. Chat is less harmful
than a test sample: the saved share is re-weighted to the share `--harmful` of harmful messages.
"""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import jinja2
from rich.console import Console
from rich.table import Table

from model.adapters.registry import open_registry
from model.base import BaseNotFound
from model.choice import EMBEDDED, BaseChoice, add_base_options, read_base_choice
from model.classifier import AdapterRejected, Item, Verdict
from model.labels import Label
from model.open import open_chosen_base
from model.plots import lines_plot
from model.serving.scorer import Scorer
from model.table import BadData, open_rows, read_label

SAMPLE = Path(__file__).parents[1] / "training" / "data" / "heldout.csv.gz"
REAL = ("davidson", "mix")
"""Sources with texts that people wrote; the other sources are made from templates."""
BANDS = (0.02, 0.05, 0.075, 0.1, 0.125, 0.15, 0.175, 0.2, 0.25, 0.3, 0.35, 0.4, 0.45, 0.5)
CHUNK = 256

_PAGE = jinja2.Environment(autoescape=True).from_string("""<!doctype html>
<html lang="en"><meta charset="utf-8"><title>Two stages</title>
<style>body{font:16px/1.5 system-ui,sans-serif;max-width:50rem;margin:2rem auto;padding:0 1rem}
table{border-collapse:collapse}td,th{border:1px solid #ccc;padding:.2rem .6rem;text-align:right}</style>
<h1>Messages saved against recall lost</h1>
<p>{{ caption }}</p><img alt="Messages saved against recall lost, one point for each band" src="{{ plot }}">
<table><tr>{% for name in names %}<th>{{ name }}{% endfor %}
{% for row in rows %}<tr>{% for cell in row %}<td>{{ cell }}{% endfor %}{% endfor %}</table>
""")


@dataclass(frozen=True, slots=True)
class Point:
    """One band. `saved` and `saved_in_chat` are shares of the messages, in the file and re-weighted to chat.

    Of `found` harmful messages that the second stage detects, `lost` are skipped.
    """

    below: float
    saved: float
    saved_in_chat: float
    lost: int
    found: int

    @property
    def recall_lost(self) -> float:
        """Share of the finds."""
        return self.lost / max(1, self.found)


def sweep(
    first: Sequence[Verdict], second: Sequence[Verdict], labels: Sequence[Label], harmful_share: float
) -> list[Point]:
    """What each band saves and loses; the three run side by side. Needs harmful and harmless texts."""
    harmful = [label is not Label.NEUTRAL for label in labels]
    harmless_count = len(labels) - sum(harmful)
    if not harmless_count or harmless_count == len(labels):
        raise BadData("two stages are judged on harmful and harmless texts; the file has only one kind")
    finds = [bad and verdict.label is not Label.NEUTRAL for bad, verdict in zip(harmful, second, strict=True)]
    points = []
    for below in BANDS:
        skipped = [verdict.harm < below for verdict in first]
        of_harmful = sum(s and bad for s, bad in zip(skipped, harmful, strict=True)) / sum(harmful)
        of_harmless = sum(s and not bad for s, bad in zip(skipped, harmful, strict=True)) / harmless_count
        in_chat = harmful_share * of_harmful + (1 - harmful_share) * of_harmless
        lost = sum(s and found for s, found in zip(skipped, finds, strict=True))
        points.append(Point(below, sum(skipped) / len(skipped), in_chat, lost, sum(finds)))
    return points


def read_texts(path: Path) -> tuple[list[str], list[Label]]:
    """Texts and labels of the file, of real people only where it is the held-out sample; raises `BadData`."""
    texts, labels = [], []
    with open_rows(path, ("text", "label")) as rows:
        for number, row in enumerate(rows, start=2):
            if path != SAMPLE or row["source"] in REAL:
                texts.append(row["text"])
                labels.append(read_label(row["label"], f"{path}: row {number}"))
    if not texts:
        raise BadData(f"{path}: no rows below the header")
    return texts, labels


def score(choice: BaseChoice, texts: Sequence[str]) -> list[Verdict]:
    """Verdicts of a base with the adapter that came with it; raises `BaseNotFound`, `AdapterRejected`."""
    scorer = Scorer(open_chosen_base(choice))
    scorer.load("shipped", open_registry(choice.base, Path("data/adapters")).shipped)
    verdicts: list[Verdict] = []
    for start in range(0, len(texts), CHUNK):
        verdicts += scorer.classify([Item(text, "shipped") for text in texts[start : start + CHUNK]])
    return verdicts


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit status 0, or 2 with one line for a bad input."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.two_stages", description=(__doc__ or "").splitlines()[0]
    )
    add_base_options(parser)
    parser.set_defaults(base="mini")
    parser.add_argument("--data", type=Path, default=SAMPLE)
    parser.add_argument("--harmful", type=float, default=0.05, help="share of a chat's messages that are harmful")
    parser.add_argument("--out", type=Path, metavar="REPORT.html")
    options = parser.parse_args(arguments)
    errors = Console(stderr=True)
    try:
        texts, labels = read_texts(options.data)
        first, second = score(BaseChoice(EMBEDDED), texts), score(read_base_choice(options), texts)
        points = sweep(first, second, labels, options.harmful)
    except (BadData, BaseNotFound, AdapterRejected) as error:
        errors.print(f"error: {error}", style="red", markup=False, soft_wrap=True)
        return 2
    caption = (
        f"{len(texts)} labelled texts; first stage {EMBEDDED}, second stage {options.base}, each with its shipped "
        f"adapter; chat is taken to be {options.harmful:.0%} harmful."
    )
    names = ("band", "saved, this file", "saved, in chat", "recall lost", "lost / found")
    cells = [
        (f"{p.below:g}", f"{p.saved:.1%}", f"{p.saved_in_chat:.1%}", f"{p.recall_lost:.2%}", f"{p.lost} / {p.found}")
        for p in points
    ]
    table = Table(*names, caption=caption)
    for row in cells:
        table.add_row(*row)
    Console().print(table)
    if options.out:
        lines: dict[str, Sequence[float]] = {
            "in chat": [100 * p.saved_in_chat for p in points],
            "in this file": [100 * p.saved for p in points],
        }
        lost = [100 * p.recall_lost for p in points]
        plot = lines_plot(lost, lines, "recall lost, % of what the second stage finds", "messages saved, %")
        options.out.write_text(_PAGE.render(caption=caption, plot=plot, names=names, rows=cells), encoding="utf-8")
        errors.print(f"report written to {options.out}", soft_wrap=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
