"""The house's own rules: which room may import which, and papers that stay true."""

import ast
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[1]
FORBIDDEN = {
    "model": {"bot", "training", "pydantic", "aiohttp", "sqlalchemy", "discord", "telegram"},
    "training": {"bot", "pydantic", "aiohttp", "sqlalchemy", "discord", "telegram"},
    "bot": {"training", "torch", "transformers", "peft"},
}


def imported(path: Path) -> set[str]:
    """Top-level names a file imports, at any depth."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module.split(".")[0])
    return names


@pytest.mark.parametrize("room", FORBIDDEN)
def test_rooms_import_only_along_the_arrows(room: str) -> None:
    """bot -> model <- training, and torch never enters the bot."""
    for path in (ROOT / room).rglob("*.py"):
        assert not imported(path) & FORBIDDEN[room], path


def test_the_dockerfile_installs_what_the_makefile_installs() -> None:
    """Both recipes run the same pip commands on the same files."""
    made = re.findall(r"pip install --quiet (.*)", (ROOT / "Makefile").read_text())
    steps = re.findall(r"pip install --no-cache-dir (.*?)(?: \\)?\n", (ROOT / "Dockerfile").read_text())
    assert steps == made[:3]


PIN = re.compile(r"([\w.-]+)==([\w.]+)(?: ?; .+?)?")


def pins(path: Path) -> dict[str, str]:
    """Name, as pip compares it, and version."""
    lines = path.read_text().replace("\\\n", " ").splitlines()
    found = [PIN.match(line) for line in lines if line and not line.startswith("#")]
    assert all(found), path
    return {one[1].lower().replace("_", "-").replace(".", "-"): one[2] for one in found if one}


@pytest.mark.parametrize("name", ["requirements", "requirements-dev", "requirements-weights"])
def test_every_requirement_is_pinned_and_hashed(name: str) -> None:
    """A version that floats breaks somebody's Monday, and a file that was exchanged is not installed. What is asked for
    is what is locked."""
    asked, locked = pins(ROOT / f"{name}.in"), pins(ROOT / f"{name}.txt")
    assert asked.items() <= locked.items() and (name == "requirements-dev" or asked == locked)
    for line in (ROOT / f"{name}.txt").read_text().replace("\\\n", " ").splitlines():
        assert line.startswith("#") or "--hash=sha256:" in line, line


def test_torch_alone_is_not_hashed() -> None:
    assert set(pins(ROOT / "requirements-torch.txt")) == {"torch"}


def test_the_bill_of_materials_names_every_requirement(tmp_path: Path) -> None:
    """As `make sbom` writes it."""
    line = next(line for line in (ROOT / "Makefile").read_text().splitlines() if "cyclonedx-py" in line)
    options = line.split("cyclonedx-py ")[1].replace("$(BIN)/python", sys.executable).split()
    options[-1] = str(tmp_path / "sbom.cdx.json")
    subprocess.run([sys.executable, "-m", "cyclonedx_py", *options], cwd=ROOT, check=True, timeout=120)
    bill = json.loads((tmp_path / "sbom.cdx.json").read_text())
    assert bill["bomFormat"] == "CycloneDX"
    there = {one["name"].lower().replace("_", "-").replace(".", "-"): one["version"] for one in bill["components"]}
    for name, version in pins(ROOT / "requirements.in").items():
        assert there.get(name) == version or name == "audioop-lts", name
    assert "torch" in there


def test_the_container_may_do_next_to_nothing() -> None:
    """A base by its digest, a user of its own, nothing to write but its two volumes, and no capability."""
    recipe, compose = (ROOT / "Dockerfile").read_text(), yaml.safe_load((ROOT / "compose.yaml").read_text())
    assert re.search(r"^FROM \S+@sha256:[0-9a-f]{64}$", recipe, re.MULTILINE) and "\nUSER domovoi\n" in recipe
    service = compose["services"]["domovoi"]
    assert service["read_only"] is True and service["cap_drop"] == ["ALL"]
    assert "no-new-privileges:true" in service["security_opt"] and "privileged" not in service
    writable = [volume for volume in service["volumes"] if not volume.endswith(":ro")]
    assert writable == ["data:/data", "keys:/keys"] and service["ulimits"]["core"] == 0


def test_the_readme_names_only_what_is_there() -> None:
    """Every path in the file map exists, every make target is in the Makefile, every module can be found."""
    readme, makefile = (ROOT / "README.md").read_text(), (ROOT / "Makefile").read_text()
    for path in re.findall(r"^\| `([^`]+)` \|", readme.split("## File map")[1], re.MULTILINE):
        assert (ROOT / path).exists(), path
    for targets in re.findall(r"^`?make ([a-z ]+)", readme, re.MULTILINE):
        for target in targets.split():
            assert f"\n{target}:" in makefile, target
    for module in re.findall(r"python -m ([a-z]+(?:\.[a-z]+)?)", readme):
        path = ROOT / module.replace(".", "/")
        assert path.with_suffix(".py").exists() or (path / "__main__.py").exists(), module


def test_every_promise_of_security_has_its_tests() -> None:
    """The files that SECURITY.md names are there."""
    named = re.findall(r"`((?:bot|model|training)/[\w*/]*test_\w+|test_\w+)`", (ROOT / "SECURITY.md").read_text())
    assert len(named) > 20
    for name in named:
        assert list((ROOT / "tests").glob(f"{name}.py")), name
