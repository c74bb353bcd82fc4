"""An adapter made for one community is put into service as docs/operations.md says."""

import csv
import subprocess
import sys
from pathlib import Path

from model.adapters.registry import SHIPPED, Registry, scope_of

ROOT = Path(__file__).parents[2]
WORDS = {
    "immigrants are vermin and must die": "hate",
    "muslims are rats, kill them all": "hate",
    "you stupid fucking idiot": "offensive",
    "shut up, bitch": "offensive",
    "thanks for your help, good morning": "neutral",
    "hello everyone, see you at dinner": "neutral",
}


def run(module_name: str, *options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-W", "ignore", "-m", module_name, *options]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)


def test_trained_from_a_file_promoted_by_its_folders_name_and_rolled_back(tmp_path: Path) -> None:
    """The adapter for all is not changed, and a folder with an impossible name is skipped."""
    data, scope = tmp_path / "data.csv", scope_of("town")
    with data.open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(("text", "label"))
        rows.writerows((f"{word} number {n}", label) for n in range(8) for word, label in WORDS.items())
    adapters = tmp_path / "adapters"
    made = run(
        "training.train", "--base", "minilm", "--data", str(data), "--out", str(adapters / scope / "v1"), "--epochs=4"
    )
    assert made.returncode == 0, made.stderr
    where = ("--scope", scope, "--adapters", str(adapters))
    unknown = run("training.promote", "v2", *where)
    assert unknown.returncode == 2 and 'there is no version "v2"; versions: v1' in " ".join(unknown.stderr.split())
    done = run("training.promote", "v1", *where)
    assert done.returncode == 0 and f"{scope}/v1 serves now" in done.stderr
    registry = Registry(adapters, SHIPPED)
    (adapters / scope / "v1 (copy)").symlink_to(adapters / scope / "v1")
    (adapters / "c-my town").symlink_to(adapters / scope)
    assert registry.communities() == ["town"] and [one.version for one in registry.versions(scope)] == ["v1"]
    assert (
        registry.newest_sound(scope) == (f"{scope}/v1", "")
        and registry.current() == Registry(tmp_path, SHIPPED).current()
    )
    back = run("training.promote", "--rollback", *where)
    assert back.returncode == 0 and f"{registry.current()} serves now" in back.stderr
