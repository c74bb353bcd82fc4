"""Labelled texts: reads them, refuses bad files with one clear line, and keeps test texts out of training."""

import hashlib
import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from model.labels import LABELS, Label
from model.normalize import conservative_view
from model.table import BadData, open_rows, read_label


@dataclass(frozen=True, slots=True)
class Example:
    """One text with its label. `votes` are label probabilities of a crowd or of a model, or empty."""

    text: str
    label: Label
    source: str = ""
    weight: float = 1.0
    votes: tuple[float, ...] = ()

    @property
    def target(self) -> tuple[float, ...]:
        """The label distribution to learn: the votes if there are any, else 1 for the label. In the order of
        `LABELS`."""
        return self.votes or tuple(float(label is self.label) for label in LABELS)

    @property
    def key(self) -> str:
        """A key that is equal for texts that differ only in case, spacing or invisible characters."""
        return conservative_view(self.text).casefold()


def read_examples(path: Path, source: str = "") -> list[Example]:
    """Reads every row's `text` and `label`, with crowd votes if the file has them; raises `BadData`."""
    examples = []
    with open_rows(path, ("text", "label")) as rows:
        for number, row in enumerate(rows, start=2):
            label = read_label(row["label"], f"{path}: row {number}")
            examples.append(Example(row["text"], label, row.get("source") or source, votes=_votes(row)))
    if not examples:
        raise BadData(f"{path}: no rows below the header, so there is nothing to learn from")
    return examples


def split(examples: Sequence[Example], share: float, seed: int) -> tuple[list[Example], list[Example]]:
    """(kept, held out): about `share` is held out, by a hash of each text; equal texts are on the same side."""
    kept: list[Example] = []
    held: list[Example] = []
    for example in examples:
        draw = int.from_bytes(hashlib.sha256(f"{seed}:{example.key}".encode()).digest()[:8], "big") / 2**64
        (held if draw < share else kept).append(example)
    return kept, held


def draw_balanced(examples: Sequence[Example], per_label: int, seed: int) -> list[Example]:
    """Draws at most `per_label` examples of each label, without replacement."""
    chance = random.Random(seed)  # noqa: S311 - a reproducible sample, not a secret
    chosen: list[Example] = []
    for label in LABELS:
        of_label = [example for example in examples if example.label is label]
        chosen += chance.sample(of_label, min(per_label, len(of_label)))
    return chosen


def exclude_texts(examples: Iterable[Example], held_out: Iterable[Example]) -> list[Example]:
    """The examples whose text is not among the held-out ones, each pair of text and label once."""
    forbidden = {example.key for example in held_out}
    once = {(example.key, example.label): example for example in examples if example.key not in forbidden}
    return list(once.values())


def data_hash(examples: Iterable[Example]) -> str:
    """SHA-256 of labels and texts, in order."""
    digest = hashlib.sha256()
    for example in examples:
        digest.update(f"{example.label}\0{example.text}\0".encode("utf-8", "surrogatepass"))
    return digest.hexdigest()


def _votes(row: dict[str, str]) -> tuple[float, ...]:
    """Davidson's crowd votes as shares; () if the file has none."""
    try:
        counts = [float(row[name]) for name in ("hate_speech", "offensive_language", "neither")]
    except (KeyError, ValueError):
        return ()
    return tuple(count / sum(counts) for count in counts) if sum(counts) > 0 else ()
