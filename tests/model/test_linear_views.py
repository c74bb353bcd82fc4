"""Normalising is linear for hostile texts too, and the view is bounded."""

import time
import unicodedata
from collections.abc import Callable

import pytest

from model.normalize import _POSSIBLE_MARKS, MAX_CHARACTERS, _is_mark, conservative_view, views

KINDS: dict[str, Callable[[int], str]] = {
    "one letter under combining marks": lambda n: "a" + "\u0301" * n,
    "marks that must be sorted": lambda n: "a" + "\u0301\u0316" * (n // 2),
    "marks in the wrong order": lambda n: "a" + "\u0301" * (n // 2) + "\u0316" * (n // 2),
    "marks that come apart into more": lambda n: "\u0f73\u0316" * (n // 2),
    "letters that become marks": lambda n: "a" + "\uff9e\u0301\u0316" * (n // 3),
    "marks of more than two bytes": lambda n: "a" + "\U0001d165\U0001d16d\u0301" * (n // 3),
    "zalgo": lambda n: "".join(c + "\u0300\u0316\u0334\u0489" * 5 for c in "hello ") * (n // 126),
    "a phrase in one letter": lambda n: "\ufdfa" * n,
    "phrases and words": lambda n: "\ufdfa a \ufdfb" * (n // 5),
    "letters that come apart": lambda n: "\ufb2c" * n,
    "a word in one letter": lambda n: "\u3316" * n,
    "jamo": lambda n: "\u1100\u1161\u11a8" * (n // 3),
    "families of emoji": lambda n: "\U0001f468\u200d\U0001f469\u200d" * (n // 4),
    "skin tones": lambda n: "\U0001f44d" + "\U0001f3ff" * n,
    "emoji that belong together": lambda n: "\U0001f469\u200d" * (n // 2),
    "different emoji": lambda n: "\U0001f602\U0001f923 " * (n // 3),
    "custom emoji": lambda n: "<:a_b:123456789012345678>" * (n // 25),
    "custom emoji without an end": lambda n: "<:" + "a" * n,
    "joiners": lambda n: "\u200d" * n,
    "turned directions": lambda n: "\u202ea\u202c" * (n // 3),
    "no blanks": lambda n: "x1!" * (n // 3),
    "spaced letters": lambda n: "a. " * (n // 3),
    "dotted letters": lambda n: "a." * (n // 2),
    "masked letters": lambda n: "a***" * (n // 4),
    "digits and one letter": lambda n: "1" * n + "a",
    "versions": lambda n: "v" + "1." * (n // 2) + "!",
    "mixed scripts": lambda n: "\u0430a" * (n // 2),
    "entities of entities": lambda n: "&amp;" * (n // 5),
    "an entity without an end": lambda n: "&" + "a" * n,
    "nested overrides": lambda n: "\u202e" * (n // 2) + "ab" * (n // 4),
    "letters apart": lambda n: "y o u  a r e " * (n // 13),
    "letters in spoilers": lambda n: "||y||||o||" * (n // 10),
    "one word of single letters": lambda n: "i.d." * (n // 4),
    "masked words": lambda n: "f*ck y** b**** " * (n // 15),
    "vowels dropped": lambda n: "fck y stpd btch " * (n // 16),
    "drawn letters": lambda n: "|)1(|< |-|3@|) " * (n // 15),
    "words that may be many": lambda n: "".join(f"\u056b\u0578{i % 97:02}\u0431\u0456 " for i in range(n // 7)),
    "whole Cyrillic": lambda n: "\u0443\u043e\u0438 \u0430\u0433\u0435 " * (n // 8),
    "backwards": lambda n: "toidi na era uoy " * (n // 17),
    "upside down": lambda n: "\u0287o\u1d09p\u1d09 u\u0250 " * (n // 9),
    "braille": lambda n: "\u283d\u2815\u2825 " * (n // 4),
    "doubled letters": lambda n: "yyoouu aarree " * (n // 14),
    "halves of words": lambda n: "id iot fu ck " * (n // 13),
    "edges": lambda n: "a" + "." * (n - 2) + "a",
    "masks alone": lambda n: "*#" * (n // 2),
    "lone surrogates": lambda n: "\ud800" * n,
}
N = 12_000


def _took(*texts: str) -> list[float]:
    """For each text the shortest of five measured times in this thread, taken in turns so that a busy machine slows all
    of them alike."""
    times: list[list[float]] = [[] for _ in texts]
    for _ in range(5):
        for text, measured in zip(texts, times, strict=True):
            began = time.thread_time()
            views(text)
            measured.append(time.thread_time() - began)
    return [min(measured) for measured in times]


@pytest.mark.parametrize("kind", KINDS)
def test_twice_the_text_is_twice_the_work(kind: str) -> None:
    """Twice the text takes about twice the time; quadratic work takes four times (100,000 marks once took 34 s)."""
    short, long = _took(KINDS[kind](N), KINDS[kind](2 * N))
    assert long < 3 * max(short, 0.002), f"{short:.4f} s, then {long:.4f} s"


@pytest.mark.parametrize("kind", KINDS)
def test_a_megabyte_makes_no_view_longer_than_the_longest(kind: str) -> None:
    """A view is bounded even if characters expand."""
    plain, undisguised = views(KINDS[kind](2**20))
    assert len(plain) <= MAX_CHARACTERS and len(undisguised) <= MAX_CHARACTERS


def test_what_stands_at_the_end_of_an_endless_text_is_read() -> None:
    """A text that is too long keeps its start and its end."""
    view = conservative_view("you fool " + "x" * 2**20 + " you vermin")
    assert view.startswith("you fool") and view.endswith("you vermin")


def test_harm_between_phrases_in_one_letter_is_read() -> None:
    """Phrase characters are not expanded, so they cannot push other text out of the view."""
    assert "vermin" in conservative_view("\ufdfa" * 2000 + " vermin " + "\ufdfa" * 2000)


@pytest.mark.parametrize("digits", [8, 4_000, 4_301, 40_000])
def test_an_entity_with_endless_digits_is_no_character(digits: int) -> None:
    """A character reference of more than 4,300 digits raises no error, so the message is still scored."""
    assert conservative_view(f"&#{'9' * digits}; you") == "\ufffd you"
    assert conservative_view(f"&#{'0' * digits}65;") == "A"


def test_no_sorted_mark_is_overlooked() -> None:
    """Every character that Unicode sorts as a mark counts when a run is shortened."""
    every = map(chr, range(0x110000))
    assert not [c for c in every if not 0xD800 <= ord(c) < 0xE000 and _is_mark(c) and not _POSSIBLE_MARKS.match(c)]


def test_marks_that_spell_something_stay() -> None:
    """Hebrew with points, Vietnamese, Thai and Tibetan equal Unicode's own NFKC."""
    for text in ("שָׁלוֹם", "Việt Nam ngữ", "น้ำใจที่", "བཀྲ་ཤིས"):
        assert conservative_view(text) == unicodedata.normalize("NFKC", text)
