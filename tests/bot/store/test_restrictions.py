"""What the bot has set on members, kept and forgotten."""

from datetime import timedelta

from bot.domain.restriction import OwnRestriction, Restriction
from bot.store import Store
from bot.store.timed_bans import TimedBan
from tests.bot.store.test_store import NOW

OWN = OwnRestriction("1", 3, "timeout", Restriction("timeout", NOW), Restriction("limits", permissions={"a": True}))


async def test_kept_by_place_member_message_and_action(store: Store) -> None:
    """Kept again it is replaced; what is taken back of one message leaves the others; the member's id is nowhere."""
    for message, is_set in (("1", False), ("1", True), ("2", True)):
        own = OwnRestriction(message, 3, "timeout", OWN.restriction, OWN.before, is_set)
        await store.restrictions.keep("telegram", "telegram-1", "4711", own, NOW)
    kept = await store.restrictions.of("telegram", "telegram-1", "4711")
    assert {(one.message, one.is_set) for one in kept} == {("1", True), ("2", True)} and kept[0].before == OWN.before
    for place, member in (("telegram-2", "4711"), ("telegram-1", "4712")):
        assert not await store.restrictions.of("telegram", place, member)
    await store.restrictions.forget("telegram", "telegram-1", "4711", "1", "timeout")
    assert [one.message for one in await store.restrictions.of("telegram", "telegram-1", "4711")] == ["2"]


async def test_what_a_person_decided_ends_what_was_kept_before(store: Store) -> None:
    """Up to that second and not beyond."""
    for message, seconds in (("1", -60), ("2", 0), ("3", 60)):
        own = OwnRestriction(message, 0, "timeout", OWN.restriction)
        await store.restrictions.keep("telegram", "t", "7", own, NOW + timedelta(seconds=seconds))
    await store.restrictions.forget_before("telegram", "t", "7", NOW)
    assert [one.message for one in await store.restrictions.of("telegram", "t", "7")] == ["3"]


async def test_forgotten_with_the_texts_unless_still_to_be_lifted(store: Store) -> None:
    """A ban of sixty days outlives the retention time, so that it is known as the bot's own when it ends."""
    for member in ("7", "8"):
        await store.restrictions.keep("discord", "discord-1", member, OWN, NOW - timedelta(days=40))
    await store.timed_bans.plan(TimedBan("discord", "discord-1", "8", NOW + timedelta(days=20)))
    await store.forget_texts(NOW - timedelta(days=30))
    assert not await store.restrictions.of("discord", "discord-1", "7")
    assert await store.restrictions.of("discord", "discord-1", "8")
