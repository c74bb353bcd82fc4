"""Lists every command and button of a group with the right it takes; docs/telegram.md shows this table.

A right follows from what Telegram lets an administrator do, never from being an administrator alone. A person cannot
have the bot do what they may not do by hand: lifting a mute or a ban, and letting the bot act, take the right for it.
"""

from collections.abc import Mapping
from enum import Flag, auto

from bot.domain.action import Action, Ban, Delete, Kick, Timeout
from bot.domain.case import Case
from bot.domain.policy import Mode, Policy
from bot.pipeline.hourly_cap import RESUME

DELETE, RESTRICT = "can_delete_messages", "can_restrict_members"
CHANGE_INFO, PROMOTE = "can_change_info", "can_promote_members"


class Right(Flag):
    """To moderate: `DELETE` or `RESTRICT`. To manage the bot: `CHANGE_INFO` or `PROMOTE`. The owner has all."""

    MODERATE = auto()
    MANAGE = auto()


EVERYBODY, EITHER = Right(0), Right.MODERATE | Right.MANAGE
COMMANDS: Mapping[str, Right] = {
    "start": EVERYBODY,
    "help": EVERYBODY,
    "setup": EVERYBODY,  # a member sees what members can do
    "explain": EVERYBODY,  # about their own messages
    "report": EVERYBODY,
    "privacy": EVERYBODY,
    "mydata": EVERYBODY,
    "consent": EVERYBODY,
    "learning": EVERYBODY,
    "status": EITHER,
    "policy": EITHER,
    "test": Right.MODERATE,
    "case": Right.MODERATE,
    "history": Right.MODERATE,
    "preview": Right.MODERATE,
    "mode": Right.MANAGE,
    "skip": Right.MANAGE,
    "example": Right.MANAGE,
    "link": Right.MANAGE,
}
DEEDS: Mapping[str, Right] = {
    "policy …": Right.MANAGE,
    "explain …": Right.MODERATE,  # about others' messages
    "start mods_…": Right.MANAGE,  # in both chats
}
"""Uses of a command that take more rights than the command itself."""
BUTTONS: Mapping[str, Right] = {
    "in": EVERYBODY,
    "page": EVERYBODY,
    "mine": EVERYBODY,
    "set": Right.MANAGE,
    RESUME: Right.MODERATE,
    "right": Right.MODERATE,
    "wrong": Right.MODERATE,
    "label": Right.MODERATE,
    "undo": Right.MODERATE,
    "explain": Right.MODERATE,
    "back": Right.MODERATE,
    "next": Right.MODERATE,
    "card": Right.MODERATE,
}
REFUSALS: Mapping[Right, str] = {
    EITHER: "not-allowed-either-telegram",
    Right.MODERATE: "not-allowed-moderating-telegram",
    Right.MANAGE: "not-allowed-managing-telegram",
}


def rights_from(rights: frozenset[str]) -> Right:
    """Returns the bot's rights that follow from these rights of Telegram's."""
    rights_of_bot = Right.MODERATE if rights & {DELETE, RESTRICT} else EVERYBODY
    return rights_of_bot | Right.MANAGE if rights & {CHANGE_INFO, PROMOTE} else rights_of_bot


def right_for(action: Action) -> str | None:
    """The right of Telegram's that an action takes."""
    match action:
        case Delete():
            return DELETE
        case Timeout() | Kick() | Ban():
            return RESTRICT
        case _:
            return None


def rights_beyond(rights: frozenset[str], policy: Policy) -> list[str]:
    """Returns the rights that this policy makes the bot use and that are not among these; [] where the policy only
    shows."""
    if policy.mode is Mode.SHADOW:
        return []
    wanted: list[Action] = [*policy.hate.build(), *policy.offensive.build()]
    if policy.strikes.timeout_at is not None or policy.strikes.ban_at is not None:
        wanted.append(Ban())
    return sorted({right for action in wanted if (right := right_for(action)) is not None} - rights)


def rights_beyond_undo(rights: frozenset[str], case: Case) -> list[str]:
    """The rights that it takes to lift what was done about a case and that are not among these."""
    done = case.decision.enforced_actions
    lifted = {RESTRICT for action in done if isinstance(action, Timeout | Ban)}
    return sorted(lifted - rights)
