"""Writes emoji as their names, so that a base without pieces for them reads what they show.

`emoji_names.tsv` has each emoji of Unicode 17 without skin tones and its English name from the Unicode Common Locale
Data Repository (Unicode License V3). A name stands between spaces and has no other mark: a model that knows words
knows it.
"""

import re
from collections.abc import Iterator, Mapping, Set
from functools import cache
from pathlib import Path

MAX_EQUAL, MAX_IN_A_ROW = 2, 12
"""Equal emoji in a row that are written, and emoji in a row altogether (half of them the first, half the last): more
of them say nothing new and would push the words out of the window."""

_NAMES_FILE = Path(__file__).with_name("emoji_names.tsv")
_TONES = "\U0001f3fb-\U0001f3ff"
_PRESENTATION = "\ufe0e\ufe0f"
_ROW = re.compile(
    "(?:[\u2190-\u21ff\u231a-\u23ff\u24c2\u25aa-\u27bf\u2934\u2935\u2b05-\u2b55\u3030\u303d\u3297\u3299"
    "\U0001f004-\U0001faff][\u200d\u20e3" + _PRESENTATION + _TONES + "\U000e0020-\U000e007f \n]*)+"
)
"""One or more emoji with what may stand between and behind them."""
_TONE = re.compile(f"[{_TONES}]")
_GESTURES = frozenset("👋🤚🖐✋🖖🫱🫲🫳🫴🫷🫸👌🤌🤏✌🤞🫰🤟🤘🤙👈👉👆🖕👇☝🫵👍👎✊👊🤛🤜👏🙌🫶👐🤲🤝🙏✍💅🤳💪🦵🦶👂🦻👃")
"""Hands and other parts of a body: their skin tone says nothing of what they mean, and is not written."""
_IGNORED = re.compile(f"[{_PRESENTATION}]")
_KEYCAP = re.compile("([0-9#*])[\ufe0e\ufe0f]?\u20e3")
_CUSTOM = re.compile(r"<a?:(\w{2,32}):[0-9]{15,21}>")
_WORDS_OF_NAME = re.compile(r"[a-z]+|[A-Z]+(?![a-z])|[A-Z][a-z]+|[^\W\d_]+")


def name_emoji(text: str, *, around: str = " ") -> str:
    """The text with the names of its emoji in place of them, and of Discord's custom emoji (`<:party_blob:123…>`).

    Each name stands between white space, for emoji that `around`. Letters, digits and signs of text stay, such as
    keycaps (their digit), "©" and emoji that are letters. The work is linear in the text, and the result at most 20
    times as long.
    """
    if "<" in text:
        text = _CUSTOM.sub(lambda match: f" {_spoken(match[1])} ", text)
    if text.isascii():
        return text
    return _ROW.sub(lambda row: _name_row(row, around), _KEYCAP.sub(r"\1", text))


def _spoken(name: str) -> str:
    """ "party_blobDance2" -> "party blob dance"; the name itself if it has no letters."""
    return " ".join(_WORDS_OF_NAME.findall(name)).lower() or name


def _name_row(match: re.Match[str], around: str) -> str:
    row = match.group()
    parts: list[tuple[str, bool]] = list(_split(_IGNORED.sub("", row)))
    if not any(is_name for _, is_name in parts):
        return row
    kept = _bounded(parts)
    return "".join(f"{around}{part}{around}" if is_name else part for part, is_name in kept)


def _bounded(parts: list[tuple[str, bool]]) -> list[tuple[str, bool]]:
    """Without repeats above `MAX_EQUAL` in a row, and with the first and the last of more than `MAX_IN_A_ROW` names."""
    kept: list[tuple[str, bool]] = []
    last, equal = "", 0
    for part, is_name in parts:
        if is_name:
            last, equal = part, equal + 1 if part == last else 1
        elif not part.isspace():
            last = ""
        if not is_name or equal <= MAX_EQUAL:
            kept.append((part, is_name))
    names = [number for number, (_, is_name) in enumerate(kept) if is_name]
    if len(names) <= MAX_IN_A_ROW:
        return kept
    half = MAX_IN_A_ROW // 2
    return [*kept[: names[half]], *kept[names[-half] :]]


def _split(row: str) -> Iterator[tuple[str, bool]]:
    """(name, True) for each emoji of the row, the longest sequence first, and (characters, False) for the rest."""
    names, beginnings = _names()
    place, after_name = 0, False
    while place < len(row):
        if _TONE.match(row, place) and row[place] in names:
            yield names[row[place]], True
            place, after_name = place + 1, True
            continue
        sequence, end, tone = _longest(row, place, names, beginnings)
        if sequence:
            has_tone = tone and sequence not in _GESTURES
            yield (f"{names[sequence]} {names[tone]}" if has_tone else names[sequence]), True
            place, after_name = end, True
        elif row[place] == "\u200d" and (after_name or _longest(row, place + 1, names, beginnings)[0]):
            place += 1  # it joined an emoji to something
        else:
            yield row[place], False
            place, after_name = place + 1, False


def _longest(row: str, start: int, names: Mapping[str, str], beginnings: Set[str]) -> tuple[str, int, str]:
    """(the longest known sequence at `start`, where it ends in the row, the last skin tone within it)."""
    best, sequence, tone = ("", start, ""), "", ""
    for place in range(start, len(row)):
        if _TONE.match(row, place):
            if tone and sequence != best[0]:
                break  # no emoji has two tones in a row
            tone = row[place]
            if sequence == best[0]:
                best = (sequence, place + 1, tone)
            continue
        sequence += row[place]
        if sequence not in beginnings:
            break
        if sequence in names:
            best = (sequence, place + 1, tone)
    return best


@cache
def _names() -> tuple[Mapping[str, str], Set[str]]:
    """({emoji: name}, everything that an emoji begins with)."""
    rows = [line.split("\t") for line in _NAMES_FILE.read_text(encoding="utf-8").splitlines()]
    beginnings = {emoji[:end] for emoji, _ in rows for end in range(1, len(emoji) + 1)}
    return {emoji: name for emoji, name in rows}, beginnings
