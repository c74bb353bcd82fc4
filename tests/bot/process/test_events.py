"""The service's events reach those who subscribed, and the pages in the pages' own words."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from bot.console.event_feed import Feed
from bot.console.feed_events import follow
from bot.domain.case import Case, CaseState, Journalled
from bot.domain.decision import Band, Decision
from bot.domain.event import NOBODY, MessageKey
from bot.domain.notice import Notice
from bot.domain.row_state import RowState
from bot.learning.refresh import Refresh
from bot.process.events import (
    AdapterSwapped,
    CaseChanged,
    NoticeGiven,
    OperatorNoticeGiven,
    RefreshProgressed,
    ServiceEvent,
    ServiceEvents,
)
from model.labels import Label

NOW = datetime(2026, 1, 2, tzinfo=UTC)
KEY = MessageKey("webchat", "town", "lounge", "1")
DECISION = Decision(Band.ALERT, Label.HATE, 0.6, 0.5)
MESSAGE = Journalled(7, KEY, RowState.DONE, "text", DECISION, {"hate": 0.6}, "global/1", NOW)
CASE = Case(3, MESSAGE, NOBODY, CaseState.OPEN, None, None, False, None, NOW)
RAID = Notice("notice-flood")


def test_an_event_reaches_its_kinds_subscribers_in_their_order() -> None:
    events, heard = ServiceEvents(), list[tuple[str, ServiceEvent]]()
    events.subscribe(NoticeGiven, lambda event: heard.append(("first", event)))
    events.subscribe(NoticeGiven, lambda event: heard.append(("second", event)))
    events.subscribe(CaseChanged, lambda event: heard.append(("cases", event)))
    events.publish(NoticeGiven(RAID))
    events.publish(CaseChanged(CASE))
    events.publish(OperatorNoticeGiven(RAID))
    assert heard == [("first", NoticeGiven(RAID)), ("second", NoticeGiven(RAID)), ("cases", CaseChanged(CASE))]


@pytest.mark.parametrize(
    ("event", "told"),
    [
        (CaseChanged(CASE), [("case", "town", False)]),
        (NoticeGiven(RAID), [("notice", "", False)]),
        (NoticeGiven(replace(RAID, community="town")), [("notice", "town", False), ("paused", "town", False)]),
        (OperatorNoticeGiven(RAID), [("notice", "", True)]),
        (AdapterSwapped("global/2"), [("adapter", "", False)]),
        (AdapterSwapped("global/2", "spoilt"), [("adapter", "", False), ("notice", "", True)]),
        (RefreshProgressed(Refresh(True, "saving", 0.98)), [("refresh", "", True)]),
    ],
    ids=lambda value: type(value).__name__,
)
async def test_what_the_pages_are_told(event: ServiceEvent, told: list[tuple[str, str, bool]]) -> None:
    """(kind, community, whether it is for the operator alone) of each."""
    events, feed, heard = ServiceEvents(), Feed(), list[Any]()
    follow(feed, events, lambda community: community == "town")
    pages = feed.listen(wake_s=0.01)
    assert await anext(pages) is None
    events.publish(event)
    while (news := await anext(pages)) is not None:
        heard.append(news)
    assert [(news.data["type"], news.community, news.is_operators) for news in heard] == told
    assert all(news.data["paused"] for news in heard if news.data["type"] == "paused")
