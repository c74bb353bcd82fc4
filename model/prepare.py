"""Quantises a GPT-J once, so that later starts save time and need no float16 copy in memory.

    python -m model.prepare EleutherAI/gpt-j-6b --out models/gpt-j-6b-int8

The source is a hub id or a folder. The linear layers become int8 by bitsandbytes (LLM.int8), the rest float16. The
source's float16 copy (12 GB for the 6B) must fit in memory this once. The output folder appears only when it is
complete. Use it as `base` in config.toml. An adapter trained over one of the two serves over both.
"""

import argparse
import json
import os
import shutil
import sys
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.progress import Progress
from safetensors.torch import save_file
from torch import Tensor

from model.base import BaseNotFound
from model.gptj.files import FORMAT, PREPARED_FILE, TensorSource, file_hash, open_checkpoint
from model.gptj.int8 import quantise
from model.gptj.network import Shape

SHARD_BYTES = 2 * 2**30
QUANTIZATION: dict[str, Any] = {
    "quant_method": "bitsandbytes",
    "load_in_8bit": True,
    "llm_int8_threshold": 6.0,
    "llm_int8_skip_modules": ["lm_head"],
}
"""The part of config.json that tells transformers the format of the weights."""


def prepare(source: str, out: Path, console: Console, shard_bytes: int = SHARD_BYTES) -> int:
    """Writes the folder and returns its size in bytes. Raises `BaseNotFound` or OSError, and then leaves no files."""
    if out.exists():
        raise BaseNotFound(f"{out} already exists; name a new folder")
    checkpoint = open_checkpoint(source)
    if checkpoint.prepared:
        raise BaseNotFound(f"{source} is already prepared")
    tensors, fingerprint = checkpoint.load(torch.float16)
    partial = out.with_name(out.name + ".part")
    shutil.rmtree(partial, ignore_errors=True)
    try:
        partial.mkdir(parents=True)
        _write_shards(checkpoint.shape, tensors, partial, shard_bytes, console)
        config = {**json.loads(checkpoint.config), "dtype": "float16", "quantization_config": QUANTIZATION}
        (partial / "config.json").write_text(json.dumps(config, indent=1) + "\n", encoding="utf-8")
        checkpoint.tokenizer.save(str(partial / "tokenizer.json"))
        files = sorted(path.name for path in partial.iterdir())
        manifest = {
            "format": FORMAT,
            "source": checkpoint.name,
            "revision": checkpoint.revision,
            "fingerprint": fingerprint,
            "files": {name: file_hash(partial / name) for name in files},
            "versions": {name: version(name) for name in ("torch", "transformers", "bitsandbytes", "safetensors")},
        }
        (partial / PREPARED_FILE).write_text(json.dumps(manifest, indent=1) + "\n", encoding="utf-8")
        os.replace(partial, out)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    return sum(path.stat().st_size for path in out.iterdir())


def _write_shards(shape: Shape, source: TensorSource, folder: Path, shard_bytes: int, console: Console) -> None:
    """Writes all tensors in safetensors files of about `shard_bytes`, and for several files the index of
    transformers."""
    shards: list[dict[str, Tensor]] = [{}]
    shard_of: dict[str, int] = {}
    written = total = 0
    names = [name for name, _ in shape.tensors()]
    with Progress(console=console, transient=True) as bar:
        for name in bar.track(names, description="quantising"):
            tensors = _stored(name, source.take(name))
            size = sum(tensor.nbytes for tensor in tensors.values())
            if written and written + size > shard_bytes:
                save_file(shards[-1], folder / _shard(len(shards)), metadata={"format": "pt"})
                shards[-1] = {}  # frees its memory before the next one is made
                shards.append({})
                written = 0
            shards[-1] |= tensors
            shard_of |= dict.fromkeys(tensors, len(shards))
            written += size
            total += size
    save_file(shards[-1], folder / _shard(len(shards)), metadata={"format": "pt"})
    if len(shards) == 1:
        os.replace(folder / _shard(1), folder / "model.safetensors")
        return
    index = {
        "metadata": {"total_size": total},
        "weight_map": {name: _shard(number) for name, number in shard_of.items()},
    }
    (folder / "model.safetensors.index.json").write_text(json.dumps(index) + "\n", encoding="utf-8")


def _stored(name: str, tensor: Tensor) -> dict[str, Tensor]:
    """The tensors to store: a linear layer's weight in the format of bitsandbytes, any other tensor in float16."""
    if tensor.dim() < 2 or not name.startswith("transformer.h."):
        return {name: tensor.to(torch.float16).contiguous()}
    rows, maxima = quantise(tensor)
    layer = name.removesuffix(".weight")
    return {name: rows, f"{layer}.SCB": maxima, f"{layer}.weight_format": torch.tensor(0, dtype=torch.uint8)}


def _shard(number: int) -> str:
    return f"model-{number:05d}.safetensors"


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit status 0, or 2 with one line."""
    parser = argparse.ArgumentParser(prog="python -m model.prepare", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("source", help="hub id or folder of a GPT-J")
    parser.add_argument("--out", type=Path, required=True, metavar="FOLDER")
    options = parser.parse_args(arguments)
    console = Console(stderr=True)
    try:
        size = prepare(options.source, options.out, console)
    except (BaseNotFound, OSError) as error:
        console.print(f"error: {error}", style="red", markup=False, soft_wrap=True)
        return 2
    console.print(f'{size / 2**30:.2f} GiB written; set base = "{options.out}" in config.toml', soft_wrap=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
