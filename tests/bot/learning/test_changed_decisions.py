"""What another adapter would have decided."""

from collections.abc import Sequence
from datetime import UTC, datetime

from bot.domain.case import Journalled
from bot.domain.decision import Band
from bot.domain.event import MessageKey
from bot.domain.policy import Policy
from bot.learning.changed_decisions import ChangedDecision, changed_decisions
from model.classifier import Item, Verdict
from model.labels import Label
from tests.conftest import verdict


class StubTwoAdapters:
    """The new adapter finds "walnut" harmless and "zebra" hateful; both find "hm" a little more or less harmful."""

    async def classify(self, items: Sequence[Item]) -> list[Verdict]:
        return [self._verdict(item.text, item.adapter == "global/new") for item in items]

    async def embed(self, texts: Sequence[str]) -> list[list[float]]:
        raise NotImplementedError

    def _verdict(self, text: str, new: bool) -> Verdict:
        if "walnut" in text:
            return verdict(0.0, 0.1) if new else verdict(0.0, 0.8)
        if "zebra" in text:
            return verdict(0.9, 0.1) if new else verdict(0.0, 0.0)
        return verdict(0.0, 0.3 if new else 0.6)


def journalled(number: int, text: str) -> Journalled:
    key = MessageKey("webchat", "try-out", "lounge", str(number))
    return Journalled(number, key, "done", text, {}, {}, "global/old", datetime.now(UTC))


async def test_only_what_moderators_would_notice_is_a_flip() -> None:
    """Each text once; a text that nobody is shown either way is none, whatever it is called."""
    texts = ["you walnut", "zebra!", "hm", "you walnut", ""]
    messages = [journalled(number, text) for number, text in enumerate(texts)]
    looked_at, found = await changed_decisions(StubTwoAdapters(), messages, "global/old", "global/new", Policy())
    assert looked_at == 3
    assert found == [
        ChangedDecision("you walnut", Label.OFFENSIVE, Label.NEUTRAL, Band.ALERT, Band.CLEAR),
        ChangedDecision("zebra!", Label.NEUTRAL, Label.HATE, Band.CLEAR, Band.ACTION),
    ]
