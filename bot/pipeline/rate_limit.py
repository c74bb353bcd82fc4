"""Limits how often a caller may do something."""

import time
from collections import OrderedDict, deque


class RateLimit:
    """At most so many within so many seconds for each key; in memory only."""

    def __init__(self, count: int, within_s: float) -> None:
        self._count, self._within_s = count, within_s
        self._times: OrderedDict[str, deque[float]] = OrderedDict()  # who was last let through stands last

    def take(self, key: str) -> bool:
        """False when it was taken too often."""
        now = time.monotonic()
        while self._times and next(iter(self._times.values()))[-1] < now - self._within_s:
            self._times.popitem(last=False)
        times = self._times.get(key, deque())
        while times and times[0] < now - self._within_s:
            times.popleft()
        if len(times) >= self._count:
            return False
        times.append(now)
        self._times[key] = times
        self._times.move_to_end(key)
        return True
