"""Makes the head that tells the kind of a harmful text (`model.kind_head`) for one base.

    python -m training.kinds --data ../shared/data [--base minilm]

It learns from template sentences and public texts (`training.kind_examples`) over the frozen base's embeddings, and is
judged by the hand-written lines of `training/data/kinds.csv`. Writes `model/shipped/BASE/kinds.{safetensors,json}`. It
takes a minute on one core, and the same data give the same file.
"""

import argparse
import random
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from rich.console import Console
from torch import Tensor

from model.base import Base, BaseNotFound
from model.choice import add_base_options, read_base_choice
from model.classifier import AdapterRejected
from model.kind_head import KindHead, KindManifest, head_shapes, heads_folder, write_kind_head
from model.kinds import KINDS, Kind
from model.open import open_chosen_base
from model.table import BadData
from training.kind_examples import KindExample, data_hash, read_judge, training_examples
from training.training_loop import encode

EMBEDDED_TOGETHER = 64
MAX_TOKENS = 96


@dataclass(frozen=True, slots=True)
class KindRecipe:
    """All settings of a training. `scale` multiplies the unit vectors while training and is folded into the weights."""

    epochs: int = 12
    batch_rows: int = 64
    learning_rate: float = 2e-3
    weight_decay: float = 0.01
    dropout: float = 0.5
    label_smoothing: float = 0.03
    scale: float = 10.0
    max_tokens: int = MAX_TOKENS
    seed: int = 1


def train_head(vectors: Tensor, kinds: Sequence[Kind], recipe: KindRecipe) -> dict[str, Tensor]:
    """Trains a head on (N, width) unit vectors; each kind weighs the same. Deterministic by `recipe.seed`."""
    torch.manual_seed(recipe.seed)
    numbers = torch.tensor([KINDS.index(kind) for kind in kinds])
    weights = 1 / torch.bincount(numbers, minlength=len(KINDS)).clamp(min=1).float()
    weights = weights / weights.mean()
    tensors = {name: _first_weights(name, shape) for name, shape in head_shapes(vectors.shape[1]).items()}
    optimizer = torch.optim.AdamW(tensors.values(), lr=recipe.learning_rate, weight_decay=recipe.weight_decay)
    steps = recipe.epochs * -(-len(vectors) // recipe.batch_rows)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    for _ in range(recipe.epochs):
        order = torch.randperm(len(vectors))
        for start in range(0, len(order), recipe.batch_rows):
            rows = order[start : start + recipe.batch_rows]
            logits = _training_logits(vectors[rows] * recipe.scale, tensors, recipe.dropout)
            loss = F.cross_entropy(logits, numbers[rows], weight=weights, label_smoothing=recipe.label_smoothing)
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            schedule.step()
    trained = {name: tensor.detach() for name, tensor in tensors.items()}
    return {**trained, "dense.weight": trained["dense.weight"] * recipe.scale}


def _first_weights(name: str, shape: tuple[int, ...]) -> Tensor:
    """As `nn.Linear` starts: uniform within 1 / sqrt(inputs); biases at 0."""
    tensor = torch.zeros(shape)
    if len(shape) > 1:
        bound = shape[1] ** -0.5
        tensor.uniform_(-bound, bound)
    return tensor.requires_grad_()


def _training_logits(vectors: Tensor, tensors: Mapping[str, Tensor], dropout: float) -> Tensor:
    inner = F.gelu(F.linear(vectors, tensors["dense.weight"], tensors["dense.bias"]))
    return F.linear(F.dropout(inner, dropout), tensors["out.weight"], tensors["out.bias"])


def embed_texts(base: Base, texts: Sequence[str], max_tokens: int = MAX_TOKENS) -> Tensor:
    """(N, width) unit vectors of the frozen base; texts of similar length are computed together."""
    encoded = [encode(base, text, max_tokens) for text in texts]
    order = sorted(range(len(texts)), key=lambda i: len(encoded[i]))
    rows: dict[int, Tensor] = {}
    for start in range(0, len(order), EMBEDDED_TOGETHER):
        chunk = order[start : start + EMBEDDED_TOGETHER]
        vectors = base.embed([encoded[i] for i in chunk]).float().cpu().clone()
        rows |= dict(zip(chunk, vectors, strict=True))
    return torch.stack([rows[i] for i in range(len(texts))])


def measure_kinds(probabilities: Tensor, judged: Sequence[KindExample]) -> dict[str, Any]:
    """Figures for (N, kinds) probabilities: accuracy, recall by kind, and how well swearing and insults are told apart
    (a text of one of both that gets a third kind counts as wrong)."""
    predicted = [KINDS[i] for i in probabilities.argmax(dim=-1).tolist()]
    right = [kind is each.kind for kind, each in zip(predicted, judged, strict=True)]
    of_kind = {kind: [ok for ok, each in zip(right, judged, strict=True) if each.kind is kind] for kind in KINDS}
    pair = [ok for kind in (Kind.SWEARING, Kind.INSULT) for ok in of_kind[kind]]
    return {
        "accuracy": round(sum(right) / max(1, len(right)), 4),
        "swearing or insult": round(sum(pair) / max(1, len(pair)), 4),
        "recall": {str(kind): round(sum(oks) / max(1, len(oks)), 4) for kind, oks in of_kind.items()},
        "texts": len(judged),
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit status 0, or 2 with one line for a bad input."""
    parser = argparse.ArgumentParser(prog="python -m training.kinds", description=(__doc__ or "").splitlines()[0])
    add_base_options(parser)
    parser.add_argument("--data", type=Path, required=True, help="the folder of the public data")
    parser.add_argument("--out", type=Path, help="default: the base's folder of shipped files")
    options = parser.parse_args(arguments)
    console, recipe = Console(stderr=True, soft_wrap=True), KindRecipe()
    try:
        base = open_chosen_base(read_base_choice(options))
        examples = training_examples(options.data, recipe.seed)
        random.Random(recipe.seed).shuffle(examples)  # noqa: S311 - a reproducible order, not a secret
        vectors = embed_texts(base, [each.text for each in examples], recipe.max_tokens)
        tensors = train_head(vectors, [each.kind for each in examples], recipe)
        judged = read_judge()
        metrics = measure_kinds(KindHead(tensors).probabilities(embed_texts(base, [e.text for e in judged])), judged)
        made_of = {
            "sha256": data_hash(examples),
            "rows": len(examples),
            "by_kind": dict(Counter(str(each.kind) for each in examples)),
        }
        manifest = KindManifest(
            base.name, base.fingerprint, "", tuple(map(str, KINDS)), made_of, asdict(recipe), metrics
        )
        out = options.out or heads_folder(base)
        write_kind_head(out, manifest, tensors)
    except (BadData, BaseNotFound, AdapterRejected) as error:
        console.print(f"error: {error}", style="red", markup=False)
        return 2
    console.print(f"kinds of {base.name} written to {out}: {metrics}", markup=False)
    return 0


if __name__ == "__main__":
    sys.exit(main())
