"""Python's garbage collector, set for a service: a large heap that stays, and bursts of short-lived tasks."""

import gc

THRESHOLDS = (10_000, 10, 10)
"""Python's own are (700, 10, 10): a burst of messages then walks through the whole heap every few thousand messages,
and the event loop stands still for a third of a second each time."""


def tune_garbage_collector() -> None:
    """Call it once everything is loaded: what is there now is never looked at again."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*THRESHOLDS)
