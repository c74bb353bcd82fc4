"""The messages that are in the line or being handled, by journal row."""

from bot.domain.event import Message
from bot.pipeline.fair_queue import FairQueue
from model.serving.batcher import estimate_tokens

REVISION_COSTS = 3
"""An edit may be compared with what stood there before: so many times as much for the model."""


class WaitingMessages:
    """The line, and which rows this process has in hand: in the line or being handled.

    `revising` are rows of which the journal has an earlier revision, or may have one.
    """

    def __init__(self, max_waiting: int) -> None:
        self.line: FairQueue[tuple[int, Message]] = FairQueue(max_waiting)
        self.in_hand: set[int] = set()
        self.revising: set[int] = set()

    def put(self, row: int, event: Message) -> int | None:
        """Into the line; returns the row for which there is no room, if any."""
        self.in_hand.add(row)
        tokens = estimate_tokens(event.text) + (estimate_tokens(event.quoted) if event.quoted else 0)
        if row in self.revising:
            tokens *= REVISION_COSTS
        shed = self.line.put_now(author_of(event), (row, event), community=event.key.community, tokens=tokens)
        return None if shed is None else shed[0]

    def end(self, row: int) -> None:
        """The row is through."""
        self.revising.discard(row)
        self.in_hand.discard(row)


def author_of(event: Message) -> str:
    """Names an author within the process."""
    return "\0".join((event.key.platform, event.key.community, event.author.id))
