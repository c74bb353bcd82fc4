"""How far a message has come in the journal: the states of its row, and the groups that are asked for."""

from enum import StrEnum


class RowState(StrEnum):
    """The state of a journal row. The values are what the store keeps."""

    SEEN = "seen"  # on disk, and in the line or to be put there
    SHED = "shed"  # the line had no room: it is taken up once there is room
    SCORED = "scored"
    INTENDED = "intended"  # decided; actions are still to be done
    SENT = "sent"  # the first action that is still to be done may have been done
    UNDOING = "undoing"  # a moderator has undone it; actions are still to be taken back
    DONE = "done"
    FAILED = "failed"
    GONE = "gone"  # the message or its author was not there any more
    EXEMPT = "exempt"  # not read
    UNCHANGED = "unchanged"  # an edit with the same words: not judged again
    STOPPED = "stopped"  # what was still to be done is not done: acting was paused, or a moderator has undone it


UNDECIDED = (RowState.SEEN, RowState.SHED, RowState.SCORED)
"""Waits for a decision."""
ACTING = (RowState.INTENDED, RowState.SENT)
"""Actions are still to be done."""
DECIDED = (*ACTING, RowState.UNDOING)
"""Decided, and something is still to be done or taken back."""
UNFINISHED = (*UNDECIDED, *DECIDED)
"""What a crash leaves half-way; another process goes on with it."""
FINISHED = tuple(state for state in RowState if state not in UNFINISHED)
"""Nothing more happens to it, unless a moderator undoes it."""
NOTHING_DONE = (RowState.FAILED, RowState.STOPPED)
"""States after which an action may still be done: it was not possible, or acting was paused."""


def sql_list(*states: RowState) -> str:
    """The states as SQL has them between the brackets of `IN (…)`."""
    return ", ".join(f"'{state}'" for state in states)
