"""How often moderators are told the same."""

import time
from collections.abc import Callable

from bot.domain.notice import Notice

TOLD_AGAIN_AFTER_S = 600.0


class NoticePace:
    """Passes notices on to `on_notice`."""

    def __init__(self, on_notice: Callable[[Notice], None]) -> None:
        self._on_notice = on_notice
        self._told_at: dict[str, float] = {}

    def tell(self, notice: Notice) -> None:
        """At once, however often."""
        self._on_notice(notice)

    def tell_paced(self, notice: Notice) -> None:
        """The same at most once in ten minutes: a raid without a right is one notice, not four hundred."""
        now, content = time.monotonic(), repr(notice)
        self._told_at = {text: at for text, at in self._told_at.items() if now - at < TOLD_AGAIN_AFTER_S}
        if content not in self._told_at:
            self._told_at[content] = now
            self._on_notice(notice)
