"""Makes `mini`'s own byte-level BPE, in the files of a GPT-2 tokenizer."""

from collections.abc import Iterable
from pathlib import Path

from tokenizers import ByteLevelBPETokenizer
from transformers import GPT2Tokenizer

from model.labels import LABELS

END_OF_TEXT = "<|endoftext|>"


def make_vocabulary(texts: Iterable[str], size: int, folder: Path) -> GPT2Tokenizer:
    """Trains on the texts and saves into `folder`; the last of the `size` tokens is `<|endoftext|>`, as in GPT-J.

    Each label with a space before it becomes one token, so one position gives the answer. Sennrich et al. 2016,
    "Neural Machine Translation of Rare Words with Subword Units". Raises ValueError if a label is split.
    """
    folder.mkdir(parents=True, exist_ok=True)
    trainer = ByteLevelBPETokenizer()
    trainer.train_from_iterator(_with_labels(texts), size - 1, min_frequency=2, show_progress=False)
    trainer.save_model(str(folder))
    tokenizer = GPT2Tokenizer.from_pretrained(
        folder, bos_token=END_OF_TEXT, eos_token=END_OF_TEXT, unk_token=END_OF_TEXT
    )
    if split := [label for label in LABELS if len(tokenizer.encode(f" {label}")) != 1]:
        raise ValueError(f'" {split[0]}" is not one token; the texts are too few for {size} tokens')
    if len(tokenizer) != size or tokenizer.eos_token_id != size - 1:
        raise ValueError(f"{len(tokenizer)} tokens instead of {size}: the texts are too few")
    tokenizer.save_pretrained(folder)
    return tokenizer


def _with_labels(texts: Iterable[str]) -> Iterable[str]:
    yield from texts
    for label in LABELS:
        yield from [f"label: {label}\n"] * 3000
