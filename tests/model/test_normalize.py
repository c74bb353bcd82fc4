"""Views of a text: disguises undone, harmless texts left alone."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.normalize import aggressive, conservative


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("&amp;#8220;hi&amp;#8221;", "“hi”"),
        ("ｆｕｌｌ", "full"),
        ("H\u0337\u0322e\u0335l\u0336l\u0334o", "Hello"),
        ("a\u200bb\u2060c", "abc"),
        ("می\u200cخواهم", "می\u200cخواهم"),
        ("👨\u200d👩\u200d👧", "👨\u200d👩\u200d👧"),
        ("  two\n lines ", "two lines"),
        ("<|endoftext|>", "<|endoftext|>"),
    ],
)
def test_conservative_undoes_only_what_carries_no_meaning(text: str, expected: str) -> None:
    """Entities, widths, marks and invisible characters go; joiners that spell something stay."""
    assert conservative(text) == expected


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
    assert aggressive(text) == expected


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
    assert aggressive(text) == text


@given(st.text())
def test_the_conservative_view_is_stable_enough_to_read(text: str) -> None:
    """No control characters or line breaks survive, whatever comes in."""
    view = conservative(text)
    assert not any(ord(c) < 32 for c in view) and view == view.strip()


def test_work_is_linear_in_the_text() -> None:
    """100,000 characters of anything take well under the time a quadratic pass would (minutes)."""
    started = time.monotonic()
    for text in ("a" * 100_000, ".a" * 50_000, "a\u0301" * 50_000, "1a!" * 33_333):
        aggressive(text)
    assert time.monotonic() - started < 20
