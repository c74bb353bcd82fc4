"""Text to probabilities over any base: views, windows, duplicates, like lengths together, adapters on demand.

Synchronous and single-threaded: the worker process and `python -m model.score` own one each.
"""

import logging
import math
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

import torch
from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from torch import Tensor

from model.adapters import canaries
from model.adapters.files import WEIGHTS_FILE
from model.adapters.registry import Manifest, check_tensor, read_manifest, read_weights
from model.base import Base, Encoded, LoraSpec, ReadsInstructions
from model.calibration import calibrated
from model.choice import ADAPTER_MIB
from model.classifier import AdapterRejected, Item, Unscorable, Verdict
from model.labels import LABELS, Label
from model.normalize import conservative
from model.norms import Norm, norm_of
from model.prompts import Prompt, categories

log = logging.getLogger(__name__)

MAX_WINDOWS = 32
"""A text longer than this many windows is read at its start and its end."""
_OVERLAP = 32
SENSELESS = "the model's scores for the text are not finite numbers"
_ONEDNN = "could not create a "
"""How oneDNN begins to say that memory ran out. It remembers, so the same shapes fail ever after in that process."""
_OUT_OF_MEMORY = ("can't allocate memory", "not enough memory", "out of memory", "alloc_failed", _ONEDNN)

T = TypeVar("T")
Job = tuple[str, Encoded]
"""(adapter, one window of a text)."""


@dataclass(slots=True)
class _Loaded:
    """An adapter that was asked for at least once; `attached` while the base holds it."""

    folder: Path
    manifest: Manifest
    norms: Mapping[str, Norm]
    held_bytes: int
    attached: bool = True


class Scorer:
    """One base and the adapters in use.

    Adapters of at most `max_adapter_mib` stay attached, the least recently used go first; one that is asked for again
    is checked and attached again. A batch with more adapters than that is computed in several passes. With
    `tries_adapters` one must pass `model.adapters.canaries` before it scores anything.
    """

    def __init__(self, base: Base, max_adapter_mib: float = ADAPTER_MIB, *, tries_adapters: bool = False) -> None:
        self.base = base
        self._tries_adapters = tries_adapters
        self._passed: set[str] = set()
        self._limit_bytes = max_adapter_mib * 2**20
        self._loaded: OrderedDict[str, _Loaded] = OrderedDict()
        self.is_shaken = False
        """Whether it ran out of memory in a way that a process does not get over: make another."""

    def load(self, adapter: str, folder: Path) -> Manifest:
        """Validates and attaches an adapter unless it is attached already; raises `AdapterRejected`."""
        known = self._loaded.get(adapter)
        if known is None or not known.attached or known.folder != folder:
            manifest = self._attach_tried(adapter, folder)
            known = self._loaded[adapter] = _Loaded(
                folder, manifest, manifest.learned_norms(), self.base.held_bytes(adapter)
            )
        self._loaded.move_to_end(adapter)
        self._evict(keep={adapter})
        return known.manifest

    @property
    def held_mib(self) -> float:
        """What the attached adapters take."""
        return sum(loaded.held_bytes for loaded in self._loaded.values() if loaded.attached) / 2**20

    def classify(self, items: Sequence[Item]) -> list[Verdict]:
        """One verdict per item, in order; identical texts are computed once for each adapter.

        Raises KeyError for an adapter that was never loaded, `AdapterRejected` when one that had to go meanwhile cannot
        be loaded again, and `Unscorable` for items that do not fit into memory even by themselves or whose scores are
        no finite numbers. A text in several windows takes the one with the most harm by its community's norm.
        """
        unique = list(dict.fromkeys(items))
        windows = [self._windows(item.text) for item in unique]
        jobs = [(item.adapter, window) for item, pieces in zip(unique, windows, strict=True) for window in pieces]
        rows = self._probabilities(jobs)
        verdicts, start = {}, 0
        too_large: set[Item] = set()
        senseless: set[Item] = set()
        for item, pieces in zip(unique, windows, strict=True):
            norm = norm_of(self._loaded[item.adapter].norms, item.community)
            found = rows[start : start + len(pieces)]
            start += len(pieces)
            if not all(found):
                too_large.add(item)
                continue
            if not all(map(math.isfinite, (share for row in found for share in row))):
                senseless.add(item)
                continue
            mine = [norm.apply(row) for row in found]
            worst = min(mine, key=lambda row: row[LABELS.index(Label.NEUTRAL)])
            probabilities = dict(zip(LABELS, worst, strict=True))
            verdicts[item] = Verdict(probabilities, self.base.name, item.adapter, self.base.prompt, len(pieces))
        if too_large:
            places = frozenset(place for place, item in enumerate(items) if item in too_large)
            raise Unscorable("the text does not fit into the model's memory, even alone", places)
        if senseless:
            places = frozenset(place for place, item in enumerate(items) if item in senseless)
            raise Unscorable(SENSELESS, places)
        if isinstance(self.base, ReadsInstructions):
            verdicts |= self._with_categories(verdicts)
        return [verdicts[item] for item in items]

    def categorise(self, texts: Sequence[str], prompt: Prompt) -> list[dict[str, float]]:
        """For each text the probability of each of the prompt's answers by name, from the bare base, untrained; none
        where a text does not fit into memory or comes to no finite numbers.

        Raises ValueError when the base reads no instructions, or the prompt does not fit it.
        """
        if not isinstance(self.base, ReadsInstructions):
            raise ValueError(f"{self.base.name} reads no instructions: own categories need a GPT-J as base")
        base = self.base

        def rows(some: Sequence[str]) -> list[list[float]]:
            found: list[list[float]] = base.category_probabilities(some, prompt).tolist()
            return found

        found = in_halves(rows, texts, self._ran_out)
        return [dict(zip(prompt.names, row, strict=False)) if all(map(math.isfinite, row)) else {} for row in found]

    def _with_categories(self, verdicts: Mapping[Item, Verdict]) -> dict[Item, Verdict]:
        """The verdicts of items that name categories, with the probability of each; one community at a time."""
        named: dict[tuple[tuple[str, str], ...], list[Item]] = {}
        for item in verdicts:
            if item.categories:
                named.setdefault(item.categories, []).append(item)
        found: dict[Item, Verdict] = {}
        for mine, items in named.items():
            try:
                rows = self.categorise([conservative(item.text) for item in items], categories(dict(mine)))
            except ValueError as error:
                log.warning("own categories cannot be asked: %s", error)
                continue
            found |= {item: replace(verdicts[item], categories=row) for item, row in zip(items, rows, strict=True)}
        return found

    def embed(self, texts: Sequence[str]) -> list[list[float]]:
        """(len(texts), hidden) unit vectors of the first window of each text; all zeros where it comes to no finite
        numbers, so that it is like no other."""
        if not texts:
            return []
        vectors = self.base.embed([self._windows(text)[0] for text in texts])
        sound = torch.isfinite(vectors).all(dim=-1, keepdim=True)
        found: list[list[float]] = torch.where(sound, vectors, torch.zeros_like(vectors)).tolist()
        return found

    def _windows(self, text: str) -> list[Encoded]:
        """The text's ids in overlapping windows, each framed; an empty text is one empty window."""
        ids, size = self.base.encode(conservative(text)), self.base.window_tokens
        if len(ids) <= size:
            return [self.base.frame(ids)]
        starts = [*range(0, len(ids) - size, size - _OVERLAP), len(ids) - size]
        if len(starts) > MAX_WINDOWS:
            starts = starts[: MAX_WINDOWS // 2] + starts[-MAX_WINDOWS // 2 :]
        return [self.base.frame(ids[start : start + size]) for start in starts]

    def _probabilities(self, jobs: Sequence[Job]) -> list[list[float]]:
        """(len(jobs), 3) calibrated probabilities; equal windows are computed once, like lengths together. A row is
        empty where the window does not fit into memory."""
        first: dict[tuple[str, tuple[int, ...]], int] = {}
        same = [first.setdefault((adapter, tuple(ids)), i) for i, (adapter, ids) in enumerate(jobs)]
        order = sorted(set(same), key=lambda i: (jobs[i][0], len(jobs[i][1])))
        rows: list[list[float]] = [[] for _ in jobs]
        for chunk in self._passes(order, jobs):
            adapters = [jobs[i][0] for i in chunk]
            self._attach(set(adapters))
            for i, row in zip(chunk, in_halves(self._rows, [jobs[i] for i in chunk], self._ran_out), strict=True):
                rows[i] = row
        return [rows[i] for i in same]

    def _ran_out(self, error: Exception) -> None:
        self.is_shaken = self.is_shaken or _ONEDNN in str(error)

    def _rows(self, jobs: Sequence[Job]) -> list[list[float]]:
        """One pass."""
        adapters = [adapter for adapter, _ in jobs]
        windows = [window for _, window in jobs]
        logits = self.base.label_logits(windows, adapters if self.base.mixes_adapters else adapters[0])
        temperatures = torch.tensor([[self._loaded[adapter].manifest.temperature] for adapter in adapters])
        rows: list[list[float]] = calibrated(logits, temperatures).tolist()
        return rows

    def _passes(self, order: Sequence[int], jobs: Sequence[Job]) -> list[list[int]]:
        """Cuts sorted job numbers into passes of at most `batch_tokens` tokens (at least one job).

        The adapters of a pass fit into memory together; where the base cannot mix them, there is only one.
        """
        passes: list[list[int]] = []
        tokens, held = 0, 0
        for i in order:
            adapter, ids = jobs[i]
            size = self._loaded[adapter].held_bytes
            other = not passes or adapter != jobs[passes[-1][-1]][0]
            full = tokens + len(ids) > self.base.batch_tokens or (other and held + size > self._limit_bytes)
            if not passes or full or (other and not self.base.mixes_adapters):
                passes.append([])
                tokens, held, other = 0, 0, True
            passes[-1].append(i)
            tokens += len(ids)
            held += size if other else 0
        return passes

    def _attach(self, adapters: Set[str]) -> None:
        """Makes sure that a pass finds its adapters, and that the limit holds while it runs."""
        for adapter in sorted(adapters):
            known = self._loaded[adapter]
            if not known.attached:
                self._evict(keep=adapters, room=known.held_bytes)
                known.manifest = self._attach_tried(adapter, known.folder)
                known.attached = True
            self._loaded.move_to_end(adapter)

    def _attach_tried(self, adapter: str, folder: Path) -> Manifest:
        """Attaches an adapter; where adapters are tried, each weights file with its scales is tried once."""
        manifest = attach_checked(self.base, adapter, folder)
        known = f"{manifest.files[WEIGHTS_FILE]} {manifest.lora} {manifest.temperature}"
        if self._tries_adapters and known not in self._passed:
            try:
                canaries.check(self.base, adapter, manifest, folder)
            except AdapterRejected:
                self.base.detach(adapter)
                raise
            self._passed.add(known)
        return manifest

    def _evict(self, keep: Set[str], room: int = 0) -> None:
        """Detaches the least recently used adapters until the rest and `room` bytes are within the limit."""
        for name, loaded in list(self._loaded.items()):
            if self.held_mib * 2**20 + room <= self._limit_bytes:
                return
            if loaded.attached and name not in keep:
                self.base.detach(name)
                loaded.attached = False


def in_halves(
    compute: Callable[[Sequence[T]], list[list[float]]],
    jobs: Sequence[T],
    ran_out: Callable[[Exception], None] = lambda error: None,
) -> list[list[float]]:
    """One row for each job; when memory does not suffice for all, of one half and then the other, down to single jobs.
    The row is empty where it does not suffice for one. `ran_out` hears of each time."""
    if not jobs:
        return []
    try:
        return compute(jobs)
    except (RuntimeError, MemoryError) as error:
        if not _of_memory(error):
            raise
        ran_out(error)
        log.warning("out of memory with %d texts: %s", len(jobs), "given up" if len(jobs) == 1 else "in halves")
    if torch.cuda.is_available():
        torch.cuda.empty_cache()  # here and not above: there the traceback holds the tensors
    if len(jobs) == 1:
        return [[]]
    half = len(jobs) // 2
    return in_halves(compute, jobs[:half], ran_out) + in_halves(compute, jobs[half:], ran_out)


def _of_memory(error: RuntimeError | MemoryError) -> bool:
    """On a GPU a type of its own, on the CPU a RuntimeError with these words, in bitsandbytes' libraries others."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    said = str(error).lower()
    return any(words in said for words in _OUT_OF_MEMORY)


def attach_checked(base: Base, adapter: str, folder: Path) -> Manifest:
    """Attaches an adapter whose base, file hash, names, shapes, types and values are all as they must be."""
    manifest, lora, tensors = read_checked(base, folder)
    base.attach(adapter, lora, tensors)
    return manifest


def read_checked(base: Base, folder: Path) -> tuple[Manifest, LoraSpec, dict[str, Tensor]]:
    """(manifest, shape, tensors) of an adapter that fits the base; raises `AdapterRejected`."""
    try:
        manifest = read_manifest(folder)
        weights = read_weights(folder, manifest)
    except OSError as error:  # one that passes; the caller tries again
        raise AdapterRejected(f"{folder}: {error.strerror}") from error
    if manifest.base_sha256 != base.fingerprint:  # the name is only where its maker found the same weights
        made_for = f"{manifest.base!r:.60} {manifest.base_sha256[:12]!r}"
        raise AdapterRejected(f"{folder}: made for {made_for}, not for {base.name}")
    if manifest.prompt != base.prompt:
        raise AdapterRejected(f'{folder}: made for the prompt {manifest.prompt!r:.60}, not for "{base.prompt}"')
    try:
        lora = LoraSpec.from_json(manifest.lora)
        expected = base.adapter_shapes(lora)
        tensors = load_tensors(weights)
    except (KeyError, TypeError, ValueError, OverflowError, RecursionError, SafetensorError) as error:
        raise AdapterRejected(f"{folder}: {str(error)!r:.160}") from error
    if strange := sorted(set(tensors) ^ set(expected)):
        raise AdapterRejected(f"{folder}: tensor {strange[0]!r:.80} is missing or does not belong there")
    for name, tensor in tensors.items():
        if tuple(tensor.shape) != expected[name] or tensor.dtype not in (torch.float32, torch.float16):
            raise AdapterRejected(f"{folder}: tensor {name} is {tuple(tensor.shape)} {tensor.dtype}")
        check_tensor(name, bool(torch.isfinite(tensor).all()), float(tensor.float().norm()))
    return manifest, lora, tensors
