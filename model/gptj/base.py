"""GPT-J of any size with LoRA adapters: the production base.

The prompt is the article's: instruction, message, separator. The verdict is the softmax over the label tokens at the
last position. Four modules make this fast: `prefix_cache` (the instruction is computed once per adapter), `packing` (no
padding), `network` (only the label rows of the head), `lora` (each text may have its own adapter).
"""

import logging
from collections.abc import Callable, Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from model.base import BaseNotFound, Encoded, LoraSpec
from model.choice import ADAPTER_MIB
from model.gptj.files import DeviceWeights, TokenEncoder, open_checkpoint
from model.gptj.int8 import Arithmetic
from model.gptj.lora import Adapter, RowAdapters, lora_shapes
from model.gptj.memory import LoadPlan, check_memory, free_bytes, memory_table
from model.gptj.network import LINEARS, KeyValue, Network
from model.gptj.packing import PackedBatch, pack
from model.gptj.prefix_cache import PrefixCache
from model.gptj.question import Question, answer_scores
from model.gptj.training import GPTJTraining
from model.normalize import conservative_view
from model.prompts import INSTRUCTION, Prompt
from model.scripts import LATIN

BATCH_TOKENS = 2048
"""Tokens of one forward pass: they keep a large device busy and need 0.3 GiB of activations on a 6B."""
PREFIX_MIB = 256.0
"""MiB for nine prefixes of sixty tokens on a 6B. Beyond that the least recently used are recomputed, one short pass
each."""
DEFAULT_LORA = LoraSpec(rank=8, alpha=16.0, targets=tuple(LINEARS))
"""On all linear layers, like the article's best adapter."""

log = logging.getLogger(__name__)


class GPTJ:
    """A frozen GPT-J and its adapters. The adapter "" is the bare base."""

    mixes_adapters = True
    short_text_odds: tuple[float, ...] = ()
    default_lora = DEFAULT_LORA
    default_learning_rate = 1e-3

    def __init__(
        self,
        network: Network,
        encode: Callable[[str], list[int]],
        *,
        name: str,
        fingerprint: str,
        prompt: Prompt = INSTRUCTION,
        scripts: frozenset[str] | None = None,
        batch_tokens: int = BATCH_TOKENS,
        prefix_mib: float = PREFIX_MIB,
    ) -> None:
        self.name = name
        self.scripts = scripts
        self.fingerprint = fingerprint
        self.prompt = prompt.version
        self.batch_tokens = batch_tokens
        self.network = network
        self._encode = encode
        self._question = Question.from_prompt(prompt, encode, network.shape.positions)
        self.max_tokens = self._question.window_tokens + len(self._question.separator)
        self._adapters: dict[str, Adapter] = {}
        self._prefixes = PrefixCache(prefix_mib)

    @property
    def window_tokens(self) -> int:
        """Tokens of a message that fit in one window; instruction, separator and answer take the rest."""
        return self._question.window_tokens

    def encode(self, text: str) -> Encoded:
        """Byte-level BPE ids of the text, never special or added tokens."""
        return self._encode(text)

    def frame(self, ids: Sequence[int]) -> Encoded:
        """The ids and the separator. A message longer than the window loses its middle; the separator always stays.

        The instruction is not included: its keys and values are cached and stand before every message.
        """
        return self._question.frame(ids)

    @torch.inference_mode()
    def label_logits(self, batch: Sequence[Encoded], adapter: str | Sequence[str]) -> Tensor:
        """(B, 3) float32; raises KeyError for an adapter that is not attached. A batch of any size is cut into
        passes."""
        return self._answers(batch, adapter, self._question)

    @torch.inference_mode()
    def category_probabilities(self, texts: Sequence[str], prompt: Prompt, adapter: str = "") -> Tensor:
        """(len(texts), len(prompt.answers)) float32 on the CPU: a community's own categories, without training.

        A text longer than a window is read at its start and its end. Raises ValueError for a prompt that does not fit.
        """
        question = Question.from_prompt(prompt, self._encode, self.network.shape.positions)
        batch = [question.frame(self._encode(conservative_view(text))) for text in texts]
        if not batch:
            return torch.zeros(0, len(prompt.answers))
        return self._answers(batch, adapter, question).softmax(dim=-1)

    @torch.inference_mode()
    def embed(self, batch: Sequence[Encoded]) -> Tensor:
        """(B, hidden) unit vectors: the mean over the message's tokens (over the separator's, if the message is
        empty)."""
        vectors: list[Tensor] = []
        separator_tokens = len(self._question.separator)
        for part in self.split_into_passes(batch):
            chosen = [batch[i] for i in part]
            hidden, packed = self.run_layers(chosen, [""] * len(part))
            sizes = [max(len(ids) - separator_tokens, 1) for ids in chosen]
            starts = packed.last_places - torch.tensor(
                [len(ids) - 1 for ids in chosen], device=packed.last_places.device
            )
            flat = hidden.flatten(0, 1).float()
            vectors += [flat[start : start + n].mean(dim=0) for start, n in zip(starts.tolist(), sizes, strict=True)]
        return F.normalize(torch.stack(vectors), dim=-1).cpu()

    def adapter_shapes(self, lora: LoraSpec) -> dict[str, tuple[int, ...]]:
        """See `lora_shapes`."""
        return lora_shapes(self.network.shape, lora)

    def attach(self, adapter: str, lora: LoraSpec, tensors: Mapping[str, Tensor]) -> None:
        """Puts the matrices on the device. The prefix is computed when the adapter is first used."""
        if not adapter:
            raise ValueError('"" is the bare base')
        self._prefixes.drop(adapter)
        network = self.network
        self._adapters[adapter] = Adapter(network.shape, lora, tensors, network.device, network.dtype)

    def detach(self, adapter: str) -> None:
        """Frees the adapter and every prefix computed with it."""
        self._adapters.pop(adapter, None)
        self._prefixes.drop(adapter)

    def held_bytes(self, adapter: str) -> int:
        """Bytes of the adapter's matrices. Its prefixes count against `prefix_mib`, because they can be computed
        again."""
        return self._adapters[adapter].held_bytes if adapter in self._adapters else 0

    def start_training(
        self, lora: LoraSpec, tensors: Mapping[str, Tensor] | None = None, *, recompute: bool | None = None
    ) -> GPTJTraining:
        """Makes new LoRA matrices over the same frozen weights; the base can serve while they are trained.

        `recompute` (gradient checkpointing) is on by default on a GPU, where memory is scarce.
        """
        if recompute is None:
            recompute = self.network.device.type == "cuda"
        return GPTJTraining(self.network, self._question, lora, tensors, recompute=recompute)

    def start_norm_training(self) -> GPTJTraining:
        """Makes trainable copies of the layer norms over the same frozen linear layers."""
        return GPTJTraining(self.network, self._question, None, None, recompute=self.network.device.type == "cuda")

    def with_prompt(self, prompt: Prompt) -> "GPTJ":
        """The same frozen weights with another prompt and without adapters."""
        return GPTJ(
            self.network,
            self._encode,
            name=self.name,
            fingerprint=self.fingerprint,
            prompt=prompt,
            batch_tokens=self.batch_tokens,
        )

    def _answers(self, batch: Sequence[Encoded], adapter: str | Sequence[str], question: Question) -> Tensor:
        """(B, answers) float32 on the CPU: log-probabilities up to a constant per row."""
        adapters = [adapter] * len(batch) if isinstance(adapter, str) else list(adapter)
        if missing := set(adapters) - self._adapters.keys() - {""}:
            raise KeyError(min(missing))
        logits = torch.zeros(len(batch), len(question.answers))
        for part in self.split_into_passes(batch, question.branch_tokens):
            chosen = [batch[i] for i in part]
            chosen_adapters = [adapters[i] for i in part]
            hidden, packed = self.run_layers(chosen, chosen_adapters, question)
            lora = self._lora(sorted(set(chosen_adapters)), packed.row_group)
            logits[part] = answer_scores(self.network, hidden, packed, question, lora=lora).cpu()
        return logits

    def split_into_passes(self, batch: Sequence[Encoded], extra_tokens: int = 0) -> list[list[int]]:
        """The text numbers of each pass, in order. A pass has at most `batch_tokens` tokens, but at least one text.

        `extra_tokens` are added to each text.
        """
        passes: list[list[int]] = []
        tokens = 0
        for i, ids in enumerate(batch):
            if not passes or tokens + len(ids) + extra_tokens > self.batch_tokens:
                passes.append([])
                tokens = 0
            passes[-1].append(i)
            tokens += len(ids) + extra_tokens
        return passes

    def run_layers(
        self, batch: Sequence[Encoded], adapters: Sequence[str], question: Question | None = None
    ) -> tuple[Tensor, PackedBatch]:
        """Packs the texts behind their adapters' prefixes and runs the layers in one pass: (R, C, hidden).

        The branches for answers of several tokens are packed only if a question is given.
        """
        branches = question.branches if question else []
        question = question or self._question
        names = sorted(set(adapters))
        numbers = {name: n for n, name in enumerate(names)}
        packed = pack(
            batch,
            [numbers[name] for name in adapters],
            len(question.instruction),
            branches,
            dtype=self.network.dtype,
            device=self.network.device,
        )
        prefixes = [self._prefix(name, question) for name in names]
        lora = self._lora(names, packed.row_group)

        def prefix(layer: int) -> KeyValue:
            if len(prefixes) == 1:
                return prefixes[0][layer]
            keys, values = (torch.cat([prefixes[g][layer][part] for g in packed.row_group]) for part in (0, 1))
            return keys, values

        instruction = prefix if question.instruction else None
        return self.network.forward(packed.ids, packed.positions, packed.mask, prefix=instruction, lora=lora), packed

    def _lora(self, names: Sequence[str], row_group: Sequence[int]) -> RowAdapters:
        """The adapters of one pass; `row_group` has, for each row, the number of its adapter in `names`."""
        return RowAdapters([self._adapters.get(name) for name in names], row_group, self.network.shape)

    def _prefix(self, adapter: str, question: Question) -> list[KeyValue]:
        """The instruction's keys and values under this adapter; [] if the prompt has no instruction."""
        if not question.instruction:
            return []

        def compute() -> list[KeyValue]:
            kept: list[KeyValue] = []
            ids = torch.tensor([question.instruction], device=self.network.device)
            positions = torch.arange(ids.shape[1], device=ids.device)[None]
            self.network.forward(ids, positions, None, lora=self._lora([adapter], [0]), keep=kept)
            return [(key.contiguous(), value.contiguous()) for key, value in kept]

        return self._prefixes.get(adapter, question.prompt.version, compute)


def open_gptj(
    source: str,
    *,
    device: str = "cpu",
    precision: str = "auto",
    arithmetic: Arithmetic = "weight-only",
    prompt: Prompt = INSTRUCTION,
    batch_tokens: int = BATCH_TOKENS,
    prefix_mib: float = PREFIX_MIB,
    adapter_mib: float = ADAPTER_MIB,
    training: bool = False,
) -> GPTJ:
    """Loads a GPT-J; raises `BaseNotFound` or `DeviceTooSmall`, each with the fix, before it reads any weight.

    `adapter_mib` is the memory for attached adapters. With `training`, memory for training one adapter is checked
    instead.
    """
    target = torch.device(device)
    checkpoint = open_checkpoint(source)
    if checkpoint.prepared and precision not in ("auto", "int8"):
        raise BaseNotFound(f"{source} was prepared in int8; set precision to auto, or name the original checkpoint")
    int8 = checkpoint.prepared or precision == "int8"
    dtype = activation_dtype("auto" if int8 else precision, target)
    encode = TokenEncoder(checkpoint.tokenizer)
    plan = LoadPlan(
        dtype=dtype,
        int8=int8,
        lora=DEFAULT_LORA,
        batch_tokens=batch_tokens,
        instruction_tokens=len(encode(prompt.instruction)),
        prefix_mib=prefix_mib,
        adapter_mib=adapter_mib,
        training=training,
        device=target.type,
    )
    table = memory_table(checkpoint.shape, plan)
    log.info("memory of %s on %s:\n%s", source, device, table)
    check_memory(source, table, free_bytes(target), int8)
    tensors, fingerprint = checkpoint.load(torch.float32 if dtype == torch.float32 and not int8 else torch.float16)
    network = Network(checkpoint.shape, DeviceWeights(tensors, target, dtype, int8), arithmetic)
    try:
        return GPTJ(
            network,
            encode,
            name=checkpoint.name,
            fingerprint=fingerprint,
            prompt=prompt,
            scripts=frozenset({LATIN}) if source == "mini" else None,  # mini was made from English texts alone
            batch_tokens=batch_tokens,
            prefix_mib=prefix_mib,
        )
    except ValueError as error:
        raise BaseNotFound(f"{source} cannot be used with this prompt: {error}") from error


def activation_dtype(precision: str, device: torch.device) -> torch.dtype:
    """ "auto" is float32 on a CPU, bfloat16 on a GPU with bfloat16 arithmetic, else float16."""
    named = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
    if precision in named:
        return named[precision]
    if device.type != "cuda":
        return torch.float32
    return torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else torch.float16
