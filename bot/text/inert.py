"""Text that members typed, without what is not seen: controls, marks that turn the writing direction, line separators.

Each platform then lays it out so that it does nothing else: in a code block, escaped.
"""

import unicodedata

_UNSEEN = {"Cc", "Cf", "Cs", "Zl", "Zp"}
_NEEDED = "\n\t\u200c\u200d"
"""Joiners stay: scripts and emoji need them."""


def plain(text: str, limit: int) -> str:
    """At most `limit` characters, the last one "…" where it was longer."""
    seen = "".join(c for c in _beginning(text, limit) if c in _NEEDED or unicodedata.category(c) not in _UNSEEN)
    return seen if len(seen) <= limit else seen[: limit - 1] + "…"


def one_line(text: str, limit: int) -> str:
    """The same without line breaks."""
    return plain(" ".join(_beginning(text, limit).split()), limit)


def _beginning(text: str, limit: int) -> str:
    """Cuts an endless text, and keeps enough of it to show `limit` characters, also where many are invisible."""
    return text[: 20 * limit + 1000]
