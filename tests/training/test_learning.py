"""Training, evaluation and the gate, against hand-counted figures and the real base."""

import math

import pytest
import torch

from model.calibration import apply_temperature, fit_temperature
from model.labels import Label
from model.open import open_base
from training.evaluation import area_under_curve, measure
from training.examples import Example
from training.gate import judge
from training.samples import read_held_out, read_replay
from training.train import train
from training.training_loop import Recipe

EYE = torch.eye(3)


def test_metrics_against_a_hand_count() -> None:
    """Four texts, one of them predicted wrongly."""
    found = measure(EYE[[0, 1, 2, 2]], torch.tensor([0, 1, 2, 1]))
    assert found.accuracy == 0.75 and found.balanced_accuracy == pytest.approx((1 + 0.5 + 1) / 3)
    assert found.confusion == ((1, 0, 0), (0, 1, 1), (0, 0, 1))
    assert found.macro_f1 == pytest.approx((1 + 2 / 3 + 2 / 3) / 3)


def test_calibration_error_against_a_hand_count() -> None:
    """Confidence 0.8 in four texts with two correct is an error of 0.3."""
    said = torch.tensor([[0.8, 0.1, 0.1]] * 4)
    assert measure(said, torch.tensor([0, 0, 1, 1])).calibration_error == pytest.approx(0.3, abs=1e-6)


def test_the_temperature_is_found_again() -> None:
    """Logits times three need a temperature near three."""
    torch.manual_seed(0)
    logits = torch.randn(4000, 3)
    labels = torch.distributions.Categorical(logits=logits).sample()
    assert fit_temperature(logits * 3, labels) == pytest.approx(3, rel=0.15)
    assert apply_temperature(logits, 1e3).std() < 1e-3


def test_area_under_the_curve() -> None:
    """Three of four pairs are in order, and a tie counts half."""
    assert area_under_curve([0.9, 0.4, 0.4, 0.1], [True, True, False, False]) == pytest.approx(3.5 / 4)


def test_training_learns_and_is_deterministic() -> None:
    """The same seed gives the same adapter, and the loss falls."""
    base = open_base("minilm", precision="fp32")
    words = {Label.HATE: "red", Label.OFFENSIVE: "green", Label.NEUTRAL: "blue"}
    examples = [Example(f"{word} number {n}", label) for label, word in words.items() for n in range(24)]
    first, second = (train(base, examples, Recipe(epochs=4, batch_rows=12)) for _ in range(2))
    assert all(torch.equal(first.tensors[name], tensor) for name, tensor in second.tensors.items())
    assert first.history.losses[-1] < first.history.losses[0] and not math.isnan(first.history.losses[-1])


def test_the_gate_refuses_what_got_worse() -> None:
    """A candidate that flags harmless mentions of groups is refused with that reason; the same adapter passes."""
    held_out = [Example(f"n{n}", Label.NEUTRAL, "identity_neutral") for n in range(20)] + [
        Example("h", Label.HATE)
    ] * 20
    good = EYE[[2] * 20 + [0] * 20]
    bad = EYE[[2] * 15 + [0] * 25]
    assert judge(good, good, held_out).reasons == ()
    assert any("identity neutral flagged" in reason for reason in judge(good, bad, held_out).reasons)


def test_the_samples_a_refresh_needs_travel_with_the_repository() -> None:
    """The repository has small replay and held-out samples without common texts."""
    replay, held_out = read_replay(), [example for part in read_held_out() for example in part]
    assert len(replay) > 1000 and len(held_out) > 800
    natural = {e.key for e in held_out if e.source in ("davidson", "mix")}
    assert not natural & {e.key for e in replay}
