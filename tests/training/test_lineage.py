"""The next adapter does not start from withdrawn corrections."""

import json
import shutil
from pathlib import Path

import pytest

from model.adapters.registry import GLOBAL, SHIPPED, Registry, read_manifest
from training.lineage import ANCESTOR, find_ancestor, find_clean_origin

SHIPPED_NAME = f"{GLOBAL}/{read_manifest(SHIPPED).version}"


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    """Three refreshes: the first learned from 1, the second from 1 and 2, the third from 1, 2 and 3."""
    registry = Registry(tmp_path, SHIPPED)
    for number in (1, 2, 3):
        folder = tmp_path / GLOBAL / f"r{number}"
        shutil.copytree(SHIPPED, folder)
        data = json.loads((folder / "manifest.json").read_text())
        data |= {"version": f"r{number}", "examples": [str(n) for n in range(1, number + 1)]}
        (folder / "manifest.json").write_text(json.dumps(data))
        registry.promote(f"{GLOBAL}/r{number}")
    return registry


@pytest.mark.parametrize(
    ("standing", "origin"),
    [
        ({"1", "2", "3", "4"}, "global/r3"),
        ({"1", "2", "4"}, "global/r2"),
        ({"1", "3"}, "global/r1"),
        ({"2", "3"}, SHIPPED_NAME),
        (set(), SHIPPED_NAME),
    ],
)
def test_a_refresh_starts_before_what_was_taken_back(standing: set[str], origin: str, registry: Registry) -> None:
    """A refresh starts from the newest adapter without withdrawn corrections, or from the shipped one."""
    assert find_clean_origin(registry, "global/r3", standing) == origin


def test_an_adapter_that_was_rolled_back_is_no_origin(registry: Registry) -> None:
    """A refresh starts from the serving adapter, not from one that was rolled back."""
    registry.rollback()
    assert find_clean_origin(registry, "global/r2", {"1", "2", "3"}) == "global/r2"


def with_manifest(registry: Registry, version: str, **changes: object) -> None:
    path = registry.root / GLOBAL / version / "manifest.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def test_the_ancestor_is_what_no_correction_made(registry: Registry) -> None:
    """The ancestor is the adapter without corrections and is never pruned; a missing one or a circle gives the shipped
    one."""
    assert find_ancestor(registry, SHIPPED_NAME) == SHIPPED_NAME
    assert find_ancestor(registry, "global/r1") == "global/r1"
    with_manifest(registry, "r2", parent="global/r1")
    with_manifest(registry, "r3", parent="global/r2", recipe={ANCESTOR: "global/r1"})
    assert find_ancestor(registry, "global/r3") == find_ancestor(registry, "global/r2") == "global/r1"
    registry.prune(GLOBAL, 1, "global/r1")
    assert sorted(path.parent.name for path in registry.root.glob("global/*/manifest.json")) == ["r1", "r3"]
    assert find_ancestor(registry, "global/r3") == "global/r1"
    with_manifest(registry, "r3", recipe={ANCESTOR: "../../etc/passwd"})
    assert find_ancestor(registry, "global/r3") == SHIPPED_NAME
    with_manifest(registry, "r3", parent="global/r3", recipe={})
    assert find_ancestor(registry, "global/r3") == SHIPPED_NAME
