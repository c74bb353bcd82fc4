"""The memory table equals the memory really used, the 6B fits its target, and a small device is refused with
figures."""

from pathlib import Path

import pytest
import torch

from model.base import DeviceTooSmall
from model.gptj import base as gptj
from model.gptj import memory
from model.gptj.base import BATCH_TOKENS, DEFAULT_LORA, PREFIX_MIB, open_gptj
from model.gptj.memory import GIB, LoadPlan, MemoryTable, memory_table
from model.gptj.network import GPTJ_6B
from model.open import open_base
from tests.model.tiny import make_gptj


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_gptj(tmp_path_factory.mktemp("gptj"))


def on_a_card(training: bool) -> MemoryTable:
    return memory_table(
        GPTJ_6B,
        LoadPlan(torch.float16, True, DEFAULT_LORA, BATCH_TOKENS, 64, PREFIX_MIB, 256.0, training=training),
    )


def test_the_6b_serves_within_8_gib() -> None:
    """A 6B in int8 serves within 8 GiB, with prefix caches, adapters, a full pass and the driver."""
    table = on_a_card(training=False)
    assert 6 * GIB < table.total_bytes <= 8 * GIB
    assert table.parts["linear layers"] == 5_637_144_576 + 4 * 28 * (5 * 4096 + 16384)


def test_the_6b_trains_within_11_gib() -> None:
    """A 6B in int8 trains its default adapter within 11 GiB, on 16 messages of 128 tokens."""
    assert 6 * GIB < on_a_card(training=True).total_bytes <= 11 * GIB


@pytest.mark.parametrize("precision", ["fp32", "fp16", "int8"])
def test_the_table_counts_what_is_loaded(folder: Path, precision: str) -> None:
    """The table counts every byte of a loaded network's tensors, with int8 maxima and joined biases."""
    base = open_gptj(str(folder), precision=precision)
    plan = LoadPlan(base.network.dtype, precision == "int8", DEFAULT_LORA, 64, 8, 0.0, 0.0, device="cpu")
    parts = memory_table(base.network.shape, plan).parts
    kept = sum(part for name, part in parts.items() if "activations" not in name)
    assert kept == sum(tensor.nbytes for tensor in base.network.tensors)


def test_the_peak_is_of_what_lives_at_the_same_time() -> None:
    """The peak of one and two MiB alive together, then four MiB beside the two, is six MiB and not seven."""
    with memory._PeakBytes() as recorder:
        one = torch.empty(2**20, dtype=torch.int8, device="meta")
        two = torch.empty(2**21, dtype=torch.int8, device="meta")
        view = two[5:]
        del one, two
        four = torch.empty(2**22, dtype=torch.int8, device="meta")
    assert recorder.peak == 6 * 2**20 and len(view) < len(four)


def test_a_small_device_is_refused_with_the_figures_and_the_fix(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A device that is too small is refused in one line before any weight is read, and int8 is suggested only if not in
    use."""
    monkeypatch.setattr(gptj, "free_bytes", lambda device: 2**20)
    for precision, fix in (("fp32", 'int8 = "weight-only"'), ("int8", "smaller GPT-J")):
        with pytest.raises(DeviceTooSmall, match=fix) as refused:
            open_base(str(folder), precision=precision)
        assert "\n" not in str(refused.value) and "linear layers" in str(refused.value)


def test_the_table_is_logged_at_start(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The log shows the table, so the operator sees what uses the memory."""
    with caplog.at_level("INFO"):
        open_base(str(folder))
    assert "activations of a pass" in caplog.text and "sum" in caplog.text
