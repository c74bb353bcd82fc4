"""The embedded base reads all messages; the production base reads those that are not confidently neutral, and an audit.

The audit is a fixed share of the confidently neutral messages. It estimates how much harm the first stage misses.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace

from model.classifier import AdapterRejected, Classifier, Item, Unavailable, Unscorable, Verdict, classify_places
from model.labels import Label
from model.quality import wilson_interval


@dataclass(slots=True)
class StageTally:
    """Counts of messages since the start. A message is harmful if the second stage does not call it neutral.

    `read` messages were not confidently neutral, `read_harmful` of them harmful. `audited` messages were confidently
    neutral and still read, `audited_harmful` of them harmful. `skipped` messages were read by the first stage only.
    """

    read: int = 0
    read_harmful: int = 0
    audited: int = 0
    audited_harmful: int = 0
    skipped: int = 0

    @property
    def saved(self) -> float:
        """Share of the messages that the second stage did not read; 0 without messages."""
        return self.skipped / max(1, self.read + self.audited + self.skipped)

    @property
    def recall_lost(self) -> float | None:
        """Estimated share of the harmful messages that were skipped; None before the first audited message."""
        return self._lost(self.audited_harmful / self.audited) if self.audited else None

    @property
    def recall_lost_at_most(self) -> float | None:
        """Upper end of the one-sided 95 % interval of `recall_lost`; None before the first audited message.

        The number of harmful messages found counts as exact; the interval is that of the audit's harmful share.
        """
        if not self.audited:
            return None
        return self._lost(wilson_interval(self.audited_harmful, self.audited)[1])

    def _lost(self, harmful_share: float) -> float:
        lost = self.skipped * harmful_share
        read = self.read_harmful + self.audited_harmful
        return lost / (lost + read) if lost else 0.0


class TwoStages:
    """A `Classifier` over two. A message whose harm in the first stage is under `skip_below` skips the second stage.

    `first_adapter` is the first stage's own adapter. `audit_share` of the confidently neutral messages are still read;
    a hash of the text selects them, so a repeated request has the same answer. A skipped message's verdict has
    `stand_in`: it can flag, if a policy flags such low scores, but never punish. An item that must be `alone`, such as
    a trial whether the model answers, is read by both stages and not counted.
    """

    def __init__(
        self, first: Classifier, second: Classifier, *, first_adapter: str, skip_below: float, audit_share: float = 0.05
    ) -> None:
        if not 0 < skip_below < 1 or not 0 < audit_share <= 1:
            raise ValueError(f"band {skip_below} and audit share {audit_share} must lie between 0 and 1")
        self._first = first
        self._second = second
        self._first_adapter = first_adapter
        self._skip_below = skip_below
        self._audit_share = audit_share
        self.tally = StageTally()

    async def classify(self, items: Sequence[Item]) -> list[Verdict]:
        """One verdict per item; raises the errors of the second stage. If the first stage fails, the second reads
        all."""
        try:
            first_items = [Item(item.text, self._first_adapter, community=item.community) for item in items]
            first_verdicts = await self._first.classify(first_items)
        except (AdapterRejected, Unavailable, Unscorable):  # the second stage may read a text that the first cannot
            return await self._second.classify(items)
        first_of = dict(zip(items, first_verdicts, strict=True))
        own = {item for item in first_of if item.adapter == self._first_adapter}  # an old case is explained
        neutral = {
            item
            for item, verdict in first_of.items()
            if item not in own and not item.alone and not item.categories and verdict.harm < self._skip_below
        }
        audited = {item for item in neutral if _sample_position(item.text) < self._audit_share}
        skipped = neutral - audited
        places = [place for place, item in enumerate(items) if item not in skipped | own]
        verdicts = iter(await classify_places(self._second, items, places))
        answers = [replace(first_of[i], stand_in=True) if i in skipped | own else next(verdicts) for i in items]
        self.tally.skipped += sum(item in skipped for item in items)
        for item, verdict in zip(items, answers, strict=True):
            if not (item.alone or verdict.stand_in):  # a stand-in's verdict says nothing about the second stage
                self._count(verdict, item in audited)
        return answers

    async def embed(self, texts: Sequence[str]) -> list[list[float]]:
        """Vectors of the second stage."""
        return await self._second.embed(texts)

    def _count(self, verdict: Verdict, audited: bool) -> None:
        harmful = verdict.label is not Label.NEUTRAL
        if audited:
            self.tally.audited += 1
            self.tally.audited_harmful += harmful
        else:
            self.tally.read += 1
            self.tally.read_harmful += harmful


def _sample_position(text: str) -> float:
    """A number in [0, 1) from the text's hash."""
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()
    return int.from_bytes(digest[:7], "big") / 2**56
