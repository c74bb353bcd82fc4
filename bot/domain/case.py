"""A message as the journal has it, and the case that was opened about it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from bot.domain.action import Action
from bot.domain.decision import Decision
from bot.domain.event import Attached, Author, MessageKey
from bot.domain.remaining_actions import RemainingActions
from bot.domain.restriction import Unchanged
from bot.domain.row_state import RowState


@dataclass(frozen=True, slots=True)
class Journalled:
    """A message's row in the journal."""

    id: int
    key: MessageKey
    state: RowState
    text: str
    decision: Decision | None
    """None while it waits, and where it was not read."""
    probabilities: Mapping[str, float]
    adapter: str
    sent_at: datetime
    author: str = ""
    """The author's pseudonym."""
    tries: int = 0
    """How often it was tried after a process had died with it."""
    todo: RemainingActions | None = None
    """The actions that are still to be done; None is all of the decision's."""
    unsure: str | None = None
    """The action that may have been done and is not repeated."""
    unchanged: Sequence["UnchangedAction"] = ()
    """Actions that left something as it stood."""
    quoted: str = ""
    """What others wrote and the author shows."""
    attached: tuple[Attached, ...] = ()
    unreadable: str = ""


@dataclass(frozen=True, slots=True)
class UnchangedAction:
    """An action that was not done, or `undoes`: not taken back, because of what stood."""

    action: Action
    what: Unchanged
    undoes: bool


class CaseState(StrEnum):
    """What moderators have said of a case. The values are what the store keeps."""

    OPEN = "open"
    CONFIRMED = "confirmed"
    CORRECTED = "corrected"
    UNDONE = "undone"


@dataclass(frozen=True, slots=True)
class Case:
    """One alert card and its history, with the message it is about."""

    id: int
    message: Journalled
    author: Author
    state: CaseState
    moderator: str | None
    corrected_label: str | None
    undone: bool
    teaches: bool | None
    created_at: datetime
    edited: str = ""
    """The band of the message's latest revision, where that came after the one this is about; "" where none did."""

    @property
    def decision(self) -> Decision:
        """What was decided about its message: a case is opened with or after a decision. Raises `LookupError` for a
        store that says otherwise."""
        if self.message.decision is None:
            raise LookupError(f"case {self.id} is about a message without a decision")
        return self.message.decision
