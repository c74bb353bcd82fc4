"""The training loop for every base: trains a learner's trainable parameters on labelled texts."""

import math
import random
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

import torch
from torch import Tensor

from model.base import Base, Encoded, TrainingModule
from model.gptj.int8 import load_bitsandbytes
from model.labels import LABELS
from model.normalize import conservative_view
from model.scripts import readable
from training.checkpoint import Checkpoint
from training.examples import Example

Advance = Callable[[float, float], None]
"""Called after each step with (share done 0 to 1, smoothed loss)."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """All settings of a training; together with the data they determine its result."""

    epochs: float = 6.0
    learning_rate: float = 4e-4
    head_learning_rate: float = 1e-3
    batch_rows: int = 16
    warm_up: float = 0.06
    weight_decay: float = 0.01
    label_smoothing: float = 0.05
    max_tokens: int = 128
    balance: bool = True
    dropout: bool = True
    seed: int = 1
    optimizer: Literal["adamw", "adam8bit"] = "adamw"


@dataclass(slots=True)
class TrainingHistory:
    """The history of a training. `losses` has one smoothed value per step, `accuracies` (step, accuracy on `watched`).

    `useful_tokens` counts the texts' own tokens, `computed_tokens` also padding and instructions.
    """

    losses: list[float] = field(default_factory=list)
    accuracies: list[tuple[int, float]] = field(default_factory=list)
    useful_tokens: int = 0
    computed_tokens: int = 0
    seconds: float = 0.0

    def followed_by(self, later: "TrainingHistory") -> "TrainingHistory":
        """Joins the histories of two trainings, this one and a later one."""
        steps = len(self.losses)
        return TrainingHistory(
            self.losses + later.losses,
            self.accuracies + [(steps + step, accuracy) for step, accuracy in later.accuracies],
            self.useful_tokens + later.useful_tokens,
            self.computed_tokens + later.computed_tokens,
            self.seconds + later.seconds,
        )

    def to_json(self) -> dict[str, float]:
        """The form in a manifest."""
        return {
            "seconds": round(self.seconds, 1),
            "tokens a second": round(self.useful_tokens / max(self.seconds, 1e-9), 1),
            "share of useful tokens": round(self.useful_tokens / max(self.computed_tokens, 1), 3),
        }


def fit(
    learner: TrainingModule,
    base: Base,
    examples: Sequence[Example],
    recipe: Recipe,
    advance: Advance = lambda done, loss: None,
    *,
    watched: Sequence[Example] = (),
    checkpoint: Checkpoint | None = None,
) -> TrainingHistory:
    """Trains the trainable parameters of `learner`, deterministically by `recipe.seed`.

    The accuracy on the `watched` texts is measured after each epoch. With a `checkpoint` of a killed run of the same
    data and recipe it continues from there; the result equals that of an uninterrupted run.
    """
    learner.module.train(recipe.dropout)
    optimizer = make_optimizer(learner, recipe)
    trainable = [p for group in optimizer.param_groups for p in group["params"]]
    encoded = [encode(base, example.text, recipe.max_tokens) for example in examples]
    batches = _batches(examples, encoded, recipe)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: _rate(step, len(batches), recipe.warm_up))
    history, smoothed, done = TrainingHistory(), math.nan, 0
    if checkpoint and (saved := checkpoint.load(learner, optimizer, schedule)):
        history, done = TrainingHistory(**saved), len(saved["losses"])
        smoothed = history.losses[-1] if history.losses else math.nan
    before, began = history.seconds, time.monotonic()
    for step, batch in enumerate(batches[done:], start=done + 1):
        ids = [encoded[i] for i in batch]
        loss = learner.loss(ids, *_targets([examples[i] for i in batch], recipe.label_smoothing))
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(trainable, 1.0)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad(set_to_none=True)
        smoothed = loss.item() if math.isnan(smoothed) else 0.98 * smoothed + 0.02 * loss.item()
        history.losses.append(smoothed)
        history.useful_tokens += sum(map(len, ids))
        history.computed_tokens += learner.computed_tokens(ids)
        if watched and _ends_epoch(step, len(batches), recipe.epochs):
            history.accuracies.append((step, _accuracy(base, learner, watched)))
            learner.module.train(recipe.dropout)
        history.seconds = before + time.monotonic() - began
        if checkpoint and step < len(batches):
            checkpoint.maybe_save(learner, optimizer, schedule, asdict(history))
        advance(step / len(batches), smoothed)
    if checkpoint:
        checkpoint.remove()
    return history


def _targets(examples: Sequence[Example], smoothing: float) -> tuple[Tensor, Tensor]:
    """(B, 3) label probabilities and (B,) weights."""
    targets = torch.tensor([example.target for example in examples])
    return targets * (1 - smoothing) + smoothing / len(LABELS), torch.tensor([example.weight for example in examples])


def _ends_epoch(step: int, steps: int, epochs: float) -> bool:
    """Whether this step is the last of an epoch, or of the training."""
    return step == steps or math.floor(step * epochs / steps) > math.floor((step - 1) * epochs / steps)


def _accuracy(base: Base, learner: TrainingModule, watched: Sequence[Example]) -> float:
    predicted = compute_training_logits(base, learner, [example.text for example in watched]).argmax(-1).tolist()
    return sum(LABELS[i] is example.label for i, example in zip(predicted, watched, strict=True)) / len(watched)


def make_optimizer(learner: TrainingModule, recipe: Recipe) -> torch.optim.Optimizer:
    """AdamW, or bitsandbytes' Adam with 8-bit moments: a quarter of the memory, and no weight decay.

    Dettmers et al. 2022, "8-bit Optimizers via Block-wise Quantization". Matrices below 4,096 elements keep 32 bits.
    """
    named = [(name, p) for name, p in learner.module.named_parameters() if p.requires_grad]
    head = [p for name, p in named if "head" in name]
    groups: list[dict[str, Any]] = [{"params": [p for name, p in named if "head" not in name]}]
    groups += [{"params": head, "lr": recipe.head_learning_rate}] if head else []
    if recipe.optimizer == "adam8bit":
        eight_bit: torch.optim.Optimizer = load_bitsandbytes().optim.Adam8bit(groups, lr=recipe.learning_rate)
        return eight_bit
    return torch.optim.AdamW(groups, lr=recipe.learning_rate, weight_decay=recipe.weight_decay)


def compute_logits(base: Base, adapter: str, texts: Sequence[str]) -> Tensor:
    """(N, 3) uncalibrated logits of an attached adapter, in the texts' order."""
    return _logits(base, texts, lambda batch: base.label_logits(batch, adapter))


@torch.no_grad()
def compute_training_logits(base: Base, learner: TrainingModule, texts: Sequence[str]) -> Tensor:
    """(N, 3) logits of a learner that is not attached, without dropout."""
    learner.module.eval()
    return _logits(base, texts, learner.label_logits)


def _logits(base: Base, texts: Sequence[str], compute: Callable[[list[Encoded]], Tensor]) -> Tensor:
    """Computes texts of similar length together; the rows keep the texts' order."""
    encoded = [encode(base, text, base.max_tokens) for text in texts]
    order = sorted(range(len(texts)), key=lambda i: len(encoded[i]))
    logits = torch.zeros(len(texts), len(LABELS))
    for start in range(0, len(order), 24):
        chunk = order[start : start + 24]
        logits[chunk] = compute([encoded[i] for i in chunk]).float().cpu()
    return logits


def encode(base: Base, text: str, max_tokens: int) -> Encoded:
    """One window of the text for training; a long text keeps its start and its end."""
    ids = base.encode(readable(conservative_view(text), base.scripts).text)
    size = min(max_tokens, base.window_tokens)
    if len(ids) > size:
        ids = ids[: size - size // 3] + ids[-(size // 3) :]
    return base.frame(ids)


def _batches(examples: Sequence[Example], encoded: Sequence[Encoded], recipe: Recipe) -> list[list[int]]:
    """Row numbers of each step, similar lengths together. With `balance`, rarer labels are drawn more often."""
    chance = random.Random(recipe.seed)  # noqa: S311 - a reproducible order, not a secret
    total = round(len(examples) * recipe.epochs)
    if recipe.balance:
        counts = Counter(example.label for example in examples)
        weights = [1 / counts[example.label] for example in examples]
        drawn = _even_draw(weights, total, chance)
    else:
        drawn = [i for _ in range(math.ceil(recipe.epochs)) for i in chance.sample(range(len(examples)), len(examples))]
        drawn = drawn[:total]
    bucket, batches = recipe.batch_rows * 16, []
    for start in range(0, len(drawn), bucket):
        like = sorted(drawn[start : start + bucket], key=lambda i: len(encoded[i]))
        group = [like[n : n + recipe.batch_rows] for n in range(0, len(like), recipe.batch_rows)]
        chance.shuffle(group)
        batches += group
    return batches


def _even_draw(weights: Sequence[float], total: int, chance: random.Random) -> list[int]:
    """`total` row numbers, each about as often as its weight says (systematic sampling), in random order."""
    step, point, reached = sum(weights) / total, chance.random(), 0.0
    point *= step
    drawn: list[int] = []
    order = list(range(len(weights)))
    chance.shuffle(order)
    for i in order:
        reached += weights[i]
        while point < reached and len(drawn) < total:
            drawn.append(i)
            point += step
    chance.shuffle(drawn)
    return drawn


def _rate(step: int, steps: int, warm_up: float) -> float:
    """Linear warm-up, then a cosine down to a twentieth."""
    if step < (rise := max(1, round(steps * warm_up))):
        return (step + 1) / rise
    return 0.05 + 0.95 * 0.5 * (1 + math.cos(math.pi * (step - rise) / max(1, steps - rise)))
