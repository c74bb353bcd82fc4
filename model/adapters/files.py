"""Opens an adapter's files safely, because anybody may have put anything there.

A file is read only if it is a plain file of bounded size without links on its path; JSON only if its depth is bounded
and all its numbers are finite. Everything else raises `AdapterRejected` with one line.
"""

import contextlib
import errno
import json
import math
import os
import secrets
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from model.classifier import AdapterRejected

WEIGHTS_FILE = "adapter_model.safetensors"
MANIFEST_FILE = "manifest.json"
REPORT_FILE = "report.html"
PROMOTED_FILE = "current"
KINDS_FILE = "kinds.safetensors"
KINDS_MANIFEST_FILE = "kinds.json"
MAX_BYTES = {
    WEIGHTS_FILE: 256 * 2**20,
    MANIFEST_FILE: 4 * 2**20,
    REPORT_FILE: 8 * 2**20,
    PROMOTED_FILE: 2**20,
    KINDS_FILE: 64 * 2**20,
    KINDS_MANIFEST_FILE: 2**20,
}
REGISTRY_LEVELS = {
    WEIGHTS_FILE: 2,
    MANIFEST_FILE: 2,
    REPORT_FILE: 2,
    PROMOTED_FILE: 1,
    KINDS_FILE: 1,
    KINDS_MANIFEST_FILE: 1,
}
"""Folders above each file that belong to the registry, SCOPE/VERSION or SCOPE, and may not be links. The registry's own
path may contain a link, such as to another disk."""
MAX_HEADER_BYTES = 2**20
"""Bytes of a safetensors file's header, which is JSON; a 6B's adapter on all linear layers has 40 KB."""
MAX_DEPTH = 32
MAX_INTEGER = 2**63
REPORT_START = b"<!doctype html>"
_TRANSIENT_ERRORS = (errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EINTR, errno.EAGAIN)
_FILE_KINDS = (
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)


def read_file(path: Path) -> bytes:
    """Reads the whole file; neither the file nor its folders in the registry may be links.

    Type and size are checked on the opened file, so swapping the file meanwhile has no effect. Raises
    `AdapterRejected`, `FileNotFoundError` for a missing file, and OSError for temporary errors, such as too many open
    files.
    """
    limit = MAX_BYTES[path.name]
    try:
        handle = _open(path)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise _translate_error(path, error) from error
    try:
        before = os.fstat(handle)
        if not stat.S_ISREG(before.st_mode):
            kind = next((name for is_kind, name in _FILE_KINDS if is_kind(before.st_mode)), "something else")
            raise AdapterRejected(f"{path}: is {kind}, not a plain file")
        if before.st_size > limit:
            raise AdapterRejected(f"{path}: {before.st_size} bytes, at most {limit} are read")
        content = _read(handle, before.st_size + 1)
        after = os.fstat(handle)
    except OSError as error:
        raise _translate_error(path, error) from error
    finally:
        os.close(handle)
    if len(content) != before.st_size or (after.st_size, after.st_mtime_ns) != (before.st_size, before.st_mtime_ns):
        raise AdapterRejected(f"{path}: the file changed while it was read")
    return content


def has_file(path: Path) -> bool:
    """Whether the path is a plain file and not a link."""
    try:
        return stat.S_ISREG(path.lstat().st_mode) and not path.parent.is_symlink()
    except (OSError, ValueError):
        return False


def read_json(path: Path) -> dict[str, Any]:
    """Reads a JSON object of at most `MAX_DEPTH` levels with finite numbers only; raises the errors of `read_file`."""
    content = read_file(path)
    try:
        data = json.loads(
            content.decode("utf-8"), parse_constant=_refuse_constant, parse_float=_parse_float, parse_int=_parse_integer
        )
    except RecursionError:
        raise AdapterRejected(f"{path}: more than {MAX_DEPTH} nested brackets") from None
    except ValueError as error:
        raise AdapterRejected(f"{path}: not JSON ({error!s:.120})") from None
    if not isinstance(data, dict):
        raise AdapterRejected(f"{path}: not a JSON object")
    level: list[Any] = [data]
    for _ in range(MAX_DEPTH):
        level = [inner for outer in level for inner in (outer.values() if isinstance(outer, dict) else outer)]
        level = [inner for inner in level if isinstance(inner, dict | list)]
    if level:
        raise AdapterRejected(f"{path}: more than {MAX_DEPTH} nested brackets")
    return data


def read_report(folder: Path) -> bytes:
    """Reads an adapter's report; raises `AdapterRejected` for any other page, and the errors of `read_file`."""
    content = read_file(folder / REPORT_FILE)
    if not content.startswith(REPORT_START):
        raise AdapterRejected(f"{folder / REPORT_FILE}: not a report")
    return content


def check_header(path: Path, content: bytes) -> None:
    """Raises `AdapterRejected` if the header of a safetensors file is longer than `MAX_HEADER_BYTES`, or cut off."""
    size = int.from_bytes(content[:8], "little")
    if len(content) < 8 or size > len(content) - 8:
        raise AdapterRejected(f"{path}: not a safetensors file")
    if size > MAX_HEADER_BYTES:
        raise AdapterRejected(f"{path}: a header of {size} bytes, at most {MAX_HEADER_BYTES} are read")


def write_file(path: Path, content: bytes) -> None:
    """Replaces the file atomically and flushes it to disk. A link is replaced itself, not its target."""
    partial = path.with_name(f"{path.name}.{secrets.token_hex(8)}.tmp")
    try:
        handle = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666)
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(handle)
        os.replace(partial, path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


@contextlib.contextmanager
def open_lock_file(path: Path) -> Iterator[int]:
    """Opens a plain file for locking and creates it if missing; raises `AdapterRejected` for a link, pipe or device."""
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        handle = os.open(path, flags, 0o666)
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.ENXIO, errno.EISDIR):
            raise AdapterRejected(f"{path}: not a plain file; remove it") from error
        raise
    try:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            raise AdapterRejected(f"{path}: not a plain file; remove it")
        yield handle
    finally:
        os.close(handle)


def sync_folder(folder: Path) -> None:
    """Flushes the folder's new and renamed entries to disk."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _open(path: Path) -> int:
    """Opens each folder relative to the one before, so a folder that is swapped for a link meanwhile fails. A pipe
    without a writer does not block."""
    root = path.parent.absolute()
    names: list[str] = []
    for _ in range(REGISTRY_LEVELS[path.name]):
        root, names = root.parent, [root.name, *names] if root.name else names
    handle = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for name in names:
            inner = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=handle)
            os.close(handle)
            handle = inner
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
        return os.open(path.name, flags, dir_fd=handle)
    finally:
        os.close(handle)


def _read(handle: int, limit: int) -> bytes:
    pieces: list[bytes] = []
    while limit > 0 and (piece := os.read(handle, limit)):
        pieces.append(piece)
        limit -= len(piece)
    return b"".join(pieces)


def _translate_error(path: Path, error: OSError) -> Exception:
    if error.errno in _TRANSIENT_ERRORS:
        return error
    if error.errno in (errno.ELOOP, errno.ENOTDIR):
        return AdapterRejected(f"{path}: the path contains a link, or a file in place of a folder")
    if error.errno == errno.ENXIO:
        return AdapterRejected(f"{path}: is a socket, not a plain file")
    return AdapterRejected(f"{path}: {error.strerror}")


def _refuse_constant(text: str) -> float:
    raise ValueError(f"{text} is not a number")


def _parse_float(text: str) -> float:
    if not math.isfinite(value := float(text)):
        raise ValueError(f"{text:.20} is too large a number")
    return value


def _parse_integer(text: str) -> int:
    if len(text) > 20 or abs(value := int(text)) > MAX_INTEGER:
        raise ValueError(f"{text:.20} is too large a number")
    return value
