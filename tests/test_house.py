"""The house's own rules: which room may import which, and papers that stay true."""

import ast
import re
from pathlib import Path

import pytest

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
    assert steps == made[:2]


def test_every_requirement_is_pinned() -> None:
    """A version that floats breaks somebody's Monday."""
    for path in ROOT.glob("requirements*.txt"):
        for line in path.read_text().splitlines():
            assert not line or line.startswith("#") or re.fullmatch(r"[\w.-]+==[\w.]+(; python_version .+)?", line), (
                path,
                line,
            )


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
