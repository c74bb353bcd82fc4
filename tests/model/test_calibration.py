"""The prior for short texts: what it does to the probabilities, and which texts get it."""

import pytest

from model.adapters.registry import SHIPPED
from model.calibration import apply_prior
from model.classifier import Item
from model.open import open_base
from model.serving.scorer import Scorer
from training.samples import read_everyday

ADAPTER = "global/shipped"


@pytest.mark.parametrize("odds", [0.1, 0.4, 1.0])
def test_the_odds_of_harm_are_changed_and_nothing_else(odds: float) -> None:
    """The probabilities still sum to 1, and hate and offensive keep their proportion."""
    hate, offensive, neutral = apply_prior([0.3, 0.6, 0.1], odds)
    assert hate + offensive + neutral == pytest.approx(1.0) and offensive == pytest.approx(2 * hate)
    assert (hate + offensive) / neutral == pytest.approx(9 * odds)


@pytest.fixture(scope="module")
def scorer() -> Scorer:
    """The embedded base with the shipped adapter."""
    scorer = Scorer(open_base("minilm"))
    scorer.load(ADAPTER, SHIPPED)
    return scorer


def test_only_short_texts_have_a_prior(scorer: Scorer, monkeypatch: pytest.MonkeyPatch) -> None:
    """A text of more words than the base has odds for gets the model's own probabilities."""
    most = len(scorer.base.short_text_odds)
    texts = ["idiot " * count for count in range(1, most + 3)]
    with_prior = [verdict.harm for verdict in scorer.classify([Item(text, ADAPTER) for text in texts])]
    monkeypatch.setattr(scorer.base, "short_text_odds", ())
    without = [verdict.harm for verdict in scorer.classify([Item(text, ADAPTER) for text in texts])]
    assert all(a < b for a, b in zip(with_prior[:most], without[:most], strict=True))
    assert with_prior[most:] == pytest.approx(without[most:], abs=1e-6)


def test_everyday_chat_is_left_alone_and_what_is_said_to_hurt_is_not(scorer: Scorer) -> None:
    """Bounds slightly below the measured values, at a new community's thresholds; docs/measurements.md has them."""
    everyday = read_everyday()
    verdicts = scorer.classify([Item(example.text, ADAPTER) for example in everyday])
    alerted: dict[str, list[bool]] = {}
    for example, verdict in zip(everyday, verdicts, strict=True):
        hate, offensive, _ = verdict.probabilities.values()
        alerted.setdefault(example.source, []).append(hate >= 0.5 or hate + offensive >= 0.7)
    harmless = [
        one for kind in ("emoji", "emoji line", "name", "short", "greeting", "ordinary") for one in alerted[kind]
    ]
    assert sum(harmless) <= 0.03 * len(harmless)
    for kind, share in (("threat", 0.7), ("self-harm abuse", 0.6), ("insult and polite", 0.85), ("group hate", 0.9)):
        assert sum(alerted[kind]) >= share * len(alerted[kind]), kind
