"""What the embedded bases share: they need no GPU, no hub and no network, and are read by the same network.

A base of its own has its weights, its tokenizer, its frame, its names and its limits; see `minilm` and `e5`.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from model.base import MAX_ALPHA, BaseNotFound, Encoded, LoraSpec, Span
from model.encoder.network import Layer, Shape, Weights, apply_head, matmul_dtype, merge_layers
from model.encoder.training import EncoderTraining
from model.package_files import PackageFileUnusable, check_digest, package_file

SMALL_PASS_TOKENS, SMALL_STEP, LARGE_STEP = 64, 8, 32
"""A pass of at most `SMALL_PASS_TOKENS` is padded to a multiple of `SMALL_STEP`, a larger one of `LARGE_STEP`."""


class EncoderBase(ABC):
    """An embedded base. `precision` "auto" uses bfloat16 matrix products if the processor has them, else float32.

    "int8" is faster where the processor has VNNI, and changes about one label of 130 to 400 (docs/LOG.md).
    """

    shape: Shape
    name: str
    fingerprint: str
    prompt = ""
    short_text_odds: tuple[float, ...] = (0.5, 0.7)
    scripts: frozenset[str] | None
    max_tokens = 256
    batch_tokens = 768  # on a CPU larger passes fall out of the cache and are slower
    mixes_adapters = False
    default_lora = LoraSpec(rank=16, alpha=32.0, targets=tuple(Shape(layers=1).linears))
    default_learning_rate = 4e-4

    def __init__(self, weights: Weights, device: str = "cpu", precision: str = "auto") -> None:
        self._device = torch.device(device)
        self._dtype = matmul_dtype(precision, self._device)
        self._weights = weights
        self._layers: dict[str, list[Layer]] = {}
        self._heads: dict[str, Mapping[str, Tensor]] = {}

    @property
    def window_tokens(self) -> int:
        """Tokens of a message that fit in one window; the frame takes two more."""
        return self.max_tokens - 2

    def encode(self, text: str) -> Encoded:
        """The ids of the text's pieces, never special tokens: only `frame` adds those.

        A word without pieces is left out: the unknown token would stand for all such words alike, and what it stands
        next to in training would become its meaning.
        """
        return self.encode_with_starts(text)[0]

    @abstractmethod
    def encode_with_starts(self, text: str) -> tuple[Encoded, list[int]]:
        """The ids and, for each, the character of the text where it begins."""

    @abstractmethod
    def frame(self, ids: Sequence[int]) -> Encoded:
        """The ids with one special token before and one after them."""

    @torch.inference_mode()
    def label_logits(self, batch: Sequence[Encoded], adapter: str | Sequence[str]) -> Tensor:
        """(B, 3) float32 logits; raises KeyError for an adapter that was not attached."""
        if not isinstance(adapter, str):
            raise ValueError(f"{self.name} merges an adapter into its weights: a batch has one adapter")
        head = self._heads[adapter]
        return apply_head(self._pooled(batch, adapter), head)

    @torch.inference_mode()
    def span_logits(self, batch: Sequence[Encoded], spans: Sequence[Sequence[Span]], adapter: str) -> list[Tensor]:
        """See `ReadsSpans`: the head on the mean over a span's last hidden states, instead of over all of the text's.

        Günther et al. 2024, "Late Chunking". A span costs about a hundredth of what a token costs.
        """
        head = self._heads[adapter]
        hidden, row, lengths = self._hidden(batch, adapter)
        sums = F.pad(hidden.cumsum(0), (0, 0, 1, 0))  # (T + 1, hidden)
        ends = lengths.cumsum(0)
        places = [
            (offset + 1 + start, offset + 1 + end)  # after the frame's first token
            for offset, of_text in zip((ends - lengths).tolist(), spans, strict=True)
            for start, end in of_text
        ]
        first, last = torch.tensor(places, dtype=torch.long, device=self._device).view(-1, 2).unbind(1)
        means = (sums[last] - sums[first]) / (last - first)[:, None]
        whole = apply_head(self._mean(hidden, row, lengths), head)
        parts = torch.split(apply_head(means, head), [len(of_text) for of_text in spans])
        return [torch.cat([one[None], rows]) for one, rows in zip(whole, parts, strict=True)]

    @torch.inference_mode()
    def embed(self, batch: Sequence[Encoded]) -> Tensor:
        """(B, hidden) unit vectors: the sentence embeddings of the model."""
        if "" not in self._layers:
            self._layers[""] = merge_layers(self._weights, None, {}, self._dtype)
        return F.normalize(self._pooled(batch, ""), dim=-1)

    def adapter_shapes(self, lora: LoraSpec) -> dict[str, tuple[int, ...]]:
        """Names and shapes: for each layer and target a `lora_A` (rank, in) and a `lora_B` (out, rank), and the
        head."""
        size, linears = self.shape.hidden, self.shape.linears
        if not 1 <= lora.rank <= size or not 0 < lora.alpha <= MAX_ALPHA:
            raise ValueError(
                f"LoRA rank {lora.rank} must be 1 to {size}, alpha {lora.alpha} above 0 to {MAX_ALPHA:.0f}"
            )
        if not lora.targets or (unknown := set(lora.targets) - set(linears)):
            raise ValueError(f"unknown LoRA targets {sorted(unknown) or '(none)'}; known: {', '.join(linears)}")
        shapes = dict(self.shape.head)
        for layer in range(self.shape.layers):
            for target in lora.targets:
                path, out_features, in_features = linears[target]
                shapes[f"layer.{layer}.{path}.lora_A"] = (lora.rank, in_features)
                shapes[f"layer.{layer}.{path}.lora_B"] = (out_features, lora.rank)
        return shapes

    def attach(self, adapter: str, lora: LoraSpec, tensors: Mapping[str, Tensor]) -> None:
        """Merges the adapter into its own copy of the layers. Six layers take about 11 MB in 8 bit, 21 in bfloat16, 42
        in float32, twelve twice as much."""
        tensors = {name: t.to(self._device, torch.float32) for name, t in tensors.items()}
        layers = merge_layers(self._weights, lora, tensors, self._dtype)
        self._heads[adapter] = {name: tensors[name] for name in self.shape.head}
        self._layers[adapter] = layers

    def detach(self, adapter: str) -> None:
        """Frees the adapter's merged layers and head."""
        self._heads.pop(adapter, None)
        if adapter:
            self._layers.pop(adapter, None)

    def held_bytes(self, adapter: str) -> int:
        """Bytes of the merged layers and the head."""
        if adapter not in self._heads:
            return 0
        head = sum(tensor.nbytes for tensor in self._heads[adapter].values())
        return head + sum(layer.held_bytes for layer in self._layers[adapter])

    def start_training(self, lora: LoraSpec, tensors: Mapping[str, Tensor] | None = None) -> EncoderTraining:
        """Makes a peft model over a fresh copy of the base."""
        self.adapter_shapes(lora)
        return EncoderTraining(self._weights, self._device, lora, tensors)

    def start_norm_training(self) -> EncoderTraining:
        """Makes the layer norms and the head trainable; the LoRA beside them stays zero."""
        learner = EncoderTraining(self._weights, self._device, LoraSpec(1, 1.0, ("query",)), None)
        for name, parameter in learner.encoder.named_parameters():
            parameter.requires_grad_("LayerNorm" in name)
        return learner

    def _pooled(self, batch: Sequence[Encoded], adapter: str) -> Tensor:
        """(B, hidden) float32 means of the last hidden states over each text's tokens."""
        return self._mean(*self._hidden(batch, adapter))

    def _mean(self, hidden: Tensor, row: Tensor, lengths: Tensor) -> Tensor:
        sums = torch.zeros(len(lengths), self.shape.hidden, device=self._device).index_add_(0, row, hidden)
        return sums / lengths[:, None]

    def _hidden(self, batch: Sequence[Encoded], adapter: str) -> tuple[Tensor, Tensor, Tensor]:
        """(T, hidden) float32 last hidden states of all tokens, (T,) the text of each, (B,) tokens of each text."""
        lengths = torch.tensor([len(ids) for ids in batch], device=self._device)
        longest = int(lengths.max())
        real = torch.arange(longest, device=self._device) < lengths[:, None]  # (B, L)
        slot = real.flatten().nonzero().squeeze(1)  # (T,) place of each real token in the padded (B * L) grid
        flat = torch.tensor([i for ids in batch for i in ids], device=self._device)  # (T,)
        position = slot % longest
        # Each number of rows compiles a kernel that stays in memory; spare rows keep the number of kernels small.
        spare = -len(slot) % (SMALL_STEP if len(slot) <= SMALL_PASS_TOKENS else LARGE_STEP)
        hidden = F.pad(self._weights.embed(flat, position), (0, 0, 0, spare))  # (T', hidden)
        mask = None if len(slot) == real.numel() else real[:, None, None, :]
        for layer in self._layers[adapter]:
            hidden = layer.forward(hidden, slot, mask, len(batch), longest)
        return hidden[: len(slot)], slot // longest, lengths


def weights_file(module: str, path: str, package: str) -> Path:
    """A file of an installed package that is not imported; raises `BaseNotFound` with the command that installs it."""
    try:
        return package_file(module, path, package)
    except PackageFileUnusable as error:
        raise BaseNotFound(f"the embedded model's weights are not installed: {error}") from error


def verified(path: Path, expected: str, package: str) -> Path:
    """The path, after its file's SHA-256 was compared; raises `BaseNotFound`."""
    try:
        return check_digest(path, expected, package)
    except PackageFileUnusable as error:
        raise BaseNotFound(str(error)) from error
