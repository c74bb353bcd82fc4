"""The interface of a base model. Batching, adapters, calibration, explanation and training are written once, for it.

A new base needs one new file that implements `Base`, and one line in `model.open.open_base`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Protocol, TypeAlias, runtime_checkable

from torch import Tensor, nn

from model.prompts import Prompt

MAX_ALPHA = 10_000.0
"""The largest accepted alpha. Useful values are a few times the rank, which is at most 384."""

Encoded: TypeAlias = list[int]
"""Token ids of one text (or one window of it) as `Base.frame` made them, never longer than `Base.max_tokens`."""

Span: TypeAlias = tuple[int, int]
"""(start, end) of a run of tokens, counted in a text's ids without its frame."""


@dataclass(frozen=True, slots=True)
class LoraSpec:
    """The shape of an adapter: rank, scale numerator (scale = alpha / rank) and the linear layers it changes.

    Hu et al. 2021, "LoRA: Low-Rank Adaptation of Large Language Models", section 4.1.
    """

    rank: int
    alpha: float
    targets: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """The form in a manifest."""
        return {**asdict(self), "targets": list(self.targets)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "LoraSpec":
        """Reads the form in a manifest; raises KeyError, TypeError or ValueError for anything else."""
        rank, alpha, targets = data["rank"], data["alpha"], data["targets"]
        if type(rank) is not int or type(alpha) not in (int, float) or not isinstance(targets, list):
            raise TypeError("LoRA rank, alpha and targets must be a whole number, a number and a list")
        if not 0 < alpha <= MAX_ALPHA or not all(isinstance(target, str) for target in targets):
            raise ValueError(f"LoRA alpha {alpha} must be above 0 and at most {MAX_ALPHA}, and targets must be names")
        return cls(rank, float(alpha), tuple(targets))


class TrainingModule(Protocol):
    """An adapter in training over a frozen base: an `nn.Module` whose trainable parameters are the adapter's."""

    def loss(self, batch: Sequence[Encoded], targets: Tensor, weights: Tensor) -> Tensor:
        """Weighted mean loss on the answer. `targets` (B, 3) label probabilities, `weights` (B,) >= 0; a scalar."""
        ...

    def label_logits(self, batch: Sequence[Encoded]) -> Tensor:
        """(B, 3) float32 logits in the order of `LABELS`, with gradients."""
        ...

    def computed_tokens(self, batch: Sequence[Encoded]) -> int:
        """Tokens that a step on this batch computes: the texts' own, padding and prompt."""
        ...

    def adapter_state(self) -> dict[str, Tensor]:
        """The adapter's tensors by the names of `Base.adapter_shapes`, float32, detached, contiguous, on the CPU."""
        ...

    @property
    def module(self) -> nn.Module:
        """The `nn.Module`, for optimizers and train/eval mode."""
        ...


class Base(Protocol):
    """A frozen model that reads text, with any number of named adapters. Only one thread may use it."""

    name: str
    fingerprint: str  # SHA-256 of the frozen weights: an adapter is valid only for the base it was trained on
    prompt: str  # version of the prompt, "" if the base reads only the message
    scripts: frozenset[str] | None  # the scripts it reads (`model.scripts`), None for all
    short_text_odds: tuple[float, ...]  # see `model.calibration.apply_prior`: for a text of one word, of two, ...
    max_tokens: int
    batch_tokens: int  # tokens of one forward pass: more would be slower or not fit
    mixes_adapters: bool  # whether each text of a batch may have its own adapter
    default_lora: LoraSpec
    default_learning_rate: float  # AdamW, for an adapter of `default_lora` from a thousand texts

    def encode(self, text: str) -> Encoded:
        """All token ids of a text, *without* special tokens and without a length limit."""
        ...

    def frame(self, ids: Sequence[int]) -> Encoded:
        """Adds special tokens or a separator to at most `window_tokens` ids.

        The instruction, if any, is not included: the base keeps it computed and puts it in front itself.
        """
        ...

    @property
    def window_tokens(self) -> int:
        """Tokens of a message that fit in one window."""
        ...

    def label_logits(self, batch: Sequence[Encoded], adapter: str | Sequence[str]) -> Tensor:
        """(B, 3) float32 logits in the order of `LABELS`, without gradients. A row does not depend on the other rows.

        `adapter` is one for all texts, or one per text with `mixes_adapters`. Raises KeyError for one not attached.
        """
        ...

    def embed(self, batch: Sequence[Encoded]) -> Tensor:
        """(B, hidden) float32 unit vectors from the frozen base."""
        ...

    def adapter_shapes(self, lora: LoraSpec) -> dict[str, tuple[int, ...]]:
        """Names and shapes of exactly the tensors an adapter of this spec holds; raises ValueError for a bad spec."""
        ...

    def attach(self, adapter: str, lora: LoraSpec, tensors: Mapping[str, Tensor]) -> None:
        """Makes validated adapter tensors available under a name. An attached adapter of the same name is replaced."""
        ...

    def detach(self, adapter: str) -> None:
        """Removes an adapter and frees its memory; ignores unknown names."""
        ...

    def held_bytes(self, adapter: str) -> int:
        """Bytes of device memory of an attached adapter; 0 for unknown names."""
        ...

    def start_training(self, lora: LoraSpec, tensors: Mapping[str, Tensor] | None = None) -> TrainingModule:
        """Makes a trainable adapter over this base: new (from torch's seed), or starting from `tensors`."""
        ...

    def start_norm_training(self) -> TrainingModule:
        """Makes trainable copies of the layer norms alone: a baseline for comparisons, which cannot be served."""
        ...


@runtime_checkable
class ReadsInstructions(Protocol):
    """A base that answers any prompt, not only the prompt of its adapters."""

    def category_probabilities(self, texts: Sequence[str], prompt: Prompt, adapter: str = "") -> Tensor:
        """(len(texts), len(prompt.answers)) float32; raises ValueError for a prompt that does not fit."""
        ...


@runtime_checkable
class ReadsSpans(Protocol):
    """A base that judges spans of a text in the pass that reads the whole, at next to no cost."""

    def encode_with_starts(self, text: str) -> tuple[Encoded, list[int]]:
        """The ids of `Base.encode` and, for each, the character of the text where it begins."""
        ...

    def span_logits(self, batch: Sequence[Encoded], spans: Sequence[Sequence[Span]], adapter: str) -> list[Tensor]:
        """For each text (1 + its spans, 3) float32 logits: of the whole as in `Base.label_logits`, and of each span,
        read in the text around it."""
        ...


class BaseNotFound(Exception):
    """The base model's weights are missing or cannot be used; the message has the fix."""


class DeviceTooSmall(BaseNotFound):
    """The base does not fit the device; the message has the figures and the fix."""
