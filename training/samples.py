"""Small samples of public texts in the repository: the replay texts and the held-out texts of a refresh.

`training.ship` writes them. No text is in both, and no held-out text was trained on.
"""

import csv
import gzip
import io
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from model.choice import E5
from training import counterfactuals
from training.examples import Example, draw_balanced, exclude_texts, read_examples

SAMPLES = Path(__file__).with_name("data")
REPLAYED_PER_LABEL = 110
HELD_OUT_PER_CLASS, FEW_HELD_OUT = 40, 10
HELD_OUT_BY_SOURCE = 60
"""Held-out texts of each label from each source in other languages."""
ABOUT_GROUPS = frozenset(
    (
        *("derogation", "threat", "exclusion", "implicit", "profane_hate", "identity_neutral", "identity_positive"),
        *("negated", "counter_speech", "in_group", "things", "insult_person", "institutions", "everyday"),
    )
)


def read_replay(base: str = "") -> list[Example]:
    """The replay texts: of every source of the base's shipped adapter, about equally many of each label."""
    english = read_examples(SAMPLES / "replay.csv.gz")
    return [*english, *read_examples(SAMPLES / "languages_replay.csv.gz")] if base == E5 else english


def read_held_out(base: str = "") -> tuple[list[Example], list[Example]]:
    """(a quarter of the held-out texts for calibration, the rest for testing); `source` names the slice."""
    held_out = read_examples(SAMPLES / "heldout.csv.gz")
    if base == E5:
        held_out += read_examples(SAMPLES / "languages_heldout.csv.gz")
    return held_out[::4], [example for number, example in enumerate(held_out) if number % 4]


def read_handwritten() -> list[Example]:
    """Test sentences that were written by hand before the shipped adapter was made, without template words. `source` is
    the kind of each. They are never trained on."""
    return read_examples(SAMPLES / "handwritten.csv")


def read_everyday() -> list[Example]:
    """Everyday chat written by hand: emoji, names, short words, greetings and ordinary lines, and beside them threats,
    insults and hate. `source` is the kind of each. They are never trained on."""
    return read_examples(SAMPLES / "everyday.csv")


def write_samples(learn: Sequence[Example], tests: Mapping[str, Sequence[Example]]) -> None:
    """Writes the samples, so that a refresh works without the full data."""
    SAMPLES.mkdir(exist_ok=True)
    replay = [e for name in sorted({e.source for e in learn}) for e in _sample([x for x in learn if x.source == name])]
    _write(SAMPLES / "replay.csv.gz", [(example.source, example) for example in replay])
    made = _held_out_sentences()
    held_out = [("davidson", e) for e in draw_balanced(tests["davidson"], 200, seed=2)]
    held_out += [("mix", e) for e in draw_balanced(tests["mix"], 200, seed=2)]
    _write(SAMPLES / "heldout.csv.gz", held_out + made)


def write_language_samples(learn: Sequence[Example], tests: Mapping[str, Sequence[Example]]) -> None:
    """Writes the samples in other languages, for the base that reads them."""
    replay = [e for name in sorted({e.source for e in learn}) for e in _sample([x for x in learn if x.source == name])]
    _write(SAMPLES / "languages_replay.csv.gz", [(example.source, example) for example in replay])
    drawn = {source: draw_balanced(tests[source], HELD_OUT_BY_SOURCE, seed=2) for source in sorted(tests)}
    _write(SAMPLES / "languages_heldout.csv.gz", [(source, e) for source, rows in drawn.items() for e in rows])


def _held_out_sentences() -> list[tuple[str, Example]]:
    """(class, sentence) from templates for development: forty of each class that the gate looks at by itself, since
    harmless talk about groups is what a refresh must not lose, and ten of each other class."""
    counts = Counter[str]()
    sentences = []
    for name, example in counterfactuals.development_sentences(HELD_OUT_PER_CLASS * 37, seed=4):
        counts[name] += 1
        if counts[name] <= (HELD_OUT_PER_CLASS if name in ABOUT_GROUPS else FEW_HELD_OUT):
            sentences.append((name, example))
    return sentences


def _sample(examples: Sequence[Example]) -> list[Example]:
    return draw_balanced(exclude_texts(examples, []), REPLAYED_PER_LABEL, seed=2)


def _write(path: Path, rows: Sequence[tuple[str, Example]]) -> None:
    """Writes a gzip file that is identical to the byte for identical rows."""
    buffer = io.StringIO(newline="")
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(("source", "label", "text"))
    writer.writerows((source, example.label, example.text) for source, example in rows)
    path.write_bytes(gzip.compress(buffer.getvalue().encode(), mtime=0))
