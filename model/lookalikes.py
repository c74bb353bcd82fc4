"""Which Latin letters a character may stand for: look-alikes of all scripts, leetspeak, braille, letters upside down.

The look-alikes are those of decancer, asked for single characters and kept; added is what its one answer leaves out.
"""

import re
import unicodedata
from collections.abc import Mapping
from functools import lru_cache

_DIGIT_LETTERS: Mapping[str, str] = {
    "0": "o",
    "1": "il",
    "2": "z",
    "3": "e",
    "4": "ah",
    "5": "s",
    "6": "gb",
    "7": "tl",
    "8": "b",
    "9": "gq",
}
_SIGN_LETTERS: Mapping[str, str] = {
    "@": "a",
    "$": "s",
    "!": "il",
    "|": "il",
    "+": "t",
    "(": "c",
    "<": "c",
    "^": "a",
    "€": "e",
    "£": "le",
    "¥": "y",
    "¢": "c",
    "§": "s",
    "©": "c",
    "®": "r",
    "&": "a",
    "#": "h",
    "¡": "i",
    "†": "t",
}
LEET: Mapping[str, str] = {**_DIGIT_LETTERS, **_SIGN_LETTERS}
"""Digit or sign -> the letters it may stand for, the likeliest first."""

_LIKELIER: Mapping[str, str] = {
    "б": "b",
    "в": "bv",
    "г": "rg",
    "д": "da",
    "и": "uni",
    "й": "uni",
    "л": "ln",
    "н": "hn",
    "п": "np",
    "р": "pr",
    "с": "cs",
    "у": "yu",
    "ф": "fo",
    "х": "xh",
    "ц": "u",
    "ч": "yuh",
    "ш": "w",
    "щ": "w",
    "ъ": "b",
    "ы": "b",
    "з": "ze",
    "э": "e",
    "я": "r",
    "ғ": "f",
    "џ": "u",
    "ӏ": "li",
    "ա": "awu",
    "բ": "bp",
    "գ": "gq",
    "դ": "ndq",
    "ե": "et",
    "զ": "qz",
    "է": "te",
    "ը": "np",
    "թ": "ptf",
    "ժ": "d",
    "ի": "hi",
    "խ": "fu",
    "ծ": "od",
    "կ": "klyu",
    "հ": "h",
    "ձ": "da",
    "ղ": "nq",
    "ճ": "d",
    "մ": "umd",
    "յ": "jy",
    "ն": "un",
    "շ": "zt",
    "ո": "nro",
    "պ": "uyw",
    "ջ": "g",
    "ռ": "nr",
    "ս": "us",
    "վ": "uqvy",
    "տ": "tum",
    "ր": "nr",
    "ց": "gcq",
    "ւ": "irl",
    "փ": "fp",
    "ք": "pqf",
    "օ": "o",
    "ֆ": "sf",
    "γ": "yg",
    "δ": "d",
    "ε": "e",
    "η": "nh",
    "θ": "o",
    "λ": "la",
    "μ": "um",
    "ν": "vn",
    "π": "np",
    "ρ": "pr",
    "σ": "os",
    "φ": "fqo",
    "χ": "xh",
    "ω": "wo",
    "ψ": "yw",
    "ς": "sc",
    "ʌ": "avu",
    "ɐ": "a",
    "ǝ": "e",
    "ə": "ea",
    "ɹ": "r",
    "ɥ": "h",
    "ʎ": "y",
    "ʍ": "mw",
    "ƃ": "g",
    "Ꭼ": "e",
    "Ꭹ": "y",
    "Ᏻ": "gy",
    "Ꮻ": "o",
    "Ꮎ": "o",
    "Ꮖ": "i",
    "Ꮋ": "h",
    "Ꮢ": "r",
    "Ꭱ": "re",
    "Ꭰ": "da",
    "Ꮤ": "w",
    "Ꮃ": "w",
    "Ꮞ": "y",
    "Ꮽ": "g",
    "ƚ": "tl",
    "ß": "sb",
    "ᔕ": "s",
    "ᔑ": "s",
    "丅": "t",
    "ⴸ": "b",
    "ⲅ": "r",
}
"""Look-alikes with several readings, or for which another letter than decancer's is likelier in a word."""
_DIGIT_NAMES: Mapping[str, str] = {
    "0": "o",
    "1": "i",
    "2": "sz",
    "3": "e",
    "4": "yua",
    "5": "s",
    "6": "bdg",
    "7": "lt",
    "8": "b",
    "9": "gq",
}

DRAWN: Mapping[str, str] = {
    drawn: letter
    for letter, ways in {
        "m": r"|\/| /\/\ |v| /v\ ^^",
        "n": r"|\| /\/ |v",
        "w": r"\/\/ \^/ vv \|/",
        "h": r"|-| ]-[ }{ (-) )-(",
        "u": r"|_| (_) \_/ /_/",
        "a": r"/\ /-\ ",
        "k": r"|< |{",
        "d": r"|) [) |] |>",
        "b": r"|3 |8",
        "r": r"|2 |?",
        "f": r"|= |#",
        "p": r"|* |o |^",
        "v": r"\/",
        "y": r"'/ `/",
        "x": r">< )(",
        "l": r"|_",
        "j": r"_| ,|",
        "o": r"()",
        "e": r"[-",
        "t": r"-|-",
        "z": r"7_",
    }.items()
    for drawn in ways.split()
}
"""Letters drawn with several signs."""

_BRAILLE_BITS = {
    **dict(zip("abcdefghij", b"\x01\x03\x09\x19\x11\x0b\x1b\x13\x0a\x1a", strict=True)),
    **dict(zip("klmnopqrst", b"\x05\x07\x0d\x1d\x15\x0f\x1f\x17\x0e\x1e", strict=True)),
    **dict(zip("uvwxyz", b"\x25\x27\x3a\x2d\x3d\x35", strict=True)),
}
_BRAILLE = {0x2800 + bits: letter for letter, bits in _BRAILLE_BITS.items()}
_PICTURE = re.compile("[\u2190-\u21ff\u2300-\u23ff\u25a0-\u27bf\u2900-\u2bff\ufe0f\U0001f000-\U0001faff]")
_MARKS = re.compile("[\u0300-\u036f]")
_NAMED = re.compile(r"LATIN (?:SMALL|CAPITAL) LETTER ([A-Z])(?: WITH .*)?$")
_BRAILLE_SIGN = re.compile("[\u2801-\u28ff]")

_TURNED_LETTERS = dict(
    zip("ɐɔǝəɟƃᵷɥᴉıɾʞןꞁɯɹʇʌʍʎ∀ꓭƆᗡƎℲ⅁˥ꓶԀᴚꓤ⊥ꓕ∩Λ⅄", "aceefgghiijkllmrtvwyabcdefgllprrttuvy", strict=True)
)
_TURNED = str.maketrans({**_TURNED_LETTERS, **dict(zip("bdpqnuwmWM", "qpdbunmwmw", strict=True))})
_TURNED_SIGN = re.compile("[ɐɔǝɟƃᵷɥᴉɾʞɯɹʇʌʍʎ∀ꓭƆᗡƎℲ⅁˥ꓶᴚꓤ⊥ꓕ⅄ןꞁ]")


@lru_cache(maxsize=8192)
def letters_for(char: str) -> str:
    """The Latin letters that a character may stand for, the likeliest first; none if it resembles none."""
    if "a" <= char <= "z":
        return char
    low = char.lower()
    if "a" <= low <= "z" and len(low) == 1:
        return low
    known = _LIKELIER.get(char) or _LIKELIER.get(low) or _LIKELIER.get(char.upper()) or LEET.get(char)
    if known is not None:
        return known
    if char.isascii():
        return ""
    if _PICTURE.match(char):
        return ""
    base = unicodedata.normalize("NFD", char)[0]
    if base != char:
        return letters_for(base)
    if named := _NAMED.match(unicodedata.name(char, "")):
        return named[1].lower()
    from decancer_py import parse  # only disguises need it: a machine that trains or measures has no such package

    likeness = str(parse(char))
    if likeness == low or not likeness.isascii():
        return ""
    if likeness in _DIGIT_NAMES:
        return _DIGIT_NAMES[likeness]
    return likeness if len(likeness) == 1 and likeness.isalpha() else ""


def is_foreign(char: str) -> bool:
    """Whether a character is a letter (or a sign for one) outside ASCII."""
    return char > "\x7f" and bool(letters_for(char))


def without_marks(text: str) -> str:
    """The text without the combining marks on its letters."""
    return text if text.isascii() else _MARKS.sub("", unicodedata.normalize("NFD", text))


def without_look_alikes(text: str) -> str:
    """The likeliest Latin letter for each character outside ASCII that stands for one."""
    if text.isascii():
        return text
    return "".join([letters_for(char)[:1] or char if char > "\x7f" else char for char in without_marks(text)])


def read_braille(text: str) -> str:
    """Letters for the signs of braille; the signs for capitals and numbers go."""
    if not _BRAILLE_SIGN.search(text):
        return text
    return _BRAILLE_SIGN.sub("", text.translate(_BRAILLE))


def turn_upside_down(text: str) -> str:
    """The text with its page turned by 180 degrees, if a letter of it is upside down."""
    return text[::-1].translate(_TURNED) if _TURNED_SIGN.search(text) else text
