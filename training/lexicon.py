"""Writes `model/lexicon.txt`: the words of public chat, the commonest first, then other English words.

    python -m training.lexicon --data ../shared/data

The counts come from `public_mix.csv.gz` and `lm_text.txt.gz`. No text of the held-out samples is counted, so no
figure is measured on texts whose words were learned. The other words are those of the embedded base's vocabulary in
its order, which is about that of their frequency (all-MiniLM-L6-v2, Apache-2.0); peoples among them also in the plural.
"""

import argparse
import re
import sys
import textwrap
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

from rich.console import Console

from model.base import BaseNotFound
from model.encoder.minilm import weights_folder
from model.lexicon import LEXICON_FILE
from model.table import BadData
from training.corpus import read_corpus
from training.examples import exclude_texts
from training.samples import read_handwritten, read_held_out

_SHORT = "a am an as at be by do go ha he hi i id if im in is it me my no of oh ok on or so to up ur us we ya yo"
SHORT_WORDS = frozenset(_SHORT.split())
"""All words of one and two letters. Any two letters are somebody's abbreviation, so no others count as words."""
LEAST_COUNT, LONGEST_WORD, LINE_CHARACTERS = 5, 15, 119
_MASKED = re.compile(r"@user\b|\bURL\b")
_WORD = re.compile(r"[a-z]+")
_VOWEL = re.compile(r"[aeiouy]")
_PEOPLE = re.compile(r"(?:ian|ino|can|jew|arab)$")
_STRETCHED = re.compile(r"(.)\1\1")


def count_words(texts: Iterable[str]) -> list[str]:
    """The words that occur at least `LEAST_COUNT` times, the commonest first; equally common ones by the alphabet.

    Left out are words of two letters that are not in `SHORT_WORDS`, stretched words, and words without a vowel that
    are no common abbreviation: a word of the lexicon is never taken for a disguise.
    """
    counts = Counter(word for text in texts for word in _words(text))
    kept = {word: count for word, count in counts.items() if count >= LEAST_COUNT and _is_kept(word, count)}
    return sorted(kept, key=lambda word: (-kept[word], word))


def with_vocabulary(words: Sequence[str], vocabulary: Sequence[str]) -> list[str]:
    """The words, then those of the vocabulary with four letters or more that are not among them."""
    known = dict.fromkeys(words)
    for word in vocabulary:
        if 3 < len(word) <= LONGEST_WORD and word.isascii() and word.isalpha() and _is_kept(word, 0):
            known.setdefault(word)
            if _PEOPLE.search(word):
                known.setdefault(f"{word}s")
    return list(known)


def base_vocabulary() -> list[str]:
    """The embedded base's vocabulary; raises `BaseNotFound`."""
    return (weights_folder() / "vocab.txt").read_text(encoding="utf-8").splitlines()


def _words(text: str) -> list[str]:
    text = _MASKED.sub(" ", text).lower().replace("’", "").replace("'", "")
    return _WORD.findall(text)


def _is_kept(word: str, count: int) -> bool:
    if len(word) > LONGEST_WORD or _STRETCHED.search(word):
        return False
    if len(word) < 3:
        return word in SHORT_WORDS
    return count >= 100 or _VOWEL.search(word) is not None


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit status 0, or 2 with one line for a bad input."""
    parser = argparse.ArgumentParser(prog="python -m training.lexicon", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="the folder of the public data")
    parser.add_argument("--out", type=Path, default=LEXICON_FILE)
    options = parser.parse_args(arguments)
    console = Console(stderr=True)
    try:
        corpus, vocabulary = read_corpus(options.data), base_vocabulary()
    except (BadData, BaseNotFound) as error:
        console.print(f"error: {error}", style="red", markup=False, soft_wrap=True)
        return 2
    calibration, tests = read_held_out()
    held_out = [*calibration, *tests, *read_handwritten()]
    forbidden = {example.key for example in held_out}
    labelled = [example.text for example in exclude_texts(corpus.labelled, held_out)]
    words = count_words([*labelled, *(text for text in corpus.plain if text.casefold() not in forbidden)])
    words = with_vocabulary(words, vocabulary)
    options.out.write_text(textwrap.fill(" ".join(words), LINE_CHARACTERS) + "\n", encoding="ascii")
    console.print(f"{len(words):,} words written to {options.out}", soft_wrap=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
