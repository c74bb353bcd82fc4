"""The rungs of the ladder: seven ways of scoring with the same random GPT-J, from the simplest to ours.

All share one set of weights in memory: the model of transformers and peft is built from views of our network's tensors.
Weights and adapter are random, which does not change the amount of work; the head is scaled so that answers differ.
"""

import random
import statistics
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from tokenizers import ByteLevelBPETokenizer
from torch import Tensor, nn

from model.base import LoraSpec
from model.gptj.base import DEFAULT_LORA, GPTJ
from model.gptj.int8 import Arithmetic, Int8Linear, load_bitsandbytes, quantise
from model.gptj.lora import lora_shapes
from model.gptj.network import LINEARS, Network, Shape
from model.normalize import conservative_view
from model.prompts import INSTRUCTION
from model.table import open_rows

ADAPTER = "benchmark"
PADDED_ROWS = 32
ONE_AT_A_TIME = 64
VOCABULARY = 8000
SHIPPED_TEXTS = Path(__file__).parents[1] / "training" / "data" / "heldout.csv.gz"

Encode = Callable[[str], list[int]]


@dataclass(slots=True)
class Rung:
    """One way of scoring the first `messages`: (messages, 3) logits. `seconds` are per message, one for each round;
    `furthest` is the largest difference of a probability from the first rung's.
    """

    name: str
    score: Callable[[], Tensor]
    messages: int
    seconds: list[float] = field(default_factory=list)
    furthest: float = 0.0


@dataclass(frozen=True, slots=True)
class Corpus:
    """Normalised texts and a byte-level BPE learned from them."""

    texts: Sequence[str]
    encode: Encode

    @property
    def lengths(self) -> list[int]:
        """Tokens of each text."""
        return [len(self.encode(text)) for text in self.texts]


def read_corpus(path: Path, column: str, messages: int, repeats: float = 0.0) -> Corpus:
    """A seeded sample of a file's texts; the share `repeats` of them are repetitions. Raises `BadData`.

    The BPE has 8,000 tokens, so its texts are a little longer than in GPT-J's own 50,257.
    """
    with open_rows(path, (column,)) as rows:
        texts = [text for row in rows if (text := conservative_view(row[column]))]
    chance = random.Random(3)
    chance.shuffle(texts)
    bpe = ByteLevelBPETokenizer()
    learned = [INSTRUCTION.instruction, INSTRUCTION.separator, *INSTRUCTION.answers * 50, *texts[:5000]]
    bpe.train_from_iterator(learned, vocab_size=VOCABULARY, show_progress=False)
    sample = texts[:messages]
    for n in range(1, len(sample)):
        if chance.random() < repeats:
            sample[n] = sample[chance.randrange(n)]
    return Corpus(sample, lambda text: bpe.encode(text).ids)


class RandomWeights:
    """`Weights` generated on the device, equal for the same seed."""

    def __init__(self, shape: Shape, device: torch.device, dtype: torch.dtype, int8: bool, seed: int = 1) -> None:
        self._sizes = dict(shape.tensors())
        self._hidden = shape.hidden
        self._device = device
        self._dtype = dtype
        self._int8 = int8
        self._chance = torch.Generator(device).manual_seed(seed)

    def linear(self, name: str) -> tuple[Tensor, Tensor | None]:
        """A weight whose outputs are about as large as its inputs, so an answer depends on the whole message."""
        weight = self._normal(f"{name}.weight", self._sizes[f"{name}.weight"][1] ** -0.5)
        return quantise(weight) if self._int8 else (weight, None)

    def plain(self, name: str) -> Tensor:
        """Norms of one and zero, and a head whose logits have a spread of about two."""
        if name.endswith("bias"):
            return torch.zeros(self._sizes[name], dtype=self._dtype, device=self._device)
        if "ln_" in name:
            return torch.ones(self._sizes[name], dtype=self._dtype, device=self._device)
        return self._normal(name, 2 * self._hidden**-0.5 if name == "lm_head.weight" else 0.02)

    def _normal(self, name: str, std: float) -> Tensor:
        empty = torch.empty(self._sizes[name], dtype=self._dtype, device=self._device)
        return empty.normal_(0.0, std, generator=self._chance)


def random_gptj(
    shape: Shape,
    encode: Encode,
    *,
    device: torch.device,
    dtype: torch.dtype,
    int8: Arithmetic | None = None,
    batch_tokens: int,
    lora: LoraSpec = DEFAULT_LORA,
) -> tuple[GPTJ, Mapping[str, Tensor]]:
    """Makes a GPT-J with `ADAPTER` attached; returns it with the adapter's tensors."""
    network = Network(shape, RandomWeights(shape, device, dtype, int8 is not None), int8 or "weight-only")
    base = GPTJ(network, encode, name="random", fingerprint="random", batch_tokens=batch_tokens)
    chance = torch.Generator().manual_seed(2)
    tensors = {
        name: torch.randn(size, generator=chance) * (0.1 if name.endswith("lora_B") else size[1] ** -0.5)
        for name, size in lora_shapes(shape, lora).items()
    }
    base.attach(ADAPTER, lora, tensors)
    return base, tensors


def plain_twin(base: GPTJ, lora: LoraSpec, tensors: Mapping[str, Tensor]) -> Any:
    """The same model in transformers and peft, with shared memory."""
    from peft import LoraConfig, get_peft_model
    from transformers import GPTJConfig, GPTJForCausalLM
    from transformers.models.gptj.modeling_gptj import create_sinusoidal_positions

    network, shape = base.network, base.network.shape
    config = GPTJConfig(
        n_layer=shape.layers, n_embd=shape.hidden, n_head=shape.heads, rotary_dim=shape.rotary, n_inner=shape.inner,
        vocab_size=shape.vocabulary, n_positions=shape.positions, bos_token_id=0, eos_token_id=0,
    )  # fmt: skip
    with torch.device("meta"):
        model = GPTJForCausalLM(config)
    model.transformer.wte.weight = _frozen(network.embedding)
    _set_norm(model.transformer.ln_f, network.norm)
    model.lm_head.weight, model.lm_head.bias = (_frozen(tensor) for tensor in network.head)
    inputs = [shape.features(target)[0] for target in ("q_proj", "k_proj", "v_proj", "fc_in")]
    for block, layer in zip(model.transformer.h, network.layers, strict=True):
        _set_norm(block.ln_1, layer.norm)
        at = 0
        for target, size in zip(("q_proj", "k_proj", "v_proj", "fc_in"), inputs, strict=True):
            _set_linear(block, target, layer.inputs, slice(at, at + size))
            at += size
        _set_linear(block, "out_proj", layer.out, slice(None))
        _set_linear(block, "fc_out", layer.down, slice(None))
        positions = create_sinusoidal_positions(shape.positions, shape.rotary)
        block.attn.embed_positions = positions.to(network.device)
    config = LoraConfig(r=lora.rank, lora_alpha=lora.alpha, lora_dropout=0.0, target_modules=list(lora.targets))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # peft 0.21.2 asks transformers 5.23 for an old name
        model = get_peft_model(model, config, autocast_adapter_dtype=False)
    for name, tensor in tensors.items():
        path, _, part = name.removeprefix("layer.").rpartition(".")
        module = model.get_submodule(f"base_model.model.transformer.h.{path}.{part}.default")
        module.weight = _frozen(tensor.to(network.device, network.dtype))
    return model.eval()


def climb(base: GPTJ, twin: Any, texts: Sequence[str]) -> list[Rung]:
    """The seven rungs over the same messages, which are encoded before; the first rung has only the first messages."""
    network, device = base.network, base.network.device
    batch = [base.frame(base.encode(text)) for text in texts]
    instruction = base.encode(INSTRUCTION.instruction)
    answers = torch.tensor([base.encode(answer)[0] for answer in INSTRUCTION.answers], device=device)
    assert all(len(base.encode(answer)) == 1 for answer in INSTRUCTION.answers)
    causal = twin.base_model.model
    kept = causal.transformer(torch.tensor([instruction], device=device), use_cache=True).past_key_values

    def one_at_a_time() -> Tensor:
        rows = [
            twin(torch.tensor([[*instruction, *ids]], device=device)).logits[0, -1, answers]
            for ids in batch[:ONE_AT_A_TIME]
        ]
        return torch.stack(rows)

    def padded(ask: Callable[[Tensor, Tensor, Tensor], Tensor], before: Sequence[int]) -> Tensor:
        """Scores batches in order of arrival, padded on the right; `ask` gets ids, mask and last positions."""
        rows = []
        for start in range(0, len(batch), PADDED_ROWS):
            part = [[*before, *ids] for ids in batch[start : start + PADDED_ROWS]]
            longest = max(len(ids) for ids in part)
            ids = torch.tensor([[*ids, *[0] * (longest - len(ids))] for ids in part], device=device)
            size = torch.tensor([len(ids) for ids in part], device=device)
            mask = torch.arange(longest, device=device) < size[:, None]
            rows.append(ask(ids, mask.long(), size - 1))
        return torch.cat(rows)

    def full_logits(ids: Tensor, mask: Tensor, last: Tensor) -> Tensor:
        logits: Tensor = twin(input_ids=ids, attention_mask=mask, use_cache=False).logits
        return logits[torch.arange(len(ids), device=device), last][:, answers]

    def last_logits(ids: Tensor, mask: Tensor, last: Tensor) -> Tensor:
        hidden = causal.transformer(ids, attention_mask=mask, use_cache=False).last_hidden_state
        logits: Tensor = causal.lm_head(hidden[torch.arange(len(ids), device=device), last])
        return logits[:, answers]

    def cached_prefix(ids: Tensor, mask: Tensor, last: Tensor) -> Tensor:
        from transformers import DynamicCache

        cache = DynamicCache()
        for n, layer in enumerate(kept.layers):
            cache.update(layer.keys.expand(len(ids), -1, -1, -1), layer.values.expand(len(ids), -1, -1, -1), n)
        hidden = causal.transformer(ids, past_key_values=cache, use_cache=True).last_hidden_state
        logits: Tensor = causal.lm_head(hidden[torch.arange(len(ids), device=device), last])
        return logits[:, answers]

    def packed() -> Tensor:
        rows = []
        for part in base.split_into_passes(batch):
            hidden, layout = base.run_layers([batch[i] for i in part], [ADAPTER] * len(part))
            rows.append(network.logits(hidden.flatten(0, 1)[layout.last_places])[:, answers])
        return torch.cat(rows)

    def label_rows(messages: Sequence[list[int]] = batch) -> Tensor:
        return base.label_logits(messages, ADAPTER)

    def duplicates() -> Tensor:
        first: dict[tuple[int, ...], int] = {}
        number = [first.setdefault(tuple(ids), len(first)) for ids in batch]
        return label_rows([list(ids) for ids in first])[number]

    ways: dict[str, Callable[[], Tensor]] = {
        "B0 one at a time": one_at_a_time,
        f"B1 {PADDED_ROWS} padded, full logits": lambda: padded(full_logits, instruction),
        "B2 last-position logits": lambda: padded(last_logits, instruction),
        "+ prefix cache": lambda: padded(cached_prefix, ()),
        "+ packing": packed,
        "+ label rows": label_rows,
        "+ duplicates once": duplicates,
    }
    counts = [min(len(batch), ONE_AT_A_TIME), *[len(batch)] * (len(ways) - 1)]
    return [Rung(name, way, count) for (name, way), count in zip(ways.items(), counts, strict=True)]


@torch.inference_mode()
def measure(
    rungs: Sequence[Rung],
    seconds: float,
    advance: Callable[[str, float], None] = lambda w, s: None,
    clock: Callable[[], float] = time.perf_counter,
) -> None:
    """Runs rounds over all rungs, rotated, until the time is up (at least one); fills in seconds and differences.

    `advance` gets the rung's name and the used share of the time; `clock` times the rungs.
    """
    began, turn = time.perf_counter(), 0
    for rung in rungs[1:]:
        rung.score()  # warm-up: chooses kernels, computes prefixes
    while turn == 0 or (time.perf_counter() - began) * (turn + 1) / turn < seconds:
        probabilities: dict[str, Tensor] = {}
        for step in range(len(rungs)):
            rung = rungs[(step + turn) % len(rungs)]
            advance(rung.name, min(1.0, (time.perf_counter() - began) / max(seconds, 1e-9)))
            _wait()
            start = clock()
            logits = rung.score()
            _wait()
            rung.seconds.append((clock() - start) / rung.messages)
            probabilities[rung.name] = logits.float().cpu().softmax(dim=-1)
        for rung in rungs:
            both = min(rung.messages, rungs[0].messages)
            apart = float((probabilities[rung.name][:both] - probabilities[rungs[0].name][:both]).abs().max())
            rung.furthest = max(rung.furthest, apart)
        turn += 1


def spread(rung: Rung) -> float:
    """How much the probabilities of different messages differ, for comparison with `furthest`."""
    return float(rung.score().float().softmax(dim=-1).std(dim=0).mean())


def ratio(rung: Rung, baseline: Rung) -> float:
    """The speed relative to the baseline: the median over rounds of the ratio within a round."""
    return statistics.median(b / s for b, s in zip(baseline.seconds, rung.seconds, strict=True))


def rows(rungs: Sequence[Rung]) -> list[tuple[str, ...]]:
    """(way, messages/s, times B1, times the rung before, furthest probability) as text."""
    shown: list[tuple[str, ...]] = []
    for before, rung in zip((rungs[0], *rungs), rungs, strict=False):
        rate = 1 / statistics.median(rung.seconds)
        shown.append(
            (
                rung.name,
                f"{rate:,.1f}" if rate < 100 else f"{rate:,.0f}",
                f"{ratio(rung, rungs[1]):.2f}",
                f"{ratio(rung, before):.2f}",
                f"{rung.furthest:.0e}" if rung.furthest else "0",
            )
        )
    return shown


HEADINGS = ("way", "messages/s", "× B1", "× before", "furthest p")


def markdown(headings: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    """A table whose first column is text and whose others are figures."""
    head = f"| {' | '.join(headings)} |\n|---|{'--:|' * (len(headings) - 1)}\n"
    return head + "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _wait() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def _frozen(tensor: Tensor) -> nn.Parameter:
    return nn.Parameter(tensor, requires_grad=False)


def _set_norm(module: nn.Module, tensors: Sequence[Tensor]) -> None:
    module.weight, module.bias = (_frozen(tensor) for tensor in tensors)


def _set_linear(block: nn.Module, target: str, layer: Any, part: slice) -> None:
    """Puts a view of our layer's rows in place of the block's own linear layer."""
    path = LINEARS[target]
    old: Any = block.get_submodule(path)
    bias = _frozen(layer.bias[part]) if path.startswith("mlp") else None
    if not isinstance(layer, Int8Linear):
        old.weight, old.bias = _frozen(layer.weight[part]), bias
        return
    library = load_bitsandbytes()
    threshold = 0.0 if layer.arithmetic == "threshold-0" else 6.0
    with torch.device("meta"):
        linear = library.nn.Linear8bitLt(
            old.in_features, old.out_features, bias is not None, has_fp16_weights=False, threshold=threshold
        )
    values = layer.rows[part]
    linear.weight = library.nn.Int8Params(
        values, requires_grad=False, has_fp16_weights=False, CB=values, SCB=layer.maxima[part]
    )
    linear.bias = bias
    block.set_submodule(path, linear)
