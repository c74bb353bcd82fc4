"""Pretrains `mini`, a small GPT-J, from scratch on public data.

    python -m training.pretrain --data ../shared/data [--out model/mini] [--stage all|language|labels]

The first stage learns language (vocabulary, then next-token prediction), the second labels through the prompt.
Davidson's data is not used, because adapters over `mini` are trained and tested on it. OUT receives config.json,
model.safetensors (half precision), the tokenizer's files and manifest.json. Between the stages the model is in
`run/pretrain` (`--work`), so the second stage can be repeated without the first.
"""

import argparse
import datetime
import hashlib
import json
import platform
import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from torch import Tensor
from transformers import GPT2Tokenizer, GPTJForCausalLM

from model.labels import LABELS
from model.normalize import conservative_view
from model.prompts import INSTRUCTION, RAW, Prompt
from model.quality import Metrics
from model.table import BadData
from training import counterfactuals
from training.corpus import Corpus, language_texts, read_corpus
from training.evaluation import measure
from training.examples import Example, draw_balanced
from training.pretraining_stages import (
    Stage,
    answer_logits,
    bits_per_character,
    learn_labels,
    learn_language,
    message_ids,
    new_model,
    token_blocks,
)
from training.train import progress_bar
from training.training_loop import Advance
from training.vocabulary import make_vocabulary

OUT = Path(__file__).parents[1] / "model" / "mini"
WORK = Path("run/pretrain")
VOCABULARY_TOKENS = 8000
LANGUAGE_STAGE = Stage(steps=2200, rows=8, learning_rate=2e-3)
LABEL_STAGE = Stage(steps=2200, rows=24, learning_rate=7e-4)
TEMPLATE_SENTENCES = 16_000
TESTED_PER_LABEL = 500
_PROMPTS = {"instruction": INSTRUCTION, "raw": RAW}
_LIBRARIES = ("torch", "transformers", "tokenizers")


def language_stage(corpus: Corpus, work: Path, advance: Advance) -> None:
    """Learns vocabulary and language; writes model, tokenizer and `language.json` (figures) to `work`."""
    tokenizer = make_vocabulary(language_texts(corpus, LANGUAGE_STAGE.seed), VOCABULARY_TOKENS, work)
    model = new_model(len(tokenizer), LANGUAGE_STAGE.seed)
    began = time.monotonic()
    text = token_blocks(
        language_texts(corpus, LANGUAGE_STAGE.seed), tokenizer, LANGUAGE_STAGE.steps * LANGUAGE_STAGE.rows
    )
    losses = learn_language(model, text, LANGUAGE_STAGE, advance)
    seconds = time.monotonic() - began
    model.save_pretrained(work)
    figures = {
        "recipe": asdict(LANGUAGE_STAGE),
        "tokens": text.numel(),
        "seconds": round(seconds, 1),
        "loss": losses[-1],
        "held-out bits per character": bits_per_character(
            model, tokenizer, [example.text for example in corpus.held_out[:1500]]
        ),
        "losses": [round(loss, 4) for loss in losses[::20]],
    }
    (work / "language.json").write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")


def label_stage(corpus: Corpus, work: Path, out: Path, advance: Advance) -> dict[str, Any]:
    """Learns labels, from the model in `work`; writes `out` and returns its figures. Raises `BadData`."""
    try:
        tokenizer = GPT2Tokenizer.from_pretrained(work)
        model = GPTJForCausalLM.from_pretrained(work, dtype=torch.float32)
        language = json.loads((work / "language.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise BadData(f"{work}: no model of the first stage; run with --stage language ({error})") from error
    examples = [*corpus.labelled, *counterfactuals.training_sentences(TEMPLATE_SENTENCES, LABEL_STAGE.seed)]
    began = time.monotonic()
    losses = learn_labels(model, tokenizer, examples, LABEL_STAGE, advance)
    seconds = time.monotonic() - began
    model = model.half().float()  # the figures are for the weights as shipped
    judged = draw_balanced(corpus.held_out, TESTED_PER_LABEL, seed=1)
    figures = {name: _measure_base(model, tokenizer, prompt, judged).to_json() for name, prompt in _PROMPTS.items()}
    own = [example for _, example in counterfactuals.development_sentences(2 * TESTED_PER_LABEL, seed=3)]
    figures["own sentences, instruction"] = _measure_base(model, tokenizer, INSTRUCTION, own).to_json()
    out.mkdir(parents=True, exist_ok=True)
    model.half().save_pretrained(out)
    tokenizer.save_pretrained(out)
    manifest = {
        "name": "mini",
        "created_at": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "parameters": sum(p.numel() for p in model.parameters()),
        "prompts": {name: prompt.version for name, prompt in _PROMPTS.items()},
        "data": {
            "sha256": corpus.sha256,
            "unlabelled": len(corpus.plain),
            "by_source": dict(sorted(Counter(example.source for example in examples).items())),
        },
        "language": language,
        "labels": {
            "recipe": asdict(LABEL_STAGE),
            "seconds": round(seconds, 1),
            "loss": losses[-1],
            "losses": [round(loss, 4) for loss in losses[::20]],
        },
        "metrics": figures,
        "versions": {"python": platform.python_version(), **{n: version(n) for n in _LIBRARIES}},
        "files": {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(out.iterdir())
                  if path.name != "manifest.json"},
    }  # fmt: skip
    (out / "manifest.json").write_text(json.dumps(manifest, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return figures


@torch.inference_mode()
def _measure_base(
    model: GPTJForCausalLM, tokenizer: GPT2Tokenizer, prompt: Prompt, examples: Sequence[Example]
) -> Metrics:
    """The metrics of the base without an adapter."""
    answers = [tokenizer.encode(answer)[0] for answer in prompt.answers]
    rows: list[Tensor] = []
    for start in range(0, len(examples), 32):
        messages = [message_ids(tokenizer, conservative_view(e.text)) for e in examples[start : start + 32]]
        rows.append(answer_logits(model, tokenizer, prompt, messages)[:, answers])
    labels = torch.tensor([LABELS.index(example.label) for example in examples])
    return measure(torch.cat(rows).softmax(dim=-1), labels)


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit status 0, or 2 with one line for a bad input."""
    parser = argparse.ArgumentParser(prog="python -m training.pretrain", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, default=OUT)
    parser.add_argument("--work", type=Path, default=WORK)
    parser.add_argument("--stage", choices=("all", "language", "labels"), default="all")
    options = parser.parse_args(arguments)
    console = Console(stderr=True)
    try:
        corpus = read_corpus(options.data)
    except BadData as error:
        console.print(f"error: {error}", style="red", markup=False, soft_wrap=True)
        return 2
    if options.stage in ("all", "language"):
        bar, advance = progress_bar(console, "learning language")
        with bar:
            language_stage(corpus, options.work, advance)
    if options.stage in ("all", "labels"):
        bar, advance = progress_bar(console, "learning labels")
        try:
            with bar:
                figures = label_stage(corpus, options.work, options.out, advance)
        except BadData as error:
            console.print(f"error: {error}", style="red", markup=False, soft_wrap=True)
            return 2
        for name, metrics in figures.items():
            console.print(f"{name}: balanced accuracy {metrics['balanced_accuracy']:.3f} of {metrics['rows']} texts")
        console.print(f"mini written to {options.out}", soft_wrap=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
