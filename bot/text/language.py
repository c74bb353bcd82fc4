"""Texts by language: they lie in `locales/LANGUAGE.ftl` (Project Fluent, with its plural rules)."""

from functools import cache
from pathlib import Path
from typing import Literal, get_args

from fluent.runtime import FluentBundle, FluentResource

Language = Literal["en", "ru"]
LANGUAGES: tuple[Language, ...] = get_args(Language)
LONGEST_ARGUMENT = 2000
"""Fluent refuses a text with an argument of more than 2,500 characters; a long one is cut."""
LOCALES = Path(__file__).with_name("locales")


class UnknownText(Exception):
    """There is no text of that name, or it needs an argument that it was not given; see the locales folder."""


def say(language: Language, name: str, /, **arguments: str | int | float) -> str:
    """Returns the text called `name` with its arguments filled in as they are: members' texts must be inert already.

    Raises `UnknownText`; a test asks for every text in every language.
    """
    bundle = _bundle(language)
    if not bundle.has_message(name):
        raise UnknownText(f"no text {name} in {language}.ftl")
    pattern = bundle.get_message(name).value
    if pattern is None:
        raise UnknownText(f"text {name} in {language}.ftl is empty")
    fitting = {key: one[:LONGEST_ARGUMENT] if isinstance(one, str) else one for key, one in arguments.items()}
    text, errors = bundle.format_pattern(pattern, fitting)
    if errors:
        raise UnknownText(f"text {name} in {language}.ftl: {errors[0]}")
    return str(text)


def language_of(locale: str) -> Language:
    """Returns the nearest language to a platform's locale, such as "ru" or "en-GB"; English where there is none."""
    short = locale.partition("-")[0]
    return next((language for language in LANGUAGES if language == short), "en")


@cache
def _bundle(language: Language) -> FluentBundle:
    bundle = FluentBundle([language], use_isolating=False)
    bundle.add_resource(FluentResource((LOCALES / f"{language}.ftl").read_text(encoding="utf-8")))
    return bundle
