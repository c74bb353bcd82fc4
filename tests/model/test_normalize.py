"""The views undo disguises and leave harmless texts unchanged."""

import html
import sys
import time
import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model import normalize
from model.emoji import name_emoji
from model.normalize import conservative_view, line_view, views
from model.styled import plain_letters, plain_small_capitals, turn_overrides

NASTY = (
    "aAbz05$@!|+.-_*'’ \t\n\r\x0b\x1c\x1f\x7f\x85\xa0\u2028&#;x<>"
    "\u0301\u0337\u0483\u200b\u200d\ud800аѕ́Жéßیا้漢ｆ👩🏽\ufe0f😀"
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("&amp;#8220;hi&amp;#8221;", "“hi”"),
        ("ｆｕｌｌ", "full"),
        ("H\u0337\u0322e\u0335l\u0336l\u0334o", "Hello"),
        ("a\u200bb\u2060c", "abc"),
        ("می\u200cخواهم", "می\u200cخواهم"),
        ("👨\u200d👩\u200d👧", "family man woman girl"),
        ("  two\n lines ", "two lines"),
        ("<|endoftext|>", "<|endoftext|>"),
    ],
)
def test_conservative_undoes_only_what_carries_no_meaning(text: str, expected: str) -> None:
    """Entities, widths, marks and invisible characters go; joiners that spell something stay."""
    assert conservative_view(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1d10t", "idiot"),
        ("you are s t u p i d", "you are stupid"),
        ("i_d_i_o_t", "idiot"),
        ("ѕtuрid", "stupid"),
        ("stuuuupid", "stupid"),
        ("b!tch", "bitch"),
    ],
)
def test_aggressive_undoes_disguises(text: str, expected: str) -> None:
    """Leetspeak, spacing, look-alikes and stretching."""
    assert views(text)[1] == expected


@pytest.mark.parametrize(
    "text",
    [
        "привет как дела",
        "10km at 5pm in 2024",
        "covid19",
        "v1.2.3",
        "I'm a b tester",
        "https://a.b/c0d3",
        "state-of-the-art",
    ],
)
def test_aggressive_leaves_harmless_texts_alone(text: str) -> None:
    """Other scripts, numbers, versions and links."""
    assert views(text)[1] == text


@given(st.text())
def test_the_conservative_view_is_stable_enough_to_read(text: str) -> None:
    """A view never has control characters or line breaks."""
    view = conservative_view(text)
    assert not any(ord(c) < 32 for c in view) and view == view.strip()


def test_work_is_linear_in_the_text() -> None:
    """100,000 characters of any text take far less time than a quadratic pass (minutes)."""
    started = time.monotonic()
    for text in ("a" * 100_000, ".a" * 50_000, "a\u0301" * 50_000, "1a!" * 33_333):
        views(text)
    assert time.monotonic() - started < 20


@settings(deadline=None)  # the first text loads the lexicon
@given(st.one_of(st.text(), st.text(NASTY), st.text(st.characters(max_codepoint=0x7F))))
def test_short_cuts_change_nothing(text: str) -> None:
    """The conservative view is what the long way round makes of a text."""
    plain = views(text)[0].replace("\n", " ")
    assert plain == conservative_view(text) == _the_long_way(text)


@pytest.mark.parametrize("end", ["\n", "\r\n", "\u2028", " \n \n\t", "&#10;"])
def test_a_line_view_keeps_the_ends_of_lines(end: str) -> None:
    """Each line that is not empty stays a line of its own."""
    assert line_view(f" you  fool{end}have a nice day ") == "you fool\nhave a nice day"


def test_the_name_of_an_emoji_is_a_line_of_its_own() -> None:
    """Emoji between two sentences are what a full stop is; the view has the same words in the same order."""
    text = "you fool😊 😊 have a nice day"
    assert line_view(text).split("\n")[::3] == ["you fool", "have a nice day"]
    assert line_view(text).replace("\n", " ") == conservative_view(text)


def test_no_mark_is_overlooked() -> None:
    """The blocks that count as free of combining marks have none."""
    marks = (chr(number) for number in range(sys.maxunicode + 1) if unicodedata.category(chr(number)) in ("Mn", "Me"))
    assert not [mark for mark in marks if not normalize._POSSIBLE_MARKS.match(mark)]


def _the_long_way(text: str) -> str:
    """The slow reference: every step on every text."""
    text = text.encode("utf-8", "replace").decode()
    for _ in range(2):
        text = html.unescape(text)
    if not text.isascii():
        text = unicodedata.normalize("NFKC", plain_letters(turn_overrides(text)))
        text = normalize._thin_marks(normalize._drop_joiners(normalize._INVISIBLE.sub("", text)))
        text = plain_small_capitals(text)
    return " ".join(name_emoji(normalize._CONTROL.sub("", text)).split())
