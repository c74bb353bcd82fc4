"""A folder for its owner alone: also what an earlier version, or a copy from elsewhere, left open to others."""

import os
import stat
from pathlib import Path

OTHERS = stat.S_IRWXG | stat.S_IRWXO


def close_to_others(folder: Path) -> list[Path]:
    """Takes the rights of the group and of others away from a folder and all in it, links aside.

    Returns what could not be changed, because it is another user's.
    """
    still_open = []
    for top, folders, files in os.walk(folder):
        for path in (Path(top), *(Path(top, name) for name in (*folders, *files))):
            try:
                mode = path.lstat().st_mode
                if mode & OTHERS and not stat.S_ISLNK(mode):
                    path.chmod(stat.S_IMODE(mode) & ~OTHERS)
            except OSError:
                still_open.append(path)
    return still_open
