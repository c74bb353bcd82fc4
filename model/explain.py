"""Explains why a text got its label: scores the text without each of its words (batched occlusion).

Zeiler and Fergus 2014, "Visualizing and Understanding Convolutional Networks", section 4.2, applied to words. A short
text is scored once without each word. A long text is scored in pieces, and then the strongest pieces without each of
their words, so the cost of an explanation does not grow with the text. Where a part of the text decided, only its words
are weighed, without the text around it.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from model.classifier import Classifier, Item, Verdict
from model.labels import Label
from model.normalize import conservative_view

MAX_TEXTS = 48
"""Texts that the model scores for one explanation, at most."""
MAX_WHOLE_CHARACTERS = 15_000
"""Characters of a text times its words, up to which the whole text is scored without each word."""
MAX_CHARACTERS, MAX_WORD_CHARACTERS = 4096, 200
"""Only the start and the end of a longer text are explained; a longer word is split."""
MAX_PIECES, MIN_PIECE_CHARACTERS = 16, 120
MIN_WORDS_LEFT = 4
"""A further piece is split into words only while at least so many texts may still be scored."""
_SENTENCE_ENDS = (".", "!", "?", "…", ":", ";")


@dataclass(frozen=True, slots=True)
class Evidence:
    """A piece of the text, and how much the label's probability falls without it (-1 to 1)."""

    word: str
    weight: float


async def find_evidence(
    classifier: Classifier, text: str, verdict: Verdict, label: Label, community: str = ""
) -> list[Evidence]:
    """One entry per word or group of words, in text order. Together they are the whole text, or its start and its end.

    At most `MAX_TEXTS` texts are scored, and one more for the part that decided (`Verdict.part`). In a long text a
    word's weight is the fall of its own piece's probability without it, and a piece that is not split into words has
    the weight 0, as has the text around the part.
    """
    if verdict.part:
        before, part, after = conservative_view(text).partition(verdict.part)
        (alone,) = await classifier.classify([Item(verdict.part, verdict.adapter, community=community)])
        found = await find_evidence(classifier, verdict.part, replace(alone, part=""), label, community)
        around = [[Evidence(piece.strip(), 0.0)] if piece.strip() else [] for piece in (before, after)]
        return [*around[0], *found, *around[1]] if part else found

    async def shares(texts: Sequence[str]) -> list[float]:
        items = [Item(text, verdict.adapter, community=community) for text in texts]
        return [scored.probabilities[label] for scored in await classifier.classify(items)] if items else []

    words = list(_words(text))
    if len(words) <= MAX_TEXTS and len(words) * len(text) <= MAX_WHOLE_CHARACTERS:
        without = await shares(_without_each(words))
        return _weighed(words, verdict.probabilities[label], without)
    pieces = list(_pieces(words))
    strength = await shares([" ".join(piece) for piece in pieces])
    split_pieces: dict[int, list[str]] = {}
    left = MAX_TEXTS - len(pieces)
    for place in sorted(range(len(pieces)), key=lambda place: -strength[place]):
        if left < MIN_WORDS_LEFT:
            break
        split_pieces[place] = _grouped(pieces[place], left)
        left -= len(split_pieces[place])
    occluded = [text for groups in split_pieces.values() for text in _without_each(groups)]
    answers = iter(await shares(occluded))
    weighed = {
        place: _weighed(groups, strength[place], [next(answers) for _ in groups])
        for place, groups in split_pieces.items()
    }
    return [
        entry for place, piece in enumerate(pieces) for entry in weighed.get(place, [Evidence(" ".join(piece), 0.0)])
    ]


def _words(text: str) -> Iterator[str]:
    if len(text) > MAX_CHARACTERS:
        text = f"{text[: MAX_CHARACTERS // 2]} {text[1 - MAX_CHARACTERS // 2 :]}"
    for word in text.split():
        for start in range(0, len(word), MAX_WORD_CHARACTERS):
            yield word[start : start + MAX_WORD_CHARACTERS]


def _pieces(words: Sequence[str]) -> Iterator[list[str]]:
    """Splits the words into at most `MAX_PIECES` pieces of similar length, at the ends of sentences if possible."""
    room = max(MIN_PIECE_CHARACTERS, -(-2 * sum(len(word) + 1 for word in words) // MAX_PIECES))
    piece: list[str] = []
    size = 0
    for word in words:
        piece.append(word)
        size += len(word) + 1
        if size >= room or (size >= room / 2 and word.endswith(_SENTENCE_ENDS)):
            yield piece
            piece, size = [], 0
    if piece:
        yield piece


def _grouped(words: Sequence[str], max_groups: int) -> list[str]:
    """Joins neighbouring words if there are more than `max_groups`."""
    size = -(-len(words) // max_groups)
    return [" ".join(words[start : start + size]) for start in range(0, len(words), size)]


def _without_each(words: Sequence[str]) -> list[str]:
    return [" ".join([*words[:place], *words[place + 1 :]]) for place in range(len(words))]


def _weighed(words: Sequence[str], whole: float, without: Sequence[float]) -> list[Evidence]:
    return [Evidence(word, round(whole - share, 4)) for word, share in zip(words, without, strict=True)]


def find_nearest(
    vector: Sequence[float], candidates: Sequence[Sequence[float]], count: int = 3
) -> list[tuple[int, float]]:
    """(index, cosine similarity) of the candidates nearest to `vector`, best first; all are unit vectors."""
    similarities = [(i, sum(a * b for a, b in zip(vector, row, strict=True))) for i, row in enumerate(candidates)]
    return sorted(similarities, key=lambda pair: -pair[1])[:count]
