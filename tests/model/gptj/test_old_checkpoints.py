"""Checkpoints as in the 6B's repository: torch's files, unused buffers, and a commit instead of a branch."""

import json
import os
import pickle
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

import pytest
import torch
from safetensors.torch import load_file, save_file

from model.adapters.registry import open_registry
from model.base import BaseNotFound
from model.classifier import AdapterRejected
from model.gptj.base import open_gptj
from model.gptj.files import KNOWN_COMMITS
from tests.model.tiny import make_gptj

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_gptj(tmp_path_factory.mktemp("plain"), n_layer=2)


def old(plain: Path, folder: Path, **more: object) -> Path:
    """The same weights in pytorch_model.bin, with each layer's causal mask."""
    shutil.copytree(plain, folder)
    state: dict[str, object] = dict(load_file(folder / "model.safetensors"))
    (folder / "model.safetensors").unlink()
    for layer in range(2):
        state[f"transformer.h.{layer}.attn.bias"] = torch.tril(torch.ones(64, 64, dtype=torch.bool))[None, None]
        state[f"transformer.h.{layer}.attn.masked_bias"] = torch.tensor(-1e9)
    torch.save({**state, **more}, folder / "pytorch_model.bin")
    return folder


def test_a_checkpoint_of_the_old_form_is_the_same_one(plain: Path, tmp_path: Path) -> None:
    """A pytorch_model.bin with `attn.bias` and `attn.masked_bias` has the same fingerprint and answers."""
    one, other = open_gptj(str(plain)), open_gptj(str(old(plain, tmp_path / "old")))
    assert one.fingerprint == other.fingerprint
    texts = [one.frame(one.encode(text)) for text in ("see you tomorrow", "you idiot")]
    with torch.inference_mode():
        assert torch.equal(one.label_logits(texts, ["", ""]), other.label_logits(texts, ["", ""]))


class Evil:
    """An object that runs a command when it is unpickled."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, (f"touch {os.environ['EVIL_MARK']}",)


def test_a_checkpoint_that_would_run_code_is_refused(
    plain: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file with code, in torch's container or as a bare pickle, is refused in one line and runs nothing."""
    mark = tmp_path / "mark"
    monkeypatch.setenv("EVIL_MARK", str(mark))
    folder = old(plain, tmp_path / "old", **{"transformer.evil": Evil()})
    bare = old(plain, tmp_path / "bare")
    (bare / "pytorch_model.bin").write_bytes(pickle.dumps(Evil(), protocol=2))
    for one in (folder, bare):
        with pytest.raises(BaseNotFound) as refused:
            open_gptj(str(one))
        assert "\n" not in str(refused.value) and not mark.exists()


def test_safetensors_come_before_torchs_files(plain: Path, tmp_path: Path) -> None:
    """A folder with both formats is read from safetensors, which hold only numbers."""
    folder = old(plain, tmp_path / "both")
    other = load_file(plain / "model.safetensors")
    other["lm_head.bias"] += 1.0
    save_file(other, folder / "model.safetensors", metadata={"format": "pt"})
    both = open_gptj(str(folder))
    assert both.fingerprint != open_gptj(str(plain)).fingerprint


class Hub(BaseHTTPRequestHandler):
    """A hub without files that records the requests."""

    asked: ClassVar[list[str]] = []

    def do_GET(self) -> None:
        self.asked.append(self.path)
        self.send_response(404)
        self.send_header("Content-Length", "0")
        self.end_headers()

    do_HEAD = do_GET

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def hub() -> Iterator[str]:
    Hub.asked.clear()
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize("name", ["EleutherAI/gpt-j-6b", f"EleutherAI/gpt-j-6b@{'ab' * 20}"])
def test_a_download_names_its_commit(name: str, hub: str, tmp_path: Path) -> None:
    """A hub id loads the commit it names, or the known commit of the 6B, never a branch."""
    script = f"from model.gptj.files import open_checkpoint; open_checkpoint({name!r})"
    environment = {**os.environ, "HF_ENDPOINT": hub, "HF_HOME": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120
    )
    assert "BaseNotFound" in done.stderr
    commit = name.partition("@")[2] or KNOWN_COMMITS["eleutherai/gpt-j-6b"]
    paths = [path for path in Hub.asked if "/resolve/" in path]
    assert paths and all(f"/resolve/{commit}/" in path for path in paths), Hub.asked


@pytest.mark.parametrize("name", ["someone/gpt", "someone/gpt@main", "someone/gpt@v1", f"someone/gpt@{'A' * 40}"])
def test_a_hub_id_without_a_commit_is_refused_with_the_fix(name: str) -> None:
    """A branch or a tag is refused, because a repository's owner can move it."""
    with pytest.raises(BaseNotFound, match=r"commit|hub id like"):
        open_gptj(name)


def test_a_commit_is_no_part_of_the_folder_for_adapters(tmp_path: Path) -> None:
    """A new commit of a base uses the same adapters folder; each manifest names its base."""
    folders = set()
    for name in ("EleutherAI/gpt-j-6b", f"EleutherAI/gpt-j-6b@{'ab' * 20}"):
        with pytest.raises(AdapterRejected) as refused:
            open_registry(name, tmp_path)
        folders.add(str(refused.value).partition(":")[0])
    assert len(folders) == 1


def test_a_prepared_folder_tells_its_commit(plain: Path, tmp_path: Path) -> None:
    """prepared.json names the source and, for a hub repository, the commit."""
    command = [sys.executable, "-m", "model.prepare", str(plain), "--out", str(tmp_path / "int8")]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True, timeout=200)
    manifest = json.loads((tmp_path / "int8" / "prepared.json").read_text())
    assert manifest["source"] == str(plain) and manifest["revision"] == ""
