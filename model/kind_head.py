"""The head that tells the kind of a harmful text from the frozen base's embedding.

It belongs to a base, not to an adapter: no refresh changes it, and the labels do not depend on it. Its files are
`kinds.safetensors` and `kinds.json` beside the base's shipped adapter; `python -m training.kinds` makes them.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors
from torch import Tensor

from model.adapters.files import KINDS_FILE, KINDS_MANIFEST_FILE, check_header, read_file, read_json, write_file
from model.adapters.registry import SHIPPED_FOLDER, check_tensor
from model.base import Base
from model.classifier import AdapterRejected
from model.kinds import KINDS

INNER = 384
"""Width of the hidden layer."""


@dataclass(frozen=True, slots=True)
class KindManifest:
    """What a head was made from. `metrics` are its figures on the hand-written lines."""

    base: str
    base_sha256: str
    sha256: str
    kinds: tuple[str, ...]
    data: Mapping[str, Any] = field(default_factory=dict)
    recipe: Mapping[str, Any] = field(default_factory=dict)
    metrics: Mapping[str, Any] = field(default_factory=dict)


class KindHead:
    """One hidden layer over an embedding. `tensors` are float32 and have the shapes of `head_shapes`."""

    def __init__(self, tensors: Mapping[str, Tensor]) -> None:
        self._tensors = dict(tensors)

    def probabilities(self, embeddings: Tensor) -> Tensor:
        """(B, width) unit vectors -> (B, kinds) probabilities in the order of `KINDS`."""
        return kind_logits(embeddings.float(), self._tensors).softmax(dim=-1)


def kind_logits(embeddings: Tensor, tensors: Mapping[str, Tensor]) -> Tensor:
    """(B, width) -> (B, kinds)."""
    inner = F.gelu(F.linear(embeddings, tensors["dense.weight"], tensors["dense.bias"]))
    return F.linear(inner, tensors["out.weight"], tensors["out.bias"])


def head_shapes(width: int) -> dict[str, tuple[int, ...]]:
    """Names and shapes of the tensors for embeddings of this width."""
    return {
        "dense.weight": (INNER, width),
        "dense.bias": (INNER,),
        "out.weight": (len(KINDS), INNER),
        "out.bias": (len(KINDS),),
    }


def heads_folder(base: Base) -> Path:
    """The folder of a base's head, which may be missing."""
    return SHIPPED_FOLDER / base.name


def open_kind_head(base: Base, folder: Path | None = None) -> KindHead | None:
    """The head of a base, or None if there is none.

    Raises `AdapterRejected` if its files are damaged, or were made for another base or for other kinds.
    """
    folder = folder or heads_folder(base)
    if folder.parent != SHIPPED_FOLDER and folder == heads_folder(base):
        return None  # a hub id or a folder, not a name of ours
    path = folder / KINDS_FILE
    try:
        manifest, content = read_json(folder / KINDS_MANIFEST_FILE), read_file(path)
    except FileNotFoundError:
        return None
    if hashlib.sha256(content).hexdigest() != manifest.get("sha256"):
        raise AdapterRejected(f"{path}: its SHA-256 differs from the manifest's; restore the file")
    if manifest.get("base_sha256") != base.fingerprint:
        raise AdapterRejected(f"{path}: made for another base than {base.name}")
    if manifest.get("kinds") != list(map(str, KINDS)):
        raise AdapterRejected(f"{path}: made for other kinds: {manifest.get('kinds')!r:.160}")
    check_header(path, content)
    try:
        tensors = load_tensors(content)
    except (SafetensorError, ValueError, KeyError) as error:
        raise AdapterRejected(f"{path}: {str(error)!r:.160}") from error
    width = tensors["dense.weight"].shape[-1] if "dense.weight" in tensors else 0
    if {name: tuple(tensor.shape) for name, tensor in tensors.items()} != head_shapes(width):
        raise AdapterRejected(f"{path}: its tensors have other names or shapes")
    for name, tensor in tensors.items():
        if tensor.dtype not in (torch.float32, torch.float16):
            raise AdapterRejected(f"{path}: tensor {name} is {tensor.dtype}")
        check_tensor(name, bool(torch.isfinite(tensor).all()), float(tensor.float().norm()))
    return KindHead({name: tensor.float() for name, tensor in tensors.items()})


def write_kind_head(folder: Path, manifest: KindManifest, tensors: Mapping[str, Tensor]) -> KindManifest:
    """Writes the weights in half precision, then the manifest with their SHA-256. Raises `AdapterRejected` for a weight
    that is not finite in half precision."""
    half = {name: tensor.detach().half().contiguous() for name, tensor in tensors.items()}
    for name, tensor in half.items():
        check_tensor(name, bool(torch.isfinite(tensor).all()), float(tensor.float().norm()))
    content = save_tensors(half)
    complete = KindManifest(**{**asdict(manifest), "sha256": hashlib.sha256(content).hexdigest()})
    folder.mkdir(parents=True, exist_ok=True)
    write_file(folder / KINDS_FILE, content)
    text = json.dumps(asdict(complete), indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    write_file(folder / KINDS_MANIFEST_FILE, text.encode())
    return complete
