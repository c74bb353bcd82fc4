"""The shipped adapter on sentences that were not trained on; the bounds are slightly below the measured values."""

from safetensors.torch import load_file

from model.adapters.registry import SHIPPED, read_manifest
from model.base import LoraSpec
from model.open import open_base
from training.ship import measure_own_sentences


def test_what_looks_like_hate_is_told_from_hate() -> None:
    """Measured: 0.93 by hand and 0.965 from templates; every slur, threat and exclusion; no everyday message."""
    base, manifest = open_base("minilm"), read_manifest(SHIPPED)
    lora = LoraSpec(manifest.lora["rank"], manifest.lora["alpha"], tuple(manifest.lora["targets"]))
    base.attach("shipped", lora, load_file(SHIPPED / "adapter_model.safetensors"))
    found = measure_own_sentences(base, "shipped", manifest.temperature)
    assert found["written by hand: area under the curve, hate against harmless"] > 0.91
    assert found["own sentences: area under the curve, hate against harmless"] > 0.95
    assert all(found[f"written by hand flagged: {kind}"] == 1.0 for kind in ("slur", "threat", "exclude"))
    assert found["written by hand flagged: everyday"] == found["written by hand flagged: critique"] == 0.0
