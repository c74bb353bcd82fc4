"""How an adapter's files are opened: anybody may have put anything there.

A file is read only if it is a plain file of bounded size that no link leads to, and JSON only if it is bounded in depth
and all its numbers are numbers. Everything else is `AdapterRejected` with one line.
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
MAX_BYTES = {WEIGHTS_FILE: 256 * 2**20, MANIFEST_FILE: 4 * 2**20, REPORT_FILE: 8 * 2**20, PROMOTED_FILE: 2**20}
OWN_FOLDERS = {WEIGHTS_FILE: 2, MANIFEST_FILE: 2, REPORT_FILE: 2, PROMOTED_FILE: 1}
"""So many folders above each file are the registry's own, SCOPE/VERSION or SCOPE; the registry itself may lie behind a
link, on another disk."""
MAX_HEADER_BYTES = 2**20
"""Of a safetensors file's header, which is JSON; a 6B's adapter on all linear layers has 40 KB."""
MAX_DEPTH = 32
MAX_INTEGER = 2**63
REPORT_STARTS = b"<!doctype html>"
_PASSING = (errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EINTR, errno.EAGAIN)
_KINDS = (
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)


def read_file(path: Path) -> bytes:
    """The whole file; neither it nor the folders of the registry that it lies in may be links.

    Type and size are those of the file that is read, so it does not help to swap it meanwhile. Raises
    `AdapterRejected`, `FileNotFoundError` where there is none, and OSError for what passes, such as too many open
    files.
    """
    limit = MAX_BYTES[path.name]
    try:
        handle = _open(path)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise _problem(path, error) from error
    try:
        before = os.fstat(handle)
        if not stat.S_ISREG(before.st_mode):
            kind = next((name for is_kind, name in _KINDS if is_kind(before.st_mode)), "something else")
            raise AdapterRejected(f"{path}: is {kind}, not a plain file")
        if before.st_size > limit:
            raise AdapterRejected(f"{path}: {before.st_size} bytes, at most {limit} are read")
        content = _read(handle, before.st_size + 1)
        after = os.fstat(handle)
    except OSError as error:
        raise _problem(path, error) from error
    finally:
        os.close(handle)
    if len(content) != before.st_size or (after.st_size, after.st_mtime_ns) != (before.st_size, before.st_mtime_ns):
        raise AdapterRejected(f"{path}: was changed while it was read")
    return content


def has_file(path: Path) -> bool:
    """Whether a plain file lies there, no link."""
    try:
        return stat.S_ISREG(path.lstat().st_mode) and not path.parent.is_symlink()
    except (OSError, ValueError):
        return False


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object of at most `MAX_DEPTH` levels whose numbers are all finite; raises as `read_file` does."""
    content = read_file(path)
    try:
        data = json.loads(content.decode("utf-8"), parse_constant=_no_number, parse_float=_float, parse_int=_integer)
    except RecursionError:
        raise AdapterRejected(f"{path}: more than {MAX_DEPTH} brackets within each other") from None
    except ValueError as error:
        raise AdapterRejected(f"{path}: not JSON ({error!s:.120})") from None
    if not isinstance(data, dict):
        raise AdapterRejected(f"{path}: not a JSON object")
    level: list[Any] = [data]
    for _ in range(MAX_DEPTH):
        level = [inner for outer in level for inner in (outer.values() if isinstance(outer, dict) else outer)]
        level = [one for one in level if isinstance(one, dict | list)]
    if level:
        raise AdapterRejected(f"{path}: more than {MAX_DEPTH} brackets within each other")
    return data


def read_report(folder: Path) -> bytes:
    """An adapter's report; raises `AdapterRejected` for anything that is no page of ours, and as `read_file` does."""
    content = read_file(folder / REPORT_FILE)
    if not content.startswith(REPORT_STARTS):
        raise AdapterRejected(f"{folder / REPORT_FILE}: not a report")
    return content


def check_header(path: Path, content: bytes) -> None:
    """Raises `AdapterRejected` where the header of a safetensors file is longer than any honest one, or cut off."""
    size = int.from_bytes(content[:8], "little")
    if len(content) < 8 or size > len(content) - 8:
        raise AdapterRejected(f"{path}: not a safetensors file")
    if size > MAX_HEADER_BYTES:
        raise AdapterRejected(f"{path}: a header of {size} bytes, at most {MAX_HEADER_BYTES} are read")


def write_file(path: Path, content: bytes) -> None:
    """Replaces the file, not what a link there leads to; flushed to disk. Readers see the old content or the new."""
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
def lock_file(path: Path) -> Iterator[int]:
    """A handle to lock, of a plain file that is made if need be; a link, a pipe or a device is `AdapterRejected`."""
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
    """What was made or renamed in it is on disk."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _open(path: Path) -> int:
    """Step by step, each relative to the folder before: a folder that is swapped for a link meanwhile leads nowhere. A
    pipe without a writer does not block."""
    own = path.parent.absolute()
    names: list[str] = []
    for _ in range(OWN_FOLDERS[path.name]):
        own, names = own.parent, [own.name, *names] if own.name else names
    walked = os.open(own, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for name in names:
            inner = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=walked)
            os.close(walked)
            walked = inner
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
        return os.open(path.name, flags, dir_fd=walked)
    finally:
        os.close(walked)


def _read(handle: int, most: int) -> bytes:
    pieces: list[bytes] = []
    while most > 0 and (piece := os.read(handle, most)):
        pieces.append(piece)
        most -= len(piece)
    return b"".join(pieces)


def _problem(path: Path, error: OSError) -> Exception:
    if error.errno in _PASSING:
        return error
    if error.errno in (errno.ELOOP, errno.ENOTDIR):
        return AdapterRejected(f"{path}: it, or a folder it lies in, is a link or no folder")
    if error.errno == errno.ENXIO:
        return AdapterRejected(f"{path}: is a socket, not a plain file")
    return AdapterRejected(f"{path}: {error.strerror}")


def _no_number(text: str) -> float:
    raise ValueError(f"{text} is no number")


def _float(text: str) -> float:
    if not math.isfinite(value := float(text)):
        raise ValueError(f"{text:.20} is too large a number")
    return value


def _integer(text: str) -> int:
    if len(text) > 20 or abs(value := int(text)) > MAX_INTEGER:
        raise ValueError(f"{text:.20} is too large a number")
    return value
