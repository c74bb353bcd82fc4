"""Decides what may be changed about a restriction of a member. No I/O, no clock.

A person's decision stands. A standing restriction is never made shorter or weaker, and only the bot's own is taken
back. Every platform asks here before it acts and before it undoes.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

Kind = Literal["none", "limits", "timeout", "ban", "name", "removed"]
Setter = Literal["person", "bot", "platform"]
RANK: Mapping[str, int] = {"none": 0, "limits": 1, "timeout": 2, "ban": 3}
"""Which restriction is stronger. "limits" are a member's who may write but not everything (Telegram)."""
SAME_WITHIN = timedelta(seconds=2)
"""Two ends that differ by less are one: platforms round them."""
_NEVER = datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Restriction:
    """One restriction of one member. `until` is None for one without an end.

    `mark` is what the platform shows beside it (Discord: the reason of a ban); `permissions` is what the member may
    still do (Telegram).
    """

    kind: Kind
    until: datetime | None = None
    mark: str = ""
    permissions: Mapping[str, bool] | None = None

    @property
    def ends_at(self) -> datetime:
        """Its end; the last of all moments for one without an end."""
        return self.until or _NEVER

    def at(self, now: datetime) -> "Restriction":
        """Returns what is left of it at this moment: itself, or `NOTHING` once it is over."""
        return self if RANK.get(self.kind, 0) and self.ends_at > now else NOTHING

    def is_same(self, other: "Restriction") -> bool:
        """Whether both are one and the same restriction: of one kind, with one end, under one mark."""
        if self.kind == "none" or self.kind != other.kind or self.mark != other.mark:
            return False
        if self.mark:  # a marked restriction (Discord's ban) has no end that the platform knows
            return True
        return (self.until is None) == (other.until is None) and abs(self.ends_at - other.ends_at) <= SAME_WITHIN


NOTHING = Restriction("none")


@dataclass(frozen=True, slots=True)
class OwnRestriction:
    """A restriction that the bot has set for one message, or is about to set (`is_set` is False until the platform has
    answered).

    `before` is what a person had set until then.
    """

    message: str
    revision: int
    action: str
    restriction: Restriction
    before: Restriction = NOTHING
    is_set: bool = False


@dataclass(frozen=True, slots=True)
class Unchanged:
    """A restriction that was left as it stood, and who had set it."""

    standing: Restriction
    by: Setter = "person"


@dataclass(frozen=True, slots=True)
class Change:
    """What is to be done: `put` this restriction (None: change nothing); `unchanged` says what stays as it is.

    `keep` is what the bot must remember before it acts, and once more, as set, when the platform has answered.
    `superseded` lists restrictions that a person has ended before their time, so they are to be forgotten.
    """

    put: Restriction | None = None
    unchanged: Unchanged | None = None
    keep: OwnRestriction | None = None
    superseded: tuple[OwnRestriction, ...] = ()


def to_restrict(standing: Restriction, wanted: OwnRestriction, own: Sequence[OwnRestriction], now: datetime) -> Change:
    """Decides what an action changes, where `standing` is on the platform and `own` lists the bot's restrictions of
    this member."""
    standing = standing.at(now)
    again = next((one for one in own if _names(one) == _names(wanted)), None)
    own_restriction = _set_by_bot(standing, own)
    if again is not None and again.restriction.is_same(standing):
        return Change(keep=replace(again, is_set=True))
    if again is not None and again.is_set:
        return Change()  # it was set, and does not stand any more: a person has changed it since
    superseded: tuple[OwnRestriction, ...] = ()
    if again is not None:
        before = again.before
    elif own_restriction is not None:
        before = own_restriction.before
    else:
        superseded = tuple(one for one in own if one.is_set and one.restriction.at(now).kind != "none")
        over = [one for one in own if one.is_set and one.restriction.at(now).kind == "none"]
        before = standing if standing.kind != "none" else remaining([], now, before=over)
    if own_restriction is not None:
        standing = own_restriction.restriction  # with its end, which not every platform knows
    put = wanted.restriction
    if put.mark and own_restriction is not None and standing.kind == put.kind:  # one ban, under the first one's mark
        put = replace(put, mark=standing.mark)
    if _covers(standing, put):
        kept = None if own_restriction is None else replace(wanted, restriction=put, before=before, is_set=True)
        return Change(None, Unchanged(standing, "person" if own_restriction is None else "bot"), kept, superseded)
    return Change(put, None, replace(wanted, restriction=put, before=before, is_set=False), superseded)


def to_release(
    standing: Restriction, own: Sequence[OwnRestriction], message: str, action: str, now: datetime
) -> Change:
    """Decides what taking back an action on one message changes: the strongest of the bot's other restrictions and of
    what a person had set before takes its place."""
    standing = standing.at(now)
    if _set_by_bot(standing, own) is None:
        return Change(unchanged=Unchanged(standing) if standing.kind != "none" else None)
    put = remaining(others(own, message, action), now, before=own)
    return Change(unchanged=Unchanged(put, "bot")) if put.is_same(standing) else Change(put)


def at_the_end(standing: Restriction, own: Sequence[OwnRestriction], now: datetime) -> Restriction | None:
    """Decides what follows a restriction of the bot that has ended; None where nothing is to be changed."""
    standing = standing.at(now)
    if standing.kind != "none" and _set_by_bot(standing, own) is None:
        return None
    put = remaining(own, now)
    return None if put.is_same(standing) or put.kind == standing.kind == "none" else put


def others(own: Iterable[OwnRestriction], message: str, action: str) -> list[OwnRestriction]:
    """Those for other messages, and for other actions on this one."""
    return [one for one in own if (one.message, one.action) != (message, action)]


def remaining(
    own: Sequence[OwnRestriction], now: datetime, *, before: Sequence[OwnRestriction] | None = None
) -> Restriction:
    """Returns what is to stand at this moment: the strongest of the bot's restrictions and of what others had set
    before them.

    `before` lists the restrictions before which something stood, where they differ from `own`.
    """
    earlier = [one.before for one in (own if before is None else before)]
    set_by_bot = [one.restriction for one in own if one.is_set and one.action != "kick"]
    return max((one.at(now) for one in (*set_by_bot, *earlier)), key=_strength, default=NOTHING)


def _set_by_bot(standing: Restriction, own: Iterable[OwnRestriction]) -> OwnRestriction | None:
    """Returns the bot's restriction that stands; of several the one that lasts longest."""
    same = [one for one in own if one.restriction.is_same(standing)]
    return max(same, key=lambda one: _strength(one.restriction), default=None)


def _covers(standing: Restriction, wanted: Restriction) -> bool:
    """Whether the wanted restriction would add nothing, or would loosen what stands: who is banned is not silenced."""
    if standing.kind == wanted.kind:
        return standing.ends_at >= wanted.ends_at
    return RANK[standing.kind] > RANK[wanted.kind]


def _strength(restriction: Restriction) -> tuple[int, datetime]:
    return RANK.get(restriction.kind, 0), restriction.ends_at


def _names(one: OwnRestriction) -> tuple[str, int, str]:
    return one.message, one.revision, one.action


def to_json(restriction: Restriction) -> dict[str, Any]:
    """Encodes for the store."""
    until = restriction.until.isoformat() if restriction.until else None
    permissions = dict(restriction.permissions) if restriction.permissions is not None else None
    return {"kind": restriction.kind, "until": until, "mark": restriction.mark, "permissions": permissions}


def from_json(data: Mapping[str, Any]) -> Restriction:
    """The inverse of `to_json`."""
    until = datetime.fromisoformat(data["until"]) if data.get("until") else None
    return Restriction(data["kind"], until, data.get("mark") or "", data.get("permissions"))
