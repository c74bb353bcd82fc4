"""What is still to be done about a message, as the journal keeps it before each step."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

from bot.domain import action as actions
from bot.domain.action import Action
from bot.domain.row_state import RowState


@dataclass(frozen=True, slots=True)
class RemainingActions:
    """The actions still to be done, or to be taken back, in order; `outcome` is what has come of the rest so far."""

    actions: tuple[Action, ...] = ()
    outcome: RowState = RowState.DONE

    def to_json(self) -> list[dict[str, object]]:
        """The actions, and behind them the outcome where it is not "done" and something is left."""
        listed = [actions.to_json(action) for action in self.actions]
        if self.actions and self.outcome != RowState.DONE:
            listed.append({"outcome": str(self.outcome)})
        return listed

    @classmethod
    def from_json(cls, data: Sequence[Mapping[str, Any]]) -> Self:
        """The inverse; raises ValueError for anything else."""
        outcome = next((RowState(one["outcome"]) for one in data if "outcome" in one), RowState.DONE)
        return cls(tuple(actions.from_json(one) for one in data if "outcome" not in one), outcome)
