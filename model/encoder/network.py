"""The network of the embedded bases: a BERT with post-norm layers, and a three-way head on the mean over its tokens.

Serving merges an adapter's LoRA into a copy of the layers' weights (LoRA, section 4.1: no extra latency) and runs every
linear layer on the concatenated tokens of the batch, so only attention computes padding.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from model.base import BaseNotFound, LoraSpec
from model.labels import LABELS

NORM_EPSILON = 1e-12


@dataclass(frozen=True, slots=True)
class Shape:
    """The dimensions of a network: `hidden` numbers for each token, in `layers` of `heads` attention heads."""

    layers: int
    hidden: int = 384
    heads: int = 12
    feed_forward: int = 1536
    positions: int = 512

    @property
    def linears(self) -> dict[str, tuple[str, int, int]]:
        """The LoRA targets: name in a manifest -> module path inside one layer, (out, in) features."""
        return {
            "query": ("attention.self.query", self.hidden, self.hidden),
            "key": ("attention.self.key", self.hidden, self.hidden),
            "value": ("attention.self.value", self.hidden, self.hidden),
            "attention_output": ("attention.output.dense", self.hidden, self.hidden),
            "up": ("intermediate.dense", self.feed_forward, self.hidden),
            "down": ("output.dense", self.hidden, self.feed_forward),
        }

    @property
    def head(self) -> dict[str, tuple[int, ...]]:
        """The head's tensors and their shapes."""
        return {
            "head.dense.weight": (self.hidden, self.hidden),
            "head.dense.bias": (self.hidden,),
            "head.out.weight": (len(LABELS), self.hidden),
            "head.out.bias": (len(LABELS),),
        }


@dataclass(frozen=True, slots=True)
class Weights:
    """The frozen weights, float32. `tensors` has all but the word embeddings, by the names of transformers' BertModel;
    `words` turns (T,) ids into (T, hidden) word embeddings."""

    shape: Shape
    tensors: Mapping[str, Tensor]
    words: Callable[[Tensor], Tensor]

    def embed(self, ids: Tensor, position: Tensor) -> Tensor:
        """(T, hidden): word + position + segment embeddings, normalised."""
        hidden = self.words(ids) + F.embedding(position, self.tensors["embeddings.position_embeddings.weight"])
        hidden = hidden + self.tensors["embeddings.token_type_embeddings.weight"][0]
        weight, bias = (self.tensors[f"embeddings.LayerNorm.{part}"] for part in ("weight", "bias"))
        return F.layer_norm(hidden, (self.shape.hidden,), weight, bias, NORM_EPSILON)


class Linear:
    """A linear layer in float32 or bfloat16, or with 8-bit products.

    In 8 bit each row of the weights and each token has its own scale (Dettmers et al. 2022, "LLM.int8()", section 2),
    so a text's numbers do not depend on the texts beside it.
    """

    def __init__(self, weight: Tensor, bias: Tensor, dtype: torch.dtype) -> None:
        self._int8 = dtype == torch.int8
        if self._int8:
            self._scale = weight.abs().amax(1).clamp(min=1e-12) / 127  # (out,)
            weight = (weight / self._scale[:, None]).round().to(torch.int8).t().contiguous()  # (in, out)
        self._weight, self._bias = (weight, bias) if self._int8 else (weight.to(dtype), bias.to(dtype))

    @property
    def held_bytes(self) -> int:
        """Bytes of weights, bias and scales."""
        return self._weight.nbytes + self._bias.nbytes + (self._scale.nbytes if self._int8 else 0)

    def __call__(self, x: Tensor) -> Tensor:
        """(T, in) -> (T, out), in float32 with 8-bit products."""
        if not self._int8:
            return F.linear(x.to(self._weight.dtype), self._weight, self._bias)
        scale = x.abs().amax(1, keepdim=True).float().clamp(min=1e-12) / 127  # (T, 1)
        whole = (x / scale).round_().to(torch.int8)
        return torch.addcmul(self._bias, torch._int_mm(whole, self._weight) * scale, self._scale)


class Layer:
    """One transformer layer with its adapter merged in. Matrix products in `dtype`; sums and norms in float32."""

    def __init__(
        self, linears: Mapping[str, tuple[Tensor, Tensor]], norms: Sequence[Tensor], shape: Shape, dtype: torch.dtype
    ):
        qkv = [linears[name] for name in ("query", "key", "value")]
        self._qkv = Linear(torch.cat([w for w, _ in qkv]), torch.cat([b for _, b in qkv]), dtype)
        self._out, self._up, self._down = (Linear(*linears[name], dtype) for name in ("attention_output", "up", "down"))
        self._norms, self._shape = list(norms), shape

    @property
    def held_bytes(self) -> int:
        """Bytes of the linear layers; the norms belong to the base."""
        return sum(linear.held_bytes for linear in (self._qkv, self._out, self._up, self._down))

    def forward(self, hidden: Tensor, slot: Tensor, mask: Tensor | None, rows: int, longest: int) -> Tensor:
        """(T', hidden) -> (T', hidden). T' is the T real tokens and spare rows; only attention uses the (rows, longest)
        grid."""
        size, heads = self._shape.hidden, self._shape.heads
        spare = len(hidden) - len(slot)
        qkv = self._qkv(hidden)[: len(slot)]  # (T, 3 * hidden)
        grid = qkv if mask is None else qkv.new_zeros(rows * longest, 3 * size).index_copy_(0, slot, qkv)
        query, key, value = grid.view(rows, longest, 3, heads, size // heads).permute(2, 0, 3, 1, 4).unbind(0)
        mixed = F.scaled_dot_product_attention(query, key, value, attn_mask=mask)  # (B, heads, L, hidden / heads)
        mixed = mixed.transpose(1, 2).reshape(rows * longest, size)
        if mask is not None:
            mixed = mixed.index_select(0, slot)
        mixed = F.pad(mixed, (0, 0, 0, spare))
        hidden = self._norm(0, hidden + self._out(mixed))
        return self._norm(2, hidden + self._down(F.gelu(self._up(hidden))))

    def _norm(self, first: int, x: Tensor) -> Tensor:
        return F.layer_norm(x, (self._shape.hidden,), self._norms[first], self._norms[first + 1], NORM_EPSILON)


def merge_layers(
    weights: Weights, lora: LoraSpec | None, tensors: Mapping[str, Tensor], dtype: torch.dtype
) -> list[Layer]:
    """The layers with W + alpha / rank * B A in place of W, for each target of the adapter."""
    layers, frozen = [], weights.tensors
    for n in range(weights.shape.layers):
        linears = {}
        for target, (path, _, _) in weights.shape.linears.items():
            weight = frozen[f"encoder.layer.{n}.{path}.weight"]
            if lora is not None and target in lora.targets:
                a, b = tensors[f"layer.{n}.{path}.lora_A"], tensors[f"layer.{n}.{path}.lora_B"]
                weight = weight + (lora.alpha / lora.rank) * (b @ a)
            linears[target] = (weight, frozen[f"encoder.layer.{n}.{path}.bias"])
        norms = [
            frozen[f"encoder.layer.{n}.{module}.LayerNorm.{part}"]
            for module in ("attention.output", "output")
            for part in ("weight", "bias")
        ]
        layers.append(Layer(linears, norms, weights.shape, dtype))
    return layers


def apply_head(pooled: Tensor, head: Mapping[str, Tensor]) -> Tensor:
    """(B, hidden) -> (B, 3)."""
    inner = F.gelu(F.linear(pooled, head["head.dense.weight"], head["head.dense.bias"]))
    return F.linear(inner, head["head.out.weight"], head["head.out.bias"])


def matmul_dtype(precision: str, device: torch.device) -> torch.dtype:
    """ "auto" is bfloat16 if the hardware multiplies it (about twice as fast as float32), else float32."""
    if precision == "auto":
        return torch.bfloat16 if multiplies_bfloat16(device) else torch.float32
    dtypes = {"bf16": torch.bfloat16, "fp32": torch.float32, "int8": torch.int8}
    if precision not in dtypes:
        raise BaseNotFound(
            f"the embedded model does not support {precision}; set precision to auto, bf16, fp32 or int8"
        )
    return dtypes[precision]


def multiplies_bfloat16(device: torch.device) -> bool:
    """Whether the device has instructions for it."""
    if device.type == "cpu":
        return bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())
    return bool(torch.cuda.is_bf16_supported())
