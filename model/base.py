"""What a base model must do. Batching, adapters, calibration, explanation and training are written once, over this.

A new base is one new file that implements `Base`, and one line in `model.open.open_base`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Protocol, TypeAlias, runtime_checkable

from torch import Tensor, nn

from model.prompts import Prompt

MAX_ALPHA = 10_000.0
"""No honest scale comes near: alpha is a few times the rank, which is at most 384."""

Encoded: TypeAlias = list[int]
"""Token ids of one text (or one window of it) as `Base.frame` made them, never longer than `Base.max_tokens`."""


@dataclass(frozen=True, slots=True)
class LoraSpec:
    """The shape of an adapter: rank, scale numerator (scale = alpha / rank) and the linear layers it touches.

    Hu et al. 2021, "LoRA: Low-Rank Adaptation of Large Language Models", section 4.1.
    """

    rank: int
    alpha: float
    targets: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """As written in a manifest."""
        return {**asdict(self), "targets": list(self.targets)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "LoraSpec":
        """As read from a manifest; raises KeyError, TypeError or ValueError on anything else."""
        rank, alpha, targets = data["rank"], data["alpha"], data["targets"]
        if type(rank) is not int or type(alpha) not in (int, float) or not isinstance(targets, list):
            raise TypeError("LoRA rank, alpha and targets must be a whole number, a number and a list")
        if not 0 < alpha <= MAX_ALPHA or not all(isinstance(target, str) for target in targets):
            raise ValueError(f"LoRA alpha {alpha} must be above 0 and at most {MAX_ALPHA}, and targets names")
        return cls(rank, float(alpha), tuple(targets))


class TrainingModule(Protocol):
    """An adapter being trained over a frozen base. An `nn.Module` whose trainable parameters are the adapter's."""

    def loss(self, batch: Sequence[Encoded], targets: Tensor, weights: Tensor) -> Tensor:
        """Weighted mean loss on the answer. `targets` (B, 3) label probabilities, `weights` (B,) >= 0; a scalar."""
        ...

    def label_logits(self, batch: Sequence[Encoded]) -> Tensor:
        """(B, 3) float32 logits in the order of `LABELS`, with gradients."""
        ...

    def computed_tokens(self, batch: Sequence[Encoded]) -> int:
        """How many tokens a step on this batch computes: the texts' own, padding and what is read beside them."""
        ...

    def adapter_state(self) -> dict[str, Tensor]:
        """The adapter's tensors by the names of `Base.adapter_shapes`, float32, detached, contiguous, on the CPU."""
        ...

    @property
    def module(self) -> nn.Module:
        """The module itself, for optimizers and train/eval mode."""
        ...


class Base(Protocol):
    """A frozen model that reads text, plus any number of named adapters over it. One thread owns it."""

    name: str
    fingerprint: str  # SHA-256 of the frozen weights: an adapter is valid only for the base it was trained on
    prompt: str  # version of the instruction, "" where the base reads the bare message
    max_tokens: int
    batch_tokens: int  # how many tokens one forward pass should have: more is slower, or does not fit
    mixes_adapters: bool  # whether one batch may have another adapter for every text
    default_lora: LoraSpec
    default_learning_rate: float  # AdamW, for an adapter of `default_lora` from a thousand texts

    def encode(self, text: str) -> Encoded:
        """All token ids of a text, *without* special tokens and without a length limit."""
        ...

    def frame(self, ids: Sequence[int]) -> Encoded:
        """Adds what the base needs around at most `window_tokens` ids: special tokens, or a separator.

        An instruction, where there is one, is not part of it: the base keeps it computed and puts it in front itself.
        """
        ...

    @property
    def window_tokens(self) -> int:
        """How many of a message's own tokens fit in one window."""
        ...

    def label_logits(self, batch: Sequence[Encoded], adapter: str | Sequence[str]) -> Tensor:
        """(B, 3) float32 logits in the order of `LABELS`, no gradients. A row does not depend on its neighbours.

        One adapter for all, or one per text where `mixes_adapters`; raises KeyError for one that is not attached.
        """
        ...

    def embed(self, batch: Sequence[Encoded]) -> Tensor:
        """(B, hidden) float32 unit vectors from the frozen base."""
        ...

    def adapter_shapes(self, lora: LoraSpec) -> dict[str, tuple[int, ...]]:
        """Names and shapes of exactly the tensors an adapter of this spec holds; raises ValueError for a bad spec."""
        ...

    def attach(self, adapter: str, lora: LoraSpec, tensors: Mapping[str, Tensor]) -> None:
        """Makes validated adapter tensors available under a name. Attaching a name again replaces it."""
        ...

    def detach(self, adapter: str) -> None:
        """Forgets an adapter and frees its memory; unknown names are ignored."""
        ...

    def held_bytes(self, adapter: str) -> int:
        """Device memory an attached adapter takes; 0 for unknown names."""
        ...

    def start_training(self, lora: LoraSpec, tensors: Mapping[str, Tensor] | None = None) -> TrainingModule:
        """A trainable adapter over this base: fresh (from torch's seed) or continuing from `tensors`."""
        ...

    def start_norm_training(self) -> TrainingModule:
        """The layer norms alone, trainable copies of them: a baseline to compare adapters with, not to be served."""
        ...


@runtime_checkable
class ReadsInstructions(Protocol):
    """A base that can be asked anything, not only the question its adapters were trained for."""

    def category_probabilities(self, texts: Sequence[str], prompt: Prompt, adapter: str = "") -> Tensor:
        """(len(texts), len(prompt.answers)) float32; ValueError for a prompt that does not fit."""
        ...


class BaseNotFound(Exception):
    """The base model's weights are missing or are not the ones this project was made with."""


class DeviceTooSmall(BaseNotFound):
    """The base does not fit the device; the message has the figures and the fix."""
