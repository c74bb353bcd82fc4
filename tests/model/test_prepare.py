"""A base quantised once on disk equals one quantised at every start."""

from pathlib import Path

import pytest
import torch
from rich.console import Console

from model import prepare
from model.base import BaseNotFound, LoraSpec
from model.gptj.base import GPTJ, open_gptj
from tests.model.tiny import TEXTS, make_gptj, random_adapter

LORA = LoraSpec(4, 8.0, ("q_proj", "v_proj", "fc_out"))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_gptj(tmp_path_factory.mktemp("gptj"))


@pytest.fixture(scope="module")
def prepared(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("prepared") / "int8"
    assert prepare.main([str(folder), "--out", str(out)]) == 0
    return out


def answers(base: GPTJ) -> torch.Tensor:
    base.attach("x", LORA, random_adapter(base, LORA, 1))
    return base.label_logits([base.frame(base.encode(text)) for text in TEXTS], "x")


def test_a_prepared_folder_reloads_bit_identically(folder: Path, prepared: Path) -> None:
    """A prepared base has the same tensors, answers and fingerprint as one quantised at the start."""
    fresh, reloaded = open_gptj(str(folder), precision="int8"), open_gptj(str(prepared))
    assert len(fresh.network.tensors) == len(reloaded.network.tensors) > 20
    for a, b in zip(fresh.network.tensors, reloaded.network.tensors, strict=True):
        assert a.dtype == b.dtype and torch.equal(a, b)
    assert torch.equal(answers(fresh), answers(reloaded))
    assert fresh.fingerprint == reloaded.fingerprint


def test_transformers_reads_a_prepared_folder(prepared: Path) -> None:
    """The files have bitsandbytes' format: int8 rows and maxima are read back as written."""
    from safetensors.torch import load_file
    from transformers import GPTJForCausalLM

    model = GPTJForCausalLM.from_pretrained(prepared)
    written = load_file(prepared / "model.safetensors")
    weight = model.transformer.h[1].mlp.fc_in.weight
    assert weight.dtype == torch.int8 and torch.equal(weight.data, written["transformer.h.1.mlp.fc_in.weight"])
    assert torch.equal(weight.SCB, written["transformer.h.1.mlp.fc_in.SCB"])
    assert model.lm_head.weight.dtype == torch.float16


def test_large_models_are_cut_into_files(folder: Path, prepared: Path, tmp_path: Path) -> None:
    """Several files with transformers' index give the same answers."""
    from transformers import GPTJForCausalLM

    prepare.prepare(str(folder), tmp_path / "cut", Console(stderr=True), shard_bytes=100_000)
    assert len(list((tmp_path / "cut").glob("*.safetensors"))) > 2
    assert torch.equal(answers(open_gptj(str(tmp_path / "cut"))), answers(open_gptj(str(prepared))))
    assert GPTJForCausalLM.from_pretrained(tmp_path / "cut").transformer.h[2].attn.q_proj.weight.dtype == torch.int8


def test_a_changed_file_is_noticed(folder: Path, tmp_path: Path) -> None:
    """One changed byte of the weights is noticed."""
    prepare.prepare(str(folder), tmp_path / "int8", Console(stderr=True))
    weights = tmp_path / "int8" / "model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    with pytest.raises(BaseNotFound, match="prepare again"):
        open_gptj(str(tmp_path / "int8"))


def test_bad_input_is_one_line_and_leaves_nothing(
    folder: Path, prepared: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A missing or prepared source, an existing target and another precision are refused."""
    for source, out in (("no/such/folder", "a"), (str(prepared), "b"), (str(folder), ".")):
        assert prepare.main([source, "--out", str(tmp_path / out)]) == 2
        assert len(capsys.readouterr().err.splitlines()) == 1
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(BaseNotFound, match="int8"):
        open_gptj(str(prepared), precision="bf16")
