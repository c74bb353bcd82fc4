"""What the service's events are on the open pages."""

from collections.abc import Callable

from bot.console import json_shapes as shapes
from bot.console.event_feed import Feed
from bot.process.events import (
    AdapterSwapped,
    CaseChanged,
    NoticeGiven,
    OperatorNoticeGiven,
    RefreshProgressed,
    ServiceEvents,
)


def follow(feed: Feed, events: ServiceEvents, is_paused: Callable[[str], bool]) -> None:
    """From now on the feed has every event of the service. With a notice of a community comes whether acting
    `is_paused` there."""

    def case_changed(event: CaseChanged) -> None:
        feed.publish_case(shapes.case_json(event.case), event.case.message.key)

    def notice_given(event: NoticeGiven) -> None:
        community = event.notice.community
        feed.publish("notice", community, text=event.notice.text())
        if community:
            feed.publish("paused", community, paused=is_paused(community))

    def operator_notice_given(event: OperatorNoticeGiven) -> None:
        feed.publish("notice", is_operators=True, text=event.notice.text())

    def adapter_swapped(event: AdapterSwapped) -> None:
        feed.publish("adapter", adapter=event.adapter)
        if event.problem:
            feed.publish("notice", is_operators=True, text=event.problem)

    def refresh_progressed(event: RefreshProgressed) -> None:
        feed.publish("refresh", is_operators=True, refresh=event.refresh.to_json())

    events.subscribe(CaseChanged, case_changed)
    events.subscribe(NoticeGiven, notice_given)
    events.subscribe(OperatorNoticeGiven, operator_notice_given)
    events.subscribe(AdapterSwapped, adapter_swapped)
    events.subscribe(RefreshProgressed, refresh_progressed)
