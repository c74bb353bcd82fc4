"""The parts of a text that are read beside the whole: its sentences, and short windows of words.

A model that reads only the whole is disarmed by polite sentences around an insult. All functions are pure and linear
in the text.
"""

import hashlib
import re
from collections.abc import Sequence
from typing import TypeVar

MAX_WORD_CHARACTERS = 40
"""A longer word, or a text without spaces, is cut into pieces of so many characters."""
MIN_LETTERS = 4
"""A sentence of fewer letters and digits is no part of its own."""
ABBREVIATIONS = frozenset(
    (
        *("approx", "art", "ca", "cf", "dept", "dr", "e.g", "eg", "est", "etc", "fig", "i.e", "ie", "inc", "jr", "ltd"),
        *("mr", "mrs", "ms", "no", "nr", "prof", "sr", "st", "vol", "vs"),
        *("bzw", "u.a", "usw", "z.b", "г", "др", "напр", "т.д", "т.е", "т.п", "ул"),
    )
)

Span = tuple[int, int]
"""(start, end) of a part in the text, in characters."""
T = TypeVar("T")

_EMOJI = "\u203c\u2049\u20e3\u2600-\u27bf\u2b00-\u2bff\U0001f000-\U0001faff\ufe0f\u200d"
_CLOSING = "\"'”’»)\\]」』"
_STOPS = "。｡।॥؟۔։"
# Possessive: a run of marks is taken once and as a whole, so a long run costs no more than its length.
_MARK = re.compile(
    rf"[.!?;|•{_STOPS}]++[{_CLOSING}]*+"
    rf"|[{_EMOJI}]++"
    r"|(?<=\s)[-–—~*/\\]++(?=\s)"
    r"|(?<=\s)[:;=][-']?+[)(DPpOo3/\\|]++(?=\s)"
    r"|\n"
)
_COMMA = re.compile(r"[,،、]++(?![0-9])")
_IS_EMOJI = re.compile(f"[{_EMOJI}]")
_LINK = re.compile(r"://|^www\.")
_WORD = re.compile(rf"\S{{1,{MAX_WORD_CHARACTERS}}}")


def find_sentences(text: str) -> list[Span]:
    """The sentences of a line view, without white space at their ends; those of fewer than `MIN_LETTERS` are left out.

    A sentence ends with a line, a full stop or its like in any script, a semicolon, a dash between spaces, or before an
    emoji. It does not end within a link or a number, or after an abbreviation.
    """
    spans, start = [], 0
    for mark in _MARK.finditer(text):
        if _ends_sentence(text, mark):
            spans.append((start, mark.start() if _IS_EMOJI.match(mark.group()) else mark.end()))
            start = mark.end()
    spans.append((start, len(text)))
    stripped = (_stripped(text, span) for span in spans)
    return [(a, b) for a, b in stripped if sum(map(str.isalnum, text[a:b])) >= MIN_LETTERS]


def find_clauses(text: str, sentence: Span) -> list[Span]:
    """What lies between the commas of a sentence; none if it has no comma."""
    ends = [match.span() for match in _COMMA.finditer(text, *sentence)]
    if not ends:
        return []
    starts = [sentence[0], *(end for _, end in ends)]
    spans = (_stripped(text, span) for span in zip(starts, [*(start for start, _ in ends), sentence[1]], strict=True))
    return [(a, b) for a, b in spans if sum(map(str.isalnum, text[a:b])) >= MIN_LETTERS]


def find_windows(text: str, sentence: Span, words: int) -> list[Span]:
    """Windows of so many words within a sentence, each beginning a third of a window after the one before; none if the
    sentence is not longer than a window."""
    places = [match.span() for match in _WORD.finditer(text, *sentence)]
    if len(places) <= words:
        return []
    starts = [*range(0, len(places) - words, max(1, words // 3)), len(places) - words]
    return [(places[start][0], places[start + words - 1][1]) for start in starts]


def spread(pieces: Sequence[T], most: int, text: str) -> list[T]:
    """At most so many pieces, in order: a quarter from the start, a quarter from the end, the others evenly between.

    A hash of the text shifts those between, so that no place in a long text is known to be unread.
    """
    if len(pieces) <= most:
        return list(pieces)
    edge = most // 4
    first, last = pieces[:edge], pieces[len(pieces) - edge :]
    between, count = pieces[edge : len(pieces) - edge], most - 2 * edge
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()
    shift = int.from_bytes(digest[:4], "big") / 2**32
    return [*first, *(between[int((place + shift) * len(between) / count)] for place in range(count)), *last]


def _ends_sentence(text: str, mark: re.Match[str]) -> bool:
    run, end = mark.group(), mark.end()
    after = text[end : end + 1]
    if not after or after.isspace():
        return run != "." or not _is_abbreviated(_word_before(text, mark.start()))
    if not run.startswith((".", "!", "?", ";", "|")):
        return run[0] in _STOPS or after.isalnum()  # within a run of emoji and spaces the last one ends it
    if not after.isalpha() or _LINK.search(_word_before(text, mark.start())):
        return False
    if run != ".":
        return True
    before = text[max(0, mark.start() - 2) : mark.start()]
    return before.isalpha() and len(before) == 2 and after.isupper() and text[end + 1 : end + 2].islower()


def _word_before(text: str, end: int) -> str:
    return text[max(0, end - MAX_WORD_CHARACTERS) : end].rpartition(" ")[2].rpartition("\n")[2]


def _is_abbreviated(word: str) -> bool:
    word = word.lstrip("(\"'“‘«[").lower()
    initials = word.split(".")
    return word in ABBREVIATIONS or all(len(part) == 1 for part in initials) or (word.isdigit() and len(word) < 3)


def _stripped(text: str, span: Span) -> Span:
    part = text[span[0] : span[1]]
    return span[0] + len(part) - len(part.lstrip()), span[1] - len(part) + len(part.rstrip())
