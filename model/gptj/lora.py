"""LoRA adapters applied to packed rows: one adapter for the whole batch, or a different one for each row.

y + alpha / rank * x A^T B^T (Hu et al. 2021, "LoRA: Low-Rank Adaptation of Large Language Models", section 4.1),
beside the frozen layer and never merged into it, so one base serves every community at the same time.
"""

from collections.abc import Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from model.base import MAX_ALPHA, LoraSpec
from model.gptj.network import EMBEDDING_AND_HEAD, LINEARS, Shape

MAX_RANK = 256
SAME_INPUT_TARGETS = ("q_proj", "k_proj", "v_proj", "fc_in")
"""Targets that have the same input within a layer."""


def lora_shapes(shape: Shape, lora: LoraSpec) -> dict[str, tuple[int, ...]]:
    """Names and shapes: for each layer and linear target a `lora_A` (rank, in) and a `lora_B` (out, rank); the same
    once for the embedding and the head if they are targets. Raises ValueError for a bad spec."""
    limit = min(MAX_RANK, shape.hidden)
    if not 1 <= lora.rank <= limit or not 0 < lora.alpha <= MAX_ALPHA:
        raise ValueError(f"LoRA rank {lora.rank} must be 1 to {limit}, alpha {lora.alpha} above 0 to {MAX_ALPHA:.0f}")
    if not lora.targets or (unknown := set(lora.targets) - {*LINEARS, *EMBEDDING_AND_HEAD}):
        known = ", ".join((*LINEARS, *EMBEDDING_AND_HEAD))
        raise ValueError(f"unknown LoRA targets {sorted(unknown) or '(none)'}; known: {known}")
    shapes: dict[str, tuple[int, ...]] = {}
    inner = [(layer, target) for layer in range(shape.layers) for target in lora.targets if target in LINEARS]
    for layer, target in (*inner, *((0, target) for target in lora.targets if target in EMBEDDING_AND_HEAD)):
        out_features, in_features = shape.features(target)
        shapes[tensor_name(layer, target, "A")] = (lora.rank, in_features)
        shapes[tensor_name(layer, target, "B")] = (out_features, lora.rank)
    return shapes


def tensor_name(layer: int, target: str, part: str) -> str:
    """The name in an adapter's file: "layer.0.attn.q_proj.lora_A", or "wte.lora_A", which exists once."""
    if target in EMBEDDING_AND_HEAD:
        return f"{target}.lora_{part}"
    return f"layer.{layer}.{LINEARS[target]}.lora_{part}"


class Adapter:
    """One adapter's matrices on the device; B includes the scale."""

    def __init__(
        self, shape: Shape, lora: LoraSpec, tensors: Mapping[str, Tensor], device: torch.device, dtype: torch.dtype
    ) -> None:
        self.rank = lora.rank
        self.same_input = [target for target in SAME_INPUT_TARGETS if target in lora.targets]
        self.joined_a: list[Tensor] = []  # per layer, the A of all targets in `same_input`, one above the other
        self.pairs: dict[tuple[int, str], tuple[Tensor, Tensor]] = {}
        for layer in range(shape.layers):
            pairs = {}
            for target in lora.targets:
                if target in LINEARS:
                    pairs[target] = _pair(tensors, layer, target, lora, device, dtype)
            if self.same_input:
                self.joined_a.append(torch.cat([pairs[target][0] for target in self.same_input]))
                for target, view in zip(self.same_input, torch.split(self.joined_a[-1], self.rank), strict=True):
                    pairs[target] = view, pairs[target][1]
            self.pairs |= {(layer, target): pair for target, pair in pairs.items()}
        for target in EMBEDDING_AND_HEAD:
            if target in lora.targets:
                self.pairs[0, target] = _pair(tensors, 0, target, lora, device, dtype)

    @property
    def held_bytes(self) -> int:
        """Bytes of the matrices."""
        return sum(a.nbytes + b.nbytes for a, b in self.pairs.values())


def _pair(
    tensors: Mapping[str, Tensor], layer: int, target: str, lora: LoraSpec, device: torch.device, dtype: torch.dtype
) -> tuple[Tensor, Tensor]:
    a, b = (tensors[tensor_name(layer, target, part)].to(device, torch.float32) for part in "AB")
    return a.to(dtype), (b * (lora.alpha / lora.rank)).to(dtype)


class RowAdapters:
    """The `Lora` of one pass. `row_group[r]` is the number, in `adapters`, of the adapter of row r; None is the bare
    base."""

    def __init__(self, adapters: Sequence[Adapter | None], row_group: Sequence[int], shape: Shape) -> None:
        self._adapters = adapters
        self._shape = shape
        self._rows = None if len(adapters) == 1 else list(row_group)
        self._rank = max((adapter.rank for adapter in adapters if adapter), default=0)
        self._lowered_x: tuple[int, tuple[Tensor, ...]] = (-1, ())

    def add(self, layer: int, target: str, x: Tensor, y: Tensor) -> Tensor:
        """y (R, C, out) plus each row's own B A x; y is changed in place."""
        pairs = [adapter.pairs.get((layer, target)) if adapter else None for adapter in self._adapters]
        if not any(pairs):
            return y
        adapter, pair = self._adapters[0], pairs[0]
        if self._rows is None and adapter is not None and pair is not None:
            y.view(-1, y.shape[-1]).addmm_(self._lowered(adapter, layer, target, x), pair[1].T)
            return y
        a, b = self._stacked(pairs, target, x)
        return y.baddbmm_(torch.bmm(x, a.transpose(1, 2)), b.transpose(1, 2))

    def embed(self, ids: Tensor, hidden: Tensor) -> Tensor:
        """See `Lora`."""
        for rows, (a, b) in self._adapters_of("wte", torch.arange(len(ids), device=ids.device)):
            hidden = hidden.index_add(0, rows, F.linear(F.embedding(ids[rows], a.T), b))
        return hidden

    def head(self, hidden: Tensor, row: Tensor, logits: Tensor, answers: Tensor | None) -> Tensor:
        """See `Lora`."""
        for places, (a, b) in self._adapters_of("lm_head", row):
            change = F.linear(F.linear(hidden[places], a), b if answers is None else b[answers])
            logits = logits.index_add(0, places, change.float())
        return logits

    def _adapters_of(self, target: str, row: Tensor) -> list[tuple[Tensor, tuple[Tensor, Tensor]]]:
        """For each adapter with this target: the places in `row` that belong to the adapter, and its matrices."""
        pairs = []
        for number, adapter in enumerate(self._adapters):
            if adapter and (pair := adapter.pairs.get((0, target))):
                group = torch.tensor(self._rows or [0], device=row.device)
                own = row >= 0 if self._rows is None else group[row] == number
                pairs.append((own.nonzero().squeeze(1), pair))
        return pairs

    def _lowered(self, adapter: Adapter, layer: int, target: str, x: Tensor) -> Tensor:
        """(R * C, rank): x A^T. Targets with the same x are computed together when the first of them is needed."""
        flat = x.view(-1, x.shape[-1])
        if target not in adapter.same_input:
            return F.linear(flat, adapter.pairs[layer, target][0])
        if self._lowered_x[0] != layer:
            self._lowered_x = layer, torch.split(F.linear(flat, adapter.joined_a[layer]), adapter.rank, dim=-1)
        return self._lowered_x[1][adapter.same_input.index(target)]

    def _stacked(self, pairs: Sequence[tuple[Tensor, Tensor] | None], target: str, x: Tensor) -> tuple[Tensor, Tensor]:
        """(R, rank, in) and (R, out, rank): each row's matrices, filled with zeros if its adapter lacks rank or
        target."""
        out_features, in_features = self._shape.features(target)
        whole: list[tuple[Tensor, Tensor]] = []
        for pair in pairs:
            a, b = pair or (x.new_zeros(0, in_features), x.new_zeros(out_features, 0))
            if missing_rank := self._rank - len(a):
                a, b = F.pad(a, (0, 0, 0, missing_rank)), F.pad(b, (0, missing_rank))
            whole.append((a, b))
        rows = self._rows or []
        return torch.stack([whole[g][0] for g in rows]), torch.stack([whole[g][1] for g in rows])
