"""Finds the words in a platform's JSON, piece by piece, and whose words each piece is. Pure.

Every string is read unless its field is known to hold no person's words, so a field that a platform adds tomorrow is
read, too.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

FIRST = ("text", "content", "caption", "title", "question", "name", "label", "description")
"""Fields that are read before their neighbours; the rest follows by name, so that the same message always gives the
same text."""


MOST_ADDRESSES = 50
"""Only the first addresses of a message are looked for in its text."""


class Whose(StrEnum):
    """The author's own words, or another's that the author shows."""

    AUTHOR = "author"
    QUOTED = "quoted"


@dataclass(frozen=True, slots=True)
class Piece:
    """One string that a person wrote."""

    text: str
    whose: Whose


@dataclass(frozen=True, slots=True)
class Rules:
    """How a platform's JSON is read.

    `unwritten` lists fields without a person's words, by name or "part.name", each with the reason; a leading "*"
    stands for any beginning of a name. `whose` is called for each object inside: it returns whose words the object
    holds, or None where they are read elsewhere or not at all.
    """

    unwritten: Mapping[str, str]
    whose: Callable[[str, Mapping[str, Any], Whose], Whose | None]

    def why_unwritten(self, part: str, name: str) -> str | None:
        """Returns the reason why a field is not read; None for a field that is read."""
        for field in (f"{part}.{name}", name):
            if field in self.unwritten:
                return self.unwritten[field]
        ends = (f"*{name[at:]}" for at in range(1, len(name)) if name[at] == "_")
        return next((self.unwritten[end] for end in ends if end in self.unwritten), None)


def pieces(rules: Rules, value: Any, name: str = "", part: str = "", whose: Whose = Whose.AUTHOR) -> Iterator[Piece]:
    """Every piece in a value, which is the field `name` of the object that is called `part`.

    Strings mixed with objects are one running text, as rich text is.
    """
    if rules.why_unwritten(part, name) is not None:
        return
    if isinstance(value, str):
        yield Piece(value, whose)
    elif isinstance(value, Mapping):
        authorship = rules.whose(name, value, whose)
        if authorship is not None:
            for key in in_order(value):
                yield from pieces(rules, value[key], key, name, authorship)
    elif isinstance(value, list):
        inner_pieces = [piece for inner in value for piece in pieces(rules, inner, name, part, whose)]
        kinds = {isinstance(inner, str) for inner in value if isinstance(inner, str | Mapping)}
        yield from _running(inner_pieces) if kinds == {True, False} else inner_pieces


def in_order(fields: Iterable[str]) -> list[str]:
    """Names of fields as people read them."""
    return sorted(fields, key=lambda name: (FIRST.index(name) if name in FIRST else len(FIRST), name))


def joined(found: Iterable[Piece], whose: Whose) -> str:
    """Joins their pieces, one a line, each once; an address that stands in another piece is not repeated."""
    lines = list(dict.fromkeys(piece.text for piece in found if piece.whose is whose and piece.text.strip()))
    words = "\n".join(line for line in lines if not _is_address(line))
    addresses = [line for line in lines if _is_address(line)]
    already_there = {line for line in addresses[:MOST_ADDRESSES] if line in words}
    return "\n".join(line for line in lines if line not in already_there)


def _running(found: list[Piece]) -> Iterator[Piece]:
    """Joins the pieces of a running text by whose words they are; addresses behind it stay apart."""
    for whose in Whose:
        if text := "".join(piece.text for piece in found if piece.whose is whose and not _is_address(piece.text)):
            yield Piece(text, whose)
    yield from (piece for piece in found if _is_address(piece.text))


def _is_address(text: str) -> bool:
    return text.startswith(("http://", "https://", "tg://")) and not any(c.isspace() for c in text)
