"""Reading a CSV file row by row, and refusing one that cannot be read in one clear line."""

import contextlib
import csv
import gzip
import io
from collections.abc import Iterator, Sequence
from pathlib import Path

from model.labels import LABELS, Label

MAX_FIELD_CHARACTERS = 10_000_000


class BadData(Exception):
    """A data file cannot be used; the message names the file, the row or column, and the fix."""


class Rows:
    """The rows of an open file; iterate once. `names` are the columns, `share` how far reading is (0 to 1)."""

    def __init__(self, reader: "csv.DictReader[str]", raw: io.BufferedReader, size: int) -> None:
        self._reader = reader
        self._raw = raw
        self._size = size
        self.names: Sequence[str] = reader.fieldnames or ()

    @property
    def share(self) -> float:
        """Of the file's bytes, compressed ones included."""
        return self._raw.tell() / self._size if self._size else 1.0

    def __iter__(self) -> Iterator[dict[str, str]]:
        """Each row by column; what a short row lacks is empty, what a long one has too much is left out."""
        for row in self._reader:
            yield {name: row[name] or "" for name in self.names}


@contextlib.contextmanager
def open_rows(path: Path, columns: Sequence[str]) -> Iterator[Rows]:
    """Opens a UTF-8 CSV (`.gz` as well) that must have these columns; raises `BadData`, also while it is read."""
    csv.field_size_limit(MAX_FIELD_CHARACTERS)
    try:
        with contextlib.ExitStack() as stack:
            raw = stack.enter_context(path.open("rb"))
            plain = stack.enter_context(gzip.open(raw)) if path.suffix == ".gz" else raw
            text = stack.enter_context(io.TextIOWrapper(plain, encoding="utf-8-sig", newline=""))
            rows = Rows(csv.DictReader(text), raw, path.stat().st_size)
            if missing := [name for name in columns if name not in rows.names]:
                found = ", ".join(rows.names) or "nothing"
                raise BadData(f'{path}: no column "{missing[0]}" in the header (found: {found}); add or name one')
            yield rows
    except FileNotFoundError as error:
        raise BadData(f"{error.filename}: no such file or folder; give the path of a CSV file") from error
    except UnicodeDecodeError as error:
        raise BadData(f"{path}: not UTF-8 (byte {error.object[error.start]:#04x}); save the file as UTF-8") from error
    except (OSError, EOFError, csv.Error) as error:
        raise BadData(f"{path}: cannot be read: {error}") from error


def read_label(value: str, where: str) -> Label:
    """The label a cell names, whatever its case; raises `BadData` that says where and which labels there are."""
    try:
        return Label(value.strip().lower())
    except ValueError as error:
        raise BadData(f'{where}: label "{value}" is none of {", ".join(LABELS)}') from error
