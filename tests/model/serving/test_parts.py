"""Where a text is cut: sentences in all the ways that people type them, and short windows of words."""

import itertools
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.serving.parts import MAX_WORD_CHARACTERS, MIN_LETTERS, find_clauses, find_sentences, find_windows, spread


def sentences(text: str) -> list[str]:
    return [text[start:end] for start, end in find_sentences(text)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("you fool. have a nice day", ["you fool.", "have a nice day"]),
        ("you fool! Have a nice day", ["you fool!", "Have a nice day"]),
        ("you fool?! have a nice day!!", ["you fool?!", "have a nice day!!"]),
        ("you fool... have a nice day", ["you fool...", "have a nice day"]),
        ("you fool...have a nice day", ["you fool...", "have a nice day"]),
        ("you fool!have a nice day", ["you fool!", "have a nice day"]),
        ("you fool.Have a nice day", ["you fool.", "Have a nice day"]),
        ("you fool; have a nice day", ["you fool;", "have a nice day"]),
        ("you fool - have a nice day", ["you fool -", "have a nice day"]),
        ("you fool — have a nice day", ["you fool —", "have a nice day"]),
        ("you fool | have a nice day", ["you fool |", "have a nice day"]),
        ("you fool\nhave a nice day", ["you fool", "have a nice day"]),
        ("you fool 😊 have a nice day 😊", ["you fool", "have a nice day"]),
        ("you fool😊😊have a nice day", ["you fool", "have a nice day"]),
        ("you fool :) have a nice day", ["you fool :)", "have a nice day"]),
        ('He said "you fool." Disgusting.', ['He said "you fool."', "Disgusting."]),
        ("(you fool.) have a nice day", ["(you fool.)", "have a nice day"]),
        ("ты дурак. хорошего дня", ["ты дурак.", "хорошего дня"]),
        ("你真是个笨蛋。祝你今天愉快!谢谢大家", ["你真是个笨蛋。", "祝你今天愉快!", "谢谢大家"]),
        ("तुम मूर्ख हो। आपका दिन शुभ हो", ["तुम मूर्ख हो।", "आपका दिन शुभ हो"]),
        ("أنت أحمق؟ أتمنى لك يوما سعيدا", ["أنت أحمق؟", "أتمنى لك يوما سعيدا"]),
    ],
)
def test_a_sentence_ends(text: str, expected: list[str]) -> None:
    """After any mark that ends one, in any script, also without a space."""
    assert sentences(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "Mr. Smith and Dr. Brown met at 3.50 p.m. in the U.S. embassy",
        "see https://example.com/a.b?c=d!e;f for details",
        "version 1.2.3 costs 9.99 or 1. prize",
        "bring food, e.g. bread, cheese etc. for everybody",
        "foo.com is down",
        "no punctuation here at all",
        "a well-known mother-in-law",
        "wait, what, why, who",
        "it is 50 % off: buy now",
    ],
)
def test_a_sentence_does_not_end(text: str) -> None:
    """Within a link, a number or a compound, after an abbreviation, or at a comma."""
    assert sentences(text) == [text]


def test_very_short_sentences_are_no_parts() -> None:
    """What has next to no letters says nothing by itself."""
    assert sentences("ok. lol! :) 1, well then, 😊") == ["1, well then,"]


def test_one_token_a_line_is_many_lines() -> None:
    """Each line is a sentence of its own; only the whole has them together."""
    assert sentences("\n".join(["fools"] * 500)) == ["fools"] * 500


def test_clauses_lie_between_commas() -> None:
    """A sentence with commas has clauses; one without has none, and a number is not cut."""
    text = "you fool, have a nice day, it costs 1,000 euros"
    assert [text[start:end] for start, end in find_clauses(text, (0, len(text)))] == [
        "you fool",
        "have a nice day",
        "it costs 1,000 euros",
    ]
    assert find_clauses(text, (0, 8)) == []


def test_windows_cover_a_long_sentence_and_overlap() -> None:
    """Every word is in a window; no window is longer than so many words, and none leaves the sentence."""
    text = "skip this. " + " ".join(f"word{n}" for n in range(29))
    sentence = find_sentences(text)[1]
    windows = [text[start:end].split() for start, end in find_windows(text, sentence, 6)]
    assert {len(window) for window in windows} == {6}
    assert [window[0] for window in windows][:3] == ["word0", "word2", "word4"]
    assert {word for window in windows for word in window} == {f"word{n}" for n in range(29)}
    assert find_windows(text, find_sentences(text)[0], 6) == []


def test_a_text_without_spaces_has_windows() -> None:
    """Scripts without spaces and endless words are cut into pieces of so many characters."""
    text = "笨" * 400
    windows = find_windows(text, (0, 400), 4)
    assert windows[0] == (0, 4 * MAX_WORD_CHARACTERS) and windows[-1][1] == 400


def test_a_few_pieces_of_many_are_spread_over_all() -> None:
    """Start and end are always read; between them the places follow from the text, not from the length."""
    pieces = list(range(1000))
    chosen = spread(pieces, 32, "a")
    assert len(chosen) == 32 and chosen[:8] == pieces[:8] and chosen[-8:] == pieces[-8:]
    assert chosen == sorted(set(chosen))
    assert max(after - before for before, after in itertools.pairwise(chosen)) < 80
    assert chosen != spread(pieces, 32, "b") and spread(pieces, 32, "a") == chosen
    assert spread(pieces[:32], 32, "a") == pieces[:32]


@given(st.text(alphabet=st.sampled_from("ab. !?\n;|-😊:)\"'。1/"), max_size=300), st.integers(1, 12))
def test_parts_are_in_order_and_within_the_text(text: str, words: int) -> None:
    """Sentences follow each other and have letters; windows stay in their sentence."""
    end = 0
    for sentence in find_sentences(text):
        assert end <= sentence[0] < sentence[1] <= len(text)
        end = sentence[1]
        part = text[sentence[0] : end]
        assert part == part.strip() and sum(map(str.isalnum, part)) >= MIN_LETTERS
        for start, stop in find_windows(text, sentence, words):
            assert sentence[0] <= start < stop <= end


@pytest.mark.parametrize(
    "unit",
    ["!", "a.", ". ", "😊", "a", "-", " -", ")", '.")', ":)", " :", " :) ", "www.", "a!b", "\n", "。", "://!a", "a\n"],
)
def test_cutting_is_linear_in_the_text(unit: str) -> None:
    """50,000 characters of anything take well under a second; quadratic work would take minutes."""
    text = (unit * 50_000)[:50_000]
    began = time.process_time()
    for sentence in find_sentences(text):
        find_windows(text, sentence, 6)
    assert time.process_time() - began < 2
