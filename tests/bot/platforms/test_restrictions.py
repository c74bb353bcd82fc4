"""What an action and its undoing change, where something stands already: every pair in one table."""

from datetime import UTC, datetime, timedelta

import pytest

from bot.domain.restriction import (
    NOTHING,
    OwnRestriction,
    Restriction,
    Unchanged,
    at_the_end,
    from_json,
    to_json,
    to_release,
    to_restrict,
)

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)


def for_minutes(kind: str, minutes: int | None, **more: object) -> Restriction:
    until = NOW + timedelta(minutes=minutes) if minutes is not None else None
    return Restriction(kind, until, **more)  # type: ignore[arg-type]


def own(message: str, restriction: Restriction, before: Restriction = NOTHING, action: str = "") -> OwnRestriction:
    return OwnRestriction(message, 0, action or restriction.kind, restriction, before, is_set=True)


@pytest.mark.parametrize(
    ("standing", "wanted", "stays"),
    [
        (NOTHING, for_minutes("timeout", 10), False),
        (for_minutes("timeout", -1), for_minutes("timeout", 10), False),
        (for_minutes("timeout", 5), for_minutes("timeout", 10), False),
        (for_minutes("timeout", 10), for_minutes("timeout", 10), True),
        (for_minutes("timeout", 10_080), for_minutes("timeout", 10), True),
        (for_minutes("timeout", None), for_minutes("timeout", 10), True),
        (for_minutes("limits", None), for_minutes("timeout", 10), False),
        (for_minutes("ban", 5), for_minutes("timeout", 10), True),
        (for_minutes("ban", None), for_minutes("timeout", 10), True),
        (for_minutes("ban", None), for_minutes("ban", 120), True),
        (for_minutes("ban", 5), for_minutes("ban", 120), False),
        (for_minutes("ban", 5), for_minutes("ban", None), False),
        (for_minutes("timeout", None), for_minutes("ban", 120), False),
    ],
)
@pytest.mark.parametrize("by", ["person", "bot"])
def test_nothing_is_made_shorter_or_weaker(standing: Restriction, wanted: Restriction, stays: bool, by: str) -> None:
    """Whoever set it; what stands as long or is stronger is named, everything else is put in its place."""
    known = [own("1", standing)] if by == "bot" else []
    change = to_restrict(standing, OwnRestriction("2", 0, wanted.kind, wanted), known, NOW)
    if stays:
        assert change.put is None and change.unchanged == Unchanged(standing, by)  # type: ignore[arg-type]
    else:
        assert change.put == wanted and change.unchanged is None
        assert change.keep is not None and not change.keep.is_set
        before = NOTHING if by == "bot" or standing.at(NOW) == NOTHING else standing
        assert change.keep.before == before


def test_done_twice_it_looks_like_done_once() -> None:
    """A crash before it was noted that it stands, and one after; what a person lifted meanwhile is not set again."""
    first = for_minutes("timeout", 10)
    planned = OwnRestriction("1", 0, "timeout", first)
    later = OwnRestriction("1", 0, "timeout", for_minutes("timeout", 11))
    change = to_restrict(first, later, [planned], NOW)
    assert change.put is None and change.keep == own("1", first) and change.unchanged is None
    assert to_restrict(NOTHING, later, [planned], NOW).put == later.restriction, "it never reached the platform"
    assert to_restrict(NOTHING, later, [own("1", first)], NOW).put is None, "a person lifted it"


LIMITS = for_minutes("limits", None, permissions={"can_send_messages": True, "can_send_photos": False})
SHORT, LONG, BAN = for_minutes("timeout", 10), for_minutes("timeout", 60), for_minutes("ban", 120)


@pytest.mark.parametrize(
    ("standing", "known", "put", "by"),
    [
        (SHORT, [own("1", SHORT)], NOTHING, None),
        (SHORT, [own("1", SHORT, LIMITS)], LIMITS, None),
        (LONG, [own("1", SHORT)], None, "person"),
        (for_minutes("timeout", None), [own("1", SHORT)], None, "person"),
        (BAN, [own("1", SHORT)], None, "person"),
        (NOTHING, [own("1", SHORT)], None, None),
        (SHORT, [], None, "person"),
        (LONG, [own("1", SHORT), own("2", LONG)], None, "bot"),
        (LONG, [own("1", LONG), own("2", SHORT)], SHORT, None),
        (BAN, [own("1", SHORT), own("2", BAN)], None, "bot"),
        (BAN, [own("1", BAN), own("2", SHORT), own("3", SHORT, LIMITS)], SHORT, None),
        (BAN, [own("1", BAN, for_minutes("timeout", None)), own("2", SHORT)], for_minutes("timeout", None), None),
    ],
)
def test_only_what_is_the_bots_own_is_taken_back(
    standing: Restriction, known: list[OwnRestriction], put: Restriction | None, by: str | None
) -> None:
    """And what stood before, or what the bot set for another message, comes into its place."""
    change = to_release(standing, known, "1", known[0].action if known else "timeout", NOW)
    assert change.put == put and (change.unchanged.by if change.unchanged else None) == by


def test_of_two_undone_in_either_order_nothing_is_left() -> None:
    """The first leaves what the second message brought; then nothing of what was wrong comes back."""
    both = [own("1", SHORT), own("2", LONG)]
    assert to_release(LONG, both, "1", "timeout", NOW).put is None
    assert to_release(LONG, both[1:], "2", "timeout", NOW).put == NOTHING
    assert to_release(LONG, both, "2", "timeout", NOW).put == SHORT
    assert to_release(SHORT, both[:1], "1", "timeout", NOW).put == NOTHING


def test_what_a_person_lifted_does_not_come_back_with_another_undo() -> None:
    """The first timeout was lifted by hand; the second is set and undone: the first is not put back."""
    lifted = own("1", LONG)
    change = to_restrict(NOTHING, OwnRestriction("2", 0, "timeout", SHORT), [lifted], NOW)
    assert change.put == SHORT and change.superseded == (lifted,)
    over = own("1", for_minutes("timeout", -1), LIMITS)
    change = to_restrict(NOTHING, OwnRestriction("2", 0, "timeout", SHORT), [over], NOW)
    assert change.superseded == () and change.keep is not None and change.keep.before == LIMITS


def test_a_ban_under_a_mark_is_known_by_the_mark() -> None:
    """Discord knows no end of a ban: two of the bot's are one, and a person's reason is never taken for the bot's."""
    stands = Restriction("ban", None, "Domovoi: message 1")
    first = own("1", for_minutes("ban", 120, mark="Domovoi: message 1"))
    asked = OwnRestriction("2", 0, "ban", for_minutes("ban", 300, mark="Domovoi: message 2"))
    change = to_restrict(stands, asked, [first], NOW)
    assert change.put is not None and change.put.mark == "Domovoi: message 1"
    second = own("2", change.put)
    assert to_release(stands, [first, second], "1", "ban", NOW).put is None
    assert to_release(stands, [second], "2", "ban", NOW).put == NOTHING
    shorter = OwnRestriction("3", 0, "ban", for_minutes("ban", 60, mark="Domovoi: message 3"))
    joined = to_restrict(stands, shorter, [first], NOW).keep
    assert joined is not None and to_release(stands, [joined], "3", "ban", NOW).put == NOTHING
    person = Restriction("ban", None, "spam")
    assert to_restrict(person, asked, [first], NOW).unchanged == Unchanged(person)
    assert to_release(person, [first], "1", "ban", NOW).unchanged == Unchanged(person)


def test_at_its_end_what_stood_before_comes_back() -> None:
    """Unless a person has set something since."""
    over = own("1", for_minutes("timeout", -1), LIMITS)
    assert at_the_end(NOTHING, [over], NOW) == LIMITS
    assert at_the_end(LONG, [over], NOW) is None
    assert at_the_end(NOTHING, [own("1", for_minutes("timeout", -1))], NOW) is None
    banned = own("1", for_minutes("ban", -1, mark="m"))
    assert at_the_end(Restriction("ban", None, "m"), [banned], NOW) == NOTHING
    assert at_the_end(Restriction("ban", None, "other"), [banned], NOW) is None


@pytest.mark.parametrize("restriction", [NOTHING, SHORT, LIMITS, Restriction("ban", None, "why")])
def test_a_restriction_survives_the_store(restriction: Restriction) -> None:
    assert from_json(to_json(restriction)) == restriction
