"""Notices to moderators beyond single cards, as data: each reader gets them in their own language."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from bot.domain.action import Action, action_text
from bot.text.language import Language, say


@dataclass(frozen=True, slots=True)
class Notice:
    """The text called `name` in the locales; for one community, or for all where `community` is "". `button` names what
    a moderator can do about it with one click, if anything."""

    name: str
    arguments: Mapping[str, "str | int | float | Action | Notice | tuple[Notice, ...]"] = field(default_factory=dict)
    community: str = ""
    button: str = ""

    def text(self, language: Language = "en") -> str:
        """Returns the text in this language."""
        return say(language, self.name, **{name: _said(language, value) for name, value in self.arguments.items()})


def _said(language: Language, value: "str | int | float | Action | Notice | tuple[Notice, ...]") -> str | int | float:
    """Says notices within a notice in the same language; several stand one a line."""
    if isinstance(value, tuple):
        return "\n".join(f"• {notice.text(language)}" for notice in value)
    if isinstance(value, Notice):
        return value.text(language)
    return value if isinstance(value, str | int | float) else action_text(language, value)
