"""The embedded base: serving equals training, a score ignores its neighbours, hostile files are refused."""

import json
import shutil
from pathlib import Path

import pytest
import torch

from model.adapters.registry import SHIPPED, read_manifest, write_adapter
from model.base import BaseNotFound
from model.classifier import AdapterRejected, Item
from model.encoder.minilm import MiniLM, verified_weights
from model.labels import LABELS
from model.open import open_base
from model.serving.scorer import Scorer, attach_adapter
from training.evaluation import measure
from training.samples import read_held_out
from training.training_loop import compute_logits

TEXTS = ["hello there", "you are a complete idiot and I never want to see you here again", "ok", "a b c " * 30]


@pytest.fixture(scope="module")
def exact() -> MiniLM:
    return MiniLM(precision="fp32")


def test_serving_equals_transformers_with_peft(exact: MiniLM) -> None:
    """Merged, unpadded float32 serving equals the peft model with every LoRA matrix active."""
    torch.manual_seed(0)
    learner = exact.start_training(exact.default_lora)
    for name, parameter in learner.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter, std=0.05)
    learner.eval()
    learner._bfloat16 = False
    exact.attach("x", exact.default_lora, learner.adapter_state())
    batch = [exact.frame(exact.encode(text)) for text in TEXTS]
    with torch.no_grad():
        expected = learner.label_logits(batch).softmax(-1)
    served = exact.label_logits(batch, "x").softmax(-1)
    assert (served - expected).abs().max() <= 1e-5


def test_a_score_does_not_depend_on_its_neighbours(exact: MiniLM) -> None:
    """A text's probabilities are the same to 1e-5 alone and in a batch of other lengths."""
    scorer = Scorer(exact)
    scorer.load("s", SHIPPED)
    together = scorer.classify([Item(text, "s") for text in TEXTS])
    for text, verdict in zip(TEXTS, together, strict=True):
        alone = scorer.classify([Item(text, "s")])[0]
        assert all(abs(alone.probabilities[label] - verdict.probabilities[label]) <= 1e-5 for label in LABELS)


def test_8_bit_products_change_little(exact: MiniLM) -> None:
    """On the held-out texts they keep the label of 99 of 100, whatever stands beside, and the balanced accuracy.

    One of five changed labels moves the accuracy by about 0.002, and they go both ways: two standard errors are 0.01.
    """
    examples = read_held_out()[1][::2]
    texts, labels = [e.text for e in examples], torch.tensor([LABELS.index(e.label) for e in examples])
    rounded = MiniLM(precision="int8")
    logits = {}
    for base in (exact, rounded):
        attach_adapter(base, "s", SHIPPED)
        logits[base] = compute_logits(base, "s", texts)
    agree = float((logits[exact].argmax(-1) == logits[rounded].argmax(-1)).float().mean())
    accuracies = {base: measure(rows.softmax(-1), labels).balanced_accuracy for base, rows in logits.items()}
    assert agree >= 0.99 and abs(accuracies[rounded] - accuracies[exact]) <= 0.01
    batch = [rounded.frame(rounded.encode(text)) for text in TEXTS]
    together = rounded.label_logits(batch, "s")
    for ids, row in zip(batch, together, strict=True):
        assert (rounded.label_logits([ids], "s")[0] - row).abs().max() <= 0.05  # bfloat16's own error is 0.06
    assert rounded.held_bytes("s") < exact.held_bytes("s") / 3


def test_the_shipped_adapter_tells_hate_from_its_harmless_twin() -> None:
    """The shipped adapter labels four plain sentences correctly."""
    scorer = Scorer(open_base("minilm"))
    scorer.load("s", SHIPPED)
    texts = [
        "fuck all immigrants, they are vermin",
        "my neighbours are immigrants",
        "you fucking moron",
        "see you tomorrow",
    ]
    labels = [verdict.label for verdict in scorer.classify([Item(text, "s") for text in texts])]
    assert labels == ["hate", "neutral", "offensive", "neutral"]


@pytest.mark.parametrize(
    "text", ["", "   ", "x" * 100_000, "a " * 50_000, "z\u0335\u0322" * 5000, "<|endoftext|>", "[SEP] [CLS]", "\ud800"]
)
def test_any_text_gets_probabilities(text: str) -> None:
    """Empty, very long, zalgo, special-token and surrogate texts give three numbers that sum to one."""
    scorer = Scorer(open_base("minilm"))
    scorer.load("s", SHIPPED)
    verdict = scorer.classify([Item(text, "s")])[0]
    assert abs(sum(verdict.probabilities.values()) - 1) < 1e-5


def test_a_typed_special_token_stays_text(exact: MiniLM) -> None:
    """A typed special token cannot end the sequence."""
    assert not set(exact.encode("[SEP] [CLS] [PAD]")) & {0, 101, 102}


def test_other_weights_are_refused(tmp_path: Path) -> None:
    """An adapter of another base is refused."""
    (tmp_path / "model.safetensors").write_bytes(b"something else")
    with pytest.raises(BaseNotFound, match="SHA-256"):
        verified_weights(tmp_path)


def spoil_hash(folder: Path) -> None:
    path = folder / "adapter_model.safetensors"
    path.write_bytes(path.read_bytes()[:-1] + b"\x7f")


def spoil_base(folder: Path) -> None:
    edit(folder, base_sha256="0" * 64)


def spoil_shape(folder: Path) -> None:
    edit(folder, lora={**json.loads((folder / "manifest.json").read_text())["lora"], "rank": 3})


def spoil_values(folder: Path) -> None:
    from safetensors.torch import load, save

    manifest = read_manifest(folder)
    tensors = load((folder / "adapter_model.safetensors").read_bytes())
    tensors["head.out.bias"][0] = float("nan")
    write_adapter(folder, manifest, save(tensors))


def spoil_names(folder: Path) -> None:
    from safetensors.torch import load, save

    manifest = read_manifest(folder)
    tensors = load((folder / "adapter_model.safetensors").read_bytes())
    write_adapter(folder, manifest, save({**tensors, "extra": torch.zeros(1)}))


def spoil_manifest(folder: Path) -> None:
    (folder / "manifest.json").write_text("{")


def edit(folder: Path, **changes: object) -> None:
    path = folder / "manifest.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


@pytest.mark.parametrize("spoil", [spoil_hash, spoil_base, spoil_shape, spoil_values, spoil_names, spoil_manifest])
def test_hostile_adapters_are_refused(spoil: object, tmp_path: Path, exact: MiniLM) -> None:
    """Wrong hash, base, shapes, values, names or manifest are refused with the place of the error."""
    folder = tmp_path / "adapter"
    shutil.copytree(SHIPPED, folder)
    spoil(folder)  # type: ignore[operator]
    with pytest.raises(AdapterRejected):
        Scorer(exact).load("bad", folder)
