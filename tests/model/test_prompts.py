"""Prompts: versions follow the content, and a community's own categories are checked."""

import pytest

from model.labels import LABELS
from model.prompts import INSTRUCTION, RAW, Prompt, categories


def test_a_version_follows_the_content() -> None:
    """The same parts, the same version; any other part, another one."""
    again = Prompt(INSTRUCTION.instruction, INSTRUCTION.separator, INSTRUCTION.answers)
    others = [
        RAW,
        Prompt(INSTRUCTION.instruction + " ", INSTRUCTION.separator, INSTRUCTION.answers),
        Prompt(INSTRUCTION.instruction, INSTRUCTION.separator, INSTRUCTION.answers[::-1]),
    ]
    assert again.version == INSTRUCTION.version
    assert len({INSTRUCTION.version, *(other.version for other in others)}) == 4


def test_the_default_prompts_answer_with_the_labels() -> None:
    """In the order of every label axis."""
    assert INSTRUCTION.names == RAW.names == LABELS


def test_own_categories_stand_in_the_instruction() -> None:
    """The article's headlines: names and descriptions are read by the model, the names are the answers."""
    prompt = categories({"business": "companies and markets", "sport": "", "world news": "other countries"})
    assert prompt.names == ("business", "sport", "world news")
    assert "business: companies and markets\nsport\nworld news: other countries\n" in prompt.instruction


@pytest.mark.parametrize(
    "names", [["one"], ["a", "A"], ["a", ""], ["a", " b"], ["a", "b\nc"], ["a", "b" * 41], [f"n{n}" for n in range(17)]]
)
def test_categories_that_cannot_be_told_apart_are_refused(names: list[str]) -> None:
    """Too few, too many, empty, twice, of several lines, too long."""
    with pytest.raises(ValueError):
        categories(dict.fromkeys(names, ""))


def test_a_prompt_without_separator_or_answers_is_refused() -> None:
    """Nothing would tell the model that the message is over, or there would be nothing to choose from."""
    with pytest.raises(ValueError, match="separator"):
        Prompt("", "", (" a", " b"))
    with pytest.raises(ValueError, match="answers"):
        Prompt("", "#", (" a", " a"))
