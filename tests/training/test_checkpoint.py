"""A killed training continues from its checkpoint and gives the same adapter."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from model.base import Base
from model.labels import Label
from model.open import open_base
from tests.model.tiny import make_gptj
from training.checkpoint import Checkpoint
from training.examples import Example
from training.train import TrainedAdapter, train
from training.training_loop import Recipe

EXAMPLES = [Example(f"{word} {'and on ' * (n % 5)}{n}", label) for label, word in zip(Label, "abc", strict=True)
            for n in range(16)]  # fmt: skip
RECIPE = Recipe(epochs=3, batch_rows=8)


class Killed(Exception):
    """Stands where a real kill would be."""


@pytest.fixture(scope="module", params=["gptj", "minilm"])
def base(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Base:
    if request.param == "minilm":
        return open_base("minilm", precision="fp32")
    return open_base(str(make_gptj(tmp_path_factory.mktemp("gptj"), n_layer=1)))


def run(base: Base, recipe: Recipe, path: Path, *, killed_at: float = 2.0, key: str = "k") -> TrainedAdapter:
    def advance(done: float, loss: float) -> None:
        if done >= killed_at:
            raise Killed

    return train(
        base, EXAMPLES, recipe, advance=advance, watched=EXAMPLES[:6], checkpoint=Checkpoint(path, key, every_s=0.0)
    )


@pytest.mark.parametrize("optimizer", ["adamw", "adam8bit"])
def test_two_halves_make_the_same_adapter(base: Base, optimizer: str, tmp_path: Path) -> None:
    """A training killed half-way has the weights, losses and accuracies of an uninterrupted one, dropout included."""
    recipe = replace(RECIPE, optimizer=optimizer)  # type: ignore[arg-type]
    path = tmp_path / "checkpoint.pt"
    whole = run(base, recipe, path)
    assert not path.exists()
    with pytest.raises(Killed):
        run(base, recipe, path, killed_at=0.5)
    assert path.exists()
    halves = run(base, recipe, path)
    assert all(torch.equal(tensor, halves.tensors[name]) for name, tensor in whole.tensors.items())
    assert (halves.history.losses, halves.history.accuracies) == (whole.history.losses, whole.history.accuracies)
    assert [step for step, _ in whole.history.accuracies] == [6, 12, 18]
    assert not path.exists()


def test_another_trainings_checkpoint_is_left_alone(base: Base, tmp_path: Path) -> None:
    """With other data, another recipe or a broken file, training starts from the beginning."""
    path = tmp_path / "checkpoint.pt"
    whole = run(base, RECIPE, path)
    with pytest.raises(Killed):
        run(base, RECIPE, path, killed_at=0.5, key="other")
    again = run(base, RECIPE, path)
    path.write_bytes(b"no checkpoint")
    once_more = run(base, RECIPE, path)
    for trained in (again, once_more):
        assert trained.history.losses == whole.history.losses


def test_useful_tokens_are_counted(base: Base, tmp_path: Path) -> None:
    """Every text counts three times as useful; padding, or the instruction once a step, counts as computed only."""
    history = run(base, replace(RECIPE, balance=False), tmp_path / "c").history
    ids = [len(base.frame(base.encode(example.text))) for example in EXAMPLES]
    assert history.useful_tokens == 3 * sum(ids)
    assert history.useful_tokens < history.computed_tokens < 3 * history.useful_tokens + 18 * 200
    assert history.to_json()["tokens a second"] > 0
