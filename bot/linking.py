"""One community on two platforms: a code shown on one is typed on the other."""

import secrets
import time

CODE_HOLDS_S = 600.0


class Linking:
    """Codes that name a community for ten minutes; each serves once. Who may ask for one and who may use one is
    checked where it is done."""

    def __init__(self) -> None:
        self._codes: dict[str, tuple[float, str]] = {}

    def code(self, community: str) -> str:
        """A fresh one: eight characters that are hard to mistake."""
        now = time.monotonic()
        self._codes = {code: kept for code, kept in self._codes.items() if now - kept[0] < CODE_HOLDS_S}
        code = "".join(secrets.choice("23456789ABCDEFGHJKLMNPQRSTUVWXYZ") for _ in range(8))
        self._codes[code] = (now, community)
        return code

    def redeem(self, code: str) -> str | None:
        """The community, or None for a code that is unknown, used or too old."""
        made, community = self._codes.pop(code.strip().upper(), (-CODE_HOLDS_S, ""))
        return community if community and time.monotonic() - made < CODE_HOLDS_S else None
