"""A GPT-J small enough for a test: random weights, a real byte-level BPE, and a plain reference to compare with."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from tokenizers import AddedToken, ByteLevelBPETokenizer, Tokenizer
from torch import Tensor

from model.base import LoraSpec
from model.gptj.base import GPTJ
from model.gptj.lora import lora_shapes
from model.prompts import INSTRUCTION, RAW, Prompt

SIZES: Mapping[str, Any] = {
    "n_layer": 3,
    "n_embd": 64,
    "n_head": 4,
    "rotary_dim": 8,
    "n_positions": 256,
    "bos_token_id": 0,
    "eos_token_id": 0,
}
TEXTS = [
    "hello there",
    "you are a complete idiot and I never want to see you here again",
    "ok",
    "a b c " * 20,
    "",
    "мой дядя самых честных правил",
    "ok",
]


def make_gptj(folder: Path, seed: int = 0, **sizes: Any) -> Path:
    """Writes config.json, model.safetensors and tokenizer.json of a random GPT-J whose answers differ between texts."""
    from transformers import GPTJConfig, GPTJForCausalLM

    bpe = ByteLevelBPETokenizer()
    corpus = [INSTRUCTION.instruction, RAW.separator, INSTRUCTION.separator, *TEXTS]
    corpus += [" hate offensive neutral business sport world news"] * 9
    bpe.train_from_iterator(corpus * 3, vocab_size=400, special_tokens=["<|endoftext|>"], show_progress=False)
    folder.mkdir(parents=True, exist_ok=True)
    bpe.save(str(folder / "tokenizer.json"))
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.add_tokens([AddedToken(f"<|extratoken_{n}|>", special=False) for n in range(1, 4)])
    tokenizer.save(str(folder / "tokenizer.json"))
    torch.manual_seed(seed)
    config = GPTJConfig(**{**SIZES, "vocab_size": tokenizer.get_vocab_size() + 5, **sizes}, initializer_range=0.2)
    model = GPTJForCausalLM(config)
    for name, parameter in model.named_parameters():
        if name.endswith("bias"):
            torch.nn.init.normal_(parameter, std=0.2)
    model.save_pretrained(folder)
    return folder


def random_adapter(base: GPTJ, lora: LoraSpec, seed: int, std: float = 0.1) -> dict[str, Tensor]:
    """An adapter whose matrices are all random and not zero."""
    chance = torch.Generator().manual_seed(seed)
    shapes = lora_shapes(base.network.shape, lora)
    return {name: torch.randn(shape, generator=chance) * std for name, shape in shapes.items()}


def plain_model(folder: Path, lora: LoraSpec | None = None, tensors: Mapping[str, Tensor] | None = None) -> Any:
    """The model of transformers in float32, with the adapter applied by peft."""
    from peft import LoraConfig, get_peft_model, set_peft_model_state_dict
    from transformers import GPTJForCausalLM

    model = GPTJForCausalLM.from_pretrained(folder, dtype=torch.float32)
    if lora is None or tensors is None:
        return model.eval()
    model = get_peft_model(
        model, LoraConfig(r=lora.rank, lora_alpha=lora.alpha, lora_dropout=0.0, target_modules=list(lora.targets))
    )
    names = {n: f"base_model.model.transformer.h.{n.removeprefix('layer.')}.weight" for n in tensors}
    for part in "AB":
        names[f"wte.lora_{part}"] = f"base_model.model.transformer.wte.lora_embedding_{part}"
        names[f"lm_head.lora_{part}"] = f"base_model.model.lm_head.lora_{part}.weight"
    result = set_peft_model_state_dict(model, {names[n]: tensor for n, tensor in tensors.items()})
    assert not result.unexpected_keys
    return model.eval()


@torch.no_grad()
def plain_probabilities(model: Any, base: GPTJ, texts: Sequence[str], prompt: Prompt = INSTRUCTION) -> Tensor:
    """(N, answers): each text alone with the full prompt and full logits; answers scored as sequences."""
    rows = []
    for text in texts:
        asked = [*base.encode(prompt.instruction), *base.encode(text), *base.encode(prompt.separator)]
        scores = []
        for answer in (base.encode(answer) for answer in prompt.answers):
            logits = model(torch.tensor([[*asked, *answer]])).logits[0].log_softmax(dim=-1)
            scores.append(sum(float(logits[len(asked) - 1 + n, token]) for n, token in enumerate(answer)))
        rows.append(torch.tensor(scores).softmax(dim=0))
    return torch.stack(rows)


def edit_config(folder: Path, **changes: Any) -> None:
    """Changes config.json."""
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))
