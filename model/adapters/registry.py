"""The registry of adapters: versions on disk, which one serves, and checks that keep hostile files out.

    <root>/<scope>/<version>/{adapter_model.safetensors, manifest.json, report.html}
    <root>/<scope>/current          the promoted versions, one per line; the last line serves

`scope` is `global` or `c-` and a community's name. `current` is one small file that is replaced atomically: a reader
sees the old list or the new one. A rollback removes the last line.
"""

import contextlib
import hashlib
import json
import math
import os
import re
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import Any

from model.adapters.files import (
    MANIFEST_FILE,
    MAX_BYTES,
    PROMOTED_FILE,
    WEIGHTS_FILE,
    check_header,
    read_file,
    read_json,
    sync_folder,
    write_file,
)
from model.classifier import AdapterRejected
from model.norms import Norm

FORMAT = 1
MAX_NORM = 1e4
"""Largest Frobenius norm of an adapter tensor (the shipped adapter stays below 100)."""

SHIPPED_FOLDER = Path(__file__).parents[1] / "shipped"
SHIPPED = SHIPPED_FOLDER / "minilm"
"""The embedded base's adapter that comes with this version; it serves until another is promoted."""

GLOBAL = "global"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,79}")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_FIELDS: Mapping[str, Any] = {
    **dict.fromkeys(("base", "base_sha256", "prompt", "version", "created_at"), str),
    **dict.fromkeys(("lora", "files", "data", "recipe", "versions", "metrics", "norms"), dict),
    "parent": str | None,
    "temperature": int | float,
    "seed": int,
    "examples": list,
}
"""The JSON type of each field of a manifest."""


@dataclass(frozen=True, slots=True)
class Manifest:
    """What an adapter is and how it was made. `norms` has the communities' norms that its refreshes learned."""

    base: str
    base_sha256: str
    prompt: str
    version: str
    created_at: str
    lora: Mapping[str, Any]
    temperature: float
    files: Mapping[str, str]
    parent: str | None = None
    data: Mapping[str, Any] = field(default_factory=dict)
    seed: int = 0
    recipe: Mapping[str, Any] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)
    metrics: Mapping[str, Any] = field(default_factory=dict)
    examples: tuple[str, ...] = ()
    norms: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    format: int = FORMAT

    def learned_norms(self) -> dict[str, Norm]:
        """The norm of each community that has its own."""
        return {community: Norm.from_json(norm) for community, norm in self.norms.items()}


def read_manifest(folder: Path) -> Manifest:
    """Reads the manifest of an adapter's folder. Raises `AdapterRejected` with the file and the error, and OSError for
    temporary errors, such as too many open files."""
    path = folder / MANIFEST_FILE
    try:
        data = read_json(path)
    except FileNotFoundError as error:
        raise AdapterRejected(f"{path}: {error.strerror}") from error
    if data.get("format") != FORMAT or isinstance(data["format"], bool):
        raise AdapterRejected(f"{path}: format {data.get('format')!r:.40}, this version reads {FORMAT}")
    try:
        _check_fields(data)
        manifest = Manifest(**{**data, "examples": tuple(data.get("examples", ()))})
        manifest.learned_norms()
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError) as error:
        raise AdapterRejected(f"{path}: not a manifest ({str(error)!r:.160})") from error
    return manifest


def _check_fields(data: Mapping[str, Any]) -> None:
    """Raises ValueError that names the first wrong field."""
    for name, kinds in _FIELDS.items():
        if name in data and (not isinstance(data[name], kinds) or isinstance(data[name], bool)):
            raise ValueError(f"{name} is {type(data[name]).__name__}")
    if not 0.05 <= data["temperature"] <= 20:
        raise ValueError(f"temperature {data['temperature']} is not between 0.05 and 20")
    if not _NAME.fullmatch(data["version"]):
        raise ValueError(f"version {data['version']!r:.80} is not a plain name")
    files = data["files"]
    if WEIGHTS_FILE not in files:
        raise ValueError(f"files does not name {WEIGHTS_FILE}")
    for name, digest in files.items():
        if not _NAME.fullmatch(name) or not isinstance(digest, str) or not _SHA256.fullmatch(digest):
            raise ValueError(f"files: {name:.80} is not a plain name with a SHA-256")
    if not all(isinstance(example, str) for example in data.get("examples", ())):
        raise ValueError("examples are not all texts")
    if not all(isinstance(norm, dict) for norm in data.get("norms", {}).values()):
        raise ValueError("norms are not all objects")


def write_adapter(folder: Path, manifest: Manifest, weights: bytes) -> Manifest:
    """Writes the weights, then the manifest with their SHA-256, both flushed to disk. The folder must exist.

    Raises `AdapterRejected` for a manifest that `read_manifest` would refuse, such as one with an infinite figure.
    """
    digest = hashlib.sha256(weights).hexdigest()
    complete = Manifest(**{**asdict(manifest), "files": {WEIGHTS_FILE: digest}})
    try:
        text = json.dumps(asdict(complete), indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    except ValueError as error:
        raise AdapterRejected(f"{folder / MANIFEST_FILE}: a figure is not a finite number ({error})") from error
    if len(text.encode()) > MAX_BYTES[MANIFEST_FILE]:
        raise AdapterRejected(f"{folder / MANIFEST_FILE}: more than {MAX_BYTES[MANIFEST_FILE]} bytes")
    write_file(folder / WEIGHTS_FILE, weights)
    write_file(folder / MANIFEST_FILE, text.encode())
    return complete


def read_weights(folder: Path, manifest: Manifest) -> bytes:
    """Reads the weights file after checking its size and header, and its SHA-256 against the manifest."""
    path = folder / WEIGHTS_FILE
    try:
        content = read_file(path)
    except FileNotFoundError as error:
        raise AdapterRejected(f"{path}: {error.strerror}") from error
    digest = hashlib.sha256(content).hexdigest()
    if digest != manifest.files.get(WEIGHTS_FILE):
        raise AdapterRejected(
            f"{path}: SHA-256 {digest[:12]}… differs from the manifest's; restore the file or roll back"
        )
    check_header(path, content)
    return content


def check_tensor(name: str, finite: bool, norm: float) -> None:
    """Raises `AdapterRejected` for NaN, infinity or a norm beyond `MAX_NORM`."""
    if not finite or not math.isfinite(norm):
        raise AdapterRejected(f"tensor {name} is not finite")
    if norm > MAX_NORM:
        raise AdapterRejected(f"tensor {name} has norm {norm:.3g}, at most {MAX_NORM:.3g} is accepted")


class Registry:
    """Adapters under `root`. The `shipped` one serves until another is promoted."""

    def __init__(self, root: Path, shipped: Path) -> None:
        self.root = root
        self.shipped = shipped

    def current(self, scope: str = GLOBAL) -> str:
        """`scope/version` promoted last for this scope, else for `global`, else the shipped one."""
        for candidate in dict.fromkeys((scope, GLOBAL)):
            if promoted := self.promoted(candidate):
                return f"{candidate}/{promoted[-1]}"
        return self._shipped_adapter

    def newest_sound(self, scope: str = GLOBAL, refused: Mapping[str, str] = MappingProxyType({})) -> tuple[str, str]:
        """(the newest promoted adapter whose files are intact, what is wrong with newer ones or "").

        `refused` has the adapters that the model refused, and why; none of them is chosen.
        """
        lines, problem = self._promoted_lines(scope)
        for number, version in reversed(list(enumerate(lines, 1))):
            adapter = f"{scope}/{version}"
            try:
                if not _NAME.fullmatch(version):
                    raise AdapterRejected(f"{self._promoted_path(scope)}: line {number} is damaged")
                read_weights(self.folder(adapter), read_manifest(self.folder(adapter)))
                if adapter in refused:
                    raise AdapterRejected(refused[adapter])
            except AdapterRejected as error:
                problem = problem or str(error)
            else:
                return adapter, problem
        return self._shipped_adapter if scope == GLOBAL else self.newest_sound(refused=refused)[0], problem

    def promotion_state(self, scope: str = GLOBAL) -> str:
        """A text that changes with each promotion, rollback or damage to the list; "" if nothing was promoted."""
        lines, problem = self._promoted_lines(scope)
        return " ".join((problem, *lines)).strip()

    def folder(self, adapter: str) -> Path:
        """The folder of `scope/version`; raises `AdapterRejected` for anything but two plain names."""
        scope, _, version = adapter.partition("/")
        _check_name(scope)
        _check_name(version)
        folder = self.root / scope / version
        if folder.is_dir() or scope != GLOBAL:
            return folder
        return self.shipped if self._shipped_adapter == adapter else folder

    def promoted(self, scope: str = GLOBAL) -> list[str]:
        """Versions in the order of their promotion. The last one serves; if there is none, the shipped one serves.

        From a damaged list only the readable versions; `newest_sound` reports the damage.
        """
        return [version for version in self._promoted_lines(scope)[0] if _NAME.fullmatch(version)]

    def versions(self, scope: str = GLOBAL) -> list[Manifest]:
        """Manifests of every readable adapter of a scope, oldest first; for `global` with the shipped one.

        The version is the folder's name, even if the manifest has another one.
        """
        _check_name(scope)
        folders = sorted((self.root / scope).glob(f"*/{MANIFEST_FILE}"))
        manifests = []
        if scope == GLOBAL:
            with contextlib.suppress(AdapterRejected):
                manifests = [read_manifest(self.shipped)]
        for path in folders:
            try:
                _check_name(path.parent.name)
                manifests.append(replace(read_manifest(path.parent), version=path.parent.name))
            except AdapterRejected:
                continue
        return sorted(manifests, key=lambda manifest: manifest.created_at)

    def communities(self) -> list[str]:
        """Communities with an adapter of their own, serving or rolled back."""
        scopes = {path.parent.parent.name for path in self.root.glob(f"{scope_of('*')}/*/{MANIFEST_FILE}")}
        return [name.removeprefix(scope_of("")) for name in sorted(scopes) if _NAME.fullmatch(name)]

    def publish(self, scope: str, staged: Path, version: str) -> str:
        """Moves a finished folder into the registry under its version, in one rename. The adapter does not serve
        yet."""
        _check_name(scope)
        _check_name(version)
        target = self.root / scope / version
        target.parent.mkdir(parents=True, exist_ok=True)
        os.replace(staged, target)
        sync_folder(target.parent)
        return f"{scope}/{version}"

    def promote(self, adapter: str) -> None:
        """Makes this version serve its scope. Raises `AdapterRejected` if its files are damaged."""
        folder = self.folder(adapter)
        read_weights(folder, read_manifest(folder))
        scope, _, version = adapter.partition("/")
        self._write_promoted(scope, [*self.promoted(scope), version])

    def rollback(self, scope: str = GLOBAL) -> str:
        """Returns to the version promoted before, and returns its name. Raises `AdapterRejected` if there is none."""
        lines, problem = self._promoted_lines(scope)
        if not lines and not problem:
            raise AdapterRejected(f"{scope}: nothing to roll back to; the shipped adapter already serves")
        self._write_promoted(scope, [version for version in lines[:-1] if _NAME.fullmatch(version)])
        return self.current(scope)

    def prune(self, scope: str, keep: int, ancestor: str = "") -> None:
        """Deletes all but the last `keep` promoted versions; the serving one and its `ancestor` always stay."""
        kept = {*self.promoted(scope)[-max(keep, 1) :], ancestor.removeprefix(f"{scope}/")}
        for manifest in (self.root / scope).glob(f"*/{MANIFEST_FILE}"):
            if manifest.parent.name not in kept:
                shutil.rmtree(manifest.parent, ignore_errors=True)

    @cached_property
    def _shipped_adapter(self) -> str:
        return f"{GLOBAL}/{read_manifest(self.shipped).version}"

    def _promoted_path(self, scope: str) -> Path:
        _check_name(scope)
        return self.root / scope / PROMOTED_FILE

    def _promoted_lines(self, scope: str) -> tuple[list[str], str]:
        """(lines of the list of promoted versions, damaged ones included; why the list cannot be read, or "")."""
        path = self._promoted_path(scope)
        try:
            return read_file(path).decode("ascii", "replace").split(), ""
        except FileNotFoundError:
            return [], ""
        except AdapterRejected as error:
            return [], f"{error}; remove it, and promote a version again"

    def _write_promoted(self, scope: str, versions: list[str]) -> None:
        path = self._promoted_path(scope)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            write_file(path, "".join(f"{version}\n" for version in versions).encode())
        except IsADirectoryError:
            raise AdapterRejected(f"{path}: is a folder, not a plain file; remove it") from None


def scope_of(community: str) -> str:
    """The scope of a community's own adapters in the registry; it never equals `global`."""
    return f"c-{community}"


def open_registry(base: str, root: Path) -> Registry:
    """The registry of one base: the embedded base's is `root` itself, another base's is `root/@NAME`.

    If no adapter came with this version, it raises `AdapterRejected` with the command that makes the first one.
    """
    if (shipped := SHIPPED_FOLDER / base).parent == SHIPPED_FOLDER and (shipped / MANIFEST_FILE).is_file():
        return Registry(root if shipped == SHIPPED else root / f"@{base}", shipped)
    base = re.sub(r"@[0-9a-f]{40}$", "", base)  # removes a hub repository's commit, which the manifest has
    name = re.sub(r"[^A-Za-z0-9.-]+", "-", base).strip("-.")[-60:].lstrip("-.") or "base"
    registry = Registry(root / f"@{name}", root / f"@{name}" / "first")
    if not (registry.shipped / MANIFEST_FILE).is_file():
        raise AdapterRejected(
            f"{registry.shipped}: there is no adapter for {base} yet; make the first one with: "
            f"python -m training.train --base {base} --data FILE.csv --out {registry.shipped}"
        )
    return registry


def _check_name(name: str) -> None:
    if not _NAME.fullmatch(name):
        raise AdapterRejected(f'"{name:.80}" is not a scope or version: letters, digits, ".", "_", "-", at most 80')
