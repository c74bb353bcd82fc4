"""Text to probabilities over any base: views, windows, duplicates, like lengths together, adapters on demand.

Synchronous and single-threaded: the worker process and `python -m model.score` own one each.
"""

from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load as load_tensors

from model.adapters import Manifest, check_tensor, read_manifest, read_weights
from model.base import Base, Encoded, LoraSpec
from model.calibration import calibrated
from model.classifier import AdapterRejected, Item, Verdict
from model.labels import LABELS, Label
from model.normalize import conservative

MAX_WINDOWS = 32
"""A text longer than this many windows is read at its start and its end."""
BATCH_TOKENS = 768
"""Tokens in one forward pass; on a CPU larger ones fall out of the cache and are slower."""
_OVERLAP = 32


class Scorer:
    """One base and the adapters in use. At most `max_adapters` stay attached, the least recently used goes first."""

    def __init__(self, base: Base, max_adapters: int = 8) -> None:
        self.base = base
        self._max_adapters = max_adapters
        self._manifests: OrderedDict[str, Manifest] = OrderedDict()

    def load(self, adapter: str, folder: Path) -> Manifest:
        """Validates and attaches an adapter unless it is attached already; raises `AdapterRejected`."""
        if adapter in self._manifests:
            self._manifests.move_to_end(adapter)
            return self._manifests[adapter]
        manifest = attach_checked(self.base, adapter, folder)
        self._manifests[adapter] = manifest
        while len(self._manifests) > self._max_adapters:
            forgotten, _ = self._manifests.popitem(last=False)
            self.base.detach(forgotten)
        return manifest

    def classify(self, items: Sequence[Item]) -> list[Verdict]:
        """One verdict per item, in order; identical (text, adapter) pairs are computed once.

        Raises KeyError for an adapter that was not loaded. A text in several windows takes the one with the most harm.
        """
        unique = list(dict.fromkeys(items))
        windows = [self._windows(item.text) for item in unique]
        jobs = [(item.adapter, window) for item, pieces in zip(unique, windows, strict=True) for window in pieces]
        rows = self._probabilities(jobs)
        verdicts, start = {}, 0
        for item, pieces in zip(unique, windows, strict=True):
            mine = rows[start : start + len(pieces)]
            start += len(pieces)
            worst = min(mine, key=lambda row: row[LABELS.index(Label.NEUTRAL)])
            probabilities = dict(zip(LABELS, worst, strict=True))
            verdicts[item] = Verdict(probabilities, self.base.name, item.adapter, self.base.prompt, len(pieces))
        return [verdicts[item] for item in items]

    def embed(self, texts: Sequence[str]) -> list[list[float]]:
        """(len(texts), hidden) unit vectors of the first window of each text."""
        if not texts:
            return []
        vectors: list[list[float]] = self.base.embed([self._windows(text)[0] for text in texts]).tolist()
        return vectors

    def _windows(self, text: str) -> list[Encoded]:
        """The text's ids in overlapping windows, each framed; an empty text is one empty window."""
        ids, size = self.base.encode(conservative(text)), self.base.window_tokens
        if len(ids) <= size:
            return [self.base.frame(ids)]
        starts = [*range(0, len(ids) - size, size - _OVERLAP), len(ids) - size]
        if len(starts) > MAX_WINDOWS:
            starts = starts[: MAX_WINDOWS // 2] + starts[-MAX_WINDOWS // 2 :]
        return [self.base.frame(ids[start : start + size]) for start in starts]

    def _probabilities(self, jobs: Sequence[tuple[str, Encoded]]) -> list[list[float]]:
        """(len(jobs), 3) calibrated probabilities, computed in passes of one adapter and like lengths."""
        order = sorted(range(len(jobs)), key=lambda i: (jobs[i][0], len(jobs[i][1])))
        rows: list[list[float]] = [[] for _ in jobs]
        for chunk in _passes(order, jobs):
            adapter = jobs[chunk[0]][0]
            logits = self.base.label_logits([jobs[i][1] for i in chunk], adapter)
            for i, row in zip(chunk, calibrated(logits, self._manifests[adapter].temperature).tolist(), strict=True):
                rows[i] = row
        return rows


def attach_checked(base: Base, adapter: str, folder: Path) -> Manifest:
    """Attaches an adapter whose base, file hash, names, shapes, types and values are all as they must be."""
    manifest = read_manifest(folder)
    if manifest.base_sha256 != base.fingerprint:  # the name is only where its maker found the same weights
        raise AdapterRejected(f"{folder}: made for {manifest.base} {manifest.base_sha256[:12]}…, not for {base.name}")
    if manifest.prompt != base.prompt:
        raise AdapterRejected(f'{folder}: made for the prompt "{manifest.prompt}", not for "{base.prompt}"')
    try:
        lora = LoraSpec.from_json(manifest.lora)
        expected = base.adapter_shapes(lora)
        tensors = load_tensors(read_weights(folder, manifest))
    except (KeyError, TypeError, ValueError, SafetensorError) as error:
        raise AdapterRejected(f"{folder}: {error}") from error
    if strange := sorted(set(tensors) ^ set(expected)):
        raise AdapterRejected(f"{folder}: tensor {strange[0]} is missing or does not belong there")
    for name, tensor in tensors.items():
        if tuple(tensor.shape) != expected[name] or tensor.dtype not in (torch.float32, torch.float16):
            raise AdapterRejected(f"{folder}: tensor {name} is {tuple(tensor.shape)} {tensor.dtype}")
        check_tensor(name, bool(torch.isfinite(tensor).all()), float(tensor.float().norm()))
    base.attach(adapter, lora, tensors)
    return manifest


def _passes(order: Sequence[int], jobs: Sequence[tuple[str, Encoded]]) -> list[list[int]]:
    """Cuts sorted job numbers into passes of one adapter and at most `BATCH_TOKENS` tokens (at least one job)."""
    passes: list[list[int]] = []
    tokens = 0
    for i in order:
        adapter, ids = jobs[i]
        if not passes or adapter != jobs[passes[-1][0]][0] or tokens + len(ids) > BATCH_TOKENS:
            passes.append([])
            tokens = 0
        passes[-1].append(i)
        tokens += len(ids)
    return passes
