"""What `make test` does on a machine that lacks the programs which the tests run."""

import os
import shutil
import subprocess
from pathlib import Path

SCRIPT = Path(__file__).with_name("programs.sh")


def run(folder: Path, *programs: str) -> subprocess.CompletedProcess[str]:
    """The script on a machine that has these programs and no others; its Python has no Playwright."""
    for name in ("bash", "dirname", "id", "cat", *programs):
        place = shutil.which(name, path=os.environ["PATH"] + ":/usr/sbin")
        assert place is not None, name
        (folder / name).symlink_to(place)
    bash = str(folder / "bash")
    script = SCRIPT.read_text(encoding="utf-8").replace(":/usr/sbin", "")
    return subprocess.run(
        [bash, "-c", script, str(SCRIPT), "false"],
        env={"PATH": str(folder)},
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_where_all_are_there_nothing_is_done(tmp_path: Path) -> None:
    done = run(tmp_path, "chromium", "fiu-run", "nginx", "caddy", "openssl")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_where_some_are_missing_one_line_names_them(tmp_path: Path) -> None:
    """Without a way to install them; the ones that are there are not named."""
    done = run(tmp_path, "nginx", "openssl")
    assert done.returncode == 1 and done.stderr.count("\n") == 1
    assert done.stderr.endswith("install what Debian calls chromium fiu-utils caddy\n")
