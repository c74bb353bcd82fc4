"""Emoji become their names: single ones, sequences, flags, skin tones, custom ones; what is no emoji stays."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.emoji import MAX_EQUAL, MAX_IN_A_ROW, _names, name_emoji
from model.normalize import conservative_view, views


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("😂", "face with tears of joy"),
        ("well done👏mate", "well done clapping hands mate"),
        ("❤️ or ❤", "red heart or red heart"),
        ("☺️", "smiling face"),
        ("👩🏿\u200d🦱", "woman curly hair dark skin tone"),
        ("👍🏽 ok", "thumbs up ok"),
        ("🖕🏿✊🏻✊", "middle finger raised fist raised fist"),
        ("🧑🏻\u200d🤝\u200d🧑🏿", "people holding hands dark skin tone"),
        ("🏳️\u200d🌈", "rainbow flag"),
        ("🇩🇪🇫🇷", "flag of Germany flag of France"),
        ("🤷\u200d♀️ dunno", "woman shrugging dunno"),
        ("1️⃣ first", "1 first"),
        ("👨\u200d", "man"),
        ("🏿", "dark skin tone"),
        ("<:pepe_laughHard:123456789012345678> ok", "pepe laugh hard ok"),
        ("<a:PartyBlob2:123456789012345678>", "party blob"),
    ],
)
def test_an_emoji_is_read_by_its_name(text: str, expected: str) -> None:
    """The names are the ones that keyboards and screen readers use."""
    assert conservative_view(text) == expected


@pytest.mark.parametrize(
    "text",
    ["© 2024", "a→b", "5 * 3 # 2", "★ four stars ★", "<a:x:1>", "<:short:12>", "i <3 u", "don’t…", "a • b", "½ cup"],
)
def test_what_is_no_emoji_stays(text: str) -> None:
    """Signs of text, hearts of letters, and what only looks like a custom emoji."""
    assert name_emoji(text) == text


@pytest.mark.parametrize("between", ["", " ", "\n", "\ufe0f"])
def test_repeats_are_bounded(between: str) -> None:
    """A row of a hundred equal emoji reads as a few, and so does one of a hundred different ones."""
    equal = between.join(["😂"] * 100)
    assert conservative_view(f"lol {equal} ok").count("face with tears of joy") == MAX_EQUAL
    different = between.join(["😂", "💀", "🔥", "🎉"] * 25)
    assert conservative_view(different).count("fire") <= MAX_IN_A_ROW // 4 + 1


def test_a_disguise_with_emoji_between_the_letters_is_undone_before_the_names() -> None:
    """The aggressive view never sees a name where an emoji stood between two letters of a word."""
    assert "skull" not in views("😂")[1] and views("hello 😂")[1] == "hello face with tears of joy"


def test_every_name_is_plain_words() -> None:
    """A name holds nothing but letters of Latin script, digits and a few signs, and no emoji is its own name."""
    names, beginnings = _names()
    assert len(names) > 1800 and set(names) < beginnings and max(map(len, beginnings)) >= 7
    assert not [name for name in names.values() if not all(c.isalnum() or c in " -'&.,!()" for c in name)]


@given(st.text(st.sampled_from("😂👍🏽👩\u200d🦱🇩🇪🏿\ufe0f❤ab 1\u20e3\U000e0067🏴")))
def test_no_emoji_is_left(text: str) -> None:
    """Whatever stands together, each emoji of the table is gone from the view, and naming twice changes nothing."""
    view = conservative_view(text)
    assert not set(view) & set("😂👍👩🦱❤") and name_emoji(view) == view
