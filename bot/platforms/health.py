"""Counts what does not work on a platform at the moment, with how often and since when."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal

from bot.domain.notice import Notice

Fault = Literal["outage", "cards", "events", "messages", "updates", "commands"]
"""The connection; cards that wait; events and messages that could not be read; updates that could not be handled or had
no number; commands that the platform did not take."""
FORGOTTEN_AFTER = timedelta(hours=24)


@dataclass(slots=True)
class OngoingFault:
    """One thing that does not work: how often it failed, first and last."""

    count: int
    since: datetime
    last: datetime


class Health:
    """A fault that has ended is `well` again; a fault that happened once is shown for a day. `held` returns how many
    rooms wait to be read, where the platform has such."""

    def __init__(
        self, held: Callable[[], int] = lambda: 0, clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self._held, self._clock = held, clock
        self._faults: dict[Fault, OngoingFault] = {}
        self._cards: dict[str, OngoingFault] = {}
        self._held_since: datetime | None = None

    def fails(self, fault: Fault, times: int = 1) -> None:
        """It happened, or goes on."""
        self._faults[fault] = self._more(self._faults.get(fault), times)

    def well(self, fault: Fault) -> None:
        """It is over."""
        self._faults.pop(fault, None)

    def cards_wait(self, community: str, count: int) -> None:
        """Records how many cards or notices of a community were refused or not answered; 0 when they go through
        again."""
        if count:
            fault = self._cards.get(community)
            self._cards[community] = OngoingFault(count, fault.since if fault else self._clock(), self._clock())
        else:
            self._cards.pop(community, None)

    def notices(self, community: str = "") -> tuple[Notice, ...]:
        """Returns the faults to show, the worst first; with a community only its cards count."""
        now = self._clock()
        for fault in [one for one, ailing in self._faults.items() if one not in ("outage", "commands")]:
            if now - self._faults[fault].last > FORGOTTEN_AFTER:
                del self._faults[fault]
        faults = {str(fault): ailing for fault, ailing in self._faults.items()}
        if cards := [ailing for cards_of, ailing in self._cards.items() if community in ("", cards_of)]:
            faults["cards"] = OngoingFault(sum(one.count for one in cards), min(one.since for one in cards), now)
        if held := self._held():
            self._held_since = self._held_since or now
            faults["rooms"] = OngoingFault(held, self._held_since, now)
        else:
            self._held_since = None
        return tuple(_lines(faults))

    def _more(self, known: OngoingFault | None, times: int) -> OngoingFault:
        now = self._clock()
        return OngoingFault(times, now, now) if known is None else OngoingFault(known.count + times, known.since, now)


def _lines(found: Mapping[str, OngoingFault]) -> Iterable[Notice]:
    for name in ("outage", "cards", "rooms", "messages", "events", "updates", "commands"):
        if (ailing := found.get(name)) is not None:
            since = ailing.since.strftime("%Y-%m-%d %H:%M UTC")
            yield Notice(f"health-{name}", {"count": ailing.count, "since": since})
