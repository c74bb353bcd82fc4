"""One-time links: the operator signs a browser in with one, as notebooks do.

Only a person who reads the terminal knows a link's token. The folder holds its SHA-256 as an empty file's name, so the
service and the command `python -m bot link` share nothing else. Deleting that file uses the link up.
"""

import hashlib
import re
import secrets
import time
from pathlib import Path

from bot.config import BadConfig, Config

KEPT_S = 24 * 3600.0
"""An unused link is void after a day."""
_TOKEN = re.compile(r"[A-Za-z0-9_-]{43}")


class Links:
    """The links of one data folder."""

    def __init__(self, data: Path) -> None:
        self.folder = data / "sign-in"

    def issue(self) -> str:
        """A new token: 256 random bits as 43 characters. Raises OSError."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.folder.chmod(0o700)
        for file in self.folder.iterdir():
            if not _is_fresh(file):
                file.unlink(missing_ok=True)
        token = secrets.token_urlsafe(32)
        self._file(token).touch(mode=0o600, exist_ok=False)
        return token

    def redeem(self, token: str) -> bool:
        """Says whether this token was good; from now on it is void."""
        if _TOKEN.fullmatch(token) is None:
            return False
        file = self._file(token)
        fresh = _is_fresh(file)
        try:
            file.unlink()
        except OSError:
            return False
        return fresh

    def _file(self, token: str) -> Path:
        return self.folder / hashlib.sha256(token.encode()).hexdigest()


def new_link(config: Config) -> str:
    """A link that signs one browser in as the operator, once. Raises `BadConfig`."""
    base = config.console.origin or f"http://{shown_host(config.service.host)}:{config.service.port}"
    try:
        return f"{base}/?token={Links(config.service.data).issue()}"
    except OSError as error:
        raise BadConfig(
            f'no link can be made in data_folder = "{config.service.data}" ({error.strerror}); '
            f"run this as the service's user"
        ) from None


def shown_host(host: str) -> str:
    """A configured host as it stands in an address."""
    return "127.0.0.1" if host in ("", "0.0.0.0", "::") else f"[{host}]" if ":" in host else host  # noqa: S104


def _is_fresh(file: Path) -> bool:
    try:
        return time.time() - file.lstat().st_mtime < KEPT_S
    except OSError:
        return False
