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


ARROWS = {
    "text": set(),
    "domain": {"text"},
    "store": {"domain"},
    "pipeline": {"store", "domain", "text"},
    "cases": {"pipeline", "store", "domain", "text"},
    "learning": {"pipeline", "store", "domain", "text"},
    "process": {"learning", "pipeline", "store", "domain", "text", "config"},
    "conversation": {"cases", "pipeline", "store", "domain", "text"},
    "platforms": {"conversation", "cases", "pipeline", "process", "store", "domain", "text", "config"},
    "console": {
        "platforms",
        "process",
        "conversation",
        "cases",
        "learning",
        "pipeline",
        "store",
        "domain",
        "text",
        "config",
    },
    "replay": {"process", "pipeline", "store", "domain", "text", "config"},
    "config": {"text"},
}
"""What each room of `bot/` may import; the wiring (`app`, `check`, `__main__`) may import every room."""


def modules(room: str) -> dict[str, Path]:
    """The modules of a room by their dotted names; migrations are not imported by anybody."""
    found = {}
    for path in (ROOT / room).rglob("*.py"):
        if "migrations" not in path.parts:
            name = ".".join(path.relative_to(ROOT).with_suffix("").parts)
            found[name.removesuffix(".__init__")] = path
    return found


def arrows(known: dict[str, Path]) -> dict[str, set[str]]:
    """By module: the modules among these that it imports, also where only a type checker does."""
    found: dict[str, set[str]] = {}
    for module, path in known.items():
        found[module] = set()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                found[module] |= {alias.name for alias in node.names if alias.name in known}
            elif isinstance(node, ast.ImportFrom) and node.module:
                names = {f"{node.module}.{alias.name}" for alias in node.names}
                found[module] |= (names & known.keys()) or ({node.module} & known.keys())
    return found


def test_arrows_between_the_rooms_of_the_bot() -> None:
    """No room imports one that stands above it."""
    for module, imports in arrows(modules("bot")).items():
        room = module.split(".")[1] if "." in module else ""
        targets = {name.split(".")[1] for name in imports if "." in name} - {room}
        assert room not in ARROWS or targets <= ARROWS[room], (module, targets - ARROWS[room])


@pytest.mark.parametrize("room", ["bot", "model", "training", "benchmarks"])
def test_no_module_imports_itself_by_way_of_another(room: str) -> None:
    """No circle, of whatever length, and none that only a type checker sees."""
    left = arrows(modules(room))
    while free := [module for module, imports in left.items() if not imports & left.keys()]:
        for module in free:
            del left[module]
    assert not left, sorted(left)


def test_the_bot_loads_no_model_library() -> None:
    """Only the processes that own a device load torch: it would cost each command a second, and the service memory."""
    code = "import sys, bot.__main__, bot.app; assert not {'torch', 'transformers'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, timeout=60, check=True)


def test_the_rooms_are_those_of_the_arrows() -> None:
    """A new room has to say what it may import."""
    rooms = {path.parent.name for path in (ROOT / "bot").glob("*/__init__.py")}
    assert rooms == ARROWS.keys() - {"config"}


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


PAPERS = sorted(path for path in [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *ROOT.glob("tests/*/README.md")])


@pytest.mark.parametrize("paper", PAPERS, ids=lambda path: str(path.relative_to(ROOT)))
def test_papers_name_only_what_is_there(paper: Path) -> None:
    """Every link leads to a file, every make target and every module exists."""
    text, makefile = paper.read_text(encoding="utf-8"), (ROOT / "Makefile").read_text()
    for link in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", text):
        assert link.startswith("http") or (paper.parent / link).exists(), link
    for targets in re.findall(r"`make ([a-z ]+)`|^make ([a-z ]+)$", text, re.MULTILINE):
        for target in "".join(targets).split():
            assert f"\n{target}:" in makefile, target
    for module in re.findall(r"python -m ((?:bot|model|training|benchmarks|tests)(?:\.[a-z_]+)*)", text):
        path = ROOT / module.replace(".", "/")
        assert path.with_suffix(".py").exists() or (path / "__main__.py").exists(), module


def test_papers_name_only_files_that_are_there() -> None:
    """A path of the repository in the pages that explain it. The log, the changelog and the decisions tell of the past,
    so they may name what is gone."""
    for name in ("README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "docs/extending.md", "docs/concepts.md"):
        text = (ROOT / name).read_text(encoding="utf-8")
        for path in re.findall(r"`((?:bot|model|training|benchmarks|tests|docs)/[\w./*-]+)`", text):
            assert list(ROOT.glob(path)), (name, path)
    for path in re.findall(r"`([a-z]+/[\w./*]+\.py)`", (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")):
        assert list(ROOT.glob(path)) or list(ROOT.glob(f"bot/{path}")), path


def test_the_readme_fits_on_a_page() -> None:
    """What it is, two commands, the first card, where next."""
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= 65


def test_twenty_questions_have_their_file() -> None:
    """Each answer of CONTRIBUTING.md is a file."""
    rows = re.findall(r"^\| (Where[^|]+\?) \| `([^`]+)` \|$", (ROOT / "CONTRIBUTING.md").read_text(), re.MULTILINE)
    assert len(rows) == 20
    for question, path in rows:
        assert (ROOT / path).is_file(), (question, path)


def test_the_http_api_names_every_route_with_its_role() -> None:
    """The page's routes as `bot.console.rights` has them."""
    from bot.console.rights import RIGHTS

    rows = re.findall(
        r"^\| `(GET|POST|PUT) ([^`]+)` \| (\w+) \|", (ROOT / "docs/http-api.md").read_text(), re.MULTILINE
    )
    told = {(method, route): role for method, route, role in rows if role != "open"}
    assert told == {route: right.role.name.lower() for route, right in RIGHTS.items()}


def test_a_platform_is_as_much_as_the_page_says() -> None:
    """The lines that docs/extending.md names, to the nearest ten."""
    text = (ROOT / "docs/extending.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(bot/platforms/[^`]+)` \| (\d+) \|", text, re.MULTILINE)
    assert len(rows) >= 8
    for path, lines in rows:
        assert abs(len((ROOT / path).read_text(encoding="utf-8").splitlines()) - int(lines)) <= 10, path


def test_every_decision_has_a_status_and_a_date() -> None:
    """The first line below the title."""
    for path in sorted((ROOT / "docs/decisions").glob("*.md")):
        lines = path.read_text(encoding="utf-8").splitlines()
        assert re.fullmatch(rf"# {int(path.name[:4])}\. \S.*", lines[0]), path.name
        assert re.fullmatch(r"Status: (accepted|replaced by \d+), \d{4}-\d\d-\d\d", lines[2]), path.name


def test_every_promise_of_security_has_its_tests() -> None:
    """The files that SECURITY.md names are there."""
    named = re.findall(r"`((?:bot|model|training)/[\w*/]*test_\w+|test_\w+)`", (ROOT / "SECURITY.md").read_text())
    assert len(named) > 20
    for name in named:
        assert list((ROOT / "tests").glob(f"{name}.py")), name
