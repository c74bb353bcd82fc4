"""Small samples of public texts that travel with the repository: what a refresh replays, and what it is judged by.

`training.ship` writes them; no text stands in both, and none of the held-out ones was learned from.
"""

import csv
import gzip
import io
from collections.abc import Mapping, Sequence
from pathlib import Path

from training import counterfactuals
from training.examples import Example, balanced, read_examples, without

SAMPLES = Path(__file__).with_name("data")
REPLAYED_PER_LABEL = 110


def read_replay() -> list[Example]:
    """Texts of every source the shipped adapter learned from, about as many of each label."""
    return read_examples(SAMPLES / "replay.csv.gz")


def read_held_out() -> tuple[list[Example], list[Example]]:
    """(a quarter to calibrate on, the rest to be judged by); `source` names the slice."""
    held_out = read_examples(SAMPLES / "heldout.csv.gz")
    return held_out[::4], [example for number, example in enumerate(held_out) if number % 4]


def read_handwritten() -> list[Example]:
    """Sentences written one by one before the adapter that they judge, in words that no template has; `source` is what
    each is about. Never to be learned from."""
    return read_examples(SAMPLES / "handwritten.csv")


def write_samples(learn: Sequence[Example], tests: Mapping[str, Sequence[Example]]) -> None:
    """Small samples that a refresh replays and is judged by, so that it works without the full data."""
    SAMPLES.mkdir(exist_ok=True)
    replay = [e for name in sorted({e.source for e in learn}) for e in _some([x for x in learn if x.source == name])]
    _write(SAMPLES / "replay.csv.gz", [(example.source, example) for example in replay])
    made = [(name, e) for name, e in counterfactuals.development(600, seed=4)]
    held_out = [("davidson", e) for e in balanced(tests["davidson"], 200, seed=2)]
    held_out += [("mix", e) for e in balanced(tests["mix"], 200, seed=2)]
    _write(SAMPLES / "heldout.csv.gz", held_out + made)


def _some(examples: Sequence[Example]) -> list[Example]:
    return balanced(without(examples, []), REPLAYED_PER_LABEL, seed=2)


def _write(path: Path, rows: Sequence[tuple[str, Example]]) -> None:
    """A gzip file that is the same to the byte for the same rows."""
    buffer = io.StringIO(newline="")
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(("source", "label", "text"))
    writer.writerows((source, example.label, example.text) for source, example in rows)
    path.write_bytes(gzip.compress(buffer.getvalue().encode(), mtime=0))
