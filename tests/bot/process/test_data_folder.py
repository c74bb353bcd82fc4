"""One process uses a data folder, and a folder that cannot be used is named with the fix."""

from pathlib import Path

import pytest

from bot.config import BadConfig
from bot.process.data_folder import AlreadyRuns, lock_data_folder


def test_a_folder_is_made_and_held_by_one(tmp_path: Path) -> None:
    """Until the holder lets go of it."""
    folder = tmp_path / "new" / "data"
    with lock_data_folder(folder), pytest.raises(AlreadyRuns, match="stop it first"), lock_data_folder(folder):
        pass
    with lock_data_folder(folder):
        assert (folder / "running.lock").exists()


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("a file")
    with pytest.raises(BadConfig, match="data_folder"), lock_data_folder(tmp_path / "data"):
        pass
