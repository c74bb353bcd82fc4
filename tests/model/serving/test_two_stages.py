"""Confidently neutral messages are skipped, audited and estimated; nothing else changes."""

from collections.abc import Sequence
from dataclasses import replace

import pytest

from model.classifier import Item, Unavailable, Unscorable, Verdict
from model.serving.two_stages import StageTally, TwoStages
from tests.conftest import StubClassifier, verdict

FIRST = "minilm/shipped"


class Quick(StubClassifier):
    """A first stage that is sure of every text without "hm" and misses "SLY"."""

    async def classify(self, items: Sequence[Item]) -> list[Verdict]:
        self.batches.append([item.text for item in items])
        return [
            replace(verdict(0.2, 0.3) if "hm" in i.text else verdict(0.001, 0.001), adapter=i.adapter) for i in items
        ]


class Slow(StubClassifier):
    """A second stage that finds hate in "SLY" and "HATE" and records its texts."""

    async def classify(self, items: Sequence[Item]) -> list[Verdict]:
        self.batches.append([item.text for item in items])
        return [replace(verdict(0.9 if "SLY" in i.text or "HATE" in i.text else 0.0), adapter=i.adapter) for i in items]


def both(audit_share: float = 0.2) -> tuple[TwoStages, Quick, Slow]:
    first, second = Quick(), Slow()
    return TwoStages(first, second, first_adapter=FIRST, skip_below=0.05, audit_share=audit_share), first, second


def items(texts: Sequence[str]) -> list[Item]:
    return [Item(text, "global/big") for text in texts]


async def test_only_what_is_not_confidently_neutral_is_read() -> None:
    """Every answer keeps its place, and a skipped message's verdict can never punish."""
    stages, _, second = both(audit_share=1e-9)
    texts = ["good morning", "hm HATE", "thanks", "hm fine"]
    verdicts = await stages.classify(items(texts))
    assert second.batches == [["hm HATE", "hm fine"]]
    assert [v.adapter for v in verdicts] == [FIRST, "global/big", FIRST, "global/big"]
    assert [v.stand_in for v in verdicts] == [True, False, True, False]
    assert [v.label for v in verdicts] == ["neutral", "hate", "neutral", "neutral"]


async def test_the_audit_estimates_the_recall_lost() -> None:
    """With 4,000 confident messages, 2 % of them missed, the estimate is near the true loss and within its interval."""
    stages, _, _ = both()
    texts = [f"SLY {n}" if n % 50 == 0 else f"hello {n}" for n in range(4000)] + [f"hm HATE {n}" for n in range(100)]
    for start in range(0, len(texts), 41):
        await stages.classify(items(texts[start : start + 41]))
    tally = stages.tally
    assert tally.skipped + tally.audited == 4000 and tally.read == tally.read_harmful == 100
    assert 0.18 < tally.audited / 4000 < 0.22 and tally.saved == tally.skipped / 4100
    truly_lost = (80 - tally.audited_harmful) / 180
    assert tally.recall_lost == pytest.approx(truly_lost, abs=0.12)
    assert tally.recall_lost_at_most is not None and tally.recall_lost_at_most > truly_lost


async def test_the_same_messages_are_audited_again() -> None:
    """A repeated call gives the same answers."""
    stages, _, _ = both()
    texts = [f"hello {n}" for n in range(200)]
    assert await stages.classify(items(texts)) == await stages.classify(items(texts))


def test_nothing_found_in_an_audit_is_not_nothing_lost() -> None:
    """After 100 audited messages without harm, about 2.6 % of the skipped ones may still be harmful."""
    tally = StageTally(read=100, read_harmful=50, audited=100, skipped=1000)
    assert tally.recall_lost == 0
    assert tally.recall_lost_at_most == pytest.approx(26.3 / (26.3 + 50), abs=0.01)
    assert StageTally().recall_lost is None and StageTally().recall_lost_at_most is None


async def test_an_old_case_of_the_first_stage_is_explained_by_it() -> None:
    """An item with the first stage's adapter is not sent to the second stage and not counted."""
    stages, _, second = both()
    (answer,) = await stages.classify([Item("hm HATE", FIRST)])
    assert answer.adapter == FIRST and not second.batches and stages.tally == StageTally()


async def test_a_trial_is_read_by_both_and_is_no_sample() -> None:
    """A trial item reaches both stages and does not count for the recall."""
    stages, first, second = both(audit_share=1e-9)
    (answer,) = await stages.classify([Item("hello", "global/big", alone=True)])
    assert answer.adapter == "global/big" and not answer.stand_in
    assert first.batches == second.batches == [["hello"]] and stages.tally == StageTally()


async def test_without_the_first_stage_everything_is_read() -> None:
    """Without the first stage the second one reads all messages."""

    class Gone(StubClassifier):
        async def classify(self, items: Sequence[Item]) -> list[Verdict]:
            raise Unavailable("killed")

    second = Slow()
    stages = TwoStages(Gone(), second, first_adapter=FIRST, skip_below=0.05)
    assert [v.label for v in await stages.classify(items(["hello", "HATE"]))] == ["neutral", "hate"]
    assert second.batches == [["hello", "HATE"]]


async def test_while_another_stands_in_nothing_is_learned() -> None:
    """A stand-in's verdict does not count in the audit."""

    class StandIn(StubClassifier):
        async def classify(self, items: Sequence[Item]) -> list[Verdict]:
            return [replace(verdict(0.9), stand_in=True) for _ in items]

    stages = TwoStages(Quick(), StandIn(), first_adapter=FIRST, skip_below=0.05, audit_share=1.0)
    await stages.classify(items(["hello", "hm"]))
    assert stages.tally == StageTally()


async def test_who_cannot_be_scored_is_named_by_its_place_in_the_whole_call() -> None:
    """An unscorable text of the second stage is reported by its place; one of the first stage only goes to the
    second."""

    class Roomy(StubClassifier):
        async def classify(self, items: Sequence[Item]) -> list[Verdict]:
            return await super().classify([replace(item, text=item.text.replace("HUGE", "")) for item in items])

    stages = TwoStages(Roomy(), StubClassifier(), first_adapter="minilm/1", skip_below=0.1, audit_share=1e-9)
    asked = [Item(text, "global/1") for text in ("hello", "HATE HUGE", "HATE")]
    with pytest.raises(Unscorable) as caught:
        await stages.classify(asked)
    assert caught.value.places == {1}
    stages = TwoStages(StubClassifier(), Roomy(), first_adapter="minilm/1", skip_below=0.1)
    assert [verdict.label for verdict in await stages.classify(asked)] == ["neutral", "hate", "hate"]
