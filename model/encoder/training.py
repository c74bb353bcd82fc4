"""The trainable form of an embedded base: transformers' BERT with peft's LoRA and the head over frozen weights."""

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from model.base import Encoded, LoraSpec
from model.encoder.network import NORM_EPSILON, Weights, apply_head, multiplies_bfloat16
from model.labels import LABELS


class EncoderTraining(nn.Module):
    """The same model as the served one, with a trainable LoRA (peft) and head. The word embeddings stay in `weights`:
    a large vocabulary in float32 would take more memory than all other weights together."""

    def __init__(self, weights: Weights, device: torch.device, lora: LoraSpec, tensors: Mapping[str, Tensor] | None):
        super().__init__()
        from peft import LoraConfig, get_peft_model, set_peft_model_state_dict
        from transformers import BertConfig, BertModel

        shape = weights.shape
        encoder = BertModel(
            BertConfig(
                vocab_size=1,
                hidden_size=shape.hidden,
                num_hidden_layers=shape.layers,
                num_attention_heads=shape.heads,
                intermediate_size=shape.feed_forward,
                max_position_embeddings=shape.positions,
                layer_norm_eps=NORM_EPSILON,
            ),
            add_pooling_layer=False,
        )
        unused = "embeddings.word_embeddings.weight"
        names = [name for name in encoder.state_dict() if name != unused]
        encoder.load_state_dict({unused: torch.zeros(1, shape.hidden), **{n: weights.tensors[n] for n in names}})
        config = LoraConfig(
            r=lora.rank,
            lora_alpha=lora.alpha,
            lora_dropout=0.0,  # dropout on every LoRA input costs a third of a step on a CPU
            target_modules=[f"layer.{n}.{shape.linears[t][0]}" for n in range(shape.layers) for t in lora.targets],
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # peft 0.21.2 uses a deprecated name of transformers 5.23
            self.encoder: Any = get_peft_model(encoder, config)
        size = shape.hidden
        self.head = nn.ModuleDict({"dense": nn.Linear(size, size), "out": nn.Linear(size, len(LABELS))})
        self.dropout = nn.Dropout(0.1)
        if tensors is not None:
            set_peft_model_state_dict(
                self.encoder,
                {f"base_model.model.encoder.{n}.weight": t for n, t in tensors.items() if n not in shape.head},
            )
            self.head.load_state_dict({n.removeprefix("head."): tensors[n] for n in shape.head})
        self._words = weights.words
        self._device = device
        self._bfloat16 = multiplies_bfloat16(device)
        self.to(device)

    @property
    def module(self) -> nn.Module:
        """This object."""
        return self

    def label_logits(self, batch: Sequence[Encoded]) -> Tensor:
        """(B, 3) float32 logits with gradients. The batch is padded, so its texts should have similar lengths."""
        longest = max(len(ids) for ids in batch)
        ids = torch.tensor([[*row, *[0] * (longest - len(row))] for row in batch], device=self._device)
        lengths = torch.tensor([len(row) for row in batch], device=self._device)
        mask = torch.arange(longest, device=self._device) < lengths[:, None]  # (B, L)
        words = self._words(ids.flatten()).view(*ids.shape, -1)  # (B, L, hidden)
        with torch.autocast(self._device.type, torch.bfloat16, enabled=self._bfloat16):
            hidden = self.encoder(inputs_embeds=words, attention_mask=mask.long()).last_hidden_state
        weight = mask[..., None].float()
        pooled = (hidden.float() * weight).sum(1) / weight.sum(1)
        return apply_head(self.dropout(pooled), {f"head.{n}": p for n, p in self.head.named_parameters()})

    def loss(self, batch: Sequence[Encoded], targets: Tensor, weights: Tensor) -> Tensor:
        """Weighted mean cross-entropy against label probabilities."""
        losses = F.cross_entropy(self.label_logits(batch), targets.to(self._device), reduction="none")
        weights = weights.to(self._device)
        return (losses * weights).sum() / weights.sum().clamp(min=1e-8)

    def computed_tokens(self, batch: Sequence[Encoded]) -> int:
        """Tokens with padding: every row is padded to the longest."""
        return len(batch) * max(map(len, batch))

    def adapter_state(self) -> dict[str, Tensor]:
        """The adapter's tensors by the names of `EncoderBase.adapter_shapes`."""
        from peft import get_peft_model_state_dict

        state = {f"head.{name}": p for name, p in self.head.named_parameters()}
        for name, tensor in get_peft_model_state_dict(self.encoder, save_embedding_layers=False).items():
            state[name.removeprefix("base_model.model.encoder.").removesuffix(".weight")] = tensor
        return {name: t.detach().float().cpu().contiguous().clone() for name, t in state.items()}
