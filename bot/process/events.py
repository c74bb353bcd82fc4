"""What happens in the service and concerns several of its parts: one publishes it, the others have subscribed."""

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from bot.domain.case import Case
from bot.domain.notice import Notice
from bot.learning.refresh import Refresh


@dataclass(frozen=True, slots=True)
class CaseChanged:
    """A case was opened, or something about it is other than its cards say."""

    case: Case


@dataclass(frozen=True, slots=True)
class NoticeGiven:
    """Moderators must know this: those of the notice's community, or all where it names none."""

    notice: Notice


@dataclass(frozen=True, slots=True)
class OperatorNoticeGiven:
    """The operator must know this, and only the operator: it has names of files."""

    notice: Notice


@dataclass(frozen=True, slots=True)
class AdapterSwapped:
    """Another adapter serves all from now on, or the same one because another was refused: `problem` says why, "" for
    no problem."""

    adapter: str
    problem: str = ""


@dataclass(frozen=True, slots=True)
class RefreshProgressed:
    """A refresh has come further, or is over."""

    refresh: Refresh


ServiceEvent = CaseChanged | NoticeGiven | OperatorNoticeGiven | AdapterSwapped | RefreshProgressed
E = TypeVar("E", CaseChanged, NoticeGiven, OperatorNoticeGiven, AdapterSwapped, RefreshProgressed)


class ServiceEvents:
    """Passes each event on to those who subscribed to its kind, at once and in the order in which they subscribed.

    Subscribers never wait and never raise. An event that nobody subscribed to is lost.
    """

    def __init__(self) -> None:
        self._subscribers: defaultdict[type, list[Callable[[Any], None]]] = defaultdict(list)

    def subscribe(self, kind: type[E], subscriber: Callable[[E], None]) -> None:
        """`subscriber` hears of every event of this kind from now on."""
        self._subscribers[kind].append(subscriber)

    def publish(self, event: ServiceEvent) -> None:
        """Tells all who subscribed to this kind."""
        for subscriber in self._subscribers[type(event)]:
            subscriber(event)
