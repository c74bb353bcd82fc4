"""Decides what an edit changes: one message is one offence, however often it is edited. Pure, except that the model is
asked once."""

import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace

from bot.domain.action import ACTIONS, Action, Alert, Warn
from bot.domain.decision import Band, Decision
from bot.domain.event import Message
from bot.domain.row_state import NOTHING_DONE, RowState
from bot.store.revisions import Revision

RANK = {Band.CLEAR: 0, Band.ALERT: 1, Band.ACTION: 2}
ABOUT = 0.05
"""A score that is lower by so little is as bad: the card shows the newer text."""
_WORD = re.compile(r"\w+")


@dataclass(frozen=True, slots=True)
class EditOutcome:
    """The outcome of an edit: the decision with all actions about the message, and those still to be done. `opens` says
    whether a moderator must look again; `takes` is the case that shows it, None for a new one."""

    decision: Decision
    todo: tuple[Action, ...]
    opens: bool
    takes: int | None = None


def is_unchanged(event: Message, earlier: Sequence[Revision]) -> bool:
    """Whether the revision before said and showed the same, and was read."""
    if not earlier or earlier[-1].row.state is RowState.EXEMPT:
        return False
    before = earlier[-1].row
    return (before.text, before.quoted) == (event.text, event.quoted)


def last_word(earlier: Sequence[Revision]) -> Revision | None:
    """The latest revision about which a moderator has said or undone something."""
    return next((revision for revision in reversed(earlier) if revision.answered), None)


def shown_revision(earlier: Sequence[Revision]) -> Revision | None:
    """The latest revision that has a case."""
    return next((revision for revision in reversed(earlier) if revision.case is not None), None)


async def has_same_flagged_words(before: str, after: str, band_of: Callable[[str], Awaitable[Band]]) -> bool:
    """Whether what is flagged in `after` was in `before` already: the new words are harmless by themselves, and the
    rest is flagged without them."""
    words_before = {word.casefold() for word in _WORD.findall(before)}
    added = [word for word in _WORD.findall(after) if word.casefold() not in words_before]
    if not added:
        return True
    without = _WORD.sub(lambda match: match[0] if match[0].casefold() in words_before else "", after)
    if RANK[await band_of(without)] < RANK[await band_of(after)]:
        return False
    return await band_of(" ".join(added)) is Band.CLEAR


def held_decision(decision: Decision) -> Decision:
    """A moderator has had the word on these flagged words: nothing is done or shown anew."""
    reason = f"{decision.reason}; a moderator has decided about these words"
    flags = (*decision.flags, "held")
    return replace(decision, actions=(), enforced=False, trips=False, counts=False, reason=reason, flags=flags)


def outcome_of_edit(decision: Decision, earlier: Sequence[Revision]) -> EditOutcome:
    """Only actions that earlier revisions did not bring are done; an unanswered case goes on with a revision that is as
    bad or worse."""
    before = shown_revision(earlier)
    if decision.band is Band.CLEAR:
        return EditOutcome(decision, (), opens=False)
    done = _done(earlier)
    wanted = decision.actions if decision.enforced else ()
    remaining = tuple(action for action in wanted if not ACTIONS.is_covered(action, done))
    touching = tuple(action for action in remaining if not isinstance(action, Alert))
    if before is None:
        return EditOutcome(decision, remaining, opens=True)
    previous = before.row.decision
    previous_rank, previous_score = (RANK[previous.band], previous.score) if previous is not None else (0, 0.0)
    worse = touching or before.answered or RANK[decision.band] > previous_rank
    as_bad = RANK[decision.band] == previous_rank
    is_kept = bool(done) and not decision.enforced and not before.answered  # its card can still undo what was done
    if is_kept or (not worse and not (as_bad and decision.score >= previous_score - ABOUT)):
        return EditOutcome(replace(decision, actions=(), counts=False), (), opens=False)
    combined = decision
    if decision.enforced:
        combined = replace(decision, actions=ACTIONS.together(done, decision.actions))
    return EditOutcome(combined, remaining, opens=True, takes=None if before.answered else before.case)


def _done(earlier: Sequence[Revision]) -> tuple[Action, ...]:
    """Returns the actions that were done or are being done about earlier revisions since the last Undo; a warning also
    where it is unsure."""
    done: tuple[Action, ...] = ()
    for revision in earlier:
        if revision.undone:
            done = ()
        elif revision.row.decision is not None:
            enforced = revision.row.decision.enforced_actions
            kept = [one for one in enforced if revision.row.state not in NOTHING_DONE or isinstance(one, Warn)]
            done = ACTIONS.together(done, kept)
    return done
