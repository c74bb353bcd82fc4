"""Letters in another dress and turned text are plain in the conservative view; what only looks alike stays."""

import time

import pytest

from model.normalize import conservative_view
from model.styled import turn_overrides


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("🅨🅞🅤 🆈🅾🆄 🅰🆁🅴", "YOU YOU ARE"),
        ("⒴⒪⒰ 🄐🄡🄔", "you ARE"),
        ("🇾🇴🇺 🇦🇷🇪", "YOU ARE"),
        ("🇾 🇴 🇺", "Y O U"),
        ("🇸\u200b🇭\u200b🇮\u200b🇹", "SHIT"),
        ("🆎🆑 🆗 🆔", "ABCL OK ID"),
        ("p1️⃣g #️⃣", "p1g #"),
        ("ʏᴏᴜ ᴀʀᴇ ꜱᴏ ᴄᴏᴏʟ, xxᴅ", "you are so cool, xxd"),
        ("y\u2800o\u2009u", "y o u"),
        ("s\ufe0ft\ufe01op", "stop"),
    ],
)
def test_letters_in_another_dress_are_plain(text: str, expected: str) -> None:
    """Enclosed letters, regional indicators, keycaps, small capitals, odd spaces, variation selectors."""
    assert conservative_view(text) == expected


@pytest.mark.parametrize(
    "text",
    ["ɡɪθʌb", "[ˈnɔʁt]", "❶ ▲", "Привет, Ελλάδα", "ʀʏ́θ", "a=b", "⠽⠑⠎"],
)
def test_what_means_something_stays(text: str) -> None:
    """Phonetic spellings, signs, other scripts, braille."""
    assert conservative_view(text) == text


def test_pairs_of_regional_indicators_are_flags() -> None:
    """Unless another run in the text spells something."""
    assert conservative_view("🇩🇪🇫🇷 🇺🇸") == "flag of Germany flag of France flag of United States"
    assert conservative_view("🇮🇹 🇮🇸 🇾🇴🇺") == "IT IS YOU"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("\u202etoidi na\u202c ok", "an idiot ok"),
        ("\u202etoidi\nyou", "idiot\nyou"),
        ("a \u202e3 \u202d12\u202c b\u202c c", "a b 12 3 c"),
        ("\u2067\u202ecba\u202c\u2069", "abc"),
        ("\u202eשלום\u202c", "שלום"),
        ("\u202c\u2069\u202eab", "ba"),
    ],
)
def test_a_text_behind_an_override_is_read_as_it_is_shown(text: str, expected: str) -> None:
    """Up to its end or the end of the line; a text inside that is shown from left to right stays so; Hebrew stays."""
    assert turn_overrides(text) == expected


@pytest.mark.parametrize("sign", ["\u202e", "\u202e\u202d", "\u202ea\u202c", "\u202e\n"])
def test_nested_overrides_are_linear(sign: str) -> None:
    """Deeper ones than Unicode's own limit are ignored."""
    began = time.thread_time()
    turn_overrides(sign * 40_000 + "abc" * 10_000)
    assert time.thread_time() - began < 5
