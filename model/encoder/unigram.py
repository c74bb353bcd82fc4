"""Cuts words into the pieces of a Unigram vocabulary: those whose scores have the largest sum.

Kudo 2018, "Subword Regularization", section 3.2; the search is Viterbi's. The `tokenizers` library gives the same ids
(a test compares them), but its tree of 250,002 pieces takes 260 MB of memory, and a dictionary 40.
"""

from collections.abc import Mapping
from functools import lru_cache

from model.base import Encoded

SPACE = "▁"
"""Stands for the space before a word."""
CACHED_WORDS, CACHED_CHARACTERS = 16_384, 24
"""So many recent words are remembered, if they are no longer than this."""


class Unigram:
    """A vocabulary of `pieces` with (id, log-probability), and a table of characters to replace, for `str.translate`.

    Time is linear in the text. Characters without pieces get no id.
    """

    def __init__(self, pieces: Mapping[str, tuple[int, float]], replaced: Mapping[int, str]) -> None:
        self._pieces = pieces
        self._replaced = dict(replaced)
        self._longest = max(map(len, pieces))
        self._unknown = min(score for _, score in pieces.values()) - 10.0  # as the library scores an unknown character
        self._cut_cached = lru_cache(CACHED_WORDS)(self._cut)

    def encode(self, text: str) -> tuple[Encoded, list[int]]:
        """The ids and, for each, the character of the text where its piece begins."""
        plain = text.translate(self._replaced)
        places: range | list[int] = range(len(text))
        if plain != text:
            parts = [char.translate(self._replaced) for char in text]
            places = [place for place, part in enumerate(parts) for _ in part]
        ids, starts, first = Encoded(), list[int](), 0
        for word in plain.split(" "):
            if word:
                cut = self._cut_cached(word) if len(word) <= CACHED_CHARACTERS else self._cut(word)
                ids += [i for i, _ in cut]
                starts += [places[first + start] for _, start in cut]
            first += len(word) + 1
        return ids, starts

    def _cut(self, word: str) -> tuple[tuple[int, int], ...]:
        """(id, character of the word where the piece begins) of the best pieces; the first begins with `SPACE`."""
        text, pieces = SPACE + word, self._pieces
        size = len(text)
        best: list[tuple[float, int, int]] = [(0.0, -1, 0), *[(float("-inf"), -1, 0)] * size]  # (score, id, start)
        for start in range(size):
            score = best[start][0]
            for end in range(start + 1, min(start + self._longest, size) + 1):
                if (piece := pieces.get(text[start:end])) is not None and score + piece[1] > best[end][0]:
                    best[end] = (score + piece[1], piece[0], start)
            if text[start] not in pieces and score + self._unknown > best[start + 1][0]:
                best[start + 1] = (score + self._unknown, -1, start)
        cut, end = [], size
        while end:
            _, i, start = best[end]
            if i >= 0:
                cut.append((i, max(0, start - 1)))
            end = start
        return tuple(reversed(cut))
