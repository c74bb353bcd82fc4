"""Which texts the base for other languages reads."""

import time

import pytest

from model.languages import ACTING, english_run, foreign_language
from training.languages import read_languages
from training.samples import read_everyday, read_handwritten


def test_nearly_all_lines_of_a_language_are_told_from_english() -> None:
    """Lines of one word to a dozen: at most one in ten counts as English, and most have the right name."""
    lines = [(example.source[:2], foreign_language(example.text)) for example in read_languages()]
    for language in ACTING:
        told = [found for expected, found in lines if expected == language]
        assert len(told) >= 30
        assert sum(found != "" for found in told) >= 0.9 * len(told), language
        assert sum(found == language for found in told) >= 0.75 * len(told), language


def test_english_stays_with_the_base_for_english() -> None:
    """Of English sentences two in a hundred go astray, of short chat lines one in ten."""
    sentences = [example.text for example in read_handwritten() if len(example.text.split()) > 3]
    assert sum(foreign_language(text) != "" for text in sentences) <= 0.02 * len(sentences)
    everyday = [example.text for example in read_everyday() if example.source not in ("greeting", "name")]
    assert sum(foreign_language(text) != "" for text in everyday) <= 0.1 * len(everyday)


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("", ""),
        ("😂😂", ""),
        ("123 !!! https://example.org/привет", ""),
        ("@мария hello there everyone", ""),
        ("lol", ""),
        ("gg wp", ""),
        ("merci beaucoup", "fr"),
        ("привет", "ru"),
        ("こんにちは", "ja"),
        ("ქართული ენა", "ka"),
        ("lmao ты серьёзно", "ru"),
        ("Scheiß Juden", "de"),
        ("\ud800 hello everyone", ""),
        ("Ich hasse Montage " * 5000, "de"),
    ],
)
def test_some_texts(text: str, language: str) -> None:
    """Links, mentions, emoji and numbers say nothing; what is too short counts as English."""
    assert foreign_language(text) == language


@pytest.mark.parametrize(
    ("text", "run"),
    [
        ("you stupid bitch hyvää päivää kaikille", "you stupid bitch"),
        ("bon dia a tothom, SHUT up you ugly cunt!", "SHUT up you ugly cunt!"),
        ("merhaba go kill yourself arkadaşlar", "go kill yourself"),
        ("hyvää päivää ok kaikille ystäville", ""),
        ("", ""),
        ("you stupid", ""),
    ],
)
def test_the_english_run_of_a_foreign_text(text: str, run: str) -> None:
    """Three English words in a row are read in English, wherever they stand."""
    assert english_run(text) == run


def test_the_english_run_is_found_in_linear_time() -> None:
    """Ten times the words take about ten times as long."""
    times = []
    for count in (2_000, 20_000):
        text = "you are sana " * count
        began = time.process_time()
        english_run(text)
        times.append(time.process_time() - began)
    assert times[1] < 40 * times[0]
