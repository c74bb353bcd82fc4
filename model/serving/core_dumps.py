"""Forbids core dumps of a process that holds members' texts, tokens or keys in its memory."""

import contextlib
import ctypes
import resource

PR_SET_DUMPABLE = 4
"""linux/prctl.h"""


def forbid() -> None:
    """Forbids core dumps of this process; the limit also covers the processes it starts.

    `PR_SET_DUMPABLE` is needed because a limit alone does not stop the kernel from piping a dump to a program.
    """
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with contextlib.suppress(OSError, AttributeError):  # not on Linux
        ctypes.CDLL(None).prctl(PR_SET_DUMPABLE, 0, 0, 0, 0)
