"""The embedded base answers first; the production base reads only what is not confidently neutral, and an audit of it.

What the first stage lets pass is estimated from the audit: a fixed share of what would be skipped is read all the same.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace

from model.classifier import AdapterRejected, Classifier, Item, Unavailable, Unscorable, Verdict, by_place
from model.labels import Label
from model.quality import wilson


@dataclass(slots=True)
class Tally:
    """What the two stages did since the start. Harmful is what the second stage does not call neutral.

    `read` were not confidently neutral, `read_harmful` of them harmful; `audited` were confidently neutral and read all
    the same, `audited_harmful` of them harmful; `skipped` were answered by the first stage alone.
    """

    read: int = 0
    read_harmful: int = 0
    audited: int = 0
    audited_harmful: int = 0
    skipped: int = 0

    @property
    def saved(self) -> float:
        """Share of the messages the second stage did not have to read; 0 without any."""
        return self.skipped / max(1, self.read + self.audited + self.skipped)

    @property
    def recall_lost(self) -> float | None:
        """Estimated share of the harmful messages that were skipped; None before anything was audited."""
        return self._lost(self.audited_harmful / self.audited) if self.audited else None

    @property
    def recall_lost_at_most(self) -> float | None:
        """Upper end of the 95 % interval of `recall_lost` (one-sided); None before anything was audited.

        It takes what was found as given and asks how rare harm may be among the skipped, seen the audit.
        """
        if not self.audited:
            return None
        return self._lost(wilson(self.audited_harmful, self.audited)[1])

    def _lost(self, harmful_share: float) -> float:
        lost = self.skipped * harmful_share
        found = self.read_harmful + self.audited_harmful
        return lost / (lost + found) if lost else 0.0


class TwoStages:
    """A `Classifier` over two. `below` is the harm under which the first stage's word stands.

    `first_adapter` is the first stage's own adapter, `audit_share` the part of the confidently neutral that is read all
    the same; which ones is drawn from the text, so that a repeated request has the same answer. A skipped message's
    verdict carries `stand_in`: it can flag, where a policy flags below the band, and never punish. An item that is to
    be `alone`, such as a trial whether the model answers, is read by both stages and counts nowhere.
    """

    def __init__(
        self, first: Classifier, second: Classifier, *, first_adapter: str, below: float, audit_share: float = 0.05
    ) -> None:
        if not 0 < below < 1 or not 0 < audit_share <= 1:
            raise ValueError(f"band {below} and audit share {audit_share} must lie between 0 and 1")
        self._first = first
        self._second = second
        self._first_adapter = first_adapter
        self._below = below
        self._audit_share = audit_share
        self.tally = Tally()

    async def classify(self, items: Sequence[Item]) -> list[Verdict]:
        """One verdict per item; raises what the second stage raises. Without the first stage the second reads all."""
        try:
            asked = [Item(item.text, self._first_adapter, community=item.community) for item in items]
            quick = await self._first.classify(asked)
        except (AdapterRejected, Unavailable, Unscorable):  # too large for the first: the second may read it
            return await self._second.classify(items)
        said = dict(zip(items, quick, strict=True))
        own = {item for item in said if item.adapter == self._first_adapter}  # an old case, explained
        neutral = {
            item
            for item, verdict in said.items()
            if item not in own and not item.alone and not item.categories and verdict.harm < self._below
        }
        audited = {item for item in neutral if _drawn(item.text) < self._audit_share}
        skipped = neutral - audited
        places = [place for place, item in enumerate(items) if item not in skipped | own]
        verdicts = iter(await by_place(self._second, items, places))
        answers = [replace(said[i], stand_in=True) if i in skipped | own else next(verdicts) for i in items]
        self.tally.skipped += sum(item in skipped for item in items)
        for item, verdict in zip(items, answers, strict=True):
            if not (item.alone or verdict.stand_in):  # while the second is away, nothing is learned about it
                self._count(verdict, item in audited)
        return answers

    async def embed(self, texts: Sequence[str]) -> list[list[float]]:
        """Of the second stage."""
        return await self._second.embed(texts)

    def _count(self, verdict: Verdict, audited: bool) -> None:
        harmful = verdict.label is not Label.NEUTRAL
        if audited:
            self.tally.audited += 1
            self.tally.audited_harmful += harmful
        else:
            self.tally.read += 1
            self.tally.read_harmful += harmful


def _drawn(text: str) -> float:
    """A number in [0, 1) that is this text's own."""
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()
    return int.from_bytes(digest[:7], "big") / 2**56
