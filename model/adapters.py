"""The registry of adapters: versions on disk, which one serves, and the check that no hostile file is ever loaded.

    <root>/<scope>/<version>/{adapter_model.safetensors, manifest.json, report.html}
    <root>/<scope>/current          the versions promoted so far, one a line; the last line serves

`scope` is `global` or a community's name. `current` is one small file, replaced atomically: a reader sees the old list
or the new one, and rollback is the list without its last line.
"""

import hashlib
import json
import math
import os
import re
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from model.classifier import AdapterRejected
from model.norms import Norm

FORMAT = 1
WEIGHTS_FILE = "adapter_model.safetensors"
MANIFEST_FILE = "manifest.json"
MAX_FILE_BYTES = 256 * 2**20
MAX_NORM = 1e4
"""Frobenius norm no honest adapter tensor comes near (the shipped one stays below 100)."""

SHIPPED_FOLDER = Path(__file__).with_name("shipped")
SHIPPED = SHIPPED_FOLDER / "minilm"
"""The embedded base's adapter that came with this version; it serves until another is promoted."""

GLOBAL = "global"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,79}")


@dataclass(frozen=True, slots=True)
class Manifest:
    """What an adapter is, and how it came to be. `norms` has what its refreshes learned of each community's."""

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
        """What each community that has a norm of its own counts the labels as."""
        return {community: Norm.from_json(norm) for community, norm in self.norms.items()}


def read_manifest(folder: Path) -> Manifest:
    """The manifest of an adapter's folder; raises `AdapterRejected` naming the file and what is wrong with it."""
    path = folder / MANIFEST_FILE
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        if data.get("format") != FORMAT:
            raise AdapterRejected(f"{path}: format {data.get('format')!r}, this version reads {FORMAT}")
        manifest = Manifest(**{**data, "examples": tuple(data.get("examples", ()))})
        manifest.learned_norms()
    except OSError as error:
        raise AdapterRejected(f"{path}: {error.strerror}") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise AdapterRejected(f"{path}: not a manifest ({error})") from error
    if not isinstance(manifest.temperature, int | float) or not 0.05 <= manifest.temperature <= 20:
        raise AdapterRejected(f"{path}: temperature {manifest.temperature!r} is not between 0.05 and 20")
    return manifest


def write_adapter(folder: Path, manifest: Manifest, weights: bytes) -> Manifest:
    """Writes weights, then manifest with their SHA-256, both flushed to disk. The folder must exist."""
    digest = hashlib.sha256(weights).hexdigest()
    complete = Manifest(**{**asdict(manifest), "files": {WEIGHTS_FILE: digest}})
    _write_durably(folder / WEIGHTS_FILE, weights)
    text = json.dumps(asdict(complete), indent=1, ensure_ascii=False) + "\n"
    _write_durably(folder / MANIFEST_FILE, text.encode())
    return complete


def read_weights(folder: Path, manifest: Manifest) -> bytes:
    """The weights file's bytes after size and SHA-256 were compared with the manifest."""
    path = folder / WEIGHTS_FILE
    try:
        if path.is_symlink() or not path.is_file():
            raise AdapterRejected(f"{path}: missing, or not a plain file")
        if path.stat().st_size > MAX_FILE_BYTES:
            raise AdapterRejected(f"{path}: {path.stat().st_size} bytes, at most {MAX_FILE_BYTES} are read")
        content = path.read_bytes()
    except OSError as error:
        raise AdapterRejected(f"{path}: {error.strerror}") from error
    digest = hashlib.sha256(content).hexdigest()
    if digest != manifest.files.get(WEIGHTS_FILE):
        raise AdapterRejected(f"{path}: SHA-256 {digest[:12]}… is not the manifest's; restore the file or roll back")
    return content


def check_tensor(name: str, finite: bool, norm: float) -> None:
    """Raises `AdapterRejected` for NaN, infinity or a norm beyond `MAX_NORM`."""
    if not finite or not math.isfinite(norm):
        raise AdapterRejected(f"tensor {name} is not finite")
    if norm > MAX_NORM:
        raise AdapterRejected(f"tensor {name} has norm {norm:.3g}, at most {MAX_NORM:.3g} is accepted")


class Registry:
    """Adapters under `root`; the shipped one stands in where nothing was promoted yet."""

    def __init__(self, root: Path, shipped: Path) -> None:
        self.root = root
        self.shipped = shipped

    def current(self, scope: str = GLOBAL) -> str:
        """`scope/version` that serves this scope: its own, else the global one, else the shipped one."""
        for candidate in dict.fromkeys((scope, GLOBAL)):
            if promoted := self.promoted(candidate):
                return f"{candidate}/{promoted[-1]}"
        return f"{GLOBAL}/{read_manifest(self.shipped).version}"

    def sound(self, scope: str = GLOBAL) -> tuple[str, str]:
        """(the newest promoted adapter whose files are in order, what is wrong with newer ones or "")."""
        problem = ""
        for version in reversed(self.promoted(scope)):
            adapter = f"{scope}/{version}"
            try:
                read_weights(self.folder(adapter), read_manifest(self.folder(adapter)))
            except AdapterRejected as error:
                problem = problem or str(error)
            else:
                return adapter, problem
        return f"{GLOBAL}/{read_manifest(self.shipped).version}" if scope == GLOBAL else self.sound()[0], problem

    def folder(self, adapter: str) -> Path:
        """Where `scope/version` lies; raises `AdapterRejected` for a name that is no plain pair of names."""
        scope, _, version = adapter.partition("/")
        _check_name(scope)
        _check_name(version)
        folder = self.root / scope / version
        if folder.is_dir() or scope != GLOBAL:
            return folder
        return self.shipped if read_manifest(self.shipped).version == version else folder

    def promoted(self, scope: str = GLOBAL) -> list[str]:
        """Versions in the order they were promoted; the last one serves. Empty: the shipped one does."""
        _check_name(scope)
        try:
            return (self.root / scope / "current").read_text(encoding="utf-8").split()
        except FileNotFoundError:
            return []

    def versions(self, scope: str = GLOBAL) -> list[Manifest]:
        """Manifests of every readable adapter of a scope, oldest first, the shipped one included for `global`.

        Its folder's name is a version's name, whatever the manifest of a folder that was put there says.
        """
        _check_name(scope)
        folders = sorted((self.root / scope).glob(f"*/{MANIFEST_FILE}"))
        found = [read_manifest(self.shipped)] if scope == GLOBAL else []
        for path in folders:
            try:
                _check_name(path.parent.name)
                found.append(replace(read_manifest(path.parent), version=path.parent.name))
            except AdapterRejected:
                continue
        return sorted(found, key=lambda manifest: manifest.created_at)

    def communities(self) -> list[str]:
        """Those that have an adapter of their own, whether it serves or was rolled back."""
        scopes = {path.parent.parent.name for path in self.root.glob(f"{scope_of('*')}/*/{MANIFEST_FILE}")}
        return [name.removeprefix(scope_of("")) for name in sorted(scopes) if _NAME.fullmatch(name)]

    def publish(self, scope: str, staged: Path, version: str) -> str:
        """Moves a finished folder into the registry under its version, in one rename. It does not serve yet."""
        _check_name(scope)
        _check_name(version)
        target = self.root / scope / version
        target.parent.mkdir(parents=True, exist_ok=True)
        os.replace(staged, target)
        _sync_folder(target.parent)
        return f"{scope}/{version}"

    def promote(self, adapter: str) -> None:
        """From now on this version serves its scope. Raises `AdapterRejected` when its files are not in order."""
        folder = self.folder(adapter)
        read_weights(folder, read_manifest(folder))
        scope, _, version = adapter.partition("/")
        self._replace_current(scope, [*self.promoted(scope), version])

    def rollback(self, scope: str = GLOBAL) -> str:
        """Back to the version promoted before; returns what serves now. Raises `AdapterRejected` at the first one."""
        promoted = self.promoted(scope)
        if not promoted:
            raise AdapterRejected(f"{scope}: nothing to roll back to; the shipped adapter already serves")
        self._replace_current(scope, promoted[:-1])
        return self.current(scope)

    def prune(self, scope: str, keep: int) -> None:
        """Deletes all but the last `keep` promoted versions; the one that serves always stays."""
        kept = set(self.promoted(scope)[-max(keep, 1) :])
        for manifest in (self.root / scope).glob(f"*/{MANIFEST_FILE}"):
            if manifest.parent.name not in kept:
                shutil.rmtree(manifest.parent, ignore_errors=True)

    def _replace_current(self, scope: str, versions: list[str]) -> None:
        path = self.root / scope / "current"
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_name(f"current.{os.getpid()}.tmp")
        _write_durably(partial, "".join(f"{version}\n" for version in versions).encode())
        os.replace(partial, path)
        _sync_folder(path.parent)


def scope_of(community: str) -> str:
    """Where a community's own adapters lie in the registry; never the scope of all."""
    return f"c-{community}"


def registry_of(base: str, root: Path) -> Registry:
    """The adapters of one base under `root`: the embedded base's lie there directly, another's in `root/@NAME`.

    Raises `AdapterRejected` with the command that makes a first adapter, where none came with this version.
    """
    if (shipped := SHIPPED_FOLDER / base).parent == SHIPPED_FOLDER and shipped.is_dir():
        return Registry(root if shipped == SHIPPED else root / f"@{base}", shipped)
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
        raise AdapterRejected(f'"{name}" is not a scope or version: letters, digits, ".", "_", "-", at most 80')


def _write_durably(path: Path, content: bytes) -> None:
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
