"""Reads a GPT-J checkpoint: a hub id, a folder as transformers saves it, or a folder that `model.prepare` made.

A prepared folder has int8 weights in bitsandbytes' own format (transformers can read it too) and `prepared.json`, which
names the original checkpoint and the SHA-256 of every file.
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
MINI_FOLDER = Path(__file__).parents[1] / "mini"
"""Our own small GPT-J, made by `python -m training.pretrain`."""
SAMPLED_ELEMENTS = 1024
"""Elements of each tensor that a fingerprint covers."""

KNOWN_COMMITS = {"eleutherai/gpt-j-6b": "47e169305d2e8376be1d31e765533382721b2cc1"}
"""Commits of hub repositories whose id may be given without a commit."""
_HUB_ID = re.compile(r"([\w.-]+/[\w.-]+?)(?:@([0-9a-f]{40}))?")


class TokenEncoder:
    """The byte-level BPE of a checkpoint, without its special and added tokens: such tokens in a message stay text."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._bare = Tokenizer(tokenizer.model)
        if tokenizer.normalizer is not None:
            self._bare.normalizer = tokenizer.normalizer
        self._bare.pre_tokenizer = tokenizer.pre_tokenizer
        self._special = frozenset(tokenizer.get_added_tokens_decoder())

    def __call__(self, text: str) -> list[int]:
        """Ids of the text, never special or added tokens."""
        ids: list[int] = self._bare.encode(text, add_special_tokens=False).ids
        return ids if self._special.isdisjoint(ids) else [i for i in ids if i not in self._special]


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A GPT-J whose config and tokenizer were read, but not its weights. `revision` is the commit of a hub
    repository."""

    name: str
    config: str  # config.json
    tokenizer: Tokenizer
    load: Callable[[torch.dtype], tuple["TensorSource", str]]
    """Reads the weights as this type and returns them with the fingerprint; raises `BaseNotFound` with the fix.

    The weights of a prepared folder keep their types and stay on disk until each is taken.
    """
    prepared: bool = False
    revision: str = ""

    @property
    def shape(self) -> Shape:
        """The sizes in the config, which `open_checkpoint` has already checked."""
        return Shape.from_json(self.config)


@dataclass(slots=True)
class TensorSource:
    """Tensors by name, from memory (`state`) or from files (`files`: name -> path)."""

    state: dict[str, Tensor] = field(default_factory=dict)
    files: Mapping[str, Path] = field(default_factory=dict)

    def take(self, name: str) -> Tensor:
        """Returns the tensor and drops it from memory; raises KeyError."""
        if name not in self.files:
            return self.state.pop(name)
        with safe_open(self.files[name], framework="pt") as file:
            tensor: Tensor = file.get_tensor(name)
        return tensor


class DeviceWeights:
    """The `Weights` of a network on a device. With `int8`, weights that are not int8 yet are quantised."""

    def __init__(self, tensors: TensorSource, device: torch.device, dtype: torch.dtype, int8: bool) -> None:
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
    """Finds `source` and reads its config and tokenizer; raises `BaseNotFound` with the fix.

    A hub id names a commit after an @, because the owner of a repository can move a branch or a tag.
    """
    folder = MINI_FOLDER if source == "mini" else Path(source)
    if source == "mini" and not folder.is_dir():
        raise BaseNotFound(f"{folder} is missing; make it with: python -m training.pretrain")
    if folder.is_dir():
        with _readable(source):
            return _prepared(source, folder) if (folder / PREPARED_FILE).is_file() else _plain(source, str(folder))
    if (hub_id := _HUB_ID.fullmatch(source)) is None:
        raise BaseNotFound(f"{source}: no such folder, nor a hub id like EleutherAI/gpt-j-6b@COMMIT")
    name, revision = hub_id[1], hub_id[2] or KNOWN_COMMITS.get(hub_id[1].lower())
    if revision is None:
        raise BaseNotFound(
            f"{source}: no such folder; for a hub id, add the commit to download, with all its 40 digits: {name}@COMMIT"
        )
    with _readable(source):
        return _plain(f"{name}@{revision}", name, revision)


@contextlib.contextmanager
def _readable(source: str) -> Iterator[None]:
    """Turns a library's error about a bad checkpoint into one line that names the source."""
    try:
        yield
    except (OSError, ValueError, KeyError, RuntimeError, EOFError, UnpicklingError, SafetensorError) as error:
        first_lines = str(error).strip().splitlines()[:1] or [type(error).__name__]
        hub = (
            ""
            if Path(source).is_dir() or source == "mini"
            else " (no folder has this name, so it was read as a hub id)"
        )
        raise BaseNotFound(f"{source}: cannot be read as a GPT-J{hub}: {first_lines[0]}") from error


def fingerprint(shape: Shape, tensors: Mapping[str, Tensor]) -> str:
    """SHA-256 over a fixed sample of every tensor, rounded to float16: all copies of one checkpoint have the same.

    It tells bases apart in any precision. It does not protect a file; `prepared.json` and the hub do that.
    """
    digest = hashlib.sha256()
    for name, expected in shape.tensors():
        tensor = tensors[name]
        if tuple(tensor.shape) != expected:
            raise ValueError(f"tensor {name} is {tuple(tensor.shape)}, the config says {expected}")
        flat = tensor.reshape(-1)
        sample = flat[:: max(1, len(flat) // SAMPLED_ELEMENTS)].to("cpu", torch.float16)
        digest.update(f"{name}{expected}".encode() + sample.numpy().tobytes())
    return digest.hexdigest()


def file_hash(path: Path) -> str:
    """SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _plain(name: str, location: str, revision: str = "") -> Checkpoint:
    """Reads a checkpoint with transformers, which supports every storage format: safetensors if present, else torch
    files through the weights-only loader, which runs no code from the file. `location` is a folder or a hub name."""
    from transformers import AutoTokenizer, GPTJConfig, GPTJForCausalLM
    from transformers.utils import logging

    logging.set_verbosity_error()
    logging.disable_progress_bar()  # the worker writes to a log, not a terminal
    folder = Path(location)
    pinned = {"revision": revision} if revision else {}
    if folder.is_dir():
        config = (folder / "config.json").read_text(encoding="utf-8")
    else:
        config = GPTJConfig.from_pretrained(location, **pinned).to_json_string(use_diff=False)
    shape = Shape.from_json(config)
    if (folder / "tokenizer.json").is_file():
        tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    else:
        tokenizer = AutoTokenizer.from_pretrained(location, **pinned).backend_tokenizer

    def load(dtype: torch.dtype) -> tuple[TensorSource, str]:
        with _readable(name):
            model, loading_info = GPTJForCausalLM.from_pretrained(
                location,
                **pinned,
                dtype=dtype,
                weights_only=True,
                output_loading_info=True,
                ignore_mismatched_sizes=True,
            )
            mismatched = (key for key, *_ in loading_info["mismatched_keys"])
            if absent := sorted({*loading_info["missing_keys"], *mismatched}):
                # transformers fills such a tensor with random numbers
                raise ValueError(f"tensor {absent[0]} is missing or has another size")
            state = {key: tensor.detach() for key, tensor in model.state_dict().items()}
            return TensorSource(state=state), fingerprint(shape, state)

    return Checkpoint(name, config, tokenizer, load, revision=revision)


def _prepared(name: str, folder: Path) -> Checkpoint:
    manifest: dict[str, Any] = json.loads((folder / PREPARED_FILE).read_text(encoding="utf-8"))
    if manifest["format"] != FORMAT:
        raise ValueError(f"{PREPARED_FILE} has format {manifest['format']}, this version reads {FORMAT}; prepare again")
    config = (folder / "config.json").read_text(encoding="utf-8")
    Shape.from_json(config)

    def load(dtype: torch.dtype) -> tuple[TensorSource, str]:
        with _readable(name):
            for file, digest in manifest["files"].items():
                if Path(file).name != file or file_hash(folder / file) != digest:
                    raise ValueError(f"{file} is not the file that was prepared; prepare again")
            weights = [folder / file for file in manifest["files"] if file.endswith(".safetensors")]
            return TensorSource(files=dict(_names(weights))), str(manifest["fingerprint"])

    return Checkpoint(
        name, config, Tokenizer.from_file(str(folder / "tokenizer.json")), load, True, str(manifest.get("revision", ""))
    )


def _names(files: list[Path]) -> Iterator[tuple[str, Path]]:
    for path in files:
        with safe_open(path, framework="pt") as file:
            for name in file.keys():  # noqa: SIM118 - not a mapping
                yield name, path
