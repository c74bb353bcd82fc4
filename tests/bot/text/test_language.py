"""What people read is there in every language."""

import re

import pytest
from fluent.syntax import FluentParser, ast

from bot.text.language import LANGUAGES, LOCALES, Language, UnknownText, language_of, say

NUMBERS = {"count", "minutes", "hours", "authors", "score", "threshold", "case", "days"}


def texts(language: Language) -> dict[str, set[str]]:
    """The arguments of each text."""
    source = (LOCALES / f"{language}.ftl").read_text(encoding="utf-8")
    resource = FluentParser().parse(source)
    assert not [entry for entry in resource.body if isinstance(entry, ast.Junk)]
    found = {}
    for entry in resource.body:
        if isinstance(entry, ast.Message):
            assert entry.span is not None
            found[entry.id.name] = set(re.findall(r"\$(\w+)", source[entry.span.start : entry.span.end]))
    return found


def test_every_text_is_there_in_every_language() -> None:
    """The same names, the same arguments, and each can be said whatever the numbers."""
    english = texts("en")
    for language in LANGUAGES:
        assert texts(language) == english
        for name, arguments in english.items():
            for number in (0, 1, 2, 5, 21):
                assert say(language, name, **{a: number if a in NUMBERS else "x" for a in arguments})


def test_every_text_that_is_asked_for_exists() -> None:
    """A name in the code that the locales do not have is found here and not by a moderator."""
    known, root = texts("en"), LOCALES.parents[1]
    asked = r'(?:say\((?:\w+(?:\.\w+)*, )?|Notice\(|described\()"([a-z][\w-]+)"'
    code = "\n".join(path.read_text(encoding="utf-8") for path in root.rglob("*.py"))
    names = set(re.findall(asked, code)) - set(LANGUAGES)
    assert len(names) > 80 and not names - set(known)


def test_russian_counts_as_russian_does() -> None:
    """One, few, many."""
    said = [say("ru", "action-timeout", minutes=n) for n in (1, 3, 5, 21)]
    assert [text.split()[-1] for text in said] == ["минуту", "минуты", "минут", "минуту"]


def test_an_unknown_text_or_argument_is_an_error() -> None:
    """Never half a sentence."""
    with pytest.raises(UnknownText, match="no text"):
        say("en", "no-such-text")
    with pytest.raises(UnknownText, match="card-title"):
        say("en", "card-title")
    assert language_of("ru") == "ru" and language_of("en-GB") == "en" and language_of("de") == "en"
