"""A simulated community: the cards that its moderators answer, and the other messages by which it is judged."""

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
    """A community: the cards its moderators are shown, in order, and the other messages it is judged by."""

    base: Base
    norm: str
    shown: Sequence[Example]
    judged: Sequence[Example]


def normed(examples: Sequence[Example]) -> list[Example]:
    """By the norm of a community where what is only offensive is allowed."""
    return [replace(e, label=Label.NEUTRAL if e.label is Label.OFFENSIVE else e.label, votes=()) for e in examples]


def scene(data: Path, norm: str, most: int) -> Scene:
    """The two tenths that `training.ship` holds out; what comes after the last card is judged by, too."""
    davidson, test = split(read_examples(data, "davidson"), 0.1, seed=11)
    _, seen = split(davidson, 0.1, seed=12)
    base = open_base("minilm")
    manifest = attach_adapter(base, "shipped", SHIPPED)
    called = (
        apply_temperature(compute_logits(base, "shipped", [e.text for e in seen]), manifest.temperature)
        .argmax(-1)
        .tolist()
    )
    cards = [n for n, i in enumerate(called) if i != len(LABELS) - 1 or n % 5 == 0][:most]
    seen, test = (normed(texts) if norm == "allowed" else texts for texts in (seen, test))
    return Scene(base, norm, [seen[n] for n in cards], [*test, *seen[cards[-1] + 1 :]])


def words_of(shown: Sequence[Example], count: int, mistakes: float, malicious: float, seed: int) -> list[Correction]:
    """The moderators' words on the first `count` cards. The malicious are one in each so many moderators' words."""
    dice = random.Random(seed)
    said = []
    for number, example in enumerate(shown[:count]):
        bad = dice.random() < malicious
        moderator = MALICIOUS if bad else dice.choice(MODERATORS)
        wrong = bad or dice.random() < mistakes
        label = (Label.NEUTRAL if example.label is Label.HATE else Label.HATE) if wrong else example.label
        said.append(
            Correction(str(number), replace(example, label=label), moderator, f"author {number % 97}", COMMUNITY)
        )
    return said


def called(base: Base, folder: Path, texts: Sequence[str], community: str = COMMUNITY) -> list[Label]:
    """What an adapter calls each text, by the community's norm."""
    manifest = attach_adapter(base, "judged", folder)
    rows = apply_temperature(compute_logits(base, "judged", texts), manifest.temperature)
    base.detach("judged")
    norm = norm_of(manifest.learned_norms(), community)
    return [LABELS[i] for i in (rows @ torch.tensor(norm.matrix)).argmax(-1).tolist()]


def judged(at: Scene, folder: Path, community: str = COMMUNITY) -> tuple[float, float]:
    """(accuracy, balanced accuracy) of an adapter on the community's other messages."""
    said = called(at.base, folder, [e.text for e in at.judged], community)
    return shares([label is e.label for label, e in zip(said, at.judged, strict=True)], at.judged)


def shares(right: Sequence[bool], examples: Sequence[Example]) -> tuple[float, float]:
    """(share of right ones, mean over the labels of the share of right ones)."""
    by_label = [[r for r, e in zip(right, examples, strict=True) if e.label is label] for label in LABELS]
    recalls = [sum(mine) / len(mine) for mine in by_label if mine]
    return sum(right) / len(right), sum(recalls) / len(recalls)
