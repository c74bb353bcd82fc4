"""One community on two platforms: a code shown on one is typed on the other."""

import secrets
import time
from collections.abc import Awaitable, Callable

CODE_HOLDS_S = 600.0
Still = Callable[[], Awaitable[bool]]


class LinkCodes:
    """Codes that name a community for ten minutes; each serves once. The right to a code is checked when it is made and
    when it is used; the right to use one is checked by the caller."""

    def __init__(self) -> None:
        self._codes: dict[str, tuple[float, str, Still]] = {}

    def code(self, community: str, still: Still) -> str:
        """Makes a code of eight characters that are hard to mistake. `still` says whether the person who asked may
        still link."""
        now = time.monotonic()
        self._codes = {code: kept for code, kept in self._codes.items() if now - kept[0] < CODE_HOLDS_S}
        code = "".join(secrets.choice("23456789ABCDEFGHJKLMNPQRSTUVWXYZ") for _ in range(8))
        self._codes[code] = (now, community, still)
        return code

    async def redeem(self, code: str) -> str | None:
        """The community, or None for a code that is unknown, used or too old, or whose maker lost the right to it."""
        made, community, still_allowed = self._codes.pop(code.strip().upper(), (-CODE_HOLDS_S, "", None))
        if still_allowed is None or time.monotonic() - made >= CODE_HOLDS_S or not await still_allowed():
            return None
        return community
