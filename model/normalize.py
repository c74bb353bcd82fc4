"""Two normalised forms of a text.

The *conservative* view removes only what never has meaning (entities, compatibility forms, invisible characters,
stacked marks) and writes emoji as their names; the model reads it. The *aggressive* view also undoes disguises
(look-alike letters, leetspeak, spaced or stretched words). It can damage harmless texts, so it may only raise a score,
for flagging.
"""

import html
import re
import unicodedata
from functools import lru_cache

from model.emoji import name_emoji

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

# Look-alikes that NFKC does not change: Cyrillic, Greek and other letters drawn like Latin ones, and small capitals.
_CONFUSABLES = str.maketrans(
    "аАвВсСеЕһНіІјЈкКмМоОрРѕЅтТуУхХԁԛԜԝԐѵЅгбзпи"
    + "αΑβΒεΕηΗιΙκΚΜνΝοΟρΡτΤυΥχΧγΖω"
    + "ᴀʙᴄᴅᴇꜰɢʜɪᴊᴋʟᴍɴᴏᴘʀꜱᴛᴜᴠᴡʏᴢɑɡıłøđħŧſꞵ",
    "aAbBcCeEhHiIjJkKmMoOpPsStTyYxXdqWwGvSrbznu"
    + "aAbBeEnHiIkKMvNoOpPtTuYxXyZw"
    + "abcdefghijklmnoprstuvwyzagilodhtsb",
)
_LEET = str.maketrans("013457@$!|+", "oieastasiit")
_LEET_SIGN = re.compile(r"[0-9@$!|+]")
_LEET_WORD = re.compile(r"(?=\S*[^\W\d_])(?=\S*[0-9@$!|+])\S+")
_PLAIN_LEET = re.compile(r"^\W*(?:\d+[a-z]{1,3}|[a-z]{1,2}\d+|\w*[a-z]\d{2,}|v?\d+(?:\.\d+)+\w*)\W*$", re.IGNORECASE)
_URL_OR_MENTION = re.compile(r"https?://|www\.|^[@#<]\w", re.IGNORECASE)
_SPACED = re.compile(r"(?<![\w'’])(?:\w(?![\w'’])[\s.\-_*,·•|/\\]{1,3}){2,}\w(?![\w'’])")
_INNER = re.compile(r"(?<=[^\W\d_])[.\-_*·•|/\\~^`´¨\"]{1,3}(?=[^\W\d_])")
_STRETCHED = re.compile(r"([^\W\d_])\1{2,}")
_TAIL = re.compile(r"[^\W\d_]*$")
_START = re.compile(r"[^\W\d_]*")
_ABBREVIATION = re.compile(r"^(?:[^\W\d_]\.){2,}$")


def conservative_view(text: str) -> str:
    """The text for the model: HTML entities, NFKC, line breaks, invisible characters and zalgo undone; meaning kept.

    Joiners stay beside scripts that need them, and emoji become their names (`model.emoji`). The work is linear in the
    text, and the view has at most `MAX_CHARACTERS` characters.
    """
    return _with_names(" ".join(_cleaned(text).split()))


def line_view(text: str) -> str:
    """The conservative view with a line break between lines that are not empty, and around the names of emoji: there a
    sentence ends."""
    return _with_line_breaks(_cleaned(text))


def views(text: str) -> tuple[str, str]:
    """Both views of a text: (conservative with its line breaks, aggressive)."""
    cleaned = _cleaned(text)
    return _with_line_breaks(cleaned), _with_names(_undisguised(" ".join(cleaned.split())))


def _with_names(text: str) -> str:
    """The text with the names of its emoji."""
    named = name_emoji(text)
    return text if named == text else _shortened(" ".join(named.split()))


def _with_line_breaks(text: str) -> str:
    """`line_view` of a text whose emoji are still there."""
    lines = (" ".join(line.split()) for line in name_emoji(text, around="\n").splitlines())
    return _shortened("\n".join(line for line in lines if line))


def _cleaned(text: str) -> str:
    """The conservative view, but with emoji and white space as they are."""
    text = _shortened(text)
    if not text.isascii():
        text = text.encode("utf-8", "replace").decode()  # replaces lone surrogates
    for _ in range(2):  # a text from two web forms is escaped twice
        text = _unescaped(text) if "&" in text else text
    if not text.isascii():
        text = _shortened(_compatible(text))
        text = _drop_joiners(_INVISIBLE.sub("", text))
        text = _thin_marks(text) if _POSSIBLE_MARKS.search(text) else text
    return text if text.isprintable() else _CONTROL.sub("", text)


def _undisguised(text: str) -> str:
    if not text.isascii():
        text = _fold_confusables(text)
    if _LEET_SIGN.search(text):
        text = " ".join(_unleet(word) for word in text.split(" "))
    text = _SPACED.sub(_close_up, text)
    if _INNER.search(text):
        words = text.split(" ")
        text = " ".join(w if _URL_OR_MENTION.search(w) else _INNER.sub(_drop_unless_compound, w) for w in words)
    return _STRETCHED.sub(r"\1", text)


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


def _fold_confusables(text: str) -> str:
    """Makes look-alikes Latin in words that mix scripts, and everywhere in a text that is mostly Latin."""
    latin = sum("a" <= c <= "z" for c in text.lower())
    mostly_latin = latin * 2 > sum(c.isalpha() for c in text)
    folded = []
    for word in text.split(" "):
        plain = unicodedata.normalize("NFD", word).translate(_CONFUSABLES)
        plain = "".join(c for c in plain if not "\u0300" <= c <= "\u036f")
        mixed = any("a" <= c <= "z" for c in word.lower())
        folded.append(plain if plain.isascii() and (mixed or mostly_latin) else word)
    return " ".join(folded)


def _unleet(word: str) -> str:
    """ "1d10t" -> "idiot"; numbers, units ("10km"), years and links stay unchanged."""
    if not _LEET_WORD.fullmatch(word) or _URL_OR_MENTION.search(word) or _PLAIN_LEET.match(word):
        return word
    core = word.rstrip("!?.,;:")
    return core.translate(_LEET) + word[len(core) :]


def _close_up(match: re.Match[str]) -> str:
    """ "s t u p i d" -> "stupid"; initials ("U.S.A.") and letters with combining marks stay unchanged."""
    spaced = match.group()
    if _ABBREVIATION.match(spaced + ".") or any(unicodedata.category(c).startswith("M") for c in spaced):
        return spaced
    return re.sub(r"[\W_]", "", spaced)


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
    return ""
