"""What does not work is counted, with since when, and is gone when it is over."""

from datetime import UTC, datetime, timedelta

import pytest

from bot.platforms.health import FORGOTTEN_AFTER, Health

BEGAN = datetime(2026, 11, 1, 12, 30, tzinfo=UTC)


class Scene:
    """A clock and rooms that wait."""

    def __init__(self) -> None:
        self.now, self.rooms = BEGAN, 0
        self.health = Health(lambda: self.rooms, lambda: self.now)

    def shown(self, community: str = "") -> list[tuple[str, int, str]]:
        """(name, count, since) of each, and every text is there in both languages."""
        found = self.health.notices(community)
        assert all(notice.text("en") and notice.text("ru") for notice in found)
        return [(one.name, int(str(one.arguments["count"])), str(one.arguments["since"])) for one in found]


def test_an_outage_is_there_until_it_is_over() -> None:
    """Counted from the first failure on, however long it lasts."""
    scene = Scene()
    for _ in range(3):
        scene.health.fails("outage")
        scene.now += timedelta(days=1)
    assert scene.shown() == [("health-outage", 3, "2026-11-01 12:30 UTC")]
    scene.health.well("outage")
    assert scene.shown() == []
    scene.health.fails("outage")
    assert scene.shown() == [("health-outage", 1, "2026-11-04 12:30 UTC")]


@pytest.mark.parametrize("fault", ["events", "messages", "updates"])
def test_what_happened_is_shown_for_a_day(fault: str) -> None:
    """From the last time on."""
    scene = Scene()
    scene.health.fails(fault, 2)  # type: ignore[arg-type]
    scene.now += FORGOTTEN_AFTER
    scene.health.fails(fault)  # type: ignore[arg-type]
    scene.now += FORGOTTEN_AFTER
    assert scene.shown() == [(f"health-{fault}", 3, "2026-11-01 12:30 UTC")]
    scene.now += timedelta(seconds=1)
    assert scene.shown() == []


def test_cards_are_a_community_s_own_affair() -> None:
    """In /status its own, on the page all."""
    scene = Scene()
    scene.health.cards_wait("a", 1)
    scene.now += timedelta(hours=1)
    scene.health.cards_wait("a", 2)
    scene.health.cards_wait("b", 5)
    assert scene.shown() == [("health-cards", 7, "2026-11-01 12:30 UTC")]
    assert scene.shown("a") == [("health-cards", 2, "2026-11-01 12:30 UTC")]
    assert scene.shown("b") == [("health-cards", 5, "2026-11-01 13:30 UTC")] and scene.shown("c") == []
    scene.health.cards_wait("a", 0)
    assert scene.shown() == [("health-cards", 5, "2026-11-01 13:30 UTC")]


def test_rooms_are_counted_as_they_are() -> None:
    """And since when they were seen waiting."""
    scene = Scene()
    scene.rooms = 2
    assert scene.shown() == [("health-rooms", 2, "2026-11-01 12:30 UTC")]
    scene.now, scene.rooms = scene.now + timedelta(hours=1), 1
    assert scene.shown() == [("health-rooms", 1, "2026-11-01 12:30 UTC")]
    scene.rooms = 0
    assert scene.shown() == []
    scene.rooms = 1
    assert scene.shown() == [("health-rooms", 1, "2026-11-01 13:30 UTC")]
