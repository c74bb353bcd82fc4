"""How much memory a GPT-J needs on its device, computed before any of it is loaded.

Permanent memory is counted from the config. The temporary memory of a pass is measured: the real code runs once on
PyTorch's meta device, which has shapes and no data, and the largest sum of living tensors is recorded.
"""

import weakref
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten

from model.base import DeviceTooSmall, LoraSpec
from model.gptj.lora import Adapter, RowAdapters, lora_shapes
from model.gptj.network import LINEARS, Network, Shape
from model.gptj.packing import pack
from model.gptj.question import Question, answer_scores
from model.gptj.training import GPTJTraining
from model.prompts import INSTRUCTION

GIB = 2**30
CUDA_RESERVE = int(0.65 * GIB)
"""Bytes of the driver's context, the libraries' kernels and workspaces, and memory the allocator cannot reuse."""
TRAINING_ROWS, TRAINING_TOKENS = 16, 128
"""The default batch of a training `Recipe`."""
ADAM_BYTES = 12
"""Bytes of a trainable float32 value and its two moments; its gradient is part of the measured pass."""
TYPICAL_MESSAGE_TOKENS = 32


@dataclass(frozen=True, slots=True)
class LoadPlan:
    """How a base will be used. `lora` is the shape of the adapter assumed for the measurement."""

    dtype: torch.dtype
    int8: bool
    lora: LoraSpec
    batch_tokens: int
    instruction_tokens: int
    prefix_mib: float
    adapter_mib: float
    training: bool = False
    device: str = "cuda"


@dataclass(frozen=True, slots=True)
class MemoryTable:
    """Bytes by purpose."""

    parts: Mapping[str, int]

    @property
    def total_bytes(self) -> int:
        """The sum."""
        return sum(self.parts.values())

    def __str__(self) -> str:
        """One line per part and one for the sum, in GiB."""
        lines = [f"{name:<36}{size / GIB:8.2f} GiB" for name, size in (*self.parts.items(), ("sum", self.total_bytes))]
        return "\n".join(lines)


def memory_table(shape: Shape, plan: LoadPlan) -> MemoryTable:
    """The table for this shape and plan."""
    width = plan.dtype.itemsize
    linear = sum(_product(size) for name, size in shape.tensors() if _quantisable(name, size))
    rows = sum(size[0] for name, size in shape.tensors() if _quantisable(name, size))
    ends = sum(_product(size) for name, size in shape.tensors() if "wte" in name or "lm_head" in name)
    whole = sum(_product(size) for _, size in shape.tensors())
    parts = {
        "linear layers": linear + 4 * rows if plan.int8 else linear * width,
        "embedding and head": ends * width,
        "norms, biases, positions": (whole - linear - ends) * width
        + (3 * shape.hidden * shape.layers + 2 * shape.positions * shape.rotary) * width,
    }
    if plan.training:
        trained = sum(_product(size) for size in lora_shapes(shape, plan.lora).values())
        parts["adapter and its Adam moments"] = ADAM_BYTES * trained
        parts["activations and gradients of a step"] = _peak(shape, plan, _training_step)
    else:
        parts["prefix caches, at most"] = int(plan.prefix_mib * 2**20)
        parts["adapters, at most"] = int(plan.adapter_mib * 2**20)
        parts["activations of a pass"] = _peak(shape, plan, _serving_pass)
    if plan.device == "cuda":
        parts["driver and allocator"] = CUDA_RESERVE
    return MemoryTable(parts)


def check_memory(name: str, table: MemoryTable, available: int, int8: bool) -> None:
    """Raises `DeviceTooSmall` with the figures when the table's sum is more than the device has."""
    if table.total_bytes <= available:
        return
    listed = ", ".join(f"{part} {size / GIB:.2f}" for part, size in table.parts.items())
    fix = "take a larger device or a smaller GPT-J" if int8 else 'set int8 = "weight-only", or take a larger device'
    raise DeviceTooSmall(
        f"{name} needs {table.total_bytes / GIB:.2f} GiB and the device has {available / GIB:.2f} GiB free "
        f"({listed}); {fix}"
    )


def free_bytes(device: torch.device) -> int:
    """Free memory of the device, at most this process's share of it."""
    if device.type == "cuda":
        free, total = torch.cuda.mem_get_info(device)
        allowed = int(torch.cuda.get_per_process_memory_fraction(device) * total)
        return min(free, allowed)
    with suppress(OSError):
        for line in Path("/proc/meminfo").read_text(encoding="ascii").splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    return 2**63  # the system does not report it, and will swap rather than fail


class _PeakBytes(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Records the largest total of bytes of the tensors that were made inside it and lived at the same time."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._living: dict[int, int] = {}
        self._living_bytes = 0
        self.peak: int = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        for value in tree_flatten(result)[0]:
            if isinstance(value, Tensor):
                self._record(value.untyped_storage())
        return result

    def _record(self, storage: torch.UntypedStorage) -> None:
        key = storage._cdata
        if key not in self._living:
            self._living[key] = storage.nbytes()
            self._living_bytes += storage.nbytes()
            self.peak = max(self.peak, self._living_bytes)
            weakref.finalize(storage, self._forget, key)

    def _forget(self, key: int) -> None:
        self._living_bytes -= self._living.pop(key, 0)


class _EmptyWeights:
    """`Weights` on the meta device, without data."""

    def __init__(self, shape: Shape, plan: LoadPlan) -> None:
        self._sizes = dict(shape.tensors())
        self._plan = plan

    def linear(self, name: str) -> tuple[Tensor, Tensor | None]:
        size = self._sizes[f"{name}.weight"]
        if not self._plan.int8:
            return torch.empty(size, dtype=self._plan.dtype, device="meta"), None
        return torch.empty(size, dtype=torch.int8, device="meta"), torch.empty(size[0], device="meta")

    def plain(self, name: str) -> Tensor:
        return torch.empty(self._sizes[name], dtype=self._plan.dtype, device="meta")


def _peak(shape: Shape, plan: LoadPlan, run: Callable[[Network, Question, LoadPlan], None]) -> int:
    # Weight-only stands for every arithmetic: none needs more temporary memory than its dequantised weights.
    network = Network(shape, _EmptyWeights(shape, plan), "weight-only")
    question = Question(INSTRUCTION, (0,) * plan.instruction_tokens, (0,) * 4, ((0,), (1,), (2,)), TRAINING_TOKENS)
    recorder = _PeakBytes()
    with recorder:
        run(network, question, plan)
    return recorder.peak


def _serving_pass(network: Network, question: Question, plan: LoadPlan) -> None:
    with torch.no_grad():
        adapter = Adapter(network.shape, plan.lora, _empty(network, plan), network.device, network.dtype)
        messages = [[0] * TYPICAL_MESSAGE_TOKENS] * max(1, plan.batch_tokens // TYPICAL_MESSAGE_TOKENS)
        packed = pack(messages, [0] * len(messages), len(question.instruction), dtype=network.dtype, device="meta")
        shape = network.shape
        size = (1, shape.heads, len(question.instruction), shape.hidden // shape.heads)
        prefix = torch.empty(size, dtype=network.dtype, device="meta")
        lora = RowAdapters([adapter], packed.row_group, shape)
        hidden = network.forward(
            packed.ids, packed.positions, packed.mask, prefix=lambda layer: (prefix, prefix), lora=lora
        )
        answer_scores(network, hidden, packed, question)


def _training_step(network: Network, question: Question, plan: LoadPlan) -> None:
    learner = GPTJTraining(network, question, plan.lora, _empty(network, plan), recompute=True)
    batch = [question.frame([0] * TRAINING_TOKENS)] * TRAINING_ROWS
    targets = torch.zeros(TRAINING_ROWS, len(question.answers), device="meta")
    learner.loss(batch, targets, targets[:, 0]).backward()  # type: ignore[no-untyped-call]


def _empty(network: Network, plan: LoadPlan) -> dict[str, Tensor]:
    return {name: torch.empty(size, device="meta") for name, size in lora_shapes(network.shape, plan.lora).items()}


def _quantisable(name: str, size: tuple[int, ...]) -> bool:
    return len(size) == 2 and any(f".{path}." in name for path in LINEARS.values())


def _product(size: tuple[int, ...]) -> int:
    product = 1
    for n in size:
        product *= n
    return product
