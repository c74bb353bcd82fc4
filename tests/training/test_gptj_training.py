"""The normal training and serving over a GPT-J, from a labelled file to verdicts."""

import csv
from pathlib import Path

import pytest

from model.adapters.registry import read_manifest
from model.classifier import AdapterRejected, Item
from model.labels import Label
from model.open import open_base
from model.prompts import INSTRUCTION
from model.serving.scorer import Scorer
from tests.model.tiny import make_gptj
from training import train as training
from training.examples import Example
from training.train import train
from training.training_loop import Recipe


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_gptj(tmp_path_factory.mktemp("gptj"), n_layer=2)


WORDS = {Label.HATE: "red", Label.OFFENSIVE: "green", Label.NEUTRAL: "blue"}


def test_a_labelled_file_becomes_an_adapter_that_serves(folder: Path, tmp_path: Path) -> None:
    """`python -m training.train --base FOLDER` writes an adapter that the scorer accepts and serves."""
    data = tmp_path / "data.csv"
    with data.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("text", "label"))
        writer.writerows((f"{word} number {n}", label) for label, word in WORDS.items() for n in range(300))
    out = tmp_path / "adapter"
    assert training.main(["--base", f"gptj:{folder}", "--data", str(data), "--out", str(out)]) == 0
    base = open_base(str(folder))
    manifest = read_manifest(out)
    assert (manifest.base_sha256, manifest.prompt) == (base.fingerprint, INSTRUCTION.version)
    scorer = Scorer(base)
    scorer.load("mine", out)
    verdicts = scorer.classify([Item(f"{word} number 77", "mine") for word in WORDS.values()])
    assert [verdict.label for verdict in verdicts] == list(WORDS)
    assert {verdict.prompt for verdict in verdicts} == {INSTRUCTION.version}


def test_training_is_deterministic(folder: Path) -> None:
    """The same seed gives the same adapter."""
    base = open_base(str(folder))
    examples = [Example(f"{word} {n}", label) for label, word in WORDS.items() for n in range(8)]
    first, second = (train(base, examples, Recipe(epochs=2, batch_rows=8)).tensors for _ in range(2))
    assert all((first[name] == tensor).all() for name, tensor in second.items())


def test_an_adapter_of_another_base_or_prompt_is_refused(folder: Path, tmp_path: Path) -> None:
    """The fingerprint and the prompt's version decide, not the name."""
    from model.gptj.base import open_gptj
    from model.prompts import RAW
    from training.train import save_adapter

    base = open_base(str(folder))
    examples = [Example(word, label) for label, word in WORDS.items()]
    save_adapter(tmp_path / "a", base, train(base, examples, Recipe(epochs=1)), examples, Recipe(), 1.0, {})
    Scorer(open_gptj(str(folder), precision="int8")).load("same weights", tmp_path / "a")
    with pytest.raises(AdapterRejected):
        Scorer(open_gptj(str(make_gptj(tmp_path / "other", n_layer=2, seed=2)))).load("x", tmp_path / "a")
    with pytest.raises(AdapterRejected):
        Scorer(open_gptj(str(folder), prompt=RAW)).load("x", tmp_path / "a")
