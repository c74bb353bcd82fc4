"""Undoes disguises: the aggressive view of a text.

A text is read as it stands, and where that is no English also with braille as letters, upside down, and backwards.
Each reading finds the words that spelling hides (`model.spellings`) and puts together letters that stand apart. The
reading with most English words counts, if it is English at all (`READABLE`); otherwise only what needs no lexicon is
undone (`model.mixed_words`), so that other languages stay as they are. The work is linear in the text: parts of
`_PART_CHARACTERS` are read one by one.
"""

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from model import lexicon
from model.lookalikes import is_foreign, read_braille, turn_upside_down, without_look_alikes
from model.mixed_words import undo_word_by_word
from model.spellings import (
    ANY_SIGN,
    Sign,
    Word,
    drop_repeats,
    look,
    only_letter,
    punctuated,
    words_of_letters,
)
from model.styled import indicators_as_letters

READABLE = 0.5
"""The share of a text's letters that must be in English words, for a reading to count."""
_CLEAR = 0.9
"""A reading with this share is taken without looking at others."""
_BETTER = 0.1
"""How much more of another reading must be in words."""
_MOST_UNKNOWN = 6
"""What one unknown word counts at most: a name or a tag says little about the rest."""
_PART_CHARACTERS = 2000

_WORD_AND_SPACE = re.compile(r"(\s*)(\S+)")
_PUNCTUATED = re.compile(r"[.,;:?!]$")
_NO_INNER_VOWEL = re.compile(r"[aeiou]?[b-df-hj-np-tv-z]+")
_LINK = re.compile(r"https?://|www\.", re.IGNORECASE)
_STRETCHED = re.compile(r"([^\W\d_])\1{2,}")


class Reading(NamedTuple):
    """A text as it may be meant, the share of its letters that are in English words, and the signs of its words."""

    text: str
    share: float
    signs: int
    backwards: float
    """The share of its letters that are in words which read backwards are English."""


def undisguise(text: str) -> str:
    """The text without its disguises. `text` still has its line breaks and double spaces, which may part words."""
    if len(text) <= _PART_CHARACTERS:
        return _undisguised(text)
    return "".join(f"{_undisguised(part)}{space}" for part, space in _parts(text))


def _parts(text: str) -> Iterator[tuple[str, str]]:
    """The parts, each with the space behind it: none where a word is longer than a part."""
    at = 0
    while at < len(text):
        end = at + _PART_CHARACTERS
        space = max(text.rfind(" ", at + 1, end), text.rfind("\n", at + 1, end)) + 1 if end < len(text) else 0
        yield text[at : space or end], " " if space else ""
        at = space or end


def _undisguised(text: str) -> str:
    best = _read(text)
    if best.share < _CLEAR:
        for turned in _turned(text, best):
            reading = _read(turned)
            if reading.share > best.share + _BETTER:
                best = reading
    if best.share < READABLE:
        return _unstretched(undo_word_by_word(text))
    plain = best.text
    if not plain.isascii() and 2 * _foreign_words(plain) <= _foreign_words(text):
        plain = without_look_alikes(plain)
    return _unstretched(plain)


def _unstretched(text: str) -> str:
    if not _LINK.search(text):
        return _STRETCHED.sub(r"\1", text)
    return " ".join(word if _LINK.search(word) else _STRETCHED.sub(r"\1", word) for word in text.split(" "))


def _turned(text: str, reading: Reading) -> Iterator[str]:
    """The other ways to look at a text that may be English."""
    if reading.backwards > reading.share + _BETTER:
        yield text[::-1]
    if text.isascii():
        return
    for turn in (indicators_as_letters, read_braille, turn_upside_down):
        if (turned := turn(text)) != text:
            yield turned


def _foreign_words(text: str) -> int:
    return sum(any(map(is_foreign, word)) for word in text.split())


def _read(text: str) -> Reading:
    words = list(map(look, text.split()))
    signs = 0
    for word in words:
        signs |= word.signs
    if signs & ANY_SIGN:
        words = _by_their_neighbours(text, words, signs)
    known = total = backwards = 0
    for word in words:
        if (size := len(word.core) - 1) > 0:
            known += size if word.is_known else 0
            backwards += size if word.signs & Sign.BACKWARDS else 0
            total += size if word.is_known else min(size, _MOST_UNKNOWN)
    share, backward_share = (known / total, backwards / total) if total else (0.0, 0.0)
    return Reading(" ".join([word.text for word in words]), share, signs, backward_share)


def _by_their_neighbours(text: str, words: list[Word], signs: int) -> list[Word]:
    """Undoes what only the words around a word tell."""
    if signs & Sign.MASKED:
        words = _with_more_masked(words)
    if signs & (Sign.UNKNOWN | Sign.RARE):
        words = _joined_halves(words)
    if sum(word.signs & Sign.LETTER for word in words) > 2 * Sign.LETTER:
        words = _joined_letters(text, words)
    if signs & Sign.LEET:
        words = _with_more_leet(words)
    if signs & Sign.DOUBLED:
        words = _with_single_letters(words)
    if signs & Sign.BARE:
        words = _with_vowels(words)
    return words


# Words and letters that stand apart


def _joined_halves(words: list[Word]) -> list[Word]:
    """Puts words together that a space broke: "id iot". At least one part is no word, or a rare one in an insult."""
    joined: list[Word] = []
    at, last = 0, len(words) - 1
    while at <= last:
        if at < last and (words[at].signs | words[at + 1].signs) & (Sign.UNKNOWN | Sign.RARE):
            for end in range(min(at + 4, last + 1), at + 1, -1):
                parts = words[at:end]
                whole = "".join([part.core for part in parts])
                if _is_broken(whole, parts):
                    joined.append(look(punctuated(whole, parts[-1].written)))
                    at = end
                    break
            else:
                joined.append(words[at])
                at += 1
        else:
            joined.append(words[at])
            at += 1
    return joined


def _is_broken(whole: str, parts: Sequence[Word]) -> bool:
    if not 3 < len(whole) < 16 or not lexicon.is_word(whole) or max(len(part.core) for part in parts) < 2:
        return False
    if not all(part.core.isalpha() for part in parts):
        return False
    return not all(part.is_known for part in parts) or whole in lexicon.INSULTS


def _joined_letters(text: str, words: Sequence[Word]) -> list[Word]:
    """Puts letters together that spaces part, if they make up words: "y o u", "||y|| ||o|| ||u||".

    Wider spaces part words; where all are equally wide, the likeliest words are taken.
    """
    pieces = [(len(match.group(1)), match.group(2)) for match in _WORD_AND_SPACE.finditer(text)]
    written = [look(word) for _, word in pieces]
    if len(written) != len(words):
        words = written  # halves were joined: letters and halves in one text are read as letters
    joined: list[Word] = []
    at = 0
    while at < len(pieces):
        end = at
        while end < len(pieces) and written[end].signs & Sign.LETTER:
            end += 1
        if end - at > 2:
            joined += map(look, _close_up(pieces[at:end]))
            at = end
        else:
            end = max(end, at + 1)
            joined += words[at:end]
            at = end
    return joined


def _close_up(pieces: Sequence[tuple[int, str]]) -> list[str]:
    narrow = min(width for width, _ in pieces[1:])
    ends = [_PUNCTUATED.search(word) is not None for _, word in pieces]
    has_ends = 2 * sum(ends) < len(ends)
    parts: list[list[str]] = [[]]
    for place, (width, word) in enumerate(pieces):
        if place and (width > narrow or (has_ends and ends[place - 1])):
            parts.append([])
        parts[-1].append(word)
    closed: list[str] = []
    for part in parts:
        meant = words_of_letters("".join([only_letter(word) for word in part]))
        closed += [*meant[:-1], punctuated(meant[-1], part[-1])] if meant else part
    return closed


# What most words of a text have


def _with_more_leet(words: list[Word]) -> list[Word]:
    """Undoes leetspeak also where it may be a number or a unit ("15", "4n"), if a third of the other words have it."""
    undone = sum(word.signs & Sign.LEET for word in words) // Sign.LEET
    if undone < 2 or undone < 0.3 * len(words):
        return words
    return [look(word.text, everywhere=True) if word.signs & Sign.SIGNED else word for word in words]


def _with_more_masked(words: list[Word]) -> list[Word]:
    """Fills masks also where a word looks like a hashtag or a mention ("#d##t"), if others are masked by that sign; and
    if many words are masked, insults are no likelier than elsewhere."""
    for sign in "#@%*":
        masked = sum(sign in word.written and len(word.written) > 1 for word in words)
        if masked > 1 and any(sign in word.written[1:-1] for word in words):
            often = masked > 2 and masked >= 0.4 * len(words)
            words = [_filled(word, sign) if word.written[0] == sign or often else word for word in words]
    return words


def _filled(word: Word, sign: str) -> Word:
    if sign not in word.written:
        return word
    masked = word.written.replace(sign, "*")
    filled = look(masked, everywhere=True)
    return word if filled.text == masked else filled


def _with_single_letters(words: list[Word]) -> list[Word]:
    """Halves doubled letters, if a third of the longer words has no others: "yyoouu aarree"."""
    doubled = sum(word.signs & Sign.DOUBLED for word in words) // Sign.DOUBLED
    longer = sum(len(word.core) > 1 for word in words)
    if doubled < 2 or doubled < 0.3 * longer:
        return words
    return [
        look(punctuated(drop_repeats(word.core), word.written)) if word.signs & Sign.DOUBLED else word for word in words
    ]


def _with_vowels(words: list[Word]) -> list[Word]:
    """Restores dropped vowels: everywhere if most words have none, else in insults."""
    letters = [word for word in words if word.core.isalpha() and word.core not in ("a", "i")]
    without = [word for word in letters if _NO_INNER_VOWEL.fullmatch(word.core)]
    longer = sum(len(word.core) > 1 and not word.is_known for word in without)
    unknown = sum(not word.is_known for word in without)
    everywhere = (
        longer > 0
        and longer >= 0.25 * len(letters)
        and unknown >= max(2, 0.5 * len(letters))
        and len(without) >= 0.75 * len(letters)
    )
    return [_with_its_vowels(word, everywhere) for word in words]


def _with_its_vowels(word: Word, everywhere: bool) -> Word:
    if not _NO_INNER_VOWEL.fullmatch(word.core):
        return word
    if everywhere:
        likeliest = next(lexicon.of_consonants(word.core), "")
        return look(punctuated(likeliest, word.written)) if likeliest else word
    if len(word.core) < 3 or not word.signs & Sign.BARE:
        return word
    likeliest = next(lexicon.of_consonants(word.core), "")
    return look(punctuated(likeliest, word.written)) if likeliest in lexicon.INSULTS else word
