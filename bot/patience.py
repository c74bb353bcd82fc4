"""How often somebody may do something."""

import time
from collections import deque


class Patience:
    """At most so many within so many seconds for each key; in memory only."""

    def __init__(self, count: int, within_s: float) -> None:
        self._count, self._within_s = count, within_s
        self._times: dict[str, deque[float]] = {}

    def take(self, key: str) -> bool:
        """False when it was taken too often."""
        now = time.monotonic()
        for other in [other for other, times in self._times.items() if times[-1] < now - self._within_s]:
            del self._times[other]
        times = self._times.setdefault(key, deque())
        while times and times[0] < now - self._within_s:
            times.popleft()
        if len(times) >= self._count:
            return False
        times.append(now)
        return True
