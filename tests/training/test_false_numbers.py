"""Training refuses figures that are not finite, and adapters that the base refuses."""

import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load

from model.adapters.registry import SHIPPED, Registry, read_manifest, read_weights
from model.base import LoraSpec
from model.classifier import AdapterRejected
from model.labels import LABELS, Label
from model.open import open_base
from tests.model.adapters.test_canaries import HOSTILE, made
from tests.model.adapters.test_files import adapter, edit
from training.attached_adapter import find_serving
from training.examples import Example
from training.gate import judge
from training.lineage import find_clean_origin
from training.train import TrainedAdapter, save_adapter
from training.training_loop import Recipe, TrainingHistory

SHIPPED_NAME = f"global/{read_manifest(SHIPPED).version}"


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
def test_a_candidate_with_a_score_that_is_no_number_is_refused(number: float) -> None:
    """A candidate with NaN is refused, because NaN passes every comparison of the gate."""
    held_out = [Example(f"text {n}", label, "x") for n, label in enumerate(LABELS * 20)]
    labels = torch.tensor([LABELS.index(example.label) for example in held_out])
    before = torch.nn.functional.one_hot(labels, len(LABELS)).float() * 0.9 + 1 / 30
    assert judge(before, before.clone(), held_out).reasons == ()
    after = before.clone()
    after[[4, 7], 1] = number
    assert judge(before, after, held_out).reasons[0] == "2 scores are not finite numbers"
    assert "60 scores are not finite numbers" in judge(before, torch.full_like(before, number), held_out).reasons


def test_a_refresh_starts_from_no_adapter_that_the_base_refuses(tmp_path: Path) -> None:
    """A refresh skips refused adapters and starts from the newest intact one, or the shipped one."""
    base, registry = open_base("minilm"), Registry(tmp_path / "adapters", SHIPPED)
    assert find_serving(base, registry, "global") == (SHIPPED_NAME, {})
    adapter(registry.root, "v1")
    edit(adapter(registry.root, "v2"), files=[])
    made(registry.root / "global" / "v3", HOSTILE["calls hate neutral"][0])
    edit(adapter(registry.root, "v4"), base_sha256="0" * 64)
    (registry.root / "global" / "current").write_bytes(b"v3\nv1\nv2\nv3\nv4\nv\xff\n")
    serving, refused = find_serving(base, registry, "global")
    assert serving == "global/v1" and refused.keys() == {"global/v3", "global/v4"}
    assert find_serving(base, registry, "global", tries_adapters=False)[0] == "global/v3"
    edit(registry.root / "global" / "v1", examples=["taken back"])
    assert find_clean_origin(registry, serving, set(), refused) == SHIPPED_NAME


@pytest.mark.parametrize("number", [math.nan, math.inf, 1e6])
def test_a_training_that_came_to_nothing_writes_no_adapter(tmp_path: Path, number: float) -> None:
    """Weights or figures that are not finite are not written."""
    manifest = read_manifest(SHIPPED)
    tensors = {name: tensor.float() for name, tensor in load(read_weights(SHIPPED, manifest)).items()}
    base, lora = open_base("minilm"), LoraSpec.from_json(manifest.lora)
    examples = [Example("x", Label.NEUTRAL, "x")]
    trained = TrainedAdapter(tensors, lora, TrainingHistory())
    metrics = {"macro_f1": number} if math.isnan(number) else {}
    if metrics:
        with pytest.raises(AdapterRejected, match="finite"):
            save_adapter(tmp_path / "figure", base, trained, examples, Recipe(), 1.0, metrics)
    tensors["head.out.bias"][0] = number
    with pytest.raises(AdapterRejected, match=r"head\.out\.bias"):
        save_adapter(tmp_path / "weights", base, replace(trained, tensors=tensors), examples, Recipe(), 1.0, {})
    assert not list(tmp_path.glob("*/manifest.json"))
