"""What can be done about a message. An action is data; platforms perform it, dry run is a platform that does not."""

from dataclasses import dataclass
from typing import Literal

from bot.text.language import Language, say

ActionName = Literal["alert", "warn", "delete", "timeout", "kick", "ban"]


@dataclass(frozen=True, slots=True)
class Alert:
    """Show the case to the moderators; touches nothing."""

    name: Literal["alert"] = "alert"


@dataclass(frozen=True, slots=True)
class Warn:
    """Tell the author, once, which rule was broken: by this message, or by so many `messages` together."""

    messages: int = 1
    name: Literal["warn"] = "warn"


@dataclass(frozen=True, slots=True)
class Delete:
    """Remove the message."""

    name: Literal["delete"] = "delete"


@dataclass(frozen=True, slots=True)
class Timeout:
    """The author may not write for `minutes` (1 to 40,320: 28 days)."""

    minutes: int
    name: Literal["timeout"] = "timeout"


@dataclass(frozen=True, slots=True)
class Kick:
    """The author leaves the community and may come back."""

    name: Literal["kick"] = "kick"


@dataclass(frozen=True, slots=True)
class Ban:
    """The author leaves and may not come back for `hours`; None is for good."""

    hours: int | None = None
    name: Literal["ban"] = "ban"


Action = Alert | Warn | Delete | Timeout | Kick | Ban

REVERSIBLE: frozenset[str] = frozenset({"delete", "timeout", "ban"})
"""Actions that Undo can take back; a warning was read and a kicked person must come back by themselves."""


def to_json(action: Action) -> dict[str, object]:
    """As kept in the journal and a policy."""
    match action:
        case Timeout(minutes=minutes):
            return {"name": action.name, "minutes": minutes}
        case Ban(hours=hours):
            return {"name": action.name, "hours": hours}
        case _:
            return {"name": action.name}


def from_json(data: dict[str, object]) -> Action:
    """The inverse of `to_json`; raises ValueError for anything else."""
    match data:
        case {"name": "alert"}:
            return Alert()
        case {"name": "warn"}:
            return Warn()
        case {"name": "delete"}:
            return Delete()
        case {"name": "timeout", "minutes": int(minutes)} if 1 <= minutes <= 40_320:
            return Timeout(minutes)
        case {"name": "kick"}:
            return Kick()
        case {"name": "ban", "hours": int(hours)} if hours >= 1:
            return Ban(hours)
        case {"name": "ban"} if data.get("hours") is None:
            return Ban()
        case _:
            raise ValueError(f"not an action: {data}")


def action_text(language: Language, action: Action) -> str:
    """For people: "timeout for 60 minutes"."""
    match action:
        case Timeout(minutes=minutes):
            return say(language, "action-timeout", minutes=minutes)
        case Ban(hours=int(hours)):
            return say(language, "action-ban-hours", hours=hours)
        case _:
            return say(language, f"action-{action.name}")
