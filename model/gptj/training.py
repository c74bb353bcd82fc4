"""Trains an adapter over a frozen GPT-J; the loss covers only the answer's tokens.

The instruction is computed once per batch, not once per message: its keys and values, with their gradients, stand
before every packed message. The sum of gradients is the same.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from model.base import Encoded, LoraSpec
from model.gptj.lora import lora_shapes, tensor_name
from model.gptj.network import KeyValue, Network
from model.gptj.packing import pack
from model.gptj.question import Question, answer_scores

GRADIENT_SCALE = 1024.0
"""Gradients in float16 layers are this much larger, so that small ones do not vanish (loss scaling, Micikevicius et al.
2018, "Mixed Precision Training", section 3.2); the float32 matrices of the adapter receive them unscaled."""


class GPTJTraining(nn.Module):
    """Trainable LoRA matrices in float32; without a `lora`, copies of the layer norms instead.

    `recompute` keeps the activations of one layer instead of all layers.
    """

    def __init__(
        self,
        network: Network,
        question: Question,
        lora: LoraSpec | None,
        tensors: Mapping[str, Tensor] | None,
        *,
        recompute: bool,
    ) -> None:
        super().__init__()
        self._network, norms = network.with_trainable_norms() if lora is None else (network, [])
        self.norms = nn.ParameterList(norms)
        self._question = question
        self._recompute = recompute
        self._scale = lora.alpha / lora.rank if lora else 1.0
        self._shapes = lora_shapes(network.shape, lora) if lora else {}
        self.matrices = nn.ParameterDict()
        for name, shape in self._shapes.items():
            if tensors is not None:
                start = tensors[name].detach().float().clone()
            elif name.endswith("lora_A"):
                start = nn.init.kaiming_uniform_(torch.empty(shape), a=math.sqrt(5))
            else:
                start = torch.zeros(shape)
            self.matrices[_key(name)] = nn.Parameter(start.to(network.device))
        self._scales_gradients = network.dtype == torch.float16
        if self._scales_gradients:
            for parameter in (*self.matrices.values(), *self.norms):
                parameter.register_hook(lambda gradient: gradient / GRADIENT_SCALE)

    @property
    def module(self) -> nn.Module:
        """This object."""
        return self

    def add(self, layer: int, target: str, x: Tensor, y: Tensor) -> Tensor:
        """See `Lora`."""
        name = _key(tensor_name(layer, target, "A"))
        if name not in self.matrices:
            return y
        a, b = self.matrices[name], self.matrices[_key(tensor_name(layer, target, "B"))]
        return y + F.linear(F.linear(x, a.to(x.dtype)), (b * self._scale).to(x.dtype))

    def embed(self, ids: Tensor, hidden: Tensor) -> Tensor:
        """See `Lora`."""
        if (pair := self._pair("wte")) is None:
            return hidden
        return hidden + F.linear(F.embedding(ids, pair[0].T), pair[1]).to(hidden.dtype)

    def head(self, hidden: Tensor, row: Tensor, logits: Tensor, answers: Tensor | None) -> Tensor:
        """See `Lora`."""
        if (pair := self._pair("lm_head")) is None:
            return logits
        return logits + F.linear(F.linear(hidden.float(), pair[0]), pair[1] if answers is None else pair[1][answers])

    def _pair(self, target: str) -> tuple[Tensor, Tensor] | None:
        """The scaled float32 matrices of the embedding or the head, None if they are not trained."""
        if (name := _key(tensor_name(0, target, "A"))) not in self.matrices:
            return None
        return self.matrices[name], self.matrices[_key(tensor_name(0, target, "B"))] * self._scale

    def label_logits(self, batch: Sequence[Encoded]) -> Tensor:
        """(B, 3) float32 with gradients; see `answer_scores`."""
        return self._scores(batch, normalised=False)

    def loss(self, batch: Sequence[Encoded], targets: Tensor, weights: Tensor) -> Tensor:
        """Weighted mean cross-entropy of the answers' tokens over the whole vocabulary."""
        scores = self._scores(batch, normalised=True)
        losses = -(targets.to(scores.device) * scores).sum(dim=-1)
        weights = weights.to(scores.device)
        return (losses * weights).sum() / weights.sum().clamp(min=1e-8)

    def computed_tokens(self, batch: Sequence[Encoded]) -> int:
        """Tokens of the packed messages and, once, of the instruction."""
        branches = sum(map(len, self._question.branches)) * len(batch)
        return sum(map(len, batch)) + branches + len(self._question.instruction)

    def adapter_state(self) -> dict[str, Tensor]:
        """The adapter's tensors by the names of `GPTJ.adapter_shapes`."""
        return {name: self.matrices[_key(name)].detach().float().cpu().contiguous().clone() for name in self._shapes}

    def _scores(self, batch: Sequence[Encoded], *, normalised: bool) -> Tensor:
        question, network = self._question, self._network
        packed = pack(
            batch,
            [0] * len(batch),
            len(question.instruction),
            question.branches,
            dtype=network.dtype,
            device=network.device,
        )
        kept: list[KeyValue] = []
        if question.instruction:
            ids = torch.tensor([question.instruction], device=network.device)
            positions = torch.arange(ids.shape[1], device=ids.device)[None]
            network.forward(ids, positions, None, lora=self, keep=kept, recompute=self._recompute)
        hidden = network.forward(
            packed.ids,
            packed.positions,
            packed.mask,
            prefix=kept.__getitem__ if kept else None,
            lora=self,
            recompute=self._recompute,
        )
        scores = answer_scores(network, hidden, packed, question, normalised=normalised, lora=self)
        return _ScaledGradient.apply(scores) if self._scales_gradients else scores  # type: ignore[no-untyped-call]


class _ScaledGradient(torch.autograd.Function):
    """The identity function with a gradient `GRADIENT_SCALE` times larger."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return x.view_as(x)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return gradient * GRADIENT_SCALE


def _key(name: str) -> str:
    """The name without dots, which a module's parameter may not have."""
    return name.replace(".", "/")
