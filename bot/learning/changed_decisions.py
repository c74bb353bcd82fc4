"""Finds past decisions that another adapter would change: it scores the journal's texts with both.

The texts stay sealed in the store and are only shown; a report on disk would outlive their retention time.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from bot.domain.case import Journalled
from bot.domain.decision import Band
from bot.domain.policy import Policy, band
from model.classifier import Classifier, Item
from model.labels import Label

MOST_TEXTS = 300
"""The latest different texts that are looked at."""


@dataclass(frozen=True, slots=True)
class ChangedDecision:
    """One text, and the label and band each adapter gives it."""

    text: str
    label_before: Label
    label_after: Label
    band_before: Band
    band_after: Band


async def changed_decisions(
    classifier: Classifier, messages: Sequence[Journalled], before: str, after: str, policy: Policy
) -> tuple[int, list[ChangedDecision]]:
    """(texts looked at, those in another band or called another harm), from the newest message on.

    Raises `AdapterRejected` and `Unavailable`.
    """
    latest = {message.text: message.key.community for message in messages if message.text}
    texts = list(latest)[:MOST_TEXTS]
    verdicts_before, verdicts_after = [
        await classifier.classify([Item(text, adapter, community=latest[text]) for text in texts])
        for adapter in (before, after)
    ]
    flips = [
        ChangedDecision(text, was.label, now.label, band(was, policy)[0], band(now, policy)[0])
        for text, was, now in zip(texts, verdicts_before, verdicts_after, strict=True)
    ]
    return len(texts), [flip for flip in flips if _matters(flip)]


def _matters(flip: ChangedDecision) -> bool:
    """A text below every threshold with both adapters has not changed, whatever its label."""
    shown = flip.band_before is not Band.CLEAR or flip.band_after is not Band.CLEAR
    return shown and (flip.band_before, flip.label_before) != (flip.band_after, flip.label_after)
