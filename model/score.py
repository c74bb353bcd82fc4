"""Scores the texts of a CSV file.

    python -m model.score FILE.csv --text COLUMN --out OUT.csv [--base NAME] [--adapter DIR]
        [--community NAME]

OUT.csv has the rows of FILE.csv with `label`, `hate`, `offensive`, `neutral` appended (columns of those names in the
input are kept as `input_label`, ...). Without `--adapter`, the shipped adapter scores. The verdicts follow the norm of
`--community`; by default, if the adapter has learned one norm only, that one. Memory does not grow with the file.
OUT.csv appears only when it is complete.
"""

import argparse
import csv
import os
import sys
from collections.abc import Sequence
from itertools import islice
from pathlib import Path

from rich.console import Console
from rich.progress import Progress

from model.adapters.registry import open_registry
from model.base import BaseNotFound
from model.choice import add_base_options, read_base_choice
from model.classifier import AdapterRejected, Item, Unscorable
from model.labels import LABELS
from model.open import open_chosen_base
from model.serving.scorer import Scorer
from model.table import BadData, open_rows

CHUNK_ROWS = 512
ADDED_COLUMNS = ("label", *LABELS)


def score_file(source: Path, column: str, out: Path, scorer: Scorer, console: Console, community: str = "") -> int:
    """Returns the number of rows written; raises `BadData`."""
    partial = out.with_name(out.name + ".part")
    with open_rows(source, (column,)) as reader, Progress(console=console, transient=True) as bar:
        kept = {name: f"input_{name}" if name in ADDED_COLUMNS else name for name in reader.names}
        task, rows, pending = bar.add_task(f"scoring {source.name}", total=1.0), 0, iter(reader)
        with partial.open("w", encoding="utf-8", newline="") as target:
            writer = csv.writer(target)
            writer.writerow([*kept.values(), *ADDED_COLUMNS])
            while chunk := list(islice(pending, CHUNK_ROWS)):
                verdicts = scorer.classify([Item(row[column], "file", community=community) for row in chunk])
                for row, verdict in zip(chunk, verdicts, strict=True):
                    shares = [f"{verdict.probabilities[label]:.6f}" for label in LABELS]
                    writer.writerow([*(row[name] for name in kept), verdict.label, *shares])
                rows += len(chunk)
                bar.update(task, completed=reader.share)
    os.replace(partial, out)
    return rows


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit status 0, or 2 with one line for a bad input."""
    parser = argparse.ArgumentParser(prog="python -m model.score", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("file", type=Path)
    parser.add_argument("--text", required=True, metavar="COLUMN")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--adapter", type=Path, metavar="DIR")
    parser.add_argument(
        "--community", default="", metavar="NAME", help="use this community's norm, if the adapter has several"
    )
    add_base_options(parser)
    options = parser.parse_args(arguments)
    console = Console(stderr=True)
    try:
        scorer = Scorer(open_chosen_base(read_base_choice(options)))
        scorer.load(
            "file", options.adapter.resolve() if options.adapter else open_registry(options.base, Path()).shipped
        )
        rows = score_file(options.file, options.text, options.out, scorer, console, options.community)
    except (BadData, BaseNotFound, AdapterRejected, Unscorable) as error:
        console.print(f"error: {error}", style="red", markup=False, soft_wrap=True)
        return 2
    console.print(f"{rows} rows written to {options.out}", soft_wrap=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
