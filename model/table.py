"""Reads a CSV file row by row, and refuses an unreadable one with one clear line."""

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


class TableRows:
    """The rows of an open file, to be iterated once. `names` are the columns, `share` the progress (0 to 1)."""

    def __init__(self, reader: "csv.DictReader[str]", raw: io.BufferedReader, size: int) -> None:
        self._reader = reader
        self._raw = raw
        self._size = size
        self.names: Sequence[str] = reader.fieldnames or ()

    @property
    def share(self) -> float:
        """Share of the file's bytes that were read; for a `.gz` of its compressed bytes."""
        return self._raw.tell() / self._size if self._size else 1.0

    def __iter__(self) -> Iterator[dict[str, str]]:
        """Each row by column. Missing cells of a short row are empty; extra cells of a long row are dropped."""
        for row in self._reader:
            yield {name: row[name] or "" for name in self.names}


@contextlib.contextmanager
def open_rows(path: Path, columns: Sequence[str]) -> Iterator[TableRows]:
    """Opens a UTF-8 CSV (or `.csv.gz`) that must have these columns; raises `BadData`, also during reading."""
    csv.field_size_limit(MAX_FIELD_CHARACTERS)
    try:
        with contextlib.ExitStack() as stack:
            raw = stack.enter_context(path.open("rb"))
            plain = stack.enter_context(gzip.open(raw)) if path.suffix == ".gz" else raw
            text = stack.enter_context(io.TextIOWrapper(plain, encoding="utf-8-sig", newline=""))
            rows = TableRows(csv.DictReader(text), raw, path.stat().st_size)
            if missing := [name for name in columns if name not in rows.names]:
                present = ", ".join(rows.names) or "nothing"
                raise BadData(f'{path}: no column "{missing[0]}" in the header (found: {present}); add or name one')
            yield rows
    except FileNotFoundError as error:
        raise BadData(f"{error.filename}: no such file or folder; give the path of a CSV file") from error
    except UnicodeDecodeError as error:
        raise BadData(f"{path}: not UTF-8 (byte {error.object[error.start]:#04x}); save the file as UTF-8") from error
    except (OSError, EOFError, csv.Error) as error:
        raise BadData(f"{path}: cannot be read: {error}") from error


def read_label(value: str, where: str) -> Label:
    """The label in a cell, in any case; raises `BadData` with the place and the valid labels."""
    try:
        return Label(value.strip().lower())
    except ValueError as error:
        raise BadData(f'{where}: label "{value}" is not one of {", ".join(LABELS)}') from error
