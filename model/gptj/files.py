"""Where a GPT-J comes from: a hub id, a folder as transformers saves it, or a folder made by `model.prepare`.

A prepared folder has int8 weights in bitsandbytes' own format (transformers reads it too) and `prepared.json`, which
names the checkpoint it was made from and the SHA-256 of every file.
"""

import contextlib
import hashlib
import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from tokenizers import Tokenizer
from torch import Tensor

from model.base import BaseNotFound
from model.gptj.int8 import quantise
from model.gptj.network import Shape

FORMAT = 1
PREPARED_FILE = "prepared.json"
MINI = Path(__file__).parents[1] / "mini"
"""A small GPT-J of our own; `python -m training.pretrain` makes it."""
SAMPLED = 1024
"""Elements of each tensor that go into a fingerprint."""

KNOWN = {"eleutherai/gpt-j-6b": "47e169305d2e8376be1d31e765533382721b2cc1"}
"""Commits of hub repositories that need not be named."""
_HUB_ID = re.compile(r"([\w.-]+/[\w.-]+?)(?:@([0-9a-f]{40}))?")


class Encoder:
    """The byte-level BPE of a checkpoint, without its special and added tokens: typed ones stay text."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._bare = Tokenizer(tokenizer.model)
        if tokenizer.normalizer is not None:
            self._bare.normalizer = tokenizer.normalizer
        self._bare.pre_tokenizer = tokenizer.pre_tokenizer
        self._special = frozenset(tokenizer.get_added_tokens_decoder())

    def __call__(self, text: str) -> list[int]:
        """Ids of the text; none of them is a special or added token, whatever the text says."""
        ids: list[int] = self._bare.encode(text, add_special_tokens=False).ids
        return ids if self._special.isdisjoint(ids) else [i for i in ids if i not in self._special]


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A GPT-J whose config and tokenizer were read, but no weights yet. `revision` is a hub repository's commit."""

    name: str
    config: str  # config.json
    tokenizer: Tokenizer
    load: Callable[[torch.dtype], tuple["Tensors", str]]
    """Reads the weights as this type and returns them with the fingerprint; raises `BaseNotFound` with the fix.

    Weights of a prepared folder stay on disk until each is taken, in the types they have there.
    """
    prepared: bool = False
    revision: str = ""

    @property
    def shape(self) -> Shape:
        """The sizes in the config; `open_checkpoint` has seen that they make sense."""
        return Shape.from_json(self.config)


@dataclass(slots=True)
class Tensors:
    """Tensors by name, from memory (`state`) or from files (`files`: name -> path)."""

    state: dict[str, Tensor] = field(default_factory=dict)
    files: Mapping[str, Path] = field(default_factory=dict)

    def take(self, name: str) -> Tensor:
        """The tensor, which is no longer kept here; raises KeyError."""
        if name not in self.files:
            return self.state.pop(name)
        with safe_open(self.files[name], framework="pt") as file:
            tensor: Tensor = file.get_tensor(name)
        return tensor


class DeviceWeights:
    """The `Weights` of a network on a device; int8 weights are made here unless the checkpoint has them."""

    def __init__(self, tensors: Tensors, device: torch.device, dtype: torch.dtype, int8: bool) -> None:
        self._tensors = tensors
        self._device = device
        self._dtype = dtype
        self._int8 = int8

    def linear(self, name: str) -> tuple[Tensor, Tensor | None]:
        """(weight, None) or (int8 rows, maxima)."""
        weight = self._tensors.take(f"{name}.weight")
        if weight.dtype == torch.int8:
            return weight.to(self._device), self._tensors.take(f"{name}.SCB").to(self._device)
        if self._int8:
            return quantise(weight.to(self._device))
        return weight.to(self._device, self._dtype), None

    def plain(self, name: str) -> Tensor:
        """An embedding, a norm or a bias."""
        return self._tensors.take(name).to(self._device, self._dtype)


def open_checkpoint(source: str) -> Checkpoint:
    """Finds `source` and reads what is small of it; raises `BaseNotFound` with the fix.

    A hub id names a commit behind an @: what a branch or a tag stands for can be exchanged by whoever owns it.
    """
    folder = MINI if source == "mini" else Path(source)
    if source == "mini" and not folder.is_dir():
        raise BaseNotFound(f"{folder} is missing; make it with: python -m training.pretrain")
    if folder.is_dir():
        with _readable(source):
            return _prepared(source, folder) if (folder / PREPARED_FILE).is_file() else _plain(source, str(folder))
    if (known := _HUB_ID.fullmatch(source)) is None:
        raise BaseNotFound(f"{source}: no such folder, nor a hub id like EleutherAI/gpt-j-6b@COMMIT")
    name, revision = known[1], known[2] or KNOWN.get(known[1].lower())
    if revision is None:
        raise BaseNotFound(
            f"{source}: no such folder; if it is a hub id, name the commit to download as well, all 40 digits of it: "
            f"{name}@COMMIT"
        )
    with _readable(source):
        return _plain(f"{name}@{revision}", name, revision)


@contextlib.contextmanager
def _readable(source: str) -> Iterator[None]:
    """Whatever a library says about a bad checkpoint becomes one line that names the source."""
    try:
        yield
    except (OSError, ValueError, KeyError, RuntimeError, EOFError, UnpicklingError, SafetensorError) as error:
        first = str(error).strip().splitlines()[:1] or [type(error).__name__]
        hub = "" if Path(source).is_dir() or source == "mini" else " (no folder of that name here; taken for a hub id)"
        raise BaseNotFound(f"{source}: cannot be read as a GPT-J{hub}: {first[0]}") from error


def fingerprint(shape: Shape, tensors: Mapping[str, Tensor]) -> str:
    """SHA-256 over a fixed sample of every tensor, rounded to float16: the same for all copies of one checkpoint.

    It tells bases apart in any precision. It does not guard a file: `prepared.json` and the hub do that.
    """
    digest = hashlib.sha256()
    for name, expected in shape.tensors():
        tensor = tensors[name]
        if tuple(tensor.shape) != expected:
            raise ValueError(f"tensor {name} is {tuple(tensor.shape)}, the config says {expected}")
        flat = tensor.reshape(-1)
        sample = flat[:: max(1, len(flat) // SAMPLED)].to("cpu", torch.float16)
        digest.update(f"{name}{expected}".encode() + sample.numpy().tobytes())
    return digest.hexdigest()


def file_hash(path: Path) -> str:
    """SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _plain(name: str, place: str, revision: str = "") -> Checkpoint:
    """Through transformers, which knows every way a checkpoint is stored: safetensors where there are any, else torch's
    files by its loader for weights alone, which runs no code of theirs."""
    from transformers import AutoTokenizer, GPTJConfig, GPTJForCausalLM
    from transformers.utils import logging

    logging.set_verbosity_error()
    logging.disable_progress_bar()  # the worker's log is no terminal
    folder = Path(place)
    at = {"revision": revision} if revision else {}
    if folder.is_dir():
        config = (folder / "config.json").read_text(encoding="utf-8")
    else:
        config = GPTJConfig.from_pretrained(place, **at).to_json_string(use_diff=False)
    shape = Shape.from_json(config)
    if (folder / "tokenizer.json").is_file():
        tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    else:
        tokenizer = AutoTokenizer.from_pretrained(place, **at).backend_tokenizer

    def load(dtype: torch.dtype) -> tuple[Tensors, str]:
        with _readable(name):
            model, found = GPTJForCausalLM.from_pretrained(
                place,
                **at,
                dtype=dtype,
                weights_only=True,
                output_loading_info=True,
                ignore_mismatched_sizes=True,
            )
            if absent := sorted({*found["missing_keys"], *(key for key, *_ in found["mismatched_keys"])}):
                raise ValueError(f"tensor {absent[0]} is missing or of another size")  # it would be random otherwise
            state = {key: tensor.detach() for key, tensor in model.state_dict().items()}
            return Tensors(state=state), fingerprint(shape, state)

    return Checkpoint(name, config, tokenizer, load, revision=revision)


def _prepared(name: str, folder: Path) -> Checkpoint:
    manifest: dict[str, Any] = json.loads((folder / PREPARED_FILE).read_text(encoding="utf-8"))
    if manifest["format"] != FORMAT:
        raise ValueError(f"{PREPARED_FILE} has format {manifest['format']}, this version reads {FORMAT}; prepare again")
    config = (folder / "config.json").read_text(encoding="utf-8")
    Shape.from_json(config)

    def load(dtype: torch.dtype) -> tuple[Tensors, str]:
        with _readable(name):
            for file, digest in manifest["files"].items():
                if Path(file).name != file or file_hash(folder / file) != digest:
                    raise ValueError(f"{file} is not the file that was prepared; prepare again")
            weights = [folder / file for file in manifest["files"] if file.endswith(".safetensors")]
            return Tensors(files=dict(_names(weights))), str(manifest["fingerprint"])

    return Checkpoint(
        name, config, Tokenizer.from_file(str(folder / "tokenizer.json")), load, True, str(manifest.get("revision", ""))
    )


def _names(files: list[Path]) -> Iterator[tuple[str, Path]]:
    for path in files:
        with safe_open(path, framework="pt") as file:
            for name in file.keys():  # noqa: SIM118 - not a mapping
                yield name, path
