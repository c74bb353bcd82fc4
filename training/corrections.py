"""What training reads of the bot's store: the view `training_example`, and nothing else."""

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from model.labels import Label
from model.table import BadData
from training.examples import Example

NONCE_BYTES = 12  # texts are sealed as nonce + AES-256-GCM ciphertext and tag (docs/concepts.md)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The corrections a refresh learns from, and how many were left out for want of a basis."""

    examples: Sequence[Example]
    ids: Sequence[str]
    without_basis: int


def read_corrections(store: Path, key: Path) -> Snapshot:
    """Every correction with a basis, oldest first; raises `BadData` for a store or key that cannot be read."""
    if not store.is_file():
        raise BadData(f"{store}: no store there; start the bot once, or give its path with --store")
    try:
        cipher = AESGCM(bytes.fromhex(key.read_text(encoding="ascii").strip()))
    except (OSError, ValueError) as error:
        raise BadData(f"{key}: not a sealing key ({error}); give the bot's key file with --key") from error
    with sqlite3.connect(f"{store.resolve().as_uri()}?mode=ro", uri=True) as connection:
        rows = connection.execute("SELECT id, text_sealed, label FROM training_example ORDER BY id").fetchall()
        (cases,) = connection.execute("SELECT COUNT(DISTINCT case_id) FROM correction").fetchone()
    connection.close()
    try:
        texts = [cipher.decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], None).decode() for _, sealed, _ in rows]
    except InvalidTag as error:
        raise BadData(f"{key}: not the key this store was sealed with") from error
    examples = [Example(text, Label(row[2]), "correction") for text, row in zip(texts, rows, strict=True)]
    return Snapshot(examples, [str(row[0]) for row in rows], cases - len(rows))
