"""Sets restrictions and takes them back, once for all platforms: reads what stands, asks the rules, remembers, acts."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Protocol
from weakref import WeakValueDictionary

from bot.domain.restriction import (
    NOTHING,
    OwnRestriction,
    Restriction,
    Unchanged,
    at_the_end,
    others,
    remaining,
    to_release,
    to_restrict,
)
from bot.store.restrictions import Restrictions
from bot.store.timed_bans import TimedBan, TimedBans

SHORTLY = timedelta(seconds=3)
"""This long after its end a restriction is certainly over, however the platform rounds."""


class Member(Protocol):
    """One member, as the platform's adapter reads and changes them. Both methods raise the platform's family of errors.

    `ends_by_itself` says whether the platform ends a restriction of that kind at its `until`.
    """

    def ends_by_itself(self, restriction: Restriction) -> bool:
        """Says whether the platform ends a restriction of this kind by itself."""
        ...

    async def standing(self) -> Restriction:
        """Asks the platform what restricts the member now."""
        ...

    async def put(self, restriction: Restriction, instead_of: Restriction) -> None:
        """Restricts the member by this; `NOTHING` frees them."""
        ...


@dataclass(frozen=True, slots=True)
class Address:
    """Whom an action is about, for which message, and what it is called."""

    place: str
    member: str
    message: str
    revision: int
    action: str


class RestrictionCalls:
    """For one platform. What concerns one member is done one after the other, so that none overwrites another's."""

    def __init__(self, platform: str, kept: Restrictions, lifts: TimedBans) -> None:
        self._platform = platform
        self._kept = kept
        self._lifts = lifts
        self._turns: WeakValueDictionary[tuple[str, str], asyncio.Lock] = WeakValueDictionary()

    def turn(self, place: str, member: str) -> asyncio.Lock:
        """Held while something about this member is read and changed."""
        return self._turns.setdefault((place, member), asyncio.Lock())

    async def restrict(self, about: Address, wanted: Restriction, member: Member) -> Unchanged | None:
        """Sets it, unless as much stands already: then that is returned. Done twice it looks like done once."""
        own = await self._own(about)
        standing, now = await member.standing(), datetime.now(UTC)
        planned = OwnRestriction(about.message, about.revision, about.action, wanted)
        change = to_restrict(standing, planned, own, now)
        for old in change.superseded:
            await self._kept.forget(self._platform, about.place, about.member, old.message, old.action)
        if (keep := change.keep) is None:
            return change.unchanged
        await self._kept.keep(self._platform, about.place, about.member, keep, now)
        if change.put is not None:
            keep = replace(keep, is_set=True)
            if about.action != "kick":
                remaining = [one for one in _without(own, keep) if one not in change.superseded]
                await self._plan_end(about, [*remaining, keep], change.put, member)
            await member.put(change.put, standing)
            await self._kept.keep(self._platform, about.place, about.member, keep, now)
        return change.unchanged

    async def release(self, about: Address, member: Member) -> bool | Unchanged:
        """Takes a restriction back, as far as it stands and is the bot's own; returns what else stands."""
        own = await self._own(about)
        standing, now = await member.standing(), datetime.now(UTC)
        change = to_release(standing, own, about.message, about.action, now)
        remaining = others(own, about.message, about.action)
        if change.put is not None:
            await self._plan_end(about, remaining, change.put, member)
            await member.put(change.put, standing)
        elif change.unchanged is not None and change.unchanged.by == "bot":
            await self._plan_end(about, remaining, change.unchanged.standing, member)
        elif standing.at(now).kind == "none":
            await self._lifts.forget(self._platform, about.place, about.member)
        await self._kept.forget(self._platform, about.place, about.member, about.message, about.action)
        return change.unchanged or True

    async def end(self, lift: TimedBan, member: Member, is_own: Callable[[Restriction], bool]) -> None:
        """A restriction of the bot's is over: what stood before comes back, as far as it would still stand.

        `is_own` knows what the bot has set where nothing is remembered of it any more.
        """
        own = await self._kept.of(self._platform, lift.community, lift.member)
        standing, now = await member.standing(), max(datetime.now(UTC), lift.due_at)
        put = NOTHING if not own and is_own(standing) else at_the_end(standing, own, now)
        if standing.kind == "none" and not member.ends_by_itself(Restriction("ban")):
            put = None  # a person has lifted it before its end
        if put is not None:
            await member.put(put, standing)
        about = Address(lift.community, lift.member, "", 0, "")
        await self._plan_end(about, own, remaining(own, now), member)
        for over in [one for one in own if one.restriction.at(now).kind == "none"]:
            await self._kept.forget(self._platform, lift.community, lift.member, over.message, over.action)

    async def own(self, place: str, member: str) -> Sequence[OwnRestriction]:
        """Everything the bot has set on a member."""
        return await self._kept.of(self._platform, place, member)

    async def remember(self, about: Address, restriction: Restriction) -> None:
        """Remembers a restriction that the bot has set, or is about to set, without asking the rules."""
        kept = OwnRestriction(about.message, about.revision, about.action, restriction, is_set=True)
        await self._kept.keep(self._platform, about.place, about.member, kept, datetime.now(UTC))

    async def forget(self, about: Address) -> None:
        """It was taken back."""
        await self._kept.forget(self._platform, about.place, about.member, about.message, about.action)

    async def _own(self, about: Address) -> list[OwnRestriction]:
        return await self._kept.of(self._platform, about.place, about.member)

    async def _plan_end(self, about: Address, own: list[OwnRestriction], put: Restriction, member: Member) -> None:
        """Notes when something must be done about it again, before it is set: a crash must not make it endless."""
        due = put.until
        if due is not None and (not member.ends_by_itself(put) or remaining(own, due + SHORTLY).kind != "none"):
            await self._lifts.plan(TimedBan(self._platform, about.place, about.member, due))
        else:
            await self._lifts.forget(self._platform, about.place, about.member)


def _without(own: list[OwnRestriction], keep: OwnRestriction) -> list[OwnRestriction]:
    same = (keep.message, keep.revision, keep.action)
    return [one for one in own if (one.message, one.revision, one.action) != same]


def end_of(length: timedelta | None) -> datetime | None:
    """Returns the moment after this length, in whole seconds, so that the platform's copy equals it; None for no
    end."""
    return (datetime.now(UTC) + length).replace(microsecond=0) if length is not None else None
