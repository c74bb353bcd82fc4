"""LoRA adapters applied to packed rows: one adapter for the whole batch, or another one for each row.

y + alpha / rank * x A^T B^T (Hu et al. 2021, "LoRA: Low-Rank Adaptation of Large Language Models", section 4.1),
beside the frozen layer and never merged into it: one base serves every community at the same time.
"""

from collections.abc import Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from model.base import MAX_ALPHA, LoraSpec
from model.gptj.network import ENDS, LINEARS, Shape

MAX_RANK = 256
SHARING = ("q_proj", "k_proj", "v_proj", "fc_in")
"""Targets that read the same input within a layer."""


def lora_shapes(shape: Shape, lora: LoraSpec) -> dict[str, tuple[int, ...]]:
    """For each layer and linear target a `lora_A` (rank, in) and a `lora_B` (out, rank), and the same once for the
    embedding and the head where they are targets; ValueError for a bad spec."""
    limit = min(MAX_RANK, shape.hidden)
    if not 1 <= lora.rank <= limit or not 0 < lora.alpha <= MAX_ALPHA:
        raise ValueError(f"LoRA rank {lora.rank} must be 1 to {limit}, alpha {lora.alpha} above 0 to {MAX_ALPHA:.0f}")
    if not lora.targets or (unknown := set(lora.targets) - {*LINEARS, *ENDS}):
        known = ", ".join((*LINEARS, *ENDS))
        raise ValueError(f"unknown LoRA targets {sorted(unknown) or '(none)'}; known: {known}")
    shapes: dict[str, tuple[int, ...]] = {}
    inner = [(layer, target) for layer in range(shape.layers) for target in lora.targets if target in LINEARS]
    for layer, target in (*inner, *((0, target) for target in lora.targets if target in ENDS)):
        out_features, in_features = shape.features(target)
        shapes[tensor_name(layer, target, "A")] = (lora.rank, in_features)
        shapes[tensor_name(layer, target, "B")] = (out_features, lora.rank)
    return shapes


def tensor_name(layer: int, target: str, part: str) -> str:
    """As in an adapter's file: "layer.0.attn.q_proj.lora_A", or "wte.lora_A", of which there is one."""
    if target in ENDS:
        return f"{target}.lora_{part}"
    return f"layer.{layer}.{LINEARS[target]}.lora_{part}"


class Adapter:
    """One adapter's matrices on the device, the scale folded into B."""

    def __init__(
        self, shape: Shape, lora: LoraSpec, tensors: Mapping[str, Tensor], device: torch.device, dtype: torch.dtype
    ) -> None:
        self.rank = lora.rank
        self.sharing = [target for target in SHARING if target in lora.targets]
        self.joined: list[Tensor] = []  # per layer, the A of all targets in `sharing`, one above the other
        self.pairs: dict[tuple[int, str], tuple[Tensor, Tensor]] = {}
        for layer in range(shape.layers):
            pairs = {}
            for target in lora.targets:
                if target in LINEARS:
                    pairs[target] = _pair(tensors, layer, target, lora, device, dtype)
            if self.sharing:
                self.joined.append(torch.cat([pairs[target][0] for target in self.sharing]))
                for target, view in zip(self.sharing, torch.split(self.joined[-1], self.rank), strict=True):
                    pairs[target] = view, pairs[target][1]
            self.pairs |= {(layer, target): pair for target, pair in pairs.items()}
        for target in ENDS:
            if target in lora.targets:
                self.pairs[0, target] = _pair(tensors, 0, target, lora, device, dtype)

    @property
    def held_bytes(self) -> int:
        """Memory of its matrices."""
        return sum(a.nbytes + b.nbytes for a, b in self.pairs.values())


def _pair(
    tensors: Mapping[str, Tensor], layer: int, target: str, lora: LoraSpec, device: torch.device, dtype: torch.dtype
) -> tuple[Tensor, Tensor]:
    a, b = (tensors[tensor_name(layer, target, part)].to(device, torch.float32) for part in "AB")
    return a.to(dtype), (b * (lora.alpha / lora.rank)).to(dtype)


class RowAdapters:
    """The `Lora` of one pass: `row_group[r]` says which of `adapters` row r belongs to; None is the bare base."""

    def __init__(self, adapters: Sequence[Adapter | None], row_group: Sequence[int], shape: Shape) -> None:
        self._adapters = adapters
        self._shape = shape
        self._rows = None if len(adapters) == 1 else list(row_group)
        self._rank = max((adapter.rank for adapter in adapters if adapter), default=0)
        self._low: tuple[int, tuple[Tensor, ...]] = (-1, ())

    def add(self, layer: int, target: str, x: Tensor, y: Tensor) -> Tensor:
        """y (R, C, out), changed in place, plus each row's own B A x."""
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
        for rows, (a, b) in self._ends("wte", torch.arange(len(ids), device=ids.device)):
            hidden = hidden.index_add(0, rows, F.linear(F.embedding(ids[rows], a.T), b))
        return hidden

    def head(self, hidden: Tensor, row: Tensor, logits: Tensor, answers: Tensor | None) -> Tensor:
        """See `Lora`."""
        for places, (a, b) in self._ends("lm_head", row):
            more = F.linear(F.linear(hidden[places], a), b if answers is None else b[answers])
            logits = logits.index_add(0, places, more.float())
        return logits

    def _ends(self, target: str, row: Tensor) -> list[tuple[Tensor, tuple[Tensor, Tensor]]]:
        """For each adapter with this target: the places in `row` whose row is its own, and its matrices."""
        found = []
        for number, adapter in enumerate(self._adapters):
            if adapter and (pair := adapter.pairs.get((0, target))):
                group = torch.tensor(self._rows or [0], device=row.device)
                own = row >= 0 if self._rows is None else group[row] == number
                found.append((own.nonzero().squeeze(1), pair))
        return found

    def _lowered(self, adapter: Adapter, layer: int, target: str, x: Tensor) -> Tensor:
        """(R * C, rank): x A^T, for targets that read the same x computed together, when the first of them asks."""
        flat = x.view(-1, x.shape[-1])
        if target not in adapter.sharing:
            return F.linear(flat, adapter.pairs[layer, target][0])
        if self._low[0] != layer:
            self._low = layer, torch.split(F.linear(flat, adapter.joined[layer]), adapter.rank, dim=-1)
        return self._low[1][adapter.sharing.index(target)]

    def _stacked(
        self, pairs: Sequence[tuple[Tensor, Tensor] | None], target: str, like: Tensor
    ) -> tuple[Tensor, Tensor]:
        """(R, rank, in) and (R, out, rank): each row's matrices, zeros where its adapter lacks rank or target."""
        out_features, in_features = self._shape.features(target)
        whole: list[tuple[Tensor, Tensor]] = []
        for pair in pairs:
            a, b = pair or (like.new_zeros(0, in_features), like.new_zeros(out_features, 0))
            if lacking := self._rank - len(a):
                a, b = F.pad(a, (0, 0, 0, lacking)), F.pad(b, (0, lacking))
            whole.append((a, b))
        rows = self._rows or []
        return torch.stack([whole[g][0] for g in rows]), torch.stack([whole[g][1] for g in rows])
