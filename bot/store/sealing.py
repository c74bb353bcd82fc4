"""Texts sealed at rest, authors kept as keyed hashes. The key lies outside the data folder."""

import hashlib
import hmac
import os
import secrets
from pathlib import Path

import structlog
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

log = structlog.get_logger()

KEY_BYTES = 32
NONCE_BYTES = 12


class KeyMissing(Exception):
    """The sealing key is not there, or is not the one the store was sealed with."""


class Sealer:
    """AES-256-GCM with a random 96-bit nonce before each text; HMAC-SHA-256 for authors under a derived key."""

    def __init__(self, key: bytes) -> None:
        if len(key) != KEY_BYTES:
            raise KeyMissing(f"the sealing key has {len(key)} bytes, it must have {KEY_BYTES}")
        self._cipher = AESGCM(key)
        self._author_key = hmac.digest(key, b"domovoi author", hashlib.sha256)
        self._digest_key = hmac.digest(key, b"domovoi digest", hashlib.sha256)

    @classmethod
    def from_file(cls, path: Path, *, create: bool) -> "Sealer":
        """Reads the key; with `create`, makes one (mode 0600) where there is none. Raises `KeyMissing`."""
        try:
            return cls(bytes.fromhex(path.read_text(encoding="utf-8-sig").strip()))
        except FileNotFoundError:
            if not create:
                raise KeyMissing(
                    f"the sealing key {path} is missing, and the store cannot be read without it; "
                    f"restore that file from your backup, or move the data folder away to start anew"
                ) from None
        except (ValueError, UnicodeDecodeError) as error:
            raise KeyMissing(f"{path} is not a sealing key (64 hexadecimal digits): {error}") from error
        except OSError as error:
            raise KeyMissing(
                f"the sealing key {path} cannot be read ({error.strerror}); see whose file it is"
            ) from error
        try:
            cls._make(path)
        except OSError as error:
            raise KeyMissing(
                f"no sealing key can be made at {path} ({error.strerror}); name another key_file in config.toml"
            ) from error
        return cls.from_file(path, create=False)

    @staticmethod
    def _make(path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="ascii") as file:
            file.write(secrets.token_hex(KEY_BYTES) + "\n")
            file.flush()
            os.fsync(file.fileno())

    def seal(self, text: str) -> bytes:
        """nonce (12 bytes) + ciphertext + tag (16 bytes)."""
        nonce = os.urandom(NONCE_BYTES)
        return nonce + self._cipher.encrypt(nonce, text.encode("utf-8", "surrogatepass"), None)

    def unseal(self, sealed: bytes) -> str:
        """Returns the text; raises `KeyMissing` when it was sealed with another key."""
        try:
            plain = self._cipher.decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], None)
        except InvalidTag:
            raise KeyMissing("the store was sealed with another key; restore the right key file") from None
        return plain.decode("utf-8", "surrogatepass")

    def legible(self, sealed: bytes) -> str | None:
        """Returns the text; None where its bytes are damaged. The key is known to be right: a start tries it."""
        try:
            return self.unseal(sealed)
        except KeyMissing:
            log.error("a sealed text is damaged and cannot be read", bytes=len(sealed))
            return None

    def author(self, platform: str, community: str, author: str) -> str:
        """The author's pseudonym within one community: 32 hexadecimal digits, not reversible without the key."""
        message = "\0".join((platform, community, author)).encode()
        return hmac.new(self._author_key, message, hashlib.sha256).hexdigest()[:32]

    def digest(self, text: str) -> str:
        """Returns a digest that identifies a text that is not kept: 32 hexadecimal digits, not reversible without the
        key."""
        return hmac.new(self._digest_key, text.encode("utf-8", "surrogatepass"), hashlib.sha256).hexdigest()[:32]
