"""Compares a moderator's correction with earlier ones of the same case. No I/O, no clock."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class CorrectionOutcome(StrEnum):
    """What a correction came to, given earlier ones."""

    FIRST = "first"
    AGREED = "agreed"
    OVERRODE = "overrode"
    CHANGED = "changed"
    SAME = "same"


@dataclass(frozen=True, slots=True)
class Correction:
    """One word on a case."""

    moderator: str
    label: str
    created_at: datetime


def compare(before: Sequence[Correction], moderator: str, label: str) -> CorrectionOutcome:
    """Compares a word with the last one, and an agreement with the moderator's own last one. `before`: oldest first."""
    if not before:
        return CorrectionOutcome.FIRST
    last = before[-1]
    if last.moderator == moderator:
        return CorrectionOutcome.SAME if last.label == label else CorrectionOutcome.CHANGED
    if last.label != label:
        return CorrectionOutcome.OVERRODE
    own = [earlier.label for earlier in before if earlier.moderator == moderator]
    return CorrectionOutcome.SAME if own[-1:] == [label] else CorrectionOutcome.AGREED
