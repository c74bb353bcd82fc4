"""Attacks through an adapter's files are refused with one line each, and the last intact adapter serves."""

import json
import os
import shutil
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from model.adapters import files as adapter_files
from model.adapters.files import MAX_BYTES, MAX_HEADER_BYTES, has_file, open_lock_file, read_file, read_report
from model.adapters.registry import SHIPPED, Registry, read_manifest, read_weights
from model.classifier import AdapterRejected

SHIPPED_NAME = f"global/{read_manifest(SHIPPED).version}"
WEIGHTS, MANIFEST, REPORT = "adapter_model.safetensors", "manifest.json", "report.html"
Attack = Callable[[Path], None]


def adapter(root: Path, version: str, scope: str = "global") -> Path:
    folder = root / scope / version
    shutil.copytree(SHIPPED, folder)
    edit(folder, version=version)
    return folder


def edit(folder: Path, **changes: object) -> None:
    path = folder / MANIFEST
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def replaced(path: Path, make: Attack) -> None:
    path.unlink(missing_ok=True)
    make(path)


def link_to_key(path: Path) -> None:
    key = path.parents[2] / "sealing.key"
    key.write_text("<!doctype html> 00112233")
    path.symlink_to(key)


def link_to_itself(path: Path) -> None:
    path.symlink_to(path)


def bound_socket(path: Path) -> None:
    before = os.open(".", os.O_RDONLY)
    try:
        os.chdir(path.parent)  # a socket's path has at most 107 characters
        with socket.socket(socket.AF_UNIX) as one:
            one.bind(path.name)
    finally:
        os.fchdir(before)
        os.close(before)


def sparse(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(300 * 2**20)


ODD_FILES: dict[str, Attack] = {
    "link to the key": link_to_key,
    "link to itself": link_to_itself,
    "link to a device": lambda path: path.symlink_to("/dev/zero"),
    "pipe without a writer": os.mkfifo,
    "folder": Path.mkdir,
    "socket": bound_socket,
    "300 MB": sparse,
    "nothing": lambda path: None,
    "empty": Path.touch,
    "one byte": lambda path: path.write_bytes(b"\xff") and None,
}


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    """A registry with v1 and v2 promoted in this order."""
    registry = Registry(tmp_path / "adapters", SHIPPED)
    for version in ("v1", "v2"):
        adapter(registry.root, version)
        registry.promote(f"global/{version}")
    return registry


@pytest.mark.parametrize("name", [WEIGHTS, MANIFEST])
@pytest.mark.parametrize("odd", ODD_FILES)
def test_a_file_that_is_no_plain_file(registry: Registry, name: str, odd: str) -> None:
    """A pipe does not block, a device is not read to its end, and a link is not followed."""
    replaced(registry.root / "global" / "v2" / name, ODD_FILES[odd])
    serves, problem = registry.newest_sound()
    assert serves == "global/v1" and problem.count("\n") == 0 and "v2" in problem
    assert [one.version for one in registry.versions()][-1] in ("v1", "v2")
    with pytest.raises(AdapterRejected):
        registry.promote("global/v2")


@pytest.mark.parametrize("odd", [name for name in ODD_FILES if name not in ("nothing", "empty", "one byte")])
def test_a_list_of_promoted_versions_that_is_no_plain_file(registry: Registry, odd: str) -> None:
    """A damaged list is reported with its file, the shipped adapter serves, and a promotion repairs the list."""
    path = registry.root / "global" / "current"
    replaced(path, ODD_FILES[odd])
    serves, problem = registry.newest_sound()
    assert serves == SHIPPED_NAME == registry.current() and "current" in problem and "\n" not in problem
    if odd == "folder":
        with pytest.raises(AdapterRejected, match="folder"):
            registry.promote("global/v1")
        return
    registry.promote("global/v1")
    assert registry.newest_sound() == ("global/v1", "") and not path.is_symlink()


def flip(content: bytes, place: int, bit: int) -> bytes:
    return content[:place] + bytes([content[place] ^ 1 << bit]) + content[place + 1 :]


def test_one_flipped_bit_in_the_list_of_promoted_versions(registry: Registry) -> None:
    """With any flipped bit in the list a readable adapter or the shipped one serves, without error or escape."""
    path = registry.root / "global" / "current"
    content = path.read_bytes()
    for place in range(len(content)):
        for bit in range(8):
            path.write_bytes(flip(content, place, bit))
            serves, problem = registry.newest_sound()
            assert serves in ("global/v1", "global/v2", SHIPPED_NAME)
            assert problem or serves in ("global/v1", "global/v2")
            assert registry.promoted() == [name for name in registry.promoted() if "/" not in name]
            registry.promotion_state()


@pytest.mark.parametrize(
    "content",
    [
        b"\xff\xfe\x00",
        b"v2\x80\n",
        b"../../../etc\n",
        b"/etc\n",
        b"\x00" * 900,
        b"v1\nv2\n\xc3\x28\n",
        b"[" * 200_000,
        b".",
    ],
)
def test_bytes_that_are_no_names_in_the_list_of_promoted_versions(registry: Registry, content: bytes) -> None:
    """With a damaged list the service's start, a rollback and a promotion all work."""
    path = registry.root / "global" / "current"
    path.write_bytes(content)
    serves, problem = registry.newest_sound()
    assert serves == ("global/v2" if b"v1" in content else SHIPPED_NAME) and problem
    registry.rollback()
    registry.promote("global/v1")
    assert registry.newest_sound() == ("global/v1", "")


def test_a_rollback_from_a_damaged_line_keeps_the_one_before(registry: Registry) -> None:
    """A rollback removes only the last line, even a damaged one."""
    path = registry.root / "global" / "current"
    path.write_bytes(path.read_bytes().replace(b"v2", b"v\x82"))
    assert registry.rollback() == "global/v1" and registry.newest_sound() == ("global/v1", "")


BAD_MANIFESTS: dict[str, str | bytes] = {
    "deep brackets": "[" * 200_000,
    "deep objects": '{"a":' * 100_000,
    "deep but closed": '{"data": ' + "[" * 900 + "]" * 900 + "}",
    "no object": "[]",
    "null": "null",
    "number": "1e5",
    "not UTF-8": b'{"format": 1, "base": "\xff"}',
    "UTF-16": '{"format": 1}'.encode("utf-16"),
    "zeros": b"\x00" * 1000,
    "5 MB": b" " * (5 * 2**20),
    "many digits": '{"format": 1, "seed": ' + "9" * 5000 + "}",
}


@pytest.mark.parametrize("bad", BAD_MANIFESTS)
def test_a_manifest_that_is_no_bounded_json(registry: Registry, bad: str) -> None:
    """Deep JSON causes neither a recursion error nor unbounded memory."""
    content = BAD_MANIFESTS[bad]
    path = registry.root / "global" / "v2" / MANIFEST
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    assert registry.newest_sound()[0] == "global/v1" and MANIFEST in registry.newest_sound()[1]


NUMBERS = ("NaN", "Infinity", "-Infinity", "1e400", "-1e400", "9" * 400, "true", '"1.5"', "null", "[]", "{}")


@pytest.mark.parametrize("number", NUMBERS)
@pytest.mark.parametrize("place", ["temperature", "lora.alpha", "lora.rank", "seed", "format"])
def test_a_manifest_with_a_number_that_is_none(registry: Registry, place: str, number: str) -> None:
    """A manifest with an infinite number is refused, because every score would be NaN."""
    from model.base import LoraSpec

    path = registry.root / "global" / "v2" / MANIFEST
    data = json.loads(path.read_text())
    outer, _, inner = place.rpartition(".")
    (data[outer] if outer else data)[inner] = "THE NUMBER"
    path.write_text(json.dumps(data).replace('"THE NUMBER"', number))
    with pytest.raises((AdapterRejected, TypeError, ValueError)):
        LoraSpec.from_json(read_manifest(path.parent).lora)
    if number in NUMBERS[:6]:
        with pytest.raises(AdapterRejected):
            registry.promote("global/v2")


@pytest.mark.parametrize("number", NUMBERS[:6])
@pytest.mark.parametrize("place", ["metrics", "data", "recipe", "norms"])
def test_a_manifest_with_a_figure_that_is_none_anywhere(registry: Registry, place: str, number: str) -> None:
    """A manifest with figures that JSON cannot carry is refused, because browsers could not read the page."""
    path = registry.root / "global" / "v2" / MANIFEST
    data = json.loads(path.read_text())
    data[place] = {"held_out": {"macro_f1": ["THE NUMBER"]}}
    path.write_text(json.dumps(data).replace('"THE NUMBER"', number))
    assert registry.newest_sound()[0] == "global/v1"


BAD_FIELDS: list[dict[str, object]] = [
    {"files": []},
    {"files": {}},
    {"files": "x"},
    {"files": {WEIGHTS: None}},
    {"files": {WEIGHTS: ["x"]}},
    {"files": {WEIGHTS: "0" * 64, "../../sealing.key": "0" * 64}},
    {"files": {WEIGHTS: "0" * 64, "/etc/passwd": "0" * 64}},
    {"files": {WEIGHTS: "0" * 64, "..": "0" * 64}},
    {"version": "../../etc"},
    {"version": 7},
    {"version": "x" * 500},
    {"created_at": 7},
    {"created_at": None},
    {"metrics": []},
    {"metrics": "x"},
    {"examples": 7},
    {"examples": [["x"]]},
    {"examples": {"x": 1}},
    {"norms": []},
    {"norms": {"town": 7}},
    {"norms": {"town": {"counts_as": {"hate": "neutral"}, "words": "many", "moderators": 1}}},
    {"norms": {"town": {"counts_as": [], "words": 1, "moderators": 1}}},
    {"lora": []},
    {"parent": ["x"]},
    {"data": 7},
    {"unknown": 1},
    {"format": 1.5},
    {"base": None},
    {"base_sha256": 7},
    {"prompt": {}},
]


@pytest.mark.parametrize("change", BAD_FIELDS, ids=str)
def test_a_manifest_whose_field_is_something_else(registry: Registry, change: dict[str, object]) -> None:
    """A wrong type in a manifest is found when it is read, not where it is used."""
    edit(registry.root / "global" / "v2", **change)
    serves, problem = registry.newest_sound()
    assert serves == "global/v1" and MANIFEST in problem and "\n" not in problem
    assert "v2" not in [one.version for one in registry.versions()]


def test_a_header_of_90_mb(registry: Registry) -> None:
    """A huge safetensors header is refused before its JSON is parsed."""
    import hashlib

    folder = registry.root / "global" / "v2"
    header = b'{"a":"' + b" " * (90 * 2**20) + b'"}'
    content = len(header).to_bytes(8, "little") + header
    (folder / WEIGHTS).write_bytes(content)
    edit(folder, files={WEIGHTS: hashlib.sha256(content).hexdigest()})
    with pytest.raises(AdapterRejected, match=f"at most {MAX_HEADER_BYTES}"):
        read_weights(folder, read_manifest(folder))
    for cut in (b"", b"\x01", content[:8], b"\xff" * 8):
        (folder / WEIGHTS).write_bytes(cut)
        edit(folder, files={WEIGHTS: hashlib.sha256(cut).hexdigest()})
        assert registry.newest_sound()[0] == "global/v1"


@pytest.mark.parametrize("linked", ["global/v2", "global"])
def test_a_folder_that_is_a_link(registry: Registry, linked: str) -> None:
    """A link to an intact version or scope elsewhere is refused."""
    path = registry.root / linked
    aside = registry.root.parent / "aside"
    path.rename(aside)
    path.symlink_to(aside)
    serves, problem = registry.newest_sound()
    assert serves == ("global/v1" if linked == "global/v2" else SHIPPED_NAME) and "link" in problem
    with pytest.raises(AdapterRejected):
        registry.promote("global/v2")


def test_the_registry_itself_may_lie_behind_a_link(registry: Registry, tmp_path: Path) -> None:
    """The registry itself may be a link, for example to another disk."""
    (tmp_path / "linked").symlink_to(registry.root)
    linked = Registry(tmp_path / "linked", SHIPPED)
    assert linked.newest_sound() == ("global/v2", "") and linked.rollback() == "global/v1"


@pytest.mark.parametrize("odd", ODD_FILES)
def test_a_report_that_is_no_plain_page(registry: Registry, odd: str) -> None:
    """A report that is a link is never served, even if its target begins like a page."""
    folder = registry.root / "global" / "v2"
    replaced(folder / REPORT, ODD_FILES[odd])
    with pytest.raises((AdapterRejected, FileNotFoundError)):
        read_report(folder)
    assert has_file(folder / REPORT) is (odd in ("300 MB", "empty", "one byte"))


def test_a_report_that_is_a_hard_link_to_the_key(registry: Registry, tmp_path: Path) -> None:
    """A report that is a hard link to a key is not served, because no key begins like a page."""
    (tmp_path / "sealing.key").write_text("00112233" * 8)
    folder = registry.root / "global" / "v2"
    (folder / REPORT).unlink()
    (folder / REPORT).hardlink_to(tmp_path / "sealing.key")
    with pytest.raises(AdapterRejected, match="not a report"):
        read_report(folder)
    assert read_report(registry.root / "global" / "v1").startswith(b"<!doctype html>")


def test_a_file_that_grows_while_it_is_read(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that grows while it is read is not read beyond its first size."""
    path = registry.root / "global" / "v2" / MANIFEST
    sizes: list[int] = []
    fstat = os.fstat

    def watched(handle: int) -> os.stat_result:
        found = fstat(handle)
        if not sizes:
            with path.open("ab") as file:
                file.write(b" " * 100)
        sizes.append(found.st_size)
        return found

    monkeypatch.setattr(adapter_files.os, "fstat", watched)
    with pytest.raises(AdapterRejected, match="changed while it was read"):
        read_file(path)
    assert sizes[1] == sizes[0] + 100


def test_too_many_open_files_do_not_condemn_an_adapter(registry: Registry) -> None:
    """A temporary error decides nothing, and the serving adapter stays."""
    import resource

    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    with open(os.devnull) as file:
        lowest_free = file.fileno()
    resource.setrlimit(resource.RLIMIT_NOFILE, (lowest_free, before[1]))
    try:
        with pytest.raises(OSError, match="Too many open files"):
            registry.newest_sound()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
    assert registry.newest_sound() == ("global/v2", "")


@pytest.mark.parametrize("odd", ["link to the key", "pipe without a writer", "folder", "link to itself"])
def test_the_lock_of_a_refresh_is_no_way_out(tmp_path: Path, odd: str) -> None:
    """A lock file that is a link is refused, so its target is not emptied."""
    path = tmp_path / "a" / "b" / ".refresh.lock"
    path.parent.mkdir(parents=True)
    ODD_FILES[odd](path)
    with pytest.raises(AdapterRejected), open_lock_file(path):
        pass
    if odd == "link to the key":
        assert path.resolve().read_text() == "<!doctype html> 00112233"


def test_what_is_written_replaces_a_link_and_not_its_target(registry: Registry, tmp_path: Path) -> None:
    """A promotion does not write through a link."""
    (tmp_path / "elsewhere").write_text("mine")
    path = registry.root / "global" / "current"
    path.unlink()
    path.symlink_to(tmp_path / "elsewhere")
    registry.promote("global/v1")
    assert (tmp_path / "elsewhere").read_text() == "mine" and path.read_text() == "v1\n"
    assert not list(path.parent.glob("*.tmp")) and MAX_BYTES["current"] > 0
