"""Single words: what a spelling hides, and what it says about the words around it."""

import re
from enum import IntEnum
from functools import lru_cache
from typing import NamedTuple

from model import lexicon
from model.lookalikes import DRAWN, LEET, is_foreign, letters_for, without_marks

_LONGEST_WORD = 200
"""Longer words are read in pieces of this length."""
_LONGEST_DECODED = 24
_MOST_STEPS = 300
"""Beginnings of words that are tried for one disguised word."""
_COSTLIEST_LETTER = 3.1
"""The mean cost of a letter in words that were put together; chance makes costlier ones."""
_GLUED_LETTER = 2.4
"""The same for words without any sign between them."""
_RARE = 10.0
"""The cost of a word from which on it may be a part of an insult that a space broke."""

_EDGES = "\"'“”‘’«»()[]{}<>.,:;!?*_~`|-"
_LEFT_EDGES = _EDGES.replace("!", "")
_MASK_EDGES = _EDGES.replace("*", "").replace("_", "").replace("-", "")
_LEET_EDGES = "\"'“”‘’«».,:;?*_~`-"
_LINK = re.compile(r"https?://|www\.", re.IGNORECASE)
_NAME = re.compile(r"[\"'“”‘’(.]?(?:[@#]\w|<(?:[@#:]|a:))", re.IGNORECASE)
"""Mentions, hashtags, and emoji of a server."""
_CONTRACTION = re.compile(r"(?<=[a-z])(t|s|m|re|ve|ll|d)$")
_GROUP = re.compile(r"[^\W_]+")
_LEET_SIGN = re.compile(r"[0-9@$!|+€£¥¢§©®^(<&#†¡]")
_MASKED = re.compile(r"[*#%@]")
_STARRED = re.compile(r"[*#%]")
_LEET_LETTER = re.compile(r"[@$!|+*#%].|.[@$!|+*#%]")
_STARRED_END = re.compile(r"(?<![*#%])\w[*#%]+|[*#%]+\w(?![*#%])")
_MASK = re.compile(r"[*#%@x_.\-?•·●█■]")
_PLAIN_NUMBER = re.compile(
    r"[\"'(.,:;!?)%€$£-]*(?:\d+[a-z]{1,3}|[a-z]+\d{2,}|[a-z]{1,2}\d+|v?\d+(?:\.\d+)+\w*)[\"'(.,:;!?)%€$£-]*",
    re.IGNORECASE,
)
"""Numbers with units, versions, names with a year: "10km", "v1.2", "covid19"."""
_ABBREVIATION = re.compile(r"\W*(?:(?:[A-Z]\.){1,3}[A-Z]?|(?:[a-z]\.){2})\W*")
_COMMON = 8.5
"""The cost of a word up to which an abbreviation is taken for it: "Y.O.U"."""
_EVEN_RUNS = re.compile(r"(?:(.)\1)+")
_PAIR = re.compile(r"(.)\1")
_CONSONANTS = re.compile(r"[b-df-hj-np-tv-z]+")
_ALPHABET = "abcdefghijklmnopqrstuvwxyz"
_SOUNDS = (
    ("ph", "f"),
    ("zz", "ss"),
    ("z", "s"),
    ("kk", "ck"),
    ("ck", "k"),
    ("k", "ck"),
    ("k", "c"),
    ("x", "cks"),
    ("q", "g"),
)
_SINGLE = {"4": "a", "@": "a", "*": "a", "1": "i", "!": "i", "|": "i"}
_STROKE = re.compile(r"[|/\\()\[\]{}<>^]")
_DRAWN_LETTER = re.compile("|".join(re.escape(drawn) for drawn in sorted(DRAWN, key=len, reverse=True)))


class Sign(IntEnum):
    """What a word says about the disguise of the whole text."""

    LETTER = 1
    """It has one letter only."""
    UNKNOWN = 2
    """It has letters only and is no word."""
    RARE = 4
    """It is a rare word, or a part of one."""
    LEET = 8
    """It was leetspeak."""
    SIGNED = 16
    """It has digits or signs that may stand for letters."""
    MASKED = 32
    """It has signs that may mask letters."""
    DOUBLED = 64
    """It is no word, and all its letters come in pairs."""
    BARE = 128
    """It is no word and has no vowel."""
    BACKWARDS = 256
    """Read backwards it is a word."""


ANY_SIGN = int(Sign.LETTER | Sign.UNKNOWN | Sign.RARE | Sign.LEET | Sign.MASKED | Sign.DOUBLED | Sign.BARE)
"""The signs that lead to changes."""


class Word(NamedTuple):
    """A word as it was written and as it is meant; its lower-case letters ("" for numbers, links and mentions); and
    whether those are in the lexicon."""

    written: str
    text: str
    core: str
    is_known: bool
    signs: int


@lru_cache(maxsize=16384)
def look(written: str, *, everywhere: bool = False) -> Word:
    """Reads one word. `everywhere`: most of the text is disguised, so digits and signs in it stand for letters even if
    it looks like a number, and insults are no likelier than elsewhere."""
    if _LINK.search(written[:_LONGEST_WORD]) or (_NAME.match(written) and not everywhere):
        if written[0] == "@" and (insult := _insult_of(_core(written))):
            return Word(written, punctuated(insult, written), insult, True, int(Sign.LEET))
        signs = {"#": int(Sign.MASKED), "@": Sign.MASKED | Sign.SIGNED}.get(written[0], 0)
        return Word(written, written, "", False, signs)
    if len(written) > _LONGEST_WORD:
        return _look_at_pieces(written)
    core = _core(written)
    if lexicon.is_word(core) and not _has_drawn_end(written):
        signs = Sign.LETTER if len(core) == 1 else Sign.RARE if lexicon.costs()[core] > _RARE else 0
        signs |= _turned(core)
        return Word(written, written, core, True, signs)
    if only_letter(written) and not _STARRED_END.search(written) and not (everywhere and _LEET_LETTER.search(written)):
        return Word(
            written, _SINGLE.get(written, written) if everywhere else written, core, False, _signs(written, core)
        )
    if _is_abbreviation(written):
        return Word(written, written, "", False, 0)
    for way in (_respelled, _closed_up, _unleeted, _unstarred, _ungrouped, _unmasked):
        if (meant := way(written, core, everywhere)) is not None:
            signs = (Sign.LEET if way is _unleeted and _LEET_SIGN.search(written) else 0) | _turned(core)
            is_known = all(map(lexicon.is_word, meant.split(" ")))
            return Word(written, punctuated(meant, written), meant.replace(" ", ""), is_known, signs | _mask(written))
    return Word(written, written, core, False, _signs(written, core))


def _look_at_pieces(written: str) -> Word:
    pieces = [look(written[at : at + _LONGEST_WORD]) for at in range(0, len(written), _LONGEST_WORD)]
    if all(piece.text == piece.written for piece in pieces):
        return Word(written, written, _core(written), False, 0)
    letters = "".join(piece.core for piece in pieces)
    return Word(written, " ".join(piece.text for piece in pieces), letters, True, 0)


def _core(word: str) -> str:
    """The lower-case letters of a word without signs around it and apostrophes in it; "" for what has no letters."""
    core = word.lstrip(_LEFT_EDGES).rstrip(_EDGES).lower().replace("'", "").replace("’", "")
    return core if core.isalpha() or any(map(str.isalpha, core)) else ""


def _has_drawn_end(written: str) -> bool:
    """Whether a letter drawn with signs stands at an end of the word: "fuc|<"."""
    return _STROKE.search(written) is not None and _DRAWN_LETTER.search(written[-3:] + " " + written[:3]) is not None


def punctuated(meant: str, written: str) -> str:
    """What is meant, with the apostrophe and the punctuation of what was written."""
    if "'" in written or "’" in written:
        meant = _CONTRACTION.sub(r"'\1", meant)
    return meant + written[len(written.rstrip(".,;:?!…")) :]


def _signs(written: str, core: str) -> int:
    plain = core if core.isascii() else "".join([letters_for(char)[:1] or char for char in core])
    signs = _mask(written) | (Sign.LETTER if only_letter(written) else 0)
    if _LEET_SIGN.search(written):
        signs |= Sign.SIGNED
        plain = "".join([letters_for(char)[:1] or char for char in plain])
    if core.isalpha():
        signs |= Sign.UNKNOWN
        if _CONSONANTS.fullmatch(core):
            signs |= Sign.BARE
    if len(plain) > 1 and _EVEN_RUNS.fullmatch(plain):
        signs |= Sign.DOUBLED
    return signs | _turned(plain)


def _turned(core: str) -> int:
    return Sign.BACKWARDS if len(core) > 1 and lexicon.is_word(core[::-1]) else 0


def _mask(written: str) -> int:
    return Sign.MASKED if len(written) > 1 and _MASKED.search(written) else 0


@lru_cache(maxsize=4096)
def only_letter(word: str) -> str:
    """The one letter, digit or sign for a letter in a word; "" for longer words."""
    if len(word) == 1:
        return word if word.isalnum() or word in LEET else ""
    groups = _GROUP.findall(word) if len(word) < 12 else ()
    return groups[0] if len(groups) == 1 and len(groups[0]) == 1 and groups[0].isalpha() else ""


def drop_repeats(core: str) -> str:
    """One letter for each pair of equal ones."""
    return _PAIR.sub(r"\1", "".join([letters_for(char)[:1] or char for char in core]))


def words_of_letters(letters: str) -> list[str] | None:
    """The words that single letters make up, or None if they may as well stand alone: notes, points of a list,
    initials."""
    letters = letters.lower()
    if len(letters) < 2 or sum(map(str.isalpha, letters)) * 2 < len(letters):
        return None
    if word := _decoded(letters):
        return [word]
    plain = "".join([letters_for(char)[:1] or char for char in letters])
    words, cost = lexicon.split_words(plain)
    if cost <= _COSTLIEST_LETTER * len(plain):
        return words
    is_name = len(plain) > 3 and set(plain) & set("aeiou") and set(plain) - set("abcdefg")
    if not is_name or plain in _ALPHABET:
        return None
    return [plain] if len(plain) < 12 else words


# The ways in which a spelling hides a word: what is meant, or None


def _respelled(written: str, core: str, everywhere: bool) -> str | None:
    """Habits and sounds ("phuck", "biotch"), repeated letters, insults read backwards."""
    if meant := lexicon.SPELLINGS.get(core):
        return meant
    if not core.isascii() or not core.isalpha():
        return None
    if _PAIR.search(core):
        if _EVEN_RUNS.fullmatch(core) and lexicon.is_word(half := _PAIR.sub(r"\1", core)):
            return half
        if (single := lexicon.of_single_letters(core)) is not None:
            return single
    for spelled, heard in _SOUNDS:
        if spelled in core:
            respelled = core.replace(spelled, heard)
            if (meant := lexicon.SPELLINGS.get(respelled, respelled)) in lexicon.INSULTS:
                return meant
    if len(core) > 7 and (glued := _glued(core)):
        return glued
    return core[::-1] if len(core) > 4 and core[::-1] in lexicon.INSULTS else None


def _glued(core: str) -> str | None:
    """ "youareanidiot": three words or more without spaces, an insult among them."""
    words, cost = lexicon.split_words(core)
    return " ".join(words) if len(words) > 2 and cost < _GLUED_LETTER * len(core) and _has_insult(words) else None


def _has_insult(words: list[str]) -> bool:
    return any(len(word) > 3 and word in lexicon.INSULTS for word in words)


def _closed_up(written: str, core: str, everywhere: bool) -> str | None:
    """ "i.d.i.o.t", "||y||||o||||u||": single letters between signs that stand for no letters."""
    if written.startswith("||") and written.endswith("||"):
        written = written.replace("||", "·")
    groups = _GROUP.findall(written)
    if len(groups) < 2 or max(map(len, groups)) > 1:
        return None
    gaps = set(_GROUP.split(written)[1:-1])
    if all(_LEET_SIGN.search(gap) or gap == "*" for gap in gaps) and (
        len(gaps) > 1 or (len(groups) < 3 and max(map(len, gaps)) < 2)
    ):
        return None  # the signs are letters, or mask them
    return " ".join(words_of_letters("".join(groups)) or ()) or None


def _is_abbreviation(written: str) -> bool:
    """ "U.S.A.", "a.m.": up to four letters with dots, if they are no insult and no common word."""
    if not _ABBREVIATION.fullmatch(written):
        return False
    whole = "".join(_GROUP.findall(written)).lower()
    return len(whole) < 3 or (whole not in lexicon.INSULTS and lexicon.costs().get(whole, _RARE) > _COMMON)


def _unleeted(written: str, core: str, everywhere: bool) -> str | None:
    """ "1d10t", "|)1(|<", "ідіот": letters drawn with digits, signs and other letters."""
    if not everywhere and not core and not _STROKE.search(written):
        return None
    if not everywhere and _PLAIN_NUMBER.fullmatch(written):
        return _insult_of(core)
    word = without_marks(written)
    drawn = _DRAWN_LETTER.sub(lambda match: DRAWN[match.group()], word) if _STROKE.search(word) else word
    if drawn == written and not _LEET_SIGN.search(word) and not any(map(is_foreign, word)):
        return None
    for letters in dict.fromkeys((drawn.strip(_LEET_EDGES).rstrip("!"), _core(drawn), _core(word))):
        letters = letters.lower().replace("'", "").replace("’", "")
        if len(letters) < 2 or (letters.isdigit() and not everywhere):
            continue
        if meant := _decoded(letters) or lexicon.SPELLINGS.get(letters):
            return meant
        plain = "".join([letters_for(char)[:1] or char for char in letters])
        if meant := _respelled(plain, plain, everywhere) or _decoded_repeats(letters):
            return meant
    if not everywhere or not core or written[0] == "@":
        return None
    letters = drawn.strip(_LEET_EDGES).lower().replace("'", "").replace("’", "")
    return "".join([letters_for(char)[:1] for char in letters]) if all(map(letters_for, letters)) else None


def _unstarred(written: str, core: str, everywhere: bool) -> str | None:
    return _unmasked(written, core, everywhere) if _STARRED.search(written) else None


def _ungrouped(written: str, core: str, everywhere: bool) -> str | None:
    """ "fu-ck", "id💩iot", "yo**u**": letters in groups that are not all words."""
    groups = _GROUP.findall(written.lower())
    if len(groups) < 2 or not core or all(map(lexicon.is_word, groups)):
        return None
    whole = "".join(groups)
    if lexicon.is_word(whole):
        return whole
    if meant := lexicon.SPELLINGS.get(whole) or (None if _STARRED.search(written) else _decoded(whole)):
        return meant
    if len(groups) > 2 and len(whole) < 2 * len(groups):
        return " ".join(words_of_letters(whole) or ()) or None
    return None


def _unmasked(written: str, core: str, everywhere: bool) -> str | None:
    """ "f*ck", "b****": signs that stand for vowels, or in insults for any letters; other signs only in insults."""
    masked = written.strip(_MASK_EDGES).lower()
    masked = masked.replace("'", "").replace("’", "")
    if not 1 < len(masked) < 16 or (first := _MASK.search(masked)) is None:
        return None
    pattern = "".join(
        ["*" if char == first.group() or (char != "x" and _MASK.match(char)) else char for char in masked]
    )
    if not all("a" <= char <= "z" or char == "*" for char in pattern) or not pattern.strip("*"):
        return None
    return lexicon.of_mask(pattern, insults_only=first.group() not in "*#%", prefers_insults=not everywhere)


@lru_cache(maxsize=4096)
def _decoded(letters: str) -> str | None:
    """The likeliest word of which each character may stand for its letter."""
    if not 1 < len(letters) <= _LONGEST_DECODED:
        return None
    options = [letters_for(char) for char in letters]
    return lexicon.likeliest_spelling(options, _MOST_STEPS) if all(options) else None


def _insult_of(letters: str) -> str | None:
    """The insult that the characters stand for, if the likeliest word is one."""
    word = _decoded(letters)
    return word if word in lexicon.INSULTS else None


def _decoded_repeats(letters: str) -> str | None:
    """As `_decoded`, for words in which letters are repeated, each time perhaps by another look-alike."""
    merged: list[str] = []
    for char in letters[: 3 * _LONGEST_DECODED]:
        options = letters_for(char)
        if not options:
            return None
        common = "".join([letter for letter in merged[-1] if letter in options]) if merged else ""
        if common:
            merged[-1] = common
        else:
            merged.append(options)
    if len(merged) == len(letters) or not 1 < len(merged) <= _LONGEST_DECODED:
        return None
    return lexicon.likeliest_spelling(merged, _MOST_STEPS, any_repeats=True)
