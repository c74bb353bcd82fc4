"""Which script a letter is of, and what of a text a base can read.

A base without pieces for a script sees letters that say nothing to it, and what it says of them is chance. So words of
such scripts are left out, and a text of nothing else is *unread*: it gets no score at all.
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Set
from dataclasses import dataclass
from functools import lru_cache

LATIN = "Latin"
_LATIN_ONLY = re.compile("[\x00-\u024f\u1e00-\u1eff\u2000-\u2bff\U0001f000-\U0001faff]*")
_KANA = "Japanese"
_ONE = {
    "Cjk": "Chinese",
    "Ideographic": "Chinese",
    "Hiragana": _KANA,
    "Katakana": _KANA,
    "Hangul": "Korean",
    "Fullwidth": LATIN,
    "Modifier": LATIN,
    "Micro": LATIN,
    "Ohm": LATIN,
    "Kelvin": LATIN,
    "Angstrom": LATIN,
}
"""Scripts whose letters' names begin with another word."""


@dataclass(frozen=True, slots=True)
class Readable:
    """The words of a text that a base can read, and the script of most other letters where those are the majority; ""
    where the base reads most of the text."""

    text: str
    unread_script: str


def readable(text: str, scripts: Set[str] | None) -> Readable:
    """The words of a conservative view in these scripts; None stands for all scripts.

    A word counts as readable if at least half of its letters are. Words without letters stay.
    """
    if scripts is None or (_LATIN_ONLY.fullmatch(text) and LATIN in scripts):
        return Readable(text, "")
    kept: list[str] = []
    read, unread = 0, Counter[str]()
    for word in text.split(" "):
        counts = Counter(script for char in word if (script := script_of(char)))
        known = sum(count for script, count in counts.items() if script in scripts)
        if 2 * known >= counts.total():
            kept.append(word)
            read += known
        else:
            unread.update(counts)
    if unread.total() <= read:
        return Readable(" ".join(kept), "")
    if unread[_KANA]:  # Japanese has Chinese letters beside its own
        return Readable(" ".join(kept), _KANA)
    return Readable(" ".join(kept), max(unread, key=lambda script: (unread[script], script)))


@lru_cache(maxsize=8192)
def script_of(char: str) -> str:
    """The script of a letter by its Unicode name, such as "Latin" or "Georgian"; "" for anything but a letter."""
    if not char.isalpha():
        return ""
    first = unicodedata.name(char, "").partition(" ")[0].title()
    return _ONE.get(first.partition("-")[0], first)
