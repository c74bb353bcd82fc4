"""What can be done about a message. An action is data; platforms perform it, dry run is a platform that does not.

`ACTIONS` is the one table of them. A new action is its class and its entry here, its texts (`action-…` in both
languages), and a `case` in each platform's `perform` and `undo` and in its rights: docs/extending.md.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from bot.text.language import Language, say

LONGEST_TIMEOUT_MINUTES = 40_320
"""28 days: Discord takes no longer one."""


@dataclass(frozen=True, slots=True)
class Action:
    """One thing to do about a message. `name` stands in the journal, in policies and in texts' keys."""

    name: ClassVar[str] = ""


@dataclass(frozen=True, slots=True)
class Alert(Action):
    """Show the case to the moderators; touches nothing."""

    name: ClassVar[str] = "alert"


@dataclass(frozen=True, slots=True)
class Warn(Action):
    """Tell the author, once, which rule was broken: by this message, or by so many `messages` together."""

    messages: int = 1
    name: ClassVar[str] = "warn"


@dataclass(frozen=True, slots=True)
class Delete(Action):
    """Remove the message."""

    name: ClassVar[str] = "delete"


@dataclass(frozen=True, slots=True)
class Timeout(Action):
    """The author may not write for `minutes` (1 to 40,320: 28 days)."""

    minutes: int
    name: ClassVar[str] = "timeout"


@dataclass(frozen=True, slots=True)
class Kick(Action):
    """The author leaves the community and may come back."""

    name: ClassVar[str] = "kick"


@dataclass(frozen=True, slots=True)
class Ban(Action):
    """The author leaves and may not come back for `hours`; None is for good."""

    hours: int | None = None
    name: ClassVar[str] = "ban"


@dataclass(frozen=True, slots=True)
class Length:
    """How an action that lasts says how long: in its field `unit`, from 1 to `most`. A policy's `setting` has it.

    `text_for_good` is the wording of one without an end, whose unit is None; "" for an action that always ends.
    """

    unit: str
    setting: str
    most: float = float("inf")
    text_for_good: str = ""

    def is_valid(self, value: object) -> bool:
        """Whether an action may have this length."""
        if value is None:
            return bool(self.text_for_good)
        return isinstance(value, int) and 1 <= value <= self.most


@dataclass(frozen=True, slots=True)
class ActionSpec:
    """All that the service knows of one kind of action, except how platforms perform it.

    `text` is the key of its wording. `is_punishment`: a policy may name it. `is_reversible`: Undo can take it back; a
    warning was read, and a kicked person must come back by themselves. `covered_by` are kinds that go further: where
    one of them was done, this one need not be done any more.
    """

    kind: type[Action]
    text: str
    is_punishment: bool = True
    is_reversible: bool = False
    length: Length | None = None
    covered_by: tuple[type[Action], ...] = ()

    def make(self, length: int | None = None) -> Action:
        """One of this kind; `length` counts only where the kind has one."""
        return self.kind(**{self.length.unit: length}) if self.length is not None else self.kind()

    def length_of(self, action: Action) -> float:
        """In its unit, for comparison: infinite for good, 0 for what has no length."""
        if self.length is None:
            return 0.0
        value = getattr(action, self.length.unit)
        return float("inf") if value is None else float(value)


class ActionTable:
    """The kinds of actions, in the order in which they are done: the message first, then its author, who must still be
    there to be warned."""

    def __init__(self, specs: Sequence[ActionSpec]) -> None:
        self.specs = tuple(specs)
        self._by_name = {spec.kind.name: spec for spec in specs}

    @property
    def punishments(self) -> tuple[str, ...]:
        """The names that a policy may have among its actions."""
        return tuple(spec.kind.name for spec in self.specs if spec.is_punishment)

    def spec(self, action: Action) -> ActionSpec:
        """The entry of an action's kind."""
        return self._by_name[action.name]

    def is_reversible(self, action: Action) -> bool:
        """Whether Undo can take it back."""
        return self.spec(action).is_reversible

    def is_covered(self, action: Action, done: Sequence[Action]) -> bool:
        """Whether this action, or one that goes further, was done. An alert is shown again each time."""
        spec = self.spec(action)
        if not spec.is_punishment:
            return False
        same = (one for one in done if isinstance(one, spec.kind))
        return any(spec.length_of(one) >= spec.length_of(action) for one in same) or any(
            isinstance(one, spec.covered_by) for one in done
        )

    def together(self, done: Sequence[Action], more: Sequence[Action]) -> tuple[Action, ...]:
        """Each kind of action once, the longer of two, in the order in which they are done."""
        longest = list[Action]()
        for spec in self.specs:
            same = [action for action in (*done, *more) if isinstance(action, spec.kind)]
            longest += [max(same, key=spec.length_of)] if same else []
        return tuple(longest)

    def build(self, names: Sequence[str], settings: Mapping[str, Any]) -> tuple[Action, ...]:
        """A policy's actions from their names, each with its length from the policy's `settings`."""
        chosen = (spec for spec in self.specs if spec.is_punishment and spec.kind.name in names)
        return tuple(spec.make(settings[spec.length.setting] if spec.length is not None else None) for spec in chosen)

    def to_json(self, action: Action) -> dict[str, object]:
        """As kept in the journal."""
        length = self.spec(action).length
        return {"name": action.name} | ({} if length is None else {length.unit: getattr(action, length.unit)})

    def from_json(self, data: Mapping[str, Any]) -> Action:
        """The inverse of `to_json`; raises ValueError for anything else."""
        spec = self._by_name.get(str(data.get("name")))
        if spec is None:
            raise ValueError(f"not an action: {data}")
        if spec.length is None:
            return spec.make()
        value = data.get(spec.length.unit)
        if not spec.length.is_valid(value):
            raise ValueError(f"not an action: {data}")
        return spec.make(value)

    def text(self, language: Language, action: Action) -> str:
        """For people: "timeout for 60 minutes"."""
        spec = self.spec(action)
        if spec.length is None:
            return say(language, spec.text)
        value = getattr(action, spec.length.unit)
        return (
            say(language, spec.length.text_for_good)
            if value is None
            else say(language, spec.text, **{spec.length.unit: value})
        )


ACTIONS = ActionTable(
    (
        ActionSpec(Delete, "action-delete", is_reversible=True),
        ActionSpec(Warn, "action-warn"),
        ActionSpec(
            Timeout,
            "action-timeout",
            is_reversible=True,
            length=Length("minutes", "timeout_minutes", most=LONGEST_TIMEOUT_MINUTES),
            covered_by=(Ban,),
        ),
        ActionSpec(Kick, "action-kick", covered_by=(Ban,)),
        ActionSpec(
            Ban,
            "action-ban-hours",
            is_reversible=True,
            length=Length("hours", "ban_hours", text_for_good="action-ban"),
        ),
        ActionSpec(Alert, "action-alert", is_punishment=False),
    )
)


def to_json(action: Action) -> dict[str, object]:
    """As kept in the journal."""
    return ACTIONS.to_json(action)


def from_json(data: Mapping[str, Any]) -> Action:
    """The inverse of `to_json`; raises ValueError for anything else."""
    return ACTIONS.from_json(data)


def is_reversible(action: Action) -> bool:
    """Whether Undo can take it back."""
    return ACTIONS.is_reversible(action)


def action_text(language: Language, action: Action) -> str:
    """For people: "timeout for 60 minutes"."""
    return ACTIONS.text(language, action)
