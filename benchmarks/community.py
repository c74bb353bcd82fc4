"""A simulated community: the cards that its moderators answer, and other messages for the test."""

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from model.adapters.registry import SHIPPED
from model.base import Base
from model.calibration import apply_temperature
from model.labels import LABELS, Label
from model.norms import norm_of
from model.open import open_base
from model.serving.scorer import attach_adapter
from training.corrections import Correction
from training.examples import Example, read_examples, split
from training.training_loop import compute_logits

MODERATORS = ("ada", "bo", "cy", "di")
COMMUNITY = "simulated"
MALICIOUS = "mallory"


@dataclass(frozen=True, slots=True)
class Scene:
    """A community: its moderators' cards (`shown`) in order, and its other messages for the test (`judged`)."""

    base: Base
    norm: str
    shown: Sequence[Example]
    judged: Sequence[Example]


def apply_allowing_norm(examples: Sequence[Example]) -> list[Example]:
    """Labels by the norm of a community that allows offensive messages."""
    return [replace(e, label=Label.NEUTRAL if e.label is Label.OFFENSIVE else e.label, votes=()) for e in examples]


def make_scene(data: Path, norm: str, max_cards: int) -> Scene:
    """Makes a scene of the two tenths that `training.ship` holds out; messages after the last card are test
    messages."""
    davidson, test = split(read_examples(data, "davidson"), 0.1, seed=11)
    _, seen = split(davidson, 0.1, seed=12)
    base = open_base("minilm")
    manifest = attach_adapter(base, "shipped", SHIPPED)
    predicted = (
        apply_temperature(compute_logits(base, "shipped", [e.text for e in seen]), manifest.temperature)
        .argmax(-1)
        .tolist()
    )
    cards = [n for n, i in enumerate(predicted) if i != len(LABELS) - 1 or n % 5 == 0][:max_cards]
    seen, test = (apply_allowing_norm(texts) if norm == "allowed" else texts for texts in (seen, test))
    return Scene(base, norm, [seen[n] for n in cards], [*test, *seen[cards[-1] + 1 :]])


def simulate_corrections(
    shown: Sequence[Example], count: int, mistakes: float, malicious: float, seed: int
) -> list[Correction]:
    """The moderators' corrections of the first `count` cards, with these shares of mistakes and of malicious ones."""
    dice = random.Random(seed)
    corrections = []
    for number, example in enumerate(shown[:count]):
        is_malicious = dice.random() < malicious
        moderator = MALICIOUS if is_malicious else dice.choice(MODERATORS)
        wrong = is_malicious or dice.random() < mistakes
        label = (Label.NEUTRAL if example.label is Label.HATE else Label.HATE) if wrong else example.label
        corrections.append(
            Correction(str(number), replace(example, label=label), moderator, f"author {number % 97}", COMMUNITY)
        )
    return corrections


def predict_labels(base: Base, folder: Path, texts: Sequence[str], community: str = COMMUNITY) -> list[Label]:
    """An adapter's label of each text, by the community's norm."""
    manifest = attach_adapter(base, "judged", folder)
    rows = apply_temperature(compute_logits(base, "judged", texts), manifest.temperature)
    base.detach("judged")
    norm = norm_of(manifest.learned_norms(), community)
    return [LABELS[i] for i in (rows @ torch.tensor(norm.matrix)).argmax(-1).tolist()]


def measure_accuracy(at: Scene, folder: Path, community: str = COMMUNITY) -> tuple[float, float]:
    """(accuracy, balanced accuracy) of an adapter on the community's other messages."""
    predicted = predict_labels(at.base, folder, [e.text for e in at.judged], community)
    return accuracy_and_recall([label is e.label for label, e in zip(predicted, at.judged, strict=True)], at.judged)


def accuracy_and_recall(correct: Sequence[bool], examples: Sequence[Example]) -> tuple[float, float]:
    """(share of correct texts, mean over the labels of this share)."""
    by_label = [[r for r, e in zip(correct, examples, strict=True) if e.label is label] for label in LABELS]
    recalls = [sum(of_label) / len(of_label) for of_label in by_label if of_label]
    return sum(correct) / len(correct), sum(recalls) / len(recalls)
