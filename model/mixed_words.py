"""What can be undone without a lexicon, word by word: for texts that are no English."""

import re
import unicodedata

from model.lookalikes import without_look_alikes

_LATIN_LETTER = re.compile("[A-Za-z]")
_LEET = str.maketrans("013457@$!|+", "oieastasiit")
_LEET_SIGN = re.compile(r"[0-9@$!|+]")
_BESIDE_LETTERS = re.compile(r"(?<=[^\W\d_])[0-9@$!|+]+|[0-9@$!|+]+(?=[^\W\d_])")
_LEET_WORD = re.compile(r"(?=\S*[^\W\d_])(?=\S*[0-9@$!|+])\S+")
_PLAIN_LEET = re.compile(r"^\W*(?:\d+[a-z]{1,3}|[a-z]{1,2}\d+|\w*[a-z]\d{2,}|v?\d+(?:\.\d+)+\w*)\W*$", re.IGNORECASE)
_URL_OR_MENTION = re.compile(r"https?://|www\.|^[@#<]\w", re.IGNORECASE)
_SPACED = re.compile(r"(?<![\w'’])(?:\w(?![\w'’])[\s.\-_*,·•|/\\]{1,3}){2,}\w(?![\w'’])")
_INNER = re.compile(r"(?<=[^\W\d_])[.\-_*·•|/\\~^`´¨\"]{1,3}(?=[^\W\d_])")
_TAIL = re.compile(r"[^\W\d_]*$")
_START = re.compile(r"[^\W\d_]*")
_ABBREVIATION = re.compile(r"^(?:[^\W\d_]\.){2,}$")
_TWO_LETTERS = re.compile(r"(?<!\S)\w\W\w(?!\S)|(?<!\S)\w_\w(?!\S)")
_ALPHABET = "abcdefghijklmnopqrstuvwxyz"


def undo_word_by_word(text: str) -> str:
    """Undoes look-alikes in words that mix scripts, leetspeak, and letters that stand apart."""
    text = " ".join(text.split())
    if not text.isascii():
        text = _fold_mixed_words(text)
    if _LEET_SIGN.search(text):
        text = " ".join(_unleet(word) for word in text.split(" "))
    text = _SPACED.sub(_close_up, text)
    if _INNER.search(text):
        words = text.split(" ")
        text = " ".join(w if _URL_OR_MENTION.search(w) else _INNER.sub(_drop_unless_compound, w) for w in words)
    return text


def _fold_mixed_words(text: str) -> str:
    """Makes look-alikes Latin in words that mix scripts, and everywhere in a text that is mostly Latin."""
    latin = sum("a" <= c <= "z" for c in text.lower())
    mostly_latin = latin * 2 > sum(c.isalpha() for c in text)
    return " ".join(
        _folded(word) if not word.isascii() and (mostly_latin or _LATIN_LETTER.search(word)) else word
        for word in text.split(" ")
    )


def _folded(word: str) -> str:
    """The word in Latin letters, if letters of another alphabet stand in it; Latin ones with accents stay."""
    if all(char < "\x80" or not char.isalpha() or unicodedata.name(char, "").startswith("LATIN") for char in word):
        return word
    plain = without_look_alikes(word)
    return plain if plain.isascii() else word


def _unleet(word: str) -> str:
    """ "1d10t" -> "idiot"; numbers, units ("10km"), years and links stay unchanged."""
    if not _LEET_WORD.fullmatch(word) or _URL_OR_MENTION.search(word) or _PLAIN_LEET.match(word):
        return word
    core = word.rstrip("!?.,;:+")
    return _BESIDE_LETTERS.sub(lambda match: match.group().translate(_LEET), core) + word[len(core) :]


def _close_up(match: re.Match[str]) -> str:
    """ "s t u p i d" -> "stupid"; initials ("U.S.A."), the alphabet and letters with combining marks stay unchanged."""
    spaced = match.group()
    if _ABBREVIATION.match(spaced + ".") or any(unicodedata.category(c).startswith("M") for c in spaced):
        return spaced
    letters = re.sub(r"[\W_]", "", spaced)
    return spaced if letters.lower() in _ALPHABET or any(map(str.isdigit, letters)) else letters


def _drop_unless_compound(match: re.Match[str]) -> str:
    """Removes signs between single letters; between longer parts a hyphen or dot stays and other signs become a
    space."""
    text, mark = match.string, match.group()
    left = len(_TAIL.search(text, max(0, match.start() - 3), match.start()).group())  # type: ignore[union-attr]
    right = len(_START.match(text, match.end(), match.end() + 3).group())  # type: ignore[union-attr]
    if set(mark) == {"*"}:
        return mark  # it masks letters and does not separate them
    if left >= 2 and right >= 2:
        return mark if mark in "-." else " "
    if _TWO_LETTERS.search(text, max(0, match.start() - 2), match.end() + 2):
        return mark  # "w/o", "n/a", "O-O"
    return ""
