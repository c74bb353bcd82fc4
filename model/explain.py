"""Why a text got its label: the words that carried it, found by leaving each out (batched occlusion).

Zeiler and Fergus 2014, "Visualizing and Understanding Convolutional Networks", section 4.2, applied to words. A short
text is read once for each word, without it. Of a long one the pieces are read, and then the strongest ones without each
of their words: what an explanation costs does not grow with the text.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from model.classifier import Classifier, Item, Verdict
from model.labels import Label

MOST_TEXTS = 48
"""What the model reads for one explanation at most."""
WHOLE_CHARACTERS = 15_000
"""A text is read as a whole for each word where that comes to no more characters."""
LONGEST, LONGEST_WORD = 4096, 200
"""Characters: of a longer text the start and the end are explained, a longer word is taken in pieces."""
MOST_PIECES, SHORTEST_PIECE = 16, 120
FEWEST_WORDS = 4
"""So many words must be left of what may be read for another piece to be gone through."""
_ENDS = (".", "!", "?", "…", ":", ";")


@dataclass(frozen=True, slots=True)
class Evidence:
    """A piece of the text and how much the label's probability falls without it (-1 to 1)."""

    word: str
    weight: float


async def evidence(
    classifier: Classifier, text: str, verdict: Verdict, label: Label, community: str = ""
) -> list[Evidence]:
    """One entry per word, or group of words, in text order; together they are the whole text, split at spaces, or its
    start and its end. At most `MOST_TEXTS` texts are read.

    Of a long text a word weighs what its own piece loses without it; pieces that are not gone through weigh 0.
    """

    async def shares(texts: Sequence[str]) -> list[float]:
        items = [Item(one, verdict.adapter, community=community) for one in texts]
        return [found.probabilities[label] for found in await classifier.classify(items)] if items else []

    words = list(_words(text))
    if len(words) <= MOST_TEXTS and len(words) * len(text) <= WHOLE_CHARACTERS:
        without = await shares(_without_each(words))
        return _weighed(words, verdict.probabilities[label], without)
    pieces = list(_pieces(words))
    strength = await shares([" ".join(piece) for piece in pieces])
    gone_through: dict[int, list[str]] = {}
    left = MOST_TEXTS - len(pieces)
    for place in sorted(range(len(pieces)), key=lambda place: -strength[place]):
        if left < FEWEST_WORDS:
            break
        gone_through[place] = _grouped(pieces[place], left)
        left -= len(gone_through[place])
    asked = {place: _without_each(groups) for place, groups in gone_through.items()}
    answers = iter(await shares([one for texts in asked.values() for one in texts]))
    weighed = {
        place: _weighed(groups, strength[place], [next(answers) for _ in groups])
        for place, groups in gone_through.items()
    }
    return [one for place, piece in enumerate(pieces) for one in weighed.get(place, [Evidence(" ".join(piece), 0.0)])]


def _words(text: str) -> Iterator[str]:
    if len(text) > LONGEST:
        text = f"{text[: LONGEST // 2]} {text[1 - LONGEST // 2 :]}"
    for word in text.split():
        for start in range(0, len(word), LONGEST_WORD):
            yield word[start : start + LONGEST_WORD]


def _pieces(words: Sequence[str]) -> Iterator[list[str]]:
    """At most `MOST_PIECES` of about the same length, each of whole sentences where these are short enough."""
    room = max(SHORTEST_PIECE, -(-2 * sum(len(word) + 1 for word in words) // MOST_PIECES))
    piece: list[str] = []
    size = 0
    for word in words:
        piece.append(word)
        size += len(word) + 1
        if size >= room or (size >= room / 2 and word.endswith(_ENDS)):
            yield piece
            piece, size = [], 0
    if piece:
        yield piece


def _grouped(words: Sequence[str], most: int) -> list[str]:
    """Neighbours together, where there are too many."""
    size = -(-len(words) // most)
    return [" ".join(words[start : start + size]) for start in range(0, len(words), size)]


def _without_each(words: Sequence[str]) -> list[str]:
    return [" ".join([*words[:place], *words[place + 1 :]]) for place in range(len(words))]


def _weighed(words: Sequence[str], whole: float, without: Sequence[float]) -> list[Evidence]:
    return [Evidence(word, round(whole - share, 4)) for word, share in zip(words, without, strict=True)]


def nearest(vector: Sequence[float], others: Sequence[Sequence[float]], count: int = 3) -> list[tuple[int, float]]:
    """(index, cosine similarity) of the unit vectors most like `vector`, best first."""
    likeness = [(i, sum(a * b for a, b in zip(vector, other, strict=True))) for i, other in enumerate(others)]
    return sorted(likeness, key=lambda pair: -pair[1])[:count]
