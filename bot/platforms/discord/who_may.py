"""Lists every command and button of a server with the right it takes; docs/discord.md shows this table.

A person cannot have the bot do what they may not do by hand: lifting a timeout or a ban, and letting the bot act, take
the right for it. A role from /setup lends these rights for the cards' buttons alone, so only a person who has them may
give the role away.
"""

from collections.abc import Mapping
from enum import IntEnum

import discord

from bot.domain.action import Ban, Timeout
from bot.domain.case import Case
from bot.domain.policy import Mode, Policy
from bot.domain.setup import Setup
from bot.platforms.discord.events import moderates_by_right
from bot.platforms.discord.rights import in_use, right_for

LENT = ("manage_messages", "moderate_members", "kick_members", "ban_members")
"""The rights that a role from /setup lends for the cards' buttons: all that a policy can have the bot do."""


class Level(IntEnum):
    """The levels of rights: any member, a moderator, a manager of the server."""

    MEMBER = 0
    MODERATOR = 1
    MANAGER = 2


COMMANDS: Mapping[str, Level] = {
    "explain": Level.MEMBER,  # about their own messages
    "Explain": Level.MEMBER,
    "report": Level.MEMBER,
    "Report to moderators": Level.MEMBER,
    "privacy": Level.MEMBER,
    "mydata export": Level.MEMBER,
    "mydata erase": Level.MEMBER,
    "consent": Level.MEMBER,
    "learning": Level.MEMBER,
    "help": Level.MEMBER,
    "test": Level.MODERATOR,
    "preview": Level.MODERATOR,
    "status": Level.MODERATOR,
    "case": Level.MODERATOR,
    "history": Level.MODERATOR,
    "policy": Level.MODERATOR,
    "setup": Level.MANAGER,
    "mode": Level.MANAGER,
    "skip": Level.MANAGER,
    "example": Level.MANAGER,
    "link": Level.MANAGER,
}
DEEDS: Mapping[str, Level] = {
    "explain …": Level.MODERATOR,  # about others' messages
    "policy …": Level.MANAGER,
    "learning: on, off": Level.MANAGER,
    "learning: write an example": Level.MANAGER,
}
"""Uses of a command that take a higher level than the command itself."""
BUTTONS: Mapping[str, Level] = {
    "right": Level.MODERATOR,
    "wrong": Level.MODERATOR,
    "label": Level.MODERATOR,
    "undo": Level.MODERATOR,
    "explain": Level.MODERATOR,
    "back": Level.MODERATOR,
    "digest": Level.MODERATOR,
    "resume": Level.MODERATOR,
}


def level_of(sent: discord.Permissions, member: discord.Member, setup: Setup) -> Level:
    """Returns the level by the roles and rights that Discord sent with the click. A timed-out member has the lowest.

    Roles count as on the whole server: a member who may delete in one channel only does not see the cases of others.
    """
    may = member.guild_permissions
    if member.bot or (member.is_timed_out() and not may.administrator):
        return Level.MEMBER
    if (may.administrator or may.manage_guild) and (sent.administrator or sent.manage_guild):
        return Level.MANAGER
    return Level.MODERATOR if moderates_by_right(may) or has_lent_role(member, setup) else Level.MEMBER


def has_lent_role(member: discord.Member, setup: Setup) -> bool:
    """Whether a member has a role from /setup."""
    return bool({str(role.id) for role in member.roles} & setup.moderator_roles)


def rights_beyond(member: discord.Member, policy: Policy, setup: Setup | None = None) -> list[str]:
    """Returns the rights that this policy makes the bot use and that the member lacks; [] where the policy only shows.
    With `setup`, a role from it counts."""
    wanted = in_use(policy) if policy.mode is Mode.ENFORCE else frozenset()
    return lacking_rights(member, wanted, setup)


def rights_beyond_undo(member: discord.Member, case: Case, setup: Setup) -> list[str]:
    """The rights that it takes to lift what was done about a case, and that a member lacks."""
    done = case.decision.enforced_actions
    lifted = {right_for(action) for action in done if isinstance(action, Timeout | Ban)}
    return lacking_rights(member, frozenset(right for right in lifted if right), setup)


def lacking_rights(member: discord.Member, wanted: frozenset[str], setup: Setup | None = None) -> list[str]:
    """Those of these rights that a member has not, on the whole server."""
    if setup is not None and has_lent_role(member, setup):
        wanted -= set(LENT)
    return sorted(right for right in wanted if not getattr(member.guild_permissions, right))
