"""The two stages of pretraining `mini`: language from running text, then labels through the prompt."""

import math
import random
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import GPT2Tokenizer, GPTJConfig, GPTJForCausalLM

from model.labels import LABELS
from model.prompts import INSTRUCTION, RAW, Prompt
from training.corpus import PostedTextStyle
from training.examples import Example
from training.training_loop import Advance

BLOCK_TOKENS = 128
"""Tokens of one row of running text; chat messages are shorter, and longer rows cost more attention."""

MESSAGE_TOKENS = 80
"""Tokens of a message; a longer one keeps its start and its end, as in scoring."""
RAW_SHARE = 0.25
"""Share of the second stage's steps that use the prompt without instruction."""


@dataclass(frozen=True, slots=True)
class Stage:
    """The settings of one stage. `rows` are blocks or messages per step; the rate falls by a cosine to a fiftieth."""

    steps: int
    rows: int
    learning_rate: float
    warm_up: float = 0.04
    weight_decay: float = 0.1
    seed: int = 1


def new_model(tokens: int, seed: int) -> GPTJForCausalLM:
    """A GPT-J of 8.8 million parameters: 6 layers of 256, 4 heads, and a vocabulary of `tokens`, untied as GPT-J's."""
    torch.manual_seed(seed)
    end = tokens - 1
    shape = GPTJConfig(
        vocab_size=tokens,
        n_positions=512,
        n_embd=256,
        n_layer=6,
        n_head=4,
        rotary_dim=32,
        bos_token_id=end,
        eos_token_id=end,
        tie_word_embeddings=False,
    )
    return GPTJForCausalLM(shape)


def token_blocks(texts: Iterable[str], tokenizer: GPT2Tokenizer, count: int) -> Tensor:
    """(count or fewer, `BLOCK_TOKENS`) token ids: the texts end to end with `<|endoftext|>` between them."""
    ids: list[int] = []
    wanted = count * BLOCK_TOKENS
    for text in texts:
        ids += [*tokenizer.encode(text, split_special_tokens=True), tokenizer.eos_token_id]
        if len(ids) >= wanted:
            break
    rows = min(count, len(ids) // BLOCK_TOKENS)
    return torch.tensor(ids[: rows * BLOCK_TOKENS], dtype=torch.long).view(rows, BLOCK_TOKENS)


def learn_language(model: GPTJForCausalLM, text: Tensor, stage: Stage, advance: Advance) -> list[float]:
    """Next-token prediction on `text` (rows, `BLOCK_TOKENS`); returns the smoothed loss of each step, in nats."""
    order = torch.randperm(len(text), generator=torch.Generator().manual_seed(stage.seed))
    order = order.repeat(math.ceil(stage.steps * stage.rows / len(text)))

    def losses() -> Iterator[Tensor]:
        for step in range(stage.steps):
            yield next_token_loss(model, text[order[step * stage.rows : (step + 1) * stage.rows]])

    return run_steps(model, losses(), stage, advance)


def next_token_loss(model: GPTJForCausalLM, rows: Tensor) -> Tensor:
    """Mean cross-entropy in nats of each token after the first of each row."""
    logits = model(input_ids=rows[:, :-1], use_cache=False).logits
    return F.cross_entropy(logits.flatten(0, 1), rows[:, 1:].flatten())


def learn_labels(
    model: GPTJForCausalLM, tokenizer: GPT2Tokenizer, examples: Sequence[Example], stage: Stage, advance: Advance
) -> list[float]:
    """Trains only the answer's token after instruction, message and separator. Returns the smoothed losses."""
    chance = random.Random(stage.seed)  # noqa: S311 - a reproducible order, not a secret
    styled = PostedTextStyle([example.text for example in examples], stage.seed)
    drawn = [examples[i] for i in draw_evenly(examples, stage.steps * stage.rows, chance)]
    messages = [message_ids(tokenizer, styled(example.text)) for example in drawn]
    answers = [tokenizer.encode(answer)[0] for answer in INSTRUCTION.answers]
    steps = _like_lengths([len(ids) for ids in messages], stage.rows, chance)

    def losses() -> Iterator[Tensor]:
        for step in steps:
            prompt = RAW if chance.random() < RAW_SHARE else INSTRUCTION
            logits = answer_logits(model, tokenizer, prompt, [messages[i] for i in step])
            yield F.cross_entropy(logits, torch.tensor([answers[LABELS.index(drawn[i].label)] for i in step]))

    return run_steps(model, losses(), stage, advance)


def message_ids(tokenizer: GPT2Tokenizer, text: str) -> list[int]:
    """A message's tokens, never special tokens; a long message keeps its start and its end."""
    ids: list[int] = tokenizer.encode(text, split_special_tokens=True)
    tail = MESSAGE_TOKENS // 3
    return ids if len(ids) <= MESSAGE_TOKENS else ids[: MESSAGE_TOKENS - tail] + ids[-tail:]


def answer_logits(
    model: GPTJForCausalLM, tokenizer: GPT2Tokenizer, prompt: Prompt, messages: Sequence[Sequence[int]]
) -> Tensor:
    """(B, vocabulary) logits of the token after the separator, with gradients.

    The instruction is equal for all rows, so it is computed once and its keys and values are expanded over the batch.
    Autograd sums the rows' gradients, and a step costs little more than the messages.
    """
    instruction, separator = (tokenizer.encode(part) for part in (prompt.instruction, prompt.separator))
    lengths = torch.tensor([len(ids) + len(separator) for ids in messages])
    longest = int(lengths.max())
    # Right padding needs no mask: causal attention never looks to the right, and the padding's outputs are not used.
    rows = torch.tensor([[*ids, *separator, *[0] * (longest - len(ids) - len(separator))] for ids in messages])
    past = None
    if instruction:
        past = model.transformer(input_ids=torch.tensor([instruction]), use_cache=True).past_key_values
        for layer in past.layers:
            layer.keys = layer.keys.expand(len(rows), -1, -1, -1)
            layer.values = layer.values.expand(len(rows), -1, -1, -1)
    position = torch.arange(len(instruction), len(instruction) + longest)[None].expand(len(rows), -1)
    hidden = model.transformer(
        input_ids=rows, past_key_values=past, position_ids=position, use_cache=past is not None
    ).last_hidden_state  # (B, L, hidden)
    logits: Tensor = model.lm_head(hidden[torch.arange(len(rows)), lengths - 1])
    return logits


def draw_evenly(examples: Sequence[Example], count: int, chance: random.Random) -> list[int]:
    """Draws `count` example numbers: all labels equally often, a label's sources by the square root of their size.

    An example is drawn again only after all others of its label and source.
    """
    places: dict[tuple[str, str], list[int]] = {}
    for number, example in enumerate(examples):
        places.setdefault((example.label, example.source), []).append(number)
    roots: dict[str, float] = defaultdict(float)
    for (label, _), of_group in places.items():
        roots[label] += math.sqrt(len(of_group))
    drawn: list[int] = []
    for (label, _), of_group in places.items():
        wanted = math.ceil(count / len(roots) * math.sqrt(len(of_group)) / roots[label])
        while wanted > 0:
            drawn += chance.sample(of_group, min(wanted, len(of_group)))
            wanted -= len(of_group)
    chance.shuffle(drawn)
    return drawn[:count]


def _like_lengths(lengths: Sequence[int], rows: int, chance: random.Random) -> list[list[int]]:
    """Message numbers of each step: within every sixteen steps, messages of similar length are together."""
    steps: list[list[int]] = []
    for start in range(0, len(lengths), rows * 16):
        like = sorted(range(start, min(start + rows * 16, len(lengths))), key=lambda i: lengths[i])
        group = [like[a:b] for a, b in pairwise([*range(0, len(like), rows), len(like)])]
        chance.shuffle(group)
        steps += group
    return steps


def run_steps(model: nn.Module, losses: Iterator[Tensor], stage: Stage, advance: Advance) -> list[float]:
    """AdamW with warm-up and cosine decay over `stage.steps` losses, matrix products in bfloat16 on the CPU.

    Each loss is computed after the step before. Returns the smoothed losses.
    """
    matrices = [p for p in model.parameters() if p.ndim > 1]
    others = [p for p in model.parameters() if p.ndim <= 1]
    groups: list[dict[str, Any]] = [{"params": matrices}, {"params": others, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(
        groups, lr=stage.learning_rate, betas=(0.9, 0.95), weight_decay=stage.weight_decay, fused=True
    )
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, _rate(stage))
    model.train()
    smoothed, history = math.nan, []
    for step in range(stage.steps):
        with torch.autocast("cpu", torch.bfloat16):
            loss = next(losses)
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad(set_to_none=True)
        smoothed = loss.item() if math.isnan(smoothed) else 0.98 * smoothed + 0.02 * loss.item()
        history.append(smoothed)
        advance((step + 1) / stage.steps, smoothed)
    model.eval()
    return history


@torch.inference_mode()
def bits_per_character(model: GPTJForCausalLM, tokenizer: GPT2Tokenizer, texts: Sequence[str]) -> float:
    """The model's cross-entropy on the texts in bits per character, comparable across vocabularies."""
    rows = token_blocks(texts, tokenizer, len(texts))
    nats = sum(float(next_token_loss(model, chunk)) * chunk[:, 1:].numel() for chunk in torch.split(rows, 16))
    tokens = sum(len(tokenizer.encode(text, split_special_tokens=True)) + 1 for text in texts)
    return nats / rows[:, 1:].numel() * tokens / sum(map(len, texts)) / math.log(2)


def _rate(stage: Stage) -> Callable[[int], float]:
    rise = max(1, round(stage.steps * stage.warm_up))

    def factor(step: int) -> float:
        if step < rise:
            return (step + 1) / rise
        return 0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * (step - rise) / max(1, stage.steps - rise)))

    return factor
