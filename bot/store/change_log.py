"""The log of changes: it has what each commit changes, as SQL, on disk before the store itself has it.

A backup and the changes after it make the store again, to its last commit. Erasures are changes like any other, so no
erased text comes back. One line a commit: CRC-32 of the rest in hexadecimal, a blank, JSON `[number, [[statement,
parameters, many], ...]]`; bytes are `{"b64": "..."}`.
"""

import base64
import json
import os
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

Statement = tuple[str, Any, bool]
"""SQL, its parameters as the driver takes them, and whether they are many sets of them."""


@dataclass(frozen=True, slots=True)
class Change:
    """One commit; numbers count from 1 and have no holes."""

    number: int
    statements: Sequence[Statement]


class ChangeLog:
    """One file, open for appending behind its last whole line: what a crash has cut goes. Not thread-safe: the store's
    writer owns it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self._end = whole_bytes(path)
        self._length = 0
        self._cut()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def append(self, change: Change) -> None:
        """Writes a change to the disk before it returns; raises OSError, and then the change is not there."""
        line = _line(change)
        try:
            done = 0
            while done < len(line):
                done += os.pwrite(self._file, line[done:], self._end + done)
            os.fdatasync(self._file)
        except OSError:
            self._cut()
            raise
        self._end += len(line)
        self._length = len(line)

    def take_back(self) -> None:
        """The last change did not come to the store: it is as if it had not been appended."""
        self._end -= self._length
        self._length = 0
        self._cut()

    def close(self) -> None:
        """Nothing can be appended any more."""
        os.close(self._file)

    def _cut(self) -> None:
        """If the cut fails, the next change is written over the rest, and a longer rest is not a whole line."""
        try:
            os.ftruncate(self._file, self._end)
            os.fdatasync(self._file)
        except OSError:
            pass


def read_changes(path: Path, after: int = 0) -> Iterator[Change]:
    """Yields changes behind number `after`, in order; a damaged or cut line is left out, which leaves a hole in the
    numbers."""
    with path.open("rb") as file:
        for line in file:
            if (body := _body(line)) is not None and _number_of(body) > after:
                yield _change(body)


def numbers_in(path: Path) -> Iterator[int | None]:
    """Yields the numbers of the changes, in order; None for a damaged line, except a last one that a crash has cut."""
    with path.open("rb") as file:
        for line in file:
            if (body := _body(line)) is not None:
                yield _number_of(body)
            elif line.endswith(b"\n"):
                yield None


def whole_bytes(path: Path) -> int:
    """Returns where the first incomplete line begins, or the file's end."""
    size = 0
    with path.open("rb") as file:
        for line in file:
            if _body(line) is None:
                break
            size += len(line)
    return size


def _line(change: Change) -> bytes:
    body = json.dumps([change.number, change.statements], default=_encoded, separators=(",", ":")).encode()
    return b"%08x %s\n" % (zlib.crc32(body), body)


def _body(line: bytes) -> bytes | None:
    crc, _, body = line.rstrip(b"\n").partition(b" ")
    return body if line.endswith(b"\n") and crc == b"%08x" % zlib.crc32(body) else None


def _number_of(body: bytes) -> int:
    """Finds it without reading the rest, which may be long."""
    return int(body[1 : body.index(b",")])


def _change(body: bytes) -> Change:
    number, statements = json.loads(body, object_hook=_decoded)
    return Change(number, [(sql, _bound(parameters, many), many) for sql, parameters, many in statements])


def _bound(parameters: Any, many: bool) -> Any:
    """JSON has lists where the driver wants tuples."""
    if many:
        return [_bound(one, False) for one in parameters]
    return tuple(parameters) if isinstance(parameters, list) else parameters


def _encoded(value: object) -> dict[str, str]:
    if isinstance(value, bytes | memoryview):
        return {"b64": base64.b64encode(value).decode()}
    raise TypeError(f"{type(value).__name__} is nothing the driver takes")


def _decoded(data: dict[str, Any]) -> Any:
    return base64.b64decode(data["b64"]) if data.keys() == {"b64"} else data
