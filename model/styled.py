"""Letters in another dress, and turned text: what every reader sees as plain letters and NFKC leaves as it is.

Enclosed letters (🅨, 🆈, ⒴), regional indicators (🇾 🇴 🇺), keycaps, small capitals (ʏᴏᴜ) and the blank of braille mean
nothing but the letter, so the conservative view has them plain. A right-to-left override shows its text backwards.
"""

import re
import unicodedata
from collections.abc import Mapping

_WORDS = {
    0x1F18B: "IC",
    0x1F18C: "PA",
    0x1F18D: "SA",
    0x1F18E: "AB",
    0x1F18F: "WC",
    0x1F190: "DJ",
    0x1F191: "CL",
    0x1F192: "COOL",
    0x1F193: "FREE",
    0x1F194: "ID",
    0x1F195: "NEW",
    0x1F196: "NG",
    0x1F197: "OK",
    0x1F198: "SOS",
    0x1F199: "UP!",
    0x1F19A: "VS",
}
_PLAIN = _WORDS | {
    start + number: chr(first + number)
    for start, first in ((0x249C, 0x61), (0x1F110, 0x41), (0x1F150, 0x41), (0x1F170, 0x41))
    for number in range(26)
}
_PLAIN[0x2800] = " "
_STYLED = re.compile("[\u249c-\u24b5\u2800\U0001f110-\U0001f129\U0001f150-\U0001f169\U0001f170-\U0001f19a]\ufe0f?")
_SELECTORS = re.compile("(?<=[A-Za-z])[\ufe00-\ufe0f]+")
_KEYCAP = re.compile("([0-9#*])\ufe0f?\u20e3")

_INDICATORS = re.compile("[\U0001f1e6-\U0001f1ff]+")
_COUNTRIES: Mapping[str, str] = {
    "A": "CDEFGILMOQRSTUWXZ",
    "B": "ABDEFGHIJLMNOQRSTVWYZ",
    "C": "ACDFGHIKLMNOPRUVWXYZ",
    "D": "EGJKMOZ",
    "E": "ACEGHRSTU",
    "F": "IJKMOR",
    "G": "ABDEFGHILMNPQRSTUWY",
    "H": "KMNRTU",
    "I": "CDELMNOQRST",
    "J": "EMOP",
    "K": "EGHIMNPRWYZ",
    "L": "ABCIKRSTUVY",
    "M": "ACDEFGHKLMNOPQRSTUVWXYZ",
    "N": "ACEFGILOPRUZ",
    "O": "M",
    "P": "AEFGHKLMNRSTWY",
    "Q": "A",
    "R": "EOSUW",
    "S": "ABCDEGHIJKLMNORSTVXYZ",
    "T": "ACDFGHJKLMNORTVWZ",
    "U": "AGMNSYZ",
    "V": "ACEGINU",
    "W": "FS",
    "X": "K",
    "Y": "ET",
    "Z": "AMW",
}
"""First letter -> second letters of the pairs that are flags (ISO 3166-1 and Unicode's exceptions)."""

_SMALL = dict(zip(map(ord, "ᴀʙᴄᴅᴇꜰɢʜɪᴊᴋʟᴍɴᴏᴘꞯʀꜱᴛᴜᴠᴡʏᴢ"), "abcdefghijklmnopqrstuvwyz", strict=True))
_SMALL_SIGNS = "".join(map(chr, _SMALL))
_SMALL_WORD = re.compile(f"(?<!\\w)(?=[a-z]{{0,9}}[{_SMALL_SIGNS}])[a-z{_SMALL_SIGNS}]+(?![\\w\u0300-\u036f])")

_TURNS = re.compile("[\u202a-\u202e\u2066-\u2069\n]")
_OPENS, _CLOSES = frozenset("\u202a\u202b\u202d\u202e\u2066\u2067\u2068"), frozenset("\u202c\u2069")
_OVERRIDE = "\u202e"
_DEEPEST = 125
"""Nested directions that count (UAX #9, max_depth); deeper ones are no longer shown."""


def plain_letters(text: str) -> str:
    """Letters for enclosed letters, for regional indicators that are no flags, and for keycaps; a space for U+2800; no
    variation selectors behind Latin letters, which have no variants.

    Regional indicators are flags if each run of them consists of pairs that are countries; else all spell something.
    """
    text = _STYLED.sub(lambda match: _PLAIN.get(ord(match.group()[0]), match.group()), text)
    runs = _INDICATORS.findall(text)
    if runs and not all(map(_is_flags, runs)):
        text = indicators_as_letters(text)
    return _KEYCAP.sub(r"\1", _SELECTORS.sub("", text))


def indicators_as_letters(text: str) -> str:
    """Capital letters for all regional indicators, also for those of flags."""
    return _INDICATORS.sub(lambda match: _indicated(match.group()), text)


def _indicated(run: str) -> str:
    return "".join(chr(ord(char) - 0x1F1E6 + 0x41) for char in run)


def _is_flags(run: str) -> bool:
    letters = _indicated(run)
    return len(letters) % 2 == 0 and all(
        second in _COUNTRIES.get(first, "") for first, second in zip(letters[::2], letters[1::2], strict=True)
    )


def plain_small_capitals(text: str) -> str:
    """Lower-case letters for words in small capitals; phonetic spellings with other signs stay."""
    return _SMALL_WORD.sub(lambda match: match.group().translate(_SMALL), text)


def turn_overrides(text: str) -> str:
    """The text as it is shown: what stands behind a right-to-left override, up to its end or the end of the line, is
    turned. Hebrew and Arabic are shown from right to left in any case and stay."""
    if _OVERRIDE not in text:
        return text
    levels: list[tuple[bool, list[str]]] = [(False, [])]
    ignored = at = 0

    def close() -> None:
        turned, pieces = levels.pop()
        levels[-1][1].append(_backwards(pieces) if turned else "".join(pieces))

    for match in _TURNS.finditer(text):
        turned, pieces = levels[-1]
        between = text[at : match.start()]
        pieces += between if turned else [between]
        at, sign = match.end(), match.group()
        if sign in _OPENS:
            if len(levels) > _DEEPEST:
                ignored += 1
            else:
                levels.append((sign == _OVERRIDE, []))
        elif sign in _CLOSES:
            if ignored:
                ignored -= 1
            elif len(levels) > 1:
                close()
        else:
            ignored = 0
            while len(levels) > 1:
                close()
            levels[-1][1].append(sign)
    rest = text[at:]
    levels[-1][1].extend(rest if levels[-1][0] else [rest])
    while len(levels) > 1:
        close()
    return "".join(levels[0][1])


def _backwards(pieces: list[str]) -> str:
    whole = "".join(pieces)
    if any(unicodedata.bidirectional(char) in ("R", "AL") for char in whole):
        return whole
    return "".join(reversed(pieces))
