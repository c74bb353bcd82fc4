"""The gate: intervals, slices, thresholds."""

import pytest
import torch

from model.labels import LABELS, Label
from model.norms import Norm
from training.examples import Example
from training.gate import NEW_COMMUNITY, CommunityCheck, DailyMix, f1_change_interval, judge
from training.prevalence import Prevalence


def sure(labels: list[Label], share: float = 0.89) -> torch.Tensor:
    """(N, 3) probabilities that give each text this label."""
    rows = torch.full((len(labels), 3), (1 - share) / 2)
    rows[range(len(labels)), [LABELS.index(label) for label in labels]] = share
    return rows


HELD_OUT = [Example(f"{label} {n}", label, "davidson") for label in LABELS for n in range(200)]
HELD_OUT += [Example(f"group {n}", Label.NEUTRAL, "identity_neutral") for n in range(100)]
TRUE = [example.label for example in HELD_OUT]


def wrong(*numbers: int) -> list[Label]:
    """The true labels, except for these texts."""
    return [Label.OFFENSIVE if n in numbers else label for n, label in enumerate(TRUE)]


def test_the_same_adapter_may_serve() -> None:
    """The same adapter passes with an empty interval."""
    judgement = judge(sure(TRUE), sure(TRUE), HELD_OUT)
    assert judgement.reasons == () and judgement.f1_change_interval == (0.0, 0.0)


def test_an_adapter_that_may_be_worse_is_refused() -> None:
    """A fall of 2.4 points is refused, although it may be chance."""
    (reason,) = judge(sure(TRUE), sure(wrong(*range(15))), HELD_OUT).reasons
    assert reason.startswith("macro-F1 on held-out texts may fall by 0.0")


def test_one_slice_is_enough() -> None:
    """Three more flags in a hundred harmless mentions of groups are refused, even if all else is better."""
    reasons = judge(sure(wrong(*range(50))), sure(wrong(600, 601, 602)), HELD_OUT).reasons
    assert reasons == ("identity neutral flagged: 3.0% instead of 0.0%",)


def test_harmless_texts_near_an_action_are_counted() -> None:
    """Harmless texts above the action threshold are counted, not only wrong labels."""
    after = sure(TRUE)
    after[400:409] = torch.tensor([0.96, 0.02, 0.02])
    reasons = judge(sure(wrong(*range(400, 409))), after, HELD_OUT).reasons
    assert reasons == ("harmless texts acted on: 3.0% instead of 0.0%",)


def test_the_interval_holds_the_change() -> None:
    """The interval for 30 of 600 corrected texts is 5 points, plus or minus about 1.5."""
    labels = torch.tensor([LABELS.index(label) for label in TRUE[:600]])
    before = torch.tensor([LABELS.index(label) for label in wrong(*range(30))[:600]])
    low, high = f1_change_interval(before, labels, labels)
    assert 0.03 < low < 0.05 < high < 0.07


ALLOWED = Norm((Label.HATE, Label.NEUTRAL, Label.NEUTRAL))
RARE_SHARE = Prevalence((0.01, 0.04, 0.95), 50, 20)


def test_each_communitys_own_thresholds_count() -> None:
    """Scores below the default thresholds may exceed a strict community's."""
    after = sure(TRUE)
    after[400:420] = torch.tensor([0.6, 0.05, 0.35])
    was = sure(wrong(*range(400, 420)))
    assert not judge(was, after, HELD_OUT).reasons
    strict = CommunityCheck("town", action_thresholds={Label.HATE: 0.55, Label.OFFENSIVE: 0.95})
    (reason,) = judge(was, after, HELD_OUT, [NEW_COMMUNITY, strict]).reasons
    assert reason == "harmless texts acted on at the thresholds of town: 6.7% instead of 0.0%"


def test_a_norm_that_acts_on_more_is_seen() -> None:
    """If offensive counts as hate, hate's lower action threshold applies."""
    harsher = Norm((Label.HATE, Label.HATE, Label.NEUTRAL))
    some = sure(TRUE)
    some[400:420] = torch.tensor([0.1, 0.8, 0.1])
    stake = CommunityCheck("town", after=harsher)
    assert not judge(some, some, HELD_OUT).reasons
    assert (
        judge(some, some, HELD_OUT, [stake]).reasons[0].startswith("harmless texts acted on at the thresholds of town")
    )


def test_the_daily_mix_weighs_what_is_common() -> None:
    """Ten more flags in 300 harmless texts are few in balanced figures and many wrong alerts in the daily mix."""
    stake = CommunityCheck("town", prevalence=RARE_SHARE)
    judgement = judge(sure(TRUE), sure(wrong(*range(400, 410))), HELD_OUT, [stake])
    before, after = judgement.daily["town"]
    assert (before.wrongly_flagged, before.precision) == (0.0, 1.0) and after.wrongly_flagged == pytest.approx(
        950 * 10 / 300, abs=0.1
    )
    assert after.precision == pytest.approx(50 / (50 + 950 * 10 / 300), abs=0.01) and after.missed == 0
    assert any(reason.startswith("macro-F1 in the daily mix of town may fall by") for reason in judgement.reasons)
    assert ("town, in 1,000 of its messages: flagged wrongly", "0.0", "31.7") in judgement.compared


def test_the_daily_mix_follows_the_norm() -> None:
    """If a community allows offensive texts, an unflagged one is not missed."""
    stake = CommunityCheck("town", before=ALLOWED, after=ALLOWED, prevalence=Prevalence((0.05, 0.0, 0.95), 50, 20))
    judgement = judge(sure(TRUE), sure(TRUE), HELD_OUT, [stake])
    assert judgement.daily["town"] == (DailyMix(0.0, 0.0, 1.0), DailyMix(0.0, 0.0, 1.0)) and not judgement.reasons
