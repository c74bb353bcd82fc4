"""One community on two platforms: a code shown on one is typed on the other."""

import secrets
import time
from collections.abc import Awaitable, Callable

CODE_HOLDS_S = 600.0
Still = Callable[[], Awaitable[bool]]


class LinkCodes:
    """Codes that name a community for ten minutes; each serves once. Who may ask for one is checked where it is asked
    for, and again when it is used; who may use one is checked there."""

    def __init__(self) -> None:
        self._codes: dict[str, tuple[float, str, Still]] = {}

    def code(self, community: str, still: Still) -> str:
        """A fresh one: eight characters that are hard to mistake. `still` says whether whoever asked may yet."""
        now = time.monotonic()
        self._codes = {code: kept for code, kept in self._codes.items() if now - kept[0] < CODE_HOLDS_S}
        code = "".join(secrets.choice("23456789ABCDEFGHJKLMNPQRSTUVWXYZ") for _ in range(8))
        self._codes[code] = (now, community, still)
        return code

    async def redeem(self, code: str) -> str | None:
        """The community, or None for a code that is unknown, used or too old, or whose maker lost the right to it."""
        made, community, still = self._codes.pop(code.strip().upper(), (-CODE_HOLDS_S, "", None))
        if still is None or time.monotonic() - made >= CODE_HOLDS_S or not await still():
            return None
        return community
