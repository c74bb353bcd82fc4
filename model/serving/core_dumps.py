"""No core dumps of a process that holds members' texts, tokens or keys in its memory."""

import contextlib
import ctypes
import resource

PR_SET_DUMPABLE = 4
"""linux/prctl.h"""


def forbid() -> None:
    """For this process, and by the limit for those it starts. Without it the kernel hands a dump to whatever program
    the machine names for that, whatever the limit says."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with contextlib.suppress(OSError, AttributeError):  # another system than Linux
        ctypes.CDLL(None).prctl(PR_SET_DUMPABLE, 0, 0, 0, 0)
