"""What is to be done about one message, and why; and its JSON, as the journal keeps it."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Self

from bot.domain import action as actions
from bot.domain.action import Action, Alert
from model.classifier import Verdict
from model.kinds import Kind
from model.labels import HARMFUL, Label

UNREAD, WORDLESS, QUOTED, ALERT_ONLY = "unread", "wordless", "quoted", "alert-only"
"""Flags of a message that nobody could score, of one without a word in it, of one that is about others' words, and of
one whose kind the policy only shows."""


class Band(StrEnum):
    """Where a message's score fell. `EXAMPLE` is no band of a score: a moderator typed the text to teach, no member
    wrote it in a room, so no count of messages includes it."""

    CLEAR = "clear"
    ALERT = "alert"
    ACTION = "action"
    EXAMPLE = "example"


@dataclass(frozen=True, slots=True)
class Decision:
    """What is to be done about one message, and why.

    `actions` is what would be done; `enforced` says whether it will be. `threshold` is the bound that fired and
    `score` what was compared with it (0 and the harm where none fired). `trips` asks to pause acting and is not kept in
    the journal; `counts` says that an ordinary member is acted on. `unread_script` names the script of a message that
    the model could not read: its band is `CLEAR`, but nothing is known about it. `kind` is what kind of harm it is, if
    the model told.
    """

    band: Band
    label: Label
    score: float
    threshold: float
    actions: tuple[Action, ...] = ()
    enforced: bool = False
    reason: str = ""
    trips: bool = False
    counts: bool = False
    flags: tuple[str, ...] = ()
    unread_script: str = ""
    kind: Kind | None = None

    @property
    def touching_actions(self) -> tuple[Action, ...]:
        """The actions without the alert, which touches nothing; in shadow mode they are only shown."""
        return tuple(action for action in self.actions if not isinstance(action, Alert))

    @property
    def enforced_actions(self) -> tuple[Action, ...]:
        """The same where they are carried out; none in shadow mode."""
        return self.touching_actions if self.enforced else ()

    @property
    def is_unread(self) -> bool:
        """Whether no model could score the message: there is no label to show or to speak about."""
        return UNREAD in self.flags

    def to_json(self) -> dict[str, Any]:
        """As the journal keeps it. SQL reads `band`, `label`, `enforced`, `actions` and `counts` by these names."""
        return {
            "band": str(self.band),
            "label": str(self.label),
            "score": self.score,
            "threshold": self.threshold,
            "actions": [actions.to_json(action) for action in self.actions],
            "enforced": self.enforced,
            "reason": self.reason,
            "flags": list(self.flags),
            "counts": self.counts,
            **({"unread_script": self.unread_script} if self.unread_script else {}),
            **({"kind": str(self.kind)} if self.kind else {}),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """The inverse of `to_json`. Earlier versions did not write every key: a missing number is 0, a missing label is
        neutral, and the rest is empty or false.

        Raises `ValueError` for a band, a label, a kind or an action that does not exist, `KeyError` for a missing band.
        """
        return cls(
            Band(data["band"]),
            Label(data.get("label", Label.NEUTRAL)),
            float(data.get("score", 0.0)),
            float(data.get("threshold", 0.0)),
            tuple(actions.from_json(action) for action in data.get("actions", ())),
            enforced=bool(data.get("enforced", False)),
            reason=str(data.get("reason", "")),
            counts=bool(data.get("counts", False)),
            flags=tuple(data.get("flags", ())),
            unread_script=str(data.get("unread_script", "")),
            kind=Kind(data["kind"]) if data.get("kind") else None,
        )


def explained_label(decided: Label, verdict: Verdict) -> Label:
    """The label that an explanation speaks of: the decided one, or the likelier harm where nothing was found."""
    return decided if decided in HARMFUL else max(HARMFUL, key=lambda label: verdict.probabilities[label])


def unread_decision(why: str) -> Decision:
    """About a message that nobody could score: it is shown, and nothing else."""
    return Decision(Band.ALERT, Label.NEUTRAL, 0.0, 0.0, reason=why, flags=(UNREAD,))


def wordless_decision() -> Decision:
    """About a message without words that a member reported: it is shown, and nothing else."""
    return Decision(
        Band.ALERT, Label.NEUTRAL, 0.0, 0.0, reason="there is nothing to read in it", flags=(UNREAD, WORDLESS)
    )


def example(label: Label) -> Decision:
    """About a text that a moderator typed to teach `label`."""
    return Decision(Band.EXAMPLE, label, 0.0, 0.0, reason="written by a moderator", flags=(str(Band.EXAMPLE),))
