"""Decisions that the journal may not show yet to whoever reads it now.

A standing is read from the journal while other decisions are on their way to it. What was decided before it is read,
and what is decided meanwhile, is here: so two messages that are judged side by side know of each other, and nobody
holds a lock while the disk is asked.
"""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Acted:
    """Somebody is acted on for a message; `author` is the pseudonym, `counts` says whether the hourly cap counts it."""

    community: str
    author: str
    message: str
    at: datetime
    counts: bool


class PendingDecisions:
    """What is written, and what was written while somebody reads."""

    def __init__(self) -> None:
        self._writing: dict[int, Acted] = {}
        self._written: dict[int, tuple[int, Acted]] = {}
        self._reads: dict[int, int] = {}
        self._moment = 0

    @contextlib.contextmanager
    def reading(self) -> Iterator[int]:
        """While the journal is read; yields what `since` is told afterwards."""
        self._moment += 1
        number = began = self._moment
        self._reads[number] = began
        try:
            yield began
        finally:
            del self._reads[number]
            oldest = min(self._reads.values(), default=self._moment + 1)
            self._written = {row: one for row, one in self._written.items() if one[0] >= oldest}

    def since(self, began: int, community: str) -> list[Acted]:
        """What a read that began then may have missed. To be called before the read's block ends."""
        late = (acted for moment, acted in self._written.values() if moment >= began)
        return [acted for acted in (*self._writing.values(), *late) if acted.community == community]

    def write(self, row: int, acted: Acted) -> None:
        """It is decided, and on its way to the journal."""
        self._writing[row] = acted

    def written(self, row: int) -> None:
        """The journal has it, or nothing came of it; the second time it does nothing."""
        if (acted := self._writing.pop(row, None)) is not None and self._reads:
            self._moment += 1
            self._written[row] = (self._moment, acted)
