"""Data files of installed packages, found without importing the package and checked by their SHA-256."""

import hashlib
import importlib.util
from pathlib import Path


class PackageFileUnusable(Exception):
    """The file is missing or is another one; the message has the fix."""


def package_file(module: str, path: str, package: str) -> Path:
    """The place of a file of a package; raises `PackageFileUnusable` if the package is not installed."""
    spec = importlib.util.find_spec(module)
    if spec is None or spec.origin is None:
        raise PackageFileUnusable(f"the package {package} is not installed; run: make install")
    return Path(spec.origin).parent / path


def check_digest(path: Path, expected: str, package: str) -> Path:
    """The path, after its file's SHA-256 was compared; raises `PackageFileUnusable`."""
    try:
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise PackageFileUnusable(f"cannot read {path}: {error.strerror}; reinstall {package}") from error
    if digest != expected:
        raise PackageFileUnusable(f"{path} has SHA-256 {digest[:12]}…, expected {expected[:12]}…; reinstall {package}")
    return path
