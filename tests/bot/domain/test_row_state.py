"""The journal's states and what is still to be done: the strings in the store stay what they are."""

import json

import pytest

from bot.cases.card import DONE_WORDINGS
from bot.domain.action import Ban, Delete, Timeout, Warn
from bot.domain.remaining_actions import RemainingActions
from bot.domain.row_state import ACTING, DECIDED, FINISHED, UNDECIDED, UNFINISHED, RowState, sql_list
from bot.text.language import say


def test_the_stored_strings_stay() -> None:
    """Older stores hold them."""
    words = "seen shed scored intended sent undoing done failed gone exempt unchanged stopped"
    assert [str(state) for state in RowState] == words.split()
    assert json.dumps(RowState.SEEN) == '"seen"' and sql_list(*ACTING) == "'intended', 'sent'"


def test_every_state_is_in_one_group() -> None:
    """A state that nobody put into a group would never be finished, or never be looked for."""
    assert sorted((*UNDECIDED, *DECIDED, *FINISHED)) == sorted(RowState)
    assert set(UNFINISHED) == {*UNDECIDED, *DECIDED} and set(ACTING) < set(DECIDED)


@pytest.mark.parametrize("state", DONE_WORDINGS)
def test_a_state_that_a_card_words_has_its_sentence(state: RowState) -> None:
    assert say("en", f"done-{state}", actions="ban") != say("en", "done-done", actions="ban")
    assert say("ru", f"done-{state}", actions="ban") != say("ru", "done-done", actions="ban")


@pytest.mark.parametrize(
    ("remaining", "kept"),
    [
        (RemainingActions(), []),
        (RemainingActions((), RowState.FAILED), []),
        (RemainingActions((Delete(), Timeout(5))), [{"name": "delete"}, {"name": "timeout", "minutes": 5}]),
        (RemainingActions((Warn(),), RowState.GONE), [{"name": "warn"}, {"outcome": "gone"}]),
    ],
)
def test_what_is_still_to_be_done_is_kept(remaining: RemainingActions, kept: list[dict[str, object]]) -> None:
    """The outcome is kept only where something is left; without that the row's state says it."""
    assert remaining.to_json() == kept
    if remaining.actions:
        assert RemainingActions.from_json(kept) == remaining


def test_an_outcome_may_stand_alone_or_be_done() -> None:
    """An undo writes the outcome always."""
    written = [{"name": "ban", "hours": None}, {"outcome": "done"}]
    assert RemainingActions.from_json(written) == RemainingActions((Ban(),))
    assert RemainingActions.from_json([{"outcome": "failed"}]) == RemainingActions((), RowState.FAILED)
