"""The public texts that `mini` is pretrained on: never Davidson's data, and no test text of this project."""

import gzip
import hashlib
import random
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from model.labels import Label
from model.normalize import conservative_view
from model.table import BadData
from training.examples import Example, exclude_texts, read_examples, split

EXCLUDED_FILES = ("davidson.csv", "seed_train.csv")
"""Files for later training and tests of `mini`: a text in these files is excluded everywhere."""

_MENTION = re.compile(r"@user\b", re.IGNORECASE)
_LINK = re.compile(r"\bURL\b")
_WORD = re.compile(r"[a-z]{3,9}")
_LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"


@dataclass(frozen=True, slots=True)
class Corpus:
    """`plain` is unlabelled conversation, `labelled` the mix of public data sets, `held_out` a part of it for tests."""

    plain: Sequence[str]
    labelled: Sequence[Example]
    held_out: Sequence[Example]

    @property
    def sha256(self) -> str:
        """SHA-256 of every training text and label, in order."""
        digest = hashlib.sha256()
        for text in self.plain:
            digest.update(f"{text}\0".encode("utf-8", "surrogatepass"))
        for example in self.labelled:
            digest.update(f"{example.label}\0{example.text}\0".encode("utf-8", "surrogatepass"))
        return digest.hexdigest()


def read_corpus(data: Path) -> Corpus:
    """Reads `public_mix.csv.gz` and `lm_text.txt.gz` of the folder; raises `BadData`."""
    forbidden = [example for name in EXCLUDED_FILES for example in read_examples(data / name)]
    labelled, held_out = split(read_examples(data / "public_mix.csv.gz"), 0.03, seed=11)
    labelled = exclude_texts(labelled, [*forbidden, *held_out])
    known = {example.key for examples in (forbidden, held_out, labelled) for example in examples}
    plain = [text for text in _lines(data / "lm_text.txt.gz") if text.casefold() not in known]
    return Corpus(list(dict.fromkeys(plain)), labelled, exclude_texts(held_out, forbidden))


class PostedTextStyle:
    """Makes texts look as people post them: replaces some masked names and links of the data sets with made-up ones."""

    def __init__(self, texts: Sequence[str], seed: int) -> None:
        self._chance = random.Random(seed)  # noqa: S311 - a reproducible disguise, not a secret
        sample = self._chance.sample(texts, min(2000, len(texts)))
        self._words = sorted({word for text in sample for word in _WORD.findall(text.lower())}) or ["someone"]

    def __call__(self, text: str) -> str:
        """The conservative view of the text with made-up names and links, sometimes as a retweet ("RT @name: ...")."""
        text = conservative_view(text)
        if self._chance.random() < 0.6:
            text = _MENTION.sub(lambda _: self._name(), text)
            text = _LINK.sub(lambda _: self._link(), text)
        draw = self._chance.random()
        if draw < 0.08:
            return f"RT {self._name()}: {text}"
        return f"{self._name()} {text}" if draw < 0.16 else text

    def _name(self) -> str:
        parts = [self._chance.choice(self._words) for _ in range(self._chance.choice((1, 2, 2)))]
        name = "".join(part.title() if self._chance.random() < 0.3 else part for part in parts)
        joined = name if self._chance.random() < 0.8 else "_".join(parts)
        return "@" + joined + (str(self._chance.randrange(1, 2000)) if self._chance.random() < 0.3 else "")

    def _link(self) -> str:
        return "http://t.co/" + "".join(self._chance.choices(_LETTERS, k=10))


def language_texts(corpus: Corpus, seed: int) -> Iterator[str]:
    """Texts for language modelling in random order, with all harmful texts in the first half.

    Everyday chat is plentiful and insults are rare, so a short training with even sampling would hardly see insults.
    """
    styled = PostedTextStyle([example.text for example in corpus.labelled], seed)
    chance = random.Random(seed)  # noqa: S311 - a reproducible order, not a secret
    keyed = [(chance.random() * 0.5, example.text) for example in corpus.labelled if example.label is not Label.NEUTRAL]
    keyed += [(chance.random(), example.text) for example in corpus.labelled if example.label is Label.NEUTRAL]
    keyed += [(chance.random(), text) for text in corpus.plain]
    for _, text in sorted(keyed):
        yield styled(text)


def _lines(path: Path) -> Iterator[str]:
    try:
        with gzip.open(path, "rt", encoding="utf-8") as file:
            for line in file:
                if text := conservative_view(line):
                    yield text
    except (OSError, EOFError, UnicodeDecodeError) as error:
        raise BadData(f"{path}: cannot be read: {error}") from error
