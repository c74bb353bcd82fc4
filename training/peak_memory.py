"""Measures peak memory: of the GPU if there is one, else of this process (Linux counts it)."""

from pathlib import Path

import torch


def reset_peak() -> None:
    """Resets the peak."""
    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()
        return
    try:
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # proc(5): resets VmHWM
    except OSError:
        return


def peak_mib() -> float | None:
    """Peak in MiB since `reset_peak`; None if the system does not report it."""
    if torch.cuda.is_available():
        return torch.cuda.max_memory_allocated() / 2**20
    try:
        lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
        return next(float(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM:"))
    except (OSError, StopIteration):
        return None
