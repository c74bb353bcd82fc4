"""GPT-J's layers over packed rows: the frozen weights, and one forward pass that serving and training share.

The weights are those of `transformers.GPTJForCausalLM`; the arithmetic is the same (Wang and Komatsuzaki 2021,
"GPT-J-6B"; rotary positions: Su et al. 2021, "RoFormer"). It only computes less: no padding, no repeated prefix, and
of the head only the requested rows. The four linear layers that read a layer's input are one product.
"""

import copy
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from model.gptj.int8 import Arithmetic, DenseLinear, Int8Linear

KeyValue = tuple[Tensor, Tensor]
"""Keys (after rotation) and values of one layer, each (rows, heads, tokens, head size)."""

# The linear layers of a block: the name that peft and manifests use -> the path inside the block.
LINEARS: dict[str, str] = {
    "q_proj": "attn.q_proj",
    "k_proj": "attn.k_proj",
    "v_proj": "attn.v_proj",
    "fc_in": "mlp.fc_in",
    "out_proj": "attn.out_proj",
    "fc_out": "mlp.fc_out",
}
EMBEDDING_AND_HEAD = ("wte", "lm_head")
"""The other layers an adapter may change, by the names peft uses."""


@dataclass(frozen=True, slots=True)
class Shape:
    """The sizes in a GPT-J's config.json."""

    layers: int
    hidden: int
    heads: int
    rotary: int
    inner: int
    vocabulary: int
    positions: int
    epsilon: float = 1e-5

    @classmethod
    def from_json(cls, text: str) -> "Shape":
        """Raises ValueError with one line for a config that is not a GPT-J's."""
        config: Mapping[str, Any] = json.loads(text)
        if config.get("model_type") != "gptj":
            raise ValueError(f'model_type is "{config.get("model_type")}", not "gptj"')
        if config.get("activation_function", "gelu_new") != "gelu_new" or config.get("tie_word_embeddings"):
            raise ValueError("only a GPT-J with gelu_new and an untied head can be read")
        try:
            hidden = int(config["n_embd"])
            shape = cls(
                int(config["n_layer"]), hidden, int(config["n_head"]), int(config["rotary_dim"]),
                int(config.get("n_inner") or 4 * hidden), int(config["vocab_size"]), int(config["n_positions"]),
                float(config.get("layer_norm_epsilon", 1e-5)),
            )  # fmt: skip
        except (KeyError, TypeError) as error:
            raise ValueError(f"incomplete ({error})") from error
        if hidden % shape.heads or not 0 < shape.rotary <= hidden // shape.heads or shape.rotary % 2:
            raise ValueError(f"{hidden} hidden units, {shape.heads} heads, rotary {shape.rotary} do not fit together")
        return shape

    def features(self, target: str) -> tuple[int, int]:
        """(out, in) features of a linear layer of a block, of the embedding or of the head."""
        sizes = {
            "fc_in": (self.inner, self.hidden),
            "fc_out": (self.hidden, self.inner),
            "wte": (self.hidden, self.vocabulary),
            "lm_head": (self.vocabulary, self.hidden),
        }
        return sizes.get(target, (self.hidden, self.hidden))

    def tensors(self) -> Iterator[tuple[str, tuple[int, ...]]]:
        """Names and shapes of a checkpoint's tensors, as transformers names them."""
        yield "transformer.wte.weight", (self.vocabulary, self.hidden)
        for n in range(self.layers):
            for part in ("weight", "bias"):
                yield f"transformer.h.{n}.ln_1.{part}", (self.hidden,)
            for target, path in LINEARS.items():
                yield f"transformer.h.{n}.{path}.weight", self.features(target)
                if path.startswith("mlp"):
                    yield f"transformer.h.{n}.{path}.bias", self.features(target)[:1]
        for part in ("weight", "bias"):
            yield f"transformer.ln_f.{part}", (self.hidden,)
        yield "lm_head.weight", (self.vocabulary, self.hidden)
        yield "lm_head.bias", (self.vocabulary,)


GPTJ_6B = Shape(layers=28, hidden=4096, heads=16, rotary=64, inner=16384, vocabulary=50400, positions=2048)


class Lora(Protocol):
    """What the adapters add to the embedding, the linear layers and the head in one pass."""

    def embed(self, ids: Tensor, hidden: Tensor) -> Tensor:
        """hidden (R, C, hidden), the embedding of ids (R, C), plus the change by the rows' adapters."""
        ...

    def head(self, hidden: Tensor, row: Tensor, logits: Tensor, answers: Tensor | None) -> Tensor:
        """logits (N, answers or vocabulary) float32 plus the change by the adapter of each `row` (N,) for hidden (N,
        in).

        `answers` are the rows of the head that were computed; None means all.
        """
        ...

    def add(self, layer: int, target: str, x: Tensor, y: Tensor) -> Tensor:
        """y (R, C, out) plus the change by the rows' adapters for x (R, C, in).

        Called for the layers in order, once each; q_proj, k_proj, v_proj and fc_in of a layer have the same x.
        """
        ...


class Weights(Protocol):
    """The source of the network's tensors, already on the device and in the final type."""

    def linear(self, name: str) -> tuple[Tensor, Tensor | None]:
        """(weight, None), or int8 rows and their maxima, of a linear layer by its transformers name."""
        ...

    def plain(self, name: str) -> Tensor:
        """An embedding, a norm or a bias."""
        ...


class Network:
    """A frozen GPT-J. It is not an `nn.Module`, because nothing in it is trained; gradients pass through to
    adapters."""

    def __init__(self, shape: Shape, weights: Weights, arithmetic: Arithmetic) -> None:
        self.shape = shape
        self.embedding = weights.plain("transformer.wte.weight")
        self.dtype = self.embedding.dtype
        self.device = self.embedding.device
        self.layers = [Layer(shape, n, weights, arithmetic) for n in range(shape.layers)]
        self.norm = weights.plain("transformer.ln_f.weight"), weights.plain("transformer.ln_f.bias")
        self.head = weights.plain("lm_head.weight"), weights.plain("lm_head.bias")
        frequency = 1.0 / 10000 ** (torch.arange(0, shape.rotary, 2, device=self.device) / shape.rotary)
        angle = torch.arange(shape.positions, device=self.device).float()[:, None] * frequency
        sin, cos = angle.sin().to(self.dtype), angle.cos().to(self.dtype)
        self._sin = torch.stack((-sin, sin), dim=-1).flatten(1)  # (positions, rotary), like `_cos`
        self._cos = cos.repeat_interleave(2, dim=1)

    def forward(
        self,
        ids: Tensor,
        positions: Tensor,
        mask: Tensor | None,
        *,
        prefix: Callable[[int], KeyValue] | None = None,
        lora: Lora | None = None,
        keep: list[KeyValue] | None = None,
        recompute: bool = False,
    ) -> Tensor:
        """(R, C) ids -> (R, C, hidden) after the last norm.

        Without a mask each row is plain causal text. `prefix(layer)` returns the keys and values that stand before
        every row (the mask then covers them). `keep` receives the keys and values of this pass. `recompute` saves the
        memory of all layers' activations for a second forward pass (gradient checkpointing, Chen et al. 2016).
        """
        hidden = F.embedding(ids, self.embedding)
        if lora is not None:
            hidden = lora.embed(ids, hidden)
        rotation = self._sin[positions][:, :, None, :], self._cos[positions][:, :, None, :]  # (R, C, 1, rotary)
        for n, layer in enumerate(self.layers):
            before = prefix(n) if prefix else None
            if recompute:
                hidden, own = checkpoint(layer.forward, hidden, rotation, mask, before, lora, use_reentrant=False)
            else:
                hidden, own = layer.forward(hidden, rotation, mask, before, lora)
            if keep is not None:
                keep.append(own)
        return _normed(hidden, self.norm, self.shape.epsilon)

    def logits(self, hidden: Tensor, rows: Tensor | None = None) -> Tensor:
        """(..., hidden) -> (..., vocabulary) float32, or only the given rows of it."""
        weight, bias = self.head if rows is None else (self.head[0][rows], self.head[1][rows])
        return F.linear(hidden.to(weight.dtype), weight).float() + bias.float()

    def with_trainable_norms(self) -> tuple["Network", list[nn.Parameter]]:
        """The same network with trainable float32 copies of its layer norms, and these copies."""
        twin, parameters = copy.copy(self), list[nn.Parameter]()

        def copied(norm: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
            weight, bias = (nn.Parameter(tensor.detach().float().clone()) for tensor in norm)
            parameters.extend((weight, bias))
            return weight, bias

        twin.norm, twin.layers = copied(self.norm), [copy.copy(layer) for layer in self.layers]
        for layer in twin.layers:
            layer.norm = copied(layer.norm)
        return twin, parameters

    @property
    def tensors(self) -> list[Tensor]:
        """All tensors that the network keeps on the device."""
        outer = [self.embedding, *self.norm, *self.head, self._sin, self._cos]
        return outer + [tensor for layer in self.layers for tensor in layer.tensors]


class Layer:
    """One block: attention and feed-forward side by side on the same normalised input."""

    def __init__(self, shape: Shape, n: int, weights: Weights, arithmetic: Arithmetic) -> None:
        name = f"transformer.h.{n}"
        self._n = n
        self._shape = shape
        self.norm = weights.plain(f"{name}.ln_1.weight"), weights.plain(f"{name}.ln_1.bias")
        inputs = [weights.linear(f"{name}.{LINEARS[target]}") for target in ("q_proj", "k_proj", "v_proj", "fc_in")]
        bias = weights.plain(f"{name}.mlp.fc_in.bias")
        self.inputs = _joined(inputs, torch.cat([bias.new_zeros(3 * shape.hidden), bias]), arithmetic)
        self.out = _joined([weights.linear(f"{name}.attn.out_proj")], None, arithmetic)
        self.down = _joined(
            [weights.linear(f"{name}.mlp.fc_out")], weights.plain(f"{name}.mlp.fc_out.bias"), arithmetic
        )

    @property
    def tensors(self) -> list[Tensor]:
        return [*self.norm, *self.inputs.tensors, *self.out.tensors, *self.down.tensors]

    def forward(
        self,
        hidden: Tensor,
        rotation: tuple[Tensor, Tensor],
        mask: Tensor | None,
        prefix: KeyValue | None,
        lora: Lora | None,
    ) -> tuple[Tensor, KeyValue]:
        """(R, C, hidden) -> (R, C, hidden), and the keys and values of these C tokens."""
        rows, width, size = hidden.shape
        x = _normed(hidden, self.norm, self._shape.epsilon)
        parts = list(torch.split(self.inputs(x), [size, size, size, self._shape.inner], dim=-1))
        if lora is not None:
            targets = ("q_proj", "k_proj", "v_proj", "fc_in")
            parts = [lora.add(self._n, target, x, part) for target, part in zip(targets, parts, strict=True)]
        heads = (rows, width, self._shape.heads, size // self._shape.heads)
        both = _rotate(torch.stack(parts[:2]).view(2, *heads), rotation)
        query, key = both.transpose(2, 3).unbind()  # each (R, heads, C, head size)
        value = parts[2].reshape(heads).transpose(1, 2)
        own = key, value
        if prefix is not None:  # (1 or R, heads, P, head size): stored once, repeated only as a view
            key, value = (
                torch.cat([prefix_part.expand(rows, -1, -1, -1), own_part], dim=2)
                for prefix_part, own_part in zip(prefix, own, strict=True)
            )
        mixed = F.scaled_dot_product_attention(query, key, value, attn_mask=mask, is_causal=mask is None)
        mixed = mixed.transpose(1, 2).reshape(rows, width, size)
        inner = F.gelu(parts[3], approximate="tanh")
        attended, fed = self.out(mixed), self.down(inner)
        if lora is not None:
            attended = lora.add(self._n, "out_proj", mixed, attended)
            fed = lora.add(self._n, "fc_out", inner, fed)
        return attended + fed + hidden, own


def _normed(x: Tensor, norm: tuple[Tensor, Tensor], epsilon: float) -> Tensor:
    """Layer norm in the type of x, also with trained float32 weights."""
    weight, bias = norm
    return F.layer_norm(x, x.shape[-1:], weight.to(x.dtype), bias.to(x.dtype), epsilon)


def _rotate(x: Tensor, rotation: tuple[Tensor, Tensor]) -> Tensor:
    """Rotates x (2, R, C, heads, head size) in place: of each pair of neighbours among the first `rotary` features,
    (a, b) becomes (a cos - b sin, b cos + a sin), by the angle of the position."""
    sin, cos = rotation
    part = x[..., : sin.shape[-1]]
    swapped = part.view(*part.shape[:-1], -1, 2).flip(-1).flatten(-2)
    part.mul_(cos).addcmul_(swapped, sin)
    return x


def _joined(
    parts: Sequence[tuple[Tensor, Tensor | None]], bias: Tensor | None, arithmetic: Arithmetic
) -> DenseLinear | Int8Linear:
    """Joins linear layers that have the same input into one, with their outputs side by side."""
    weight = torch.cat([weight for weight, _ in parts]) if len(parts) > 1 else parts[0][0]
    maxima = [maxima for _, maxima in parts if maxima is not None]
    return Int8Linear(weight, torch.cat(maxima), bias, arithmetic) if maxima else DenseLinear(weight, bias)
