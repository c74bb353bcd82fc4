"""Reads the file of multilingual-e5-small in 4 bit: magic "E5S1", header, vocabulary, replaced characters, tensors.

All numbers are little-endian. The header has version, layer sizes and tokenizer ids; the vocabulary offsets, scores and
one string of UTF-8; a replaced character its code point, a count and as many new ones. A directory names the tensors:
float32, or blocks of 32 numbers that share a 16-bit scale ("Q4_0" of ggml: number = scale * (4 bits - 8), the lower
halves of the bytes first). Matrices stay in blocks and are decoded as they are used: 12 MB instead of 85, and for the
word embeddings 54 instead of 384.
"""

import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from model.encoder.network import Shape, Weights

MAGIC = b"E5S1"
BLOCK, BLOCK_BYTES = 32, 18
"""Numbers of a block, and its bytes: a scale and 16 bytes of two numbers each."""
_OF_LAYER = {
    "q": "attention.self.query",
    "k": "attention.self.key",
    "v": "attention.self.value",
    "ao": "attention.output.dense",
    "aln": "attention.output.LayerNorm",
    "fi": "intermediate.dense",
    "fo": "output.dense",
    "oln": "output.LayerNorm",
}
_EMBEDDINGS = {
    "emb.pos": "embeddings.position_embeddings.weight",
    "emb.type": "embeddings.token_type_embeddings.weight",
    "emb.ln.w": "embeddings.LayerNorm.weight",
    "emb.ln.b": "embeddings.LayerNorm.bias",
}
_WORDS = "emb.word"
_PARTS = {"w": "weight", "b": "bias"}


@dataclass(frozen=True, slots=True)
class Q4File:
    """The content: the network's weights, (piece, log-probability) by id, and replaced characters by code point."""

    weights: Weights
    vocabulary: list[tuple[str, float]]
    replaced: dict[int, str]


def read_q4_file(raw: bytes, shape: Shape, device: torch.device) -> Q4File:
    """Parses the file's bytes; raises ValueError, struct.error or KeyError for anything else than this shape."""
    if raw[:4] != MAGIC:
        raise ValueError("the file does not begin with E5S1")
    at = 8
    hidden, layers, heads, feed_forward, _, positions, _ = struct.unpack_from("<7i", raw, at)
    if Shape(layers, hidden, heads, feed_forward, positions) != shape:
        raise ValueError("the file's network has another shape")
    count, *_ = struct.unpack_from("<5i", raw, at := at + 36)
    (characters,) = struct.unpack_from("<Q", raw, at := at + 20)
    offsets = struct.unpack_from(f"<{count + 1}I", raw, at := at + 8)
    scores = struct.unpack_from(f"<{count}f", raw, at := at + 4 * (count + 1))
    at += 4 * count
    strings = raw[at : at + characters]
    vocabulary = [(strings[a:b].decode(), score) for a, b, score in zip(offsets, offsets[1:], scores, strict=False)]
    replacements, size = struct.unpack_from("<iI", raw, at := at + characters)
    at += 8
    replaced = dict(_replaced_characters(raw[at : at + size], replacements))
    tensors = dict(_tensors(raw, at + size, device))
    words = tensors.pop(_WORDS).rows(hidden)
    return Q4File(
        Weights(
            shape, _Decoded({_name(key): part for key, part in tensors.items()}, shape), lambda i: decode(words[i])
        ),
        vocabulary,
        replaced,
    )


def decode(blocks: Tensor) -> Tensor:
    """(..., bytes of blocks) uint8 -> (..., numbers) float32."""
    split = blocks.reshape(*blocks.shape[:-1], -1, BLOCK_BYTES)
    scale = split[..., :2].contiguous().view(torch.float16).float()  # (..., blocks, 1)
    halves = split[..., 2:]
    numbers = torch.cat([halves & 15, halves >> 4], dim=-1).float() - 8
    return (numbers * scale).flatten(-2)


@dataclass(frozen=True, slots=True)
class _Part:
    """A tensor's bytes as they lie in the file."""

    data: Tensor
    is_blocks: bool

    def rows(self, numbers: int) -> Tensor:
        """(rows, bytes) blocks of a matrix with rows of so many numbers."""
        if not self.is_blocks:
            raise ValueError("a matrix of the file is not in blocks")
        return self.data.view(-1, numbers // BLOCK * BLOCK_BYTES)


class _Decoded(Mapping[str, Tensor]):
    """The tensors by the names of transformers' BertModel, decoded anew at each access."""

    def __init__(self, parts: Mapping[str, _Part], shape: Shape) -> None:
        self._parts = parts
        self._columns = {path: numbers for path, _, numbers in shape.linears.values()}
        self._hidden = shape.hidden

    def __getitem__(self, name: str) -> Tensor:
        part = self._parts[name]
        if part.is_blocks:
            _, _, path = name.removesuffix(".weight").split(".", 3)[1:]
            return decode(part.rows(self._columns[path]))
        numbers = part.data.view(torch.float32)
        return numbers.view(-1, self._hidden) if name.endswith("_embeddings.weight") else numbers

    def __iter__(self) -> Iterator[str]:
        return iter(self._parts)

    def __len__(self) -> int:
        return len(self._parts)


def _name(key: str) -> str:
    """The name of transformers for a name of the file, such as "l0.ao.w" or "emb.pos"."""
    if key in _EMBEDDINGS:
        return _EMBEDDINGS[key]
    layer, module, part = key.split(".")
    return f"encoder.layer.{layer[1:]}.{_OF_LAYER[module]}.{_PARTS[part]}"


def _replaced_characters(raw: bytes, count: int) -> Iterator[tuple[int, str]]:
    at = 0
    for _ in range(count):
        point, size = struct.unpack_from("<IB", raw, at)
        at += 5
        yield point, "".join(map(chr, struct.unpack_from(f"<{size}I", raw, at)))
        at += 4 * size


def _tensors(raw: bytes, at: int, device: torch.device) -> Iterator[tuple[str, _Part]]:
    (count,) = struct.unpack_from("<i", raw, at)
    at += 4
    for _ in range(count):
        (size,) = struct.unpack_from("<H", raw, at)
        key = raw[at + 2 : at + 2 + size].decode()
        kind, _, offset, length = struct.unpack_from("<BIQQ", raw, at := at + 2 + size)
        at += 21
        data = torch.frombuffer(bytearray(raw[offset : offset + length]), dtype=torch.uint8)
        yield key, _Part(data.to(device), is_blocks=kind != 0)
