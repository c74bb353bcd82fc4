"""Computes in halves when memory runs out, down to single texts."""

import logging
from collections.abc import Callable, Sequence
from typing import TypeVar

import torch

log = logging.getLogger(__name__)

ONEDNN = "could not create a "
"""How oneDNN's out-of-memory message begins. It caches the failure, so the same shapes fail again in that process."""
_OUT_OF_MEMORY = ("can't allocate memory", "not enough memory", "out of memory", "alloc_failed", ONEDNN)

T = TypeVar("T")
R = TypeVar("R")


def compute_in_halves(
    compute: Callable[[Sequence[T]], list[list[R]]],
    jobs: Sequence[T],
    on_out_of_memory: Callable[[Exception], None] = lambda error: None,
) -> list[list[R]]:
    """Computes one row for each job. If memory runs out, the jobs are halved, down to single jobs.

    The row of a job that does not fit alone is empty. `on_out_of_memory` is called each time memory runs out.
    """
    if not jobs:
        return []
    try:
        return compute(jobs)
    except (RuntimeError, MemoryError) as error:
        if not _is_out_of_memory(error):
            raise
        on_out_of_memory(error)
        log.warning("out of memory with %d texts: %s", len(jobs), "given up" if len(jobs) == 1 else "trying halves")
    if torch.cuda.is_available():
        torch.cuda.empty_cache()  # not inside `except`, where the traceback still holds the tensors
    if len(jobs) == 1:
        return [[]]
    half = len(jobs) // 2
    return compute_in_halves(compute, jobs[:half], on_out_of_memory) + compute_in_halves(
        compute, jobs[half:], on_out_of_memory
    )


def _is_out_of_memory(error: RuntimeError | MemoryError) -> bool:
    """On a GPU the error has its own type; on the CPU and in bitsandbytes only its message tells."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    message = str(error).lower()
    return any(part in message for part in _OUT_OF_MEMORY)
