"""Keeps decisions that the journal may not show yet to a reader.

A standing is read from the journal while other decisions are on their way to it. Decisions made before or during the
read are kept here, so that two messages that are judged side by side know of each other, and no lock is held while the
disk is asked.
"""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Acted:
    """An action on an author for a message; `author` is the pseudonym, `counts` says whether the hourly cap counts
    it."""

    community: str
    author: str
    message: str
    at: datetime
    counts: bool


class PendingDecisions:
    """Decisions that are being written, and those that were written during a read."""

    def __init__(self) -> None:
        self._writing: dict[int, Acted] = {}
        self._written: dict[int, tuple[int, Acted]] = {}
        self._reads: dict[int, int] = {}
        self._moment = 0

    @contextlib.contextmanager
    def reading(self) -> Iterator[int]:
        """Surrounds a read of the journal; yields the moment for `since`."""
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
        """Returns the decisions that a read may have missed that began at this moment. Call it before the read's block
        ends."""
        late = (acted for moment, acted in self._written.values() if moment >= began)
        return [acted for acted in (*self._writing.values(), *late) if acted.community == community]

    def write(self, row: int, acted: Acted) -> None:
        """It is decided, and on its way to the journal."""
        self._writing[row] = acted

    def written(self, row: int) -> None:
        """The journal has the decision, or it came to nothing; a second call does nothing."""
        if (acted := self._writing.pop(row, None)) is not None and self._reads:
            self._moment += 1
            self._written[row] = (self._moment, acted)
