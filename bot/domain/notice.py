"""What moderators must know beyond single cards, as data: each reader gets it in their own language."""

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
        """In this language."""
        return say(language, self.name, **{name: _said(language, value) for name, value in self.arguments.items()})


def _said(language: Language, value: "str | int | float | Action | Notice | tuple[Notice, ...]") -> str | int | float:
    """Notices within a notice are said in the same language; several stand one a line."""
    if isinstance(value, tuple):
        return "\n".join(f"• {notice.text(language)}" for notice in value)
    if isinstance(value, Notice):
        return value.text(language)
    return value if isinstance(value, str | int | float) else action_text(language, value)
