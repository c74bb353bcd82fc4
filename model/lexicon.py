"""English words as chat has them, by frequency: tells disguised words from readable ones, and finds what they hide.

`lexicon.txt` is written by `training.lexicon`. The costs follow Zipf's law: the probability of a word falls with its
place in the list.
"""

import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path

LEXICON_FILE = Path(__file__).with_name("lexicon.txt")
INSULTS_FILE = Path(__file__).with_name("insults.txt")
"""A line for each insult: the word, then its respellings by sound or habit that no rule undoes."""
_LINES = tuple(line.split() for line in INSULTS_FILE.read_text(encoding="ascii").splitlines())
INSULTS = frozenset(line[0] for line in _LINES)
"""Words that people disguise: found first where several words fit a disguise."""
SPELLINGS: Mapping[str, str] = {respelled: line[0] for line in _LINES for respelled in line[1:]} | {
    "2day": "today",
    "2morrow": "tomorrow",
    "4ever": "forever",
    "b4": "before",
    "gr8": "great",
    "h8": "hate",
    "h8r": "hater",
    "h8rs": "haters",
    "j00": "you",
    "joo": "you",
    "l8r": "later",
    "m8": "mate",
    "w8": "wait",
}
"""Respelling -> word."""

_VOWEL = re.compile("[aeiou]")
_RUN = re.compile(r"(.)\1+")
_UNKNOWN_LETTER_COST = 5.0
_LATER_OPTION_COST = 1.0
_INSULT_BONUS = 2.5
_LONGEST = 15


@cache
def costs() -> Mapping[str, float]:
    """Word -> minus the logarithm of about its probability; read once."""
    words = LEXICON_FILE.read_text(encoding="ascii").split()
    found = {word: math.log(10 * (place + 3)) for place, word in enumerate(words) if word not in SPELLINGS}
    for word in INSULTS:
        found.setdefault(word, math.log(10 * len(words)))
    return found


def load() -> None:
    """Reads the words and builds every index, so that no text waits for one."""
    for key in (_unchanged, _single_letters, _masked, _consonants):
        _index(key)
    for of_single_letters in (False, True):
        _beginnings(of_single_letters)


def is_word(letters: str) -> bool:
    """Whether lower-case letters are a word of the lexicon."""
    return letters in costs()


def split_words(letters: str) -> tuple[list[str], float]:
    """The likeliest words that make up lower-case letters, and their cost; a letter that is in no word costs
    `_UNKNOWN_LETTER_COST`. The work is linear in the letters: no word is longer than `_LONGEST`."""
    known = costs()
    cost, back = [0.0], [0]
    for end in range(1, len(letters) + 1):
        best, start = cost[end - 1] + _UNKNOWN_LETTER_COST, end - 1
        for begin in range(max(0, end - _LONGEST), end):
            price = known.get(letters[begin:end])
            if price is not None and cost[begin] + price < best:
                best, start = cost[begin] + price, begin
        cost.append(best)
        back.append(start)
    words: list[str] = []
    end = len(letters)
    was_unknown = False
    while end:
        word = letters[back[end] : end]
        unknown = word not in known
        if unknown and was_unknown:
            words[-1] = word + words[-1]
        else:
            words.append(word)
        end, was_unknown = back[end], unknown
    return words[::-1], cost[-1]


def likeliest_spelling(options: Sequence[str], most_steps: int, *, any_repeats: bool = False) -> str | None:
    """The likeliest word whose letters are among the options for each place, the first option being the likeliest.

    With `any_repeats`, each place stands for any number of its letter. At most `most_steps` beginnings of words are
    looked at.
    """
    forms = _index(_single_letters if any_repeats else _unchanged)
    beginnings = _beginnings(any_repeats)
    best, least = None, math.inf
    rest: list[tuple[str, float]] = [("", 0.0)]
    while rest and most_steps:
        most_steps -= 1
        start, cost = rest.pop()
        if len(start) == len(options):
            if start in forms and cost + _disguised_cost(forms[start][0]) < least:
                best = forms[start][0]
                least = cost + _disguised_cost(best)
            continue
        letters = options[len(start)]
        for place in range(len(letters) - 1, -1, -1):
            longer = start + letters[place]
            if longer in beginnings:
                rest.append((longer, cost + place * _LATER_OPTION_COST))
    return best


def of_single_letters(word: str) -> str | None:
    """The likeliest word that differs only in how often letters are repeated."""
    return min(_index(_single_letters).get(_single_letters(word), ()), key=_disguised_cost, default=None)


def of_consonants(letters: str) -> Iterator[str]:
    """The words with the consonants of `letters`, and with its vowel where it begins with one; the commonest first."""
    for word in _index(_consonants).get(_consonants(letters), ()):
        if letters[0] not in "aeiou" or word[0] == letters[0]:
            yield word


def of_mask(pattern: str, *, insults_only: bool, prefers_insults: bool) -> str | None:
    """The likeliest word for a pattern, in which "*" stands for a vowel, or in an insult for any letter. More than one
    star in a row is mostly an insult."""
    wanted = re.compile(pattern.replace("*", "[a-z]"))
    words = [] if insults_only else [w for w in _index(_masked).get(_masked(pattern), ()) if wanted.fullmatch(w)]
    if pattern[0] != "*" and (prefers_insults or not words):
        insults = [word for word in _insults(pattern[0], len(pattern)) if wanted.fullmatch(word)]
        words = insults if "**" in pattern and insults else words + insults
    return min(words, key=_disguised_cost if prefers_insults else costs().__getitem__, default=None)


def _disguised_cost(word: str) -> float:
    return costs()[word] - (_INSULT_BONUS if word in INSULTS else 0.0)


def _unchanged(word: str) -> str:
    return word


def _single_letters(word: str) -> str:
    return _RUN.sub(r"\1", word)


def _masked(word: str) -> str:
    return _VOWEL.sub("*", word)


def _consonants(word: str) -> str:
    return _VOWEL.sub("", word)


@cache
def _index(key: Callable[[str], str]) -> Mapping[str, tuple[str, ...]]:
    found: dict[str, list[str]] = {}
    for word in sorted(costs(), key=costs().__getitem__):
        found.setdefault(key(word), []).append(word)
    return {name: tuple(words) for name, words in found.items()}


@cache
def _beginnings(of_single_letters: bool) -> frozenset[str]:
    forms = _index(_single_letters) if of_single_letters else costs()
    return frozenset(form[:end] for form in forms for end in range(len(form) + 1))


@cache
def _insults(first: str, length: int) -> tuple[str, ...]:
    return tuple(word for word in sorted(INSULTS) if len(word) == length and word[0] == first)
