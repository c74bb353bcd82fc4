"""Two normalised forms of a text.

The *conservative* view removes only what never has meaning (entities, compatibility forms, styled letters, invisible
characters, stacked marks) and writes emoji as their names; the model reads it. The *aggressive* view also undoes
disguises (`model.disguises`). It can damage harmless texts, so it may only raise a score, for flagging.
"""

import html
import re
import unicodedata
from functools import lru_cache

from model import lexicon
from model.disguises import undisguise
from model.emoji import name_emoji
from model.styled import plain_letters, plain_small_capitals, turn_overrides

MAX_MARKS = 2
"""Combining marks kept after one base character. Real orthographies stack two or three at most, zalgo text dozens."""
MAX_CHARACTERS = 50_000
"""Characters of a view. A longer text is read at its start and its end; platforms allow less."""
_SAFE_RUN = 30
"""Consecutive marks that are normalised, as in Unicode's Stream-Safe Text Format (UAX #15, section 13): normalisation
sorts them in time that grows with the square of their number."""

_JOINERS = "\u200c\u200d"
_INVISIBLE = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180e\u200b\u200e\u200f\u202a-\u202e"
    "\u2060-\u206f\ufeff\ufff9-\ufffb\U000e0000-\U000e007f]"
)
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")
_POSSIBLE_MARKS = re.compile(
    "[^\x00-\u02ff\u0370-\u0482\u048a-\u052f\u2010-\u205e\u2100-\u2bff\u3041-\u3098\u309b-\ua66e\uac00-\ud7a3"
    "\U0001f000-\U0001faff]"
)
"""Characters outside the blocks of letters, signs and emoji that have no combining marks."""
_POSSIBLE_RUN = re.compile(f"{_POSSIBLE_MARKS.pattern}{{{_SAFE_RUN + 1},}}")
_PHRASES = re.compile("([\ufdfa\ufdfb])")
"""Single characters that NFKC expands into a whole phrase. They disguise nothing and stay. All others grow at most
sixfold."""
_ZEROS = re.compile(r"&#0+(?=[0-9])")
_NO_CHARACTER = re.compile(r"&#[0-9]{8,};?")
"""`html.unescape` raises for a number of more than 4,300 digits."""
_JOINER_SCRIPTS = re.compile(
    "[\u0590-\u08ff\u0900-\u0dff\u0f00-\u109f\u1780-\u17ff\u2600-\u27bf\ufe0f\U0001f000-\U0001faff]"
)


def conservative_view(text: str) -> str:
    """The text for the model: HTML entities, NFKC, styled letters, line breaks, invisible characters and zalgo undone;
    meaning kept.

    Joiners stay beside scripts that need them, and emoji become their names (`model.emoji`). The work is linear in the
    text, and the view has at most `MAX_CHARACTERS` characters.
    """
    return _with_names(_legible(text))


def line_view(text: str) -> str:
    """The conservative view with a line break between lines that are not empty, and around the names of emoji: there a
    sentence ends."""
    return _with_line_breaks(_legible(text))


def views(text: str) -> tuple[str, str]:
    """Both views of a text: (conservative with its line breaks, aggressive)."""
    legible = _legible(text)
    return _with_line_breaks(legible), _with_names(undisguise(legible))


def load_tables() -> None:
    """Reads the lexicon, its indexes and the tables of emoji and look-alikes, a quarter of a second in all, which the
    first disguise would wait for otherwise."""
    lexicon.load()
    views("\U0001f600 y\u043eu are")  # an emoji, and a Cyrillic letter among Latin ones


def _with_names(text: str) -> str:
    """The text in one line, with the names of its emoji."""
    return _shortened(" ".join(name_emoji(text).split()))


def _with_line_breaks(text: str) -> str:
    """`line_view` of a text whose emoji are still there."""
    lines = (" ".join(line.split()) for line in name_emoji(text, around="\n").splitlines())
    return _shortened("\n".join(line for line in lines if line))


def _legible(text: str) -> str:
    """The conservative view with its emoji, line breaks and double spaces: they part the words of a disguise."""
    text = _shortened(text)
    if not text.isascii():
        text = text.encode("utf-8", "replace").decode()  # replaces lone surrogates
    for _ in range(2):  # a text from two web forms is escaped twice
        text = _unescaped(text) if "&" in text else text
    if not text.isascii():
        text = plain_letters(turn_overrides(text))
        text = _shortened(_compatible(text))
        text = _drop_joiners(_INVISIBLE.sub("", text))
        text = _thin_marks(text) if _POSSIBLE_MARKS.search(text) else text
        text = plain_small_capitals(text)
    return text if text.isprintable() else _CONTROL.sub("", text)


def _shortened(text: str) -> str:
    if len(text) <= MAX_CHARACTERS:
        return text
    return f"{text[: MAX_CHARACTERS // 2]} {text[1 - MAX_CHARACTERS // 2 :]}"


def _unescaped(text: str) -> str:
    if "&#" in text:
        text = _NO_CHARACTER.sub("\ufffd", _ZEROS.sub("&#", text))
    return html.unescape(text)


def _compatible(text: str) -> str:
    """NFKC, but in linear time and at most six times as long."""
    text = _POSSIBLE_RUN.sub(_shorten_runs, text)
    if not _PHRASES.search(text):
        return unicodedata.normalize("NFKC", text)
    return "".join(
        part if place % 2 else unicodedata.normalize("NFKC", part) for place, part in enumerate(_PHRASES.split(text))
    )


def _shorten_runs(match: re.Match[str]) -> str:
    """Keeps the first `_SAFE_RUN` marks of each run of marks."""
    kept: list[str] = []
    run = 0
    for char in match.group():
        run = run + 1 if _is_mark(char) else 0
        if run <= _SAFE_RUN:
            kept.append(char)
    return "".join(kept)


@lru_cache(maxsize=8192)
def _is_mark(char: str) -> bool:
    """Whether NFKC sorts the character among the marks around it."""
    if unicodedata.category(char) in ("Mn", "Me"):
        return True
    return unicodedata.combining(unicodedata.normalize("NFKD", char)[0]) > 0


def _drop_joiners(text: str) -> str:
    """Removes zero-width (non-)joiners, except between characters of a script or emoji that uses them."""
    if not any(joiner in text for joiner in _JOINERS):
        return text
    kept = []
    for i, char in enumerate(text):
        if char in _JOINERS:
            before, after = text[i - 1 : i], text[i + 1 : i + 2]
            if not (_JOINER_SCRIPTS.match(before) and _JOINER_SCRIPTS.match(after)):
                continue
        kept.append(char)
    return "".join(kept)


def _thin_marks(text: str) -> str:
    """Keeps at most `MAX_MARKS` consecutive marks, and on Latin letters no mark that NFKC could not compose."""
    kept: list[str] = []
    marks, latin = 0, False
    for char in text:
        if unicodedata.category(char) in ("Mn", "Me"):
            marks += 1
            if marks > MAX_MARKS or (latin and "\u0300" <= char <= "\u036f"):
                continue
        else:
            marks, latin = 0, char.isascii()
        kept.append(char)
    return "".join(kept)
