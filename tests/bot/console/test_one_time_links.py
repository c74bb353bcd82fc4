"""One-time links from the terminal."""

import os
import time
from pathlib import Path

import pytest

from bot.console.one_time_links import KEPT_S, Links


def test_a_link_signs_in_once(tmp_path: Path) -> None:
    """The second time it is void, and another one is not touched by that."""
    links = Links(tmp_path)
    first, second = links.issue(), links.issue()
    assert links.redeem(first) and not links.redeem(first)
    assert links.redeem(second)


@pytest.mark.parametrize("token", ["", "..", "../../etc/passwd", "x" * 43, "x" * 10_000, "é" * 43, "a/" * 21 + "a"])
def test_what_is_no_link_signs_nobody_in(token: str, tmp_path: Path) -> None:
    """Guessed, empty, endless, or a path: and it deletes nothing."""
    links = Links(tmp_path)
    good = links.issue()
    assert not links.redeem(token) and links.redeem(good)


def test_an_old_link_is_void(tmp_path: Path) -> None:
    """A day later, and the next one that is made tidies it away."""
    links = Links(tmp_path)
    token = links.issue()
    (file,) = links.folder.iterdir()
    os.utime(file, (time.time(), time.time() - KEPT_S - 1))
    assert not links.redeem(token)
    links.issue()
    assert len(list(links.folder.iterdir())) == 1


def test_the_folder_tells_nobody_a_token(tmp_path: Path) -> None:
    """It holds digests, and is for the service's user alone."""
    links = Links(tmp_path)
    token = links.issue()
    (file,) = links.folder.iterdir()
    assert token not in file.name and not file.read_bytes()
    assert links.folder.stat().st_mode & 0o777 == 0o700 and file.stat().st_mode & 0o777 == 0o600
