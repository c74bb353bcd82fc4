"""Text that members typed, laid out so that it does nothing: no mention, no link, no broken code block.

`discord.utils.escape_markdown` does not suffice: in `[ ||x|| [click](http://evil)` the masked link survives it. Inside
a code block nothing is interpreted, so long as the text cannot end the block.
"""

import unicodedata

from bot.language import Language, say

LONGEST_BLOCK = 3500
"""An embed's description holds 4,096 characters."""
_UNSEEN = {"Cc", "Cf", "Zl", "Zp"}
_NEEDED = "\n\t\u200c\u200d"
"""Controls, marks that turn the writing direction and line separators go; joiners stay, scripts and emoji need them."""


def block(text: str, language: Language, limit: int = LONGEST_BLOCK) -> str:
    """A code block with at most `limit` characters of the text; a sentence where the text is no longer kept."""
    if not text:
        return f"*{say(language, 'text-forgotten')}*"
    return f"```\n{_plain(text, limit)}\n```"


def inline(text: str, limit: int = 80) -> str:
    """Inline code of one line."""
    return f"`{_plain(' '.join(text.split()), limit) or ' '}`"


def _plain(text: str, limit: int) -> str:
    seen = (c for c in text if c in _NEEDED or unicodedata.category(c) not in _UNSEEN)
    text = "".join(seen).replace("`", "ˋ")
    return text if len(text) <= limit else text[: limit - 1] + "…"
