"""Where the cards of cases stand."""

from datetime import timedelta

from bot.store import Card, Store
from tests.bot.store.test_store import NOW, seen_case


async def test_a_card_finds_its_case_and_a_case_its_card(store: Store) -> None:
    """Posted again it stands elsewhere; a digest shows many; nothing is found where no card stands."""
    first, second = [await seen_case(store, number=number) for number in "12"]
    assert await store.cards.of(first) is None
    await store.cards.post(first, "discord", "mods", "900", False, NOW)
    assert await store.cards.of(first) == Card(first, "discord", "mods", "900", False, NOW)
    for case in (second, first):
        await store.cards.post(case, "discord", "mods", "901", True, NOW)
    assert await store.cards.cases_of("discord", "mods", "901") == [first, second]
    assert await store.cards.cases_of("discord", "mods", "900") == []
    await store.cards.post(first, "discord", "mods", None, False, NOW)
    assert await store.cards.of(first) == Card(first, "discord", "mods", None, False, NOW)


async def test_cases_without_a_card_are_found_again(store: Store) -> None:
    """Those of this platform, opened since a moment, oldest first, and no example."""
    cases = [await seen_case(store, number=number) for number in "123"]
    await store.record_example("try-out", "webchat", "dana", "such vermin", "hate", NOW)
    await store.cards.post(cases[1], "webchat", "lounge", "9", False, NOW)
    assert await store.cards.unposted("webchat", NOW) == [cases[0], cases[2]]
    assert await store.cards.unposted("webchat", NOW + timedelta(seconds=1)) == []
    assert await store.cards.unposted("discord", NOW) == []


async def test_the_digests_that_took_something_in_lately_are_found(store: Store) -> None:
    """One case of each, counted back from the last one; a single card and one not yet posted are no digest."""
    cases = [await seen_case(store, number=number) for number in "123456"]
    assert await store.cards.in_last_digests("discord", timedelta(minutes=10)) == []
    for case, message, minutes in zip(
        cases, ("900", "901", "901", "902", None, "904"), (0, 30, 35, 40, 40, 40), strict=True
    ):
        is_digest = message != "904"
        await store.cards.post(case, "discord", "mods", message, is_digest, NOW + timedelta(minutes=minutes))
    assert sorted(await store.cards.in_last_digests("discord", timedelta(minutes=10))) == [cases[2], cases[3]]
