"""Int8 weights: they equal bitsandbytes' numbers, rounding costs little, and neighbours change a score only with
threshold-6."""

from pathlib import Path

import pytest
import torch

from model.base import LoraSpec
from model.gptj.base import GPTJ, open_gptj
from model.gptj.int8 import ARITHMETICS, Arithmetic, Int8Linear, load_bitsandbytes, quantise
from tests.model.tiny import TEXTS, make_gptj, plain_model, plain_probabilities, random_adapter

LORA = LoraSpec(4, 8.0, ("q_proj", "v_proj", "fc_out"))
NOISE = 1e-5
"""The largest difference that another order of the same computation may cause, on the way in and out of a rounding."""
BOUND = 0.01
"""How far int8 may move a probability of the tiny model, whose probabilities are close to each other on purpose."""
FLIPPED = 0.02
"""How far one rounding that noise flipped may move a probability if activations are rounded, too."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_gptj(tmp_path_factory.mktemp("gptj"))


def opened(folder: Path, arithmetic: Arithmetic) -> GPTJ:
    base = open_gptj(str(folder), precision="int8", arithmetic=arithmetic)
    base.attach("x", LORA, random_adapter(base, LORA, 1))
    return base


def layer(arithmetic: Arithmetic) -> tuple[Int8Linear, torch.Tensor]:
    torch.manual_seed(0)
    weight = torch.randn(48, 32)
    return Int8Linear(*quantise(weight), torch.randn(48), arithmetic), weight


@pytest.mark.parametrize("arithmetic", ARITHMETICS)
def test_a_layer_multiplies_as_bitsandbytes_does(arithmetic: Arithmetic) -> None:
    """A layer equals bitsandbytes' own layer with the same arithmetic, gradient included."""
    mine, weight = layer(arithmetic)
    theirs = load_bitsandbytes().nn.Linear8bitLt(32, 48, has_fp16_weights=False)
    theirs.load_state_dict({"weight": weight, "bias": mine.bias})
    theirs = theirs.to("cpu")
    theirs.state.threshold = 6.0 if arithmetic == "threshold-6" else 0.0
    theirs.train(arithmetic == "weight-only")
    results = []
    for call in (mine, theirs):
        x = torch.randn(10, 32, generator=torch.Generator().manual_seed(1))
        x[3, 5] = 9.0  # an outlier
        x.requires_grad_()
        y = call(x)
        y.square().sum().backward()
        results.append((y.detach(), x.grad))
    assert all(torch.allclose(a, b, rtol=1e-4, atol=1e-3) for a, b in zip(*results, strict=True))


@pytest.mark.parametrize("arithmetic", ARITHMETICS)
def test_only_the_published_arithmetic_lets_rows_see_each_other(arithmetic: Arithmetic) -> None:
    """A neighbour with an outlier changes a row with threshold-6 and with no other arithmetic."""
    mine, _ = layer(arithmetic)
    row, loud = torch.randn(1, 32), torch.full((1, 32), 1.0)
    loud[0, 5] = 9.0
    beside = (mine(torch.cat([row, loud]))[0] - mine(row)[0]).abs().max()
    assert (beside > 1e-3) == (arithmetic == "threshold-6")


@pytest.mark.parametrize("arithmetic", ARITHMETICS)
def test_int8_stays_near_the_plain_forward_with_the_adapter_active(folder: Path, arithmetic: Arithmetic) -> None:
    """Int8 scores are close to transformers and peft in float32 on the full prompt, but not equal."""
    base = opened(folder, arithmetic)
    served = base.label_logits([base.frame(base.encode(text)) for text in TEXTS], "x").softmax(-1)
    tensors = random_adapter(base, LORA, 1)
    expected = plain_probabilities(plain_model(folder, LORA, tensors), base, TEXTS)
    assert 1e-5 < (served - expected).abs().max() <= BOUND


@pytest.mark.parametrize(("arithmetic", "bound"), [("weight-only", NOISE), ("threshold-0", FLIPPED)])
def test_an_int8_score_does_not_depend_on_its_neighbours(folder: Path, arithmetic: Arithmetic, bound: float) -> None:
    """Weight-only matches as exactly as float32; rounded activations match up to one rounding that noise flips."""
    base = opened(folder, arithmetic)
    batch = [base.frame(base.encode(f"{text} {n}")) for n in range(4) for text in TEXTS]
    together = base.label_logits(batch, "x").softmax(-1)
    for ids, row in zip(batch[::3], together[::3], strict=True):
        assert (base.label_logits([ids], "x").softmax(-1)[0] - row).abs().max() <= bound


def test_an_adapter_trains_over_int8(folder: Path) -> None:
    """The loss falls through frozen int8 layers, and keeping activations or not gives the same gradients."""
    base = opened(folder, "weight-only")
    batch = [base.frame(base.encode(text)) for text in TEXTS[:3]]
    targets, weights, states = torch.eye(3), torch.ones(3), []
    for recompute in (False, True):
        torch.manual_seed(0)
        learner = base.start_training(LORA, recompute=recompute)
        optimizer = torch.optim.AdamW(learner.parameters(), lr=0.02)
        losses = []
        for _ in range(8):
            loss = learner.loss(batch, targets, weights)
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()
            losses.append(loss.item())
        assert losses[-1] < 0.7 * losses[0]
        states.append(learner.adapter_state())
    assert all(torch.allclose(states[0][name], states[1][name], atol=1e-3) for name in states[0])
