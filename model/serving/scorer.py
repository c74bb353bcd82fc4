"""Scores texts with any base: wholes and parts, duplicates, batches of similar lengths, adapters loaded on demand.

Synchronous and single-threaded: the worker process and `python -m model.score` each own one.
"""

import logging
import math
from collections import OrderedDict
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, replace
from itertools import compress
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from torch import Tensor

from model.adapters import canaries
from model.adapters.files import WEIGHTS_FILE
from model.adapters.registry import Manifest, check_tensor, read_manifest, read_weights
from model.base import Base, Encoded, LoraSpec, ReadsInstructions, ReadsSpans, Span
from model.calibration import apply_prior, apply_temperature
from model.choice import ADAPTER_MIB
from model.classifier import AdapterRejected, Item, Unscorable, Verdict
from model.kinds import Kind
from model.labels import LABELS, Label
from model.normalize import conservative_view
from model.norms import Norm, norm_of
from model.prompts import Prompt, category_prompt
from model.serving.kind_reader import KindReader, Piece, has_kinds, named
from model.serving.out_of_memory import ONEDNN, compute_in_halves
from model.serving.reading import RULE, Reading, Rule, combine, frame_part, read

log = logging.getLogger(__name__)

_NO_HARM = {label: float(label is Label.NEUTRAL) for label in LABELS}
NOT_FINITE = "the model's scores for the text are not finite numbers"
Job = tuple[str, Encoded, tuple[Span, ...]]
"""(adapter, a window of a text or a part of it, the spans of it to be judged in the same pass)."""
Rows = list[list[float]]
"""Probabilities of a window, then of each of its spans; empty if the window does not fit into memory."""


@dataclass(slots=True)
class _Loaded:
    """An adapter that was loaded at least once; `attached` while the base holds it."""

    folder: Path
    manifest: Manifest
    norms: Mapping[str, Norm]
    held_bytes: int
    attached: bool = True


@dataclass(frozen=True, slots=True)
class _Scored:
    """A text and its rows: those of the whole's windows, and of the parts that were read by themselves."""

    item: Item
    reading: Reading
    whole: Sequence[Rows]
    of_parts: Mapping[str, Rows]

    def pieces(self, base: Base) -> list[Piece]:
        """What the rows are of: the windows, then the parts."""
        windows = [(self.reading.view, window.ids) for window in self.reading.windows]
        return [*windows, *((part, frame_part(base, part)) for part in self.of_parts)]


class Scorer:
    """One base and the adapters in use.

    Adapters of at most `max_adapter_mib` together stay attached. Beyond that the least recently used are detached; an
    adapter that is needed again is checked and attached again. A batch with more adapters is computed in several
    passes. With `tries_adapters`, an adapter must pass `model.adapters.canaries` before it scores anything. `rule` says
    when the parts of a text are read and count; with None texts are read as wholes only. Without `tells_kinds` no
    verdict has kinds.
    """

    def __init__(
        self,
        base: Base,
        max_adapter_mib: float = ADAPTER_MIB,
        *,
        tries_adapters: bool = False,
        rule: Rule | None = RULE,
        tells_kinds: bool = True,
    ) -> None:
        self.base = base
        self._rule = rule
        self._kind_reader = KindReader(base) if tells_kinds else None
        self._tries_adapters = tries_adapters
        self._passed: set[str] = set()
        self._limit_bytes = max_adapter_mib * 2**20
        self._loaded: OrderedDict[str, _Loaded] = OrderedDict()
        self.needs_restart = False
        """Whether memory ran out in a way that only a new process can repair."""
        self.parts_read = 0
        """Parts of texts that were read by themselves since the start."""

    def load(self, adapter: str, folder: Path) -> Manifest:
        """Validates and attaches an adapter unless it is attached already; raises `AdapterRejected`."""
        loaded = self._loaded.get(adapter)
        if loaded is None or not loaded.attached or loaded.folder != folder:
            manifest = self._attach_and_try(adapter, folder)
            loaded = self._loaded[adapter] = _Loaded(
                folder, manifest, manifest.learned_norms(), self.base.held_bytes(adapter)
            )
        self._loaded.move_to_end(adapter)
        self._evict(keep={adapter})
        return loaded.manifest

    def adopt(self, adapter: str, manifest: Manifest) -> None:
        """Scores with an adapter that the base holds already, without norms: for a candidate that is not served yet."""
        self._loaded[adapter] = _Loaded(Path(), manifest, {}, self.base.held_bytes(adapter))

    @property
    def attached_mib(self) -> float:
        """MiB of the attached adapters."""
        return sum(loaded.held_bytes for loaded in self._loaded.values() if loaded.attached) / 2**20

    def classify(self, items: Sequence[Item]) -> list[Verdict]:
        """One verdict per item, in order; identical texts are computed once for each adapter.

        Raises KeyError for an adapter that was never loaded, `AdapterRejected` if a detached adapter cannot be loaded
        again, and `Unscorable` for items that do not fit into memory even alone or whose scores are not finite numbers.
        First all wholes are read in one batch, then the parts of all texts that could change a verdict in another; see
        `model.serving.reading`. The parts count by the community's norm.
        """
        unique = list(dict.fromkeys(items))
        readings = [read(self.base, item.text, with_parts=self._rule is not None) for item in unique]
        wholes = self._in_order(
            [[(item.adapter, w.ids, w.spans) for w in r.windows] for item, r in zip(unique, readings, strict=True)]
        )
        chosen = [self._choose_parts(i, r, rows) for i, r, rows in zip(unique, readings, wholes, strict=True)]
        self.parts_read += sum(map(len, chosen))
        of_parts = self._in_order(
            [
                [(item.adapter, frame_part(self.base, part), ()) for part in parts]
                for item, parts in zip(unique, chosen, strict=True)
            ]
        )
        too_large: set[Item] = set()
        not_finite: set[Item] = set()
        scored: list[_Scored] = []
        for item, reading, whole, parts, part_rows in zip(unique, readings, wholes, chosen, of_parts, strict=True):
            if not all(whole) or not all(part_rows):
                too_large.add(item)
            elif not _are_finite([*whole, *part_rows]):
                not_finite.add(item)
            else:
                scored.append(_Scored(item, reading, whole, dict(zip(parts, part_rows, strict=True))))
        if too_large:
            places = frozenset(place for place, item in enumerate(items) if item in too_large)
            raise Unscorable("the text does not fit into the model's memory, even alone", places)
        if not_finite:
            places = frozenset(place for place, item in enumerate(items) if item in not_finite)
            raise Unscorable(NOT_FINITE, places)
        verdicts = {
            each.item: self._verdict(each, kinds) for each, kinds in zip(scored, self._kinds(scored), strict=True)
        }
        if isinstance(self.base, ReadsInstructions):
            verdicts |= self._with_categories(verdicts)
        return [verdicts[item] for item in items]

    def _choose_parts(self, item: Item, reading: Reading, rows: Sequence[Rows]) -> list[str]:
        """None without a rule, and none of a text that is unscorable."""
        if (rule := self._rule) is None or not all(rows) or not _are_finite(rows):
            return []
        if self._norm(item).neutral_kinds:  # an allowed kind may hide that a part is worse than the whole
            rule = replace(rule, sure_harm=math.inf)
        return reading.choose_parts(rows, rule)

    def _norm(self, item: Item) -> Norm:
        return norm_of(self._loaded[item.adapter].norms, item.community)

    def _kinds(self, scored: Sequence[_Scored]) -> list[list[dict[Kind, float]]]:
        """For each text the kinds of its windows and then of its parts; empty for what is hardly harmful, for a part
        that does not count, and for what does not fit into memory."""
        rule, reader = self._rule or RULE, self._kind_reader
        if reader is None:
            return [[{} for _ in range(len(each.whole) + len(each.of_parts))] for each in scored]
        harmful = [
            [*(has_kinds(rows[0]) for rows in each.whole), *(rule.counts(rows[0]) for rows in each.of_parts.values())]
            for each in scored
        ]
        pieces = [
            piece
            for each, wanted in zip(scored, harmful, strict=True)
            for piece in compress(each.pieces(self.base), wanted)
        ]
        read = iter(compute_in_halves(reader.read, pieces, self._record_out_of_memory))
        return [[named(next(read)) if wants else {} for wants in wanted] for wanted in harmful]

    def _verdict(self, scored: _Scored, kinds: Sequence[Mapping[Kind, float]]) -> Verdict:
        """The verdict from the rows of the whole's windows and of the parts that were read by themselves."""
        item, reading, whole = scored.item, scored.reading, scored.whole
        singles = [(p, self._with_prior(p, rows[0])) for p, rows in scored.of_parts.items()]
        wholes = [rows[0] for rows in whole]
        shares, part, of_text = combine(self._rule or RULE, self._norm(item), wholes, singles, kinds)
        shares = self._with_prior(reading.view, shares)
        probabilities = dict(zip(LABELS, shares, strict=True))
        if reading.unread_script and not any(map(str.isalpha, reading.view)):
            probabilities, of_text = _NO_HARM, {}
        return Verdict(
            probabilities,
            self.base.name,
            item.adapter,
            self.base.prompt,
            windows=len(whole),
            part=part,
            unread_script=reading.unread_script,
            kinds=of_text,
        )

    def _with_prior(self, text: str, shares: list[float]) -> list[float]:
        """The probabilities, with the prior of a text of a word or two; a part has it, too."""
        words, odds = len(text.split()), self.base.short_text_odds
        return apply_prior(shares, odds[words - 1]) if 0 < words <= len(odds) else shares

    def categorise(self, texts: Sequence[str], prompt: Prompt) -> list[dict[str, float]]:
        """For each text the probability of each of the prompt's answers, by name, from the bare base without training.

        The dictionary is empty if a text does not fit into memory or its scores are not finite numbers. Raises
        ValueError if the base reads no instructions or the prompt does not fit it.
        """
        if not isinstance(self.base, ReadsInstructions):
            raise ValueError(f"{self.base.name} reads no instructions: own categories need a GPT-J as base")
        base = self.base

        def compute(part: Sequence[str]) -> list[list[float]]:
            shares: list[list[float]] = base.category_probabilities(part, prompt).tolist()
            return shares

        rows = compute_in_halves(compute, texts, self._record_out_of_memory)
        return [dict(zip(prompt.names, row, strict=False)) if all(map(math.isfinite, row)) else {} for row in rows]

    def _with_categories(self, verdicts: Mapping[Item, Verdict]) -> dict[Item, Verdict]:
        """The verdicts of items that name categories, with the probability of each; one community at a time."""
        items_of: dict[tuple[tuple[str, str], ...], list[Item]] = {}
        for item in verdicts:
            if item.categories:
                items_of.setdefault(item.categories, []).append(item)
        categorised: dict[Item, Verdict] = {}
        for categories, items in items_of.items():
            try:
                rows = self.categorise(
                    [conservative_view(item.text) for item in items], category_prompt(dict(categories))
                )
            except ValueError as error:
                log.warning("a community's own categories cannot be scored: %s", error)
                continue
            categorised |= {
                item: replace(verdicts[item], categories=row) for item, row in zip(items, rows, strict=True)
            }
        return categorised

    def embed(self, texts: Sequence[str]) -> list[list[float]]:
        """(len(texts), hidden) unit vectors of the first window of each text; all zeros, similar to no other vector, if
        its numbers are not finite."""
        if not texts:
            return []
        vectors = self.base.embed([read(self.base, text, with_parts=False).windows[0].ids for text in texts])
        finite = torch.isfinite(vectors).all(dim=-1, keepdim=True)
        rows: list[list[float]] = torch.where(finite, vectors, torch.zeros_like(vectors)).tolist()
        return rows

    def _in_order(self, jobs: Sequence[Sequence[Job]]) -> list[list[Rows]]:
        """The rows of each text's jobs, all computed together."""
        rows = iter(self._probabilities([job for of_text in jobs for job in of_text]))
        return [[next(rows) for _ in of_text] for of_text in jobs]

    def _probabilities(self, jobs: Sequence[Job]) -> list[Rows]:
        """(1 + spans, 3) calibrated probabilities for each job. Equal jobs are computed once, and jobs of similar
        length together."""
        first: dict[tuple[str, tuple[int, ...], tuple[Span, ...]], int] = {}
        same = [first.setdefault((adapter, tuple(ids), spans), i) for i, (adapter, ids, spans) in enumerate(jobs)]
        order = sorted(set(same), key=lambda i: (jobs[i][0], len(jobs[i][1])))
        rows: list[Rows] = [[] for _ in jobs]
        for chunk in self._passes(order, jobs):
            adapters = [jobs[i][0] for i in chunk]
            self._attach(set(adapters))
            for i, row in zip(
                chunk, compute_in_halves(self._rows, [jobs[i] for i in chunk], self._record_out_of_memory), strict=True
            ):
                rows[i] = row
        return [rows[i] for i in same]

    def _record_out_of_memory(self, error: Exception) -> None:
        self.needs_restart = self.needs_restart or ONEDNN in str(error)

    def _rows(self, jobs: Sequence[Job]) -> list[Rows]:
        """Computes one pass: (1 + spans, 3) calibrated probabilities for each job."""
        adapters, windows = [adapter for adapter, _, _ in jobs], [ids for _, ids, _ in jobs]
        spans = [spans for _, _, spans in jobs]
        if any(spans) and isinstance(self.base, ReadsSpans):
            logits = self.base.span_logits(windows, spans, adapters[0])
        else:
            logits = list(self.base.label_logits(windows, adapters if self.base.mixes_adapters else adapters[0]))
        sizes = [1 + len(of_window) for of_window in spans]
        temperatures = torch.tensor(
            [
                [self._loaded[adapter].manifest.temperature]
                for adapter, size in zip(adapters, sizes, strict=True)
                for _ in range(size)
            ]
        )
        shares = apply_temperature(torch.cat([of_window.view(-1, len(LABELS)) for of_window in logits]), temperatures)
        return [of_window.tolist() for of_window in torch.split(shares, sizes)]

    def _passes(self, order: Sequence[int], jobs: Sequence[Job]) -> list[list[int]]:
        """Cuts sorted job numbers into passes of at most `batch_tokens` tokens (at least one job).

        The adapters of a pass fit into memory together; a base that cannot mix adapters gets one per pass.
        """
        passes: list[list[int]] = []
        tokens, held = 0, 0
        for i in order:
            adapter, ids, _ = jobs[i]
            size = self._loaded[adapter].held_bytes
            is_new = not passes or adapter != jobs[passes[-1][-1]][0]
            full = tokens + len(ids) > self.base.batch_tokens or (is_new and held + size > self._limit_bytes)
            if not passes or full or (is_new and not self.base.mixes_adapters):
                passes.append([])
                tokens, held, is_new = 0, 0, True
            passes[-1].append(i)
            tokens += len(ids)
            held += size if is_new else 0
        return passes

    def _attach(self, adapters: Set[str]) -> None:
        """Attaches the adapters of a pass, within the memory limit."""
        for adapter in sorted(adapters):
            loaded = self._loaded[adapter]
            if not loaded.attached:
                self._evict(keep=adapters, room_bytes=loaded.held_bytes)
                loaded.manifest = self._attach_and_try(adapter, loaded.folder)
                loaded.attached = True
            self._loaded.move_to_end(adapter)

    def _attach_and_try(self, adapter: str, folder: Path) -> Manifest:
        """Attaches an adapter. With `tries_adapters`, each weights file with its scales is tried once."""
        manifest = attach_adapter(self.base, adapter, folder)
        identity = f"{manifest.files[WEIGHTS_FILE]} {manifest.lora} {manifest.temperature}"
        if self._tries_adapters and identity not in self._passed:
            try:
                canaries.check(self.base, adapter, manifest, folder)
            except AdapterRejected:
                self.base.detach(adapter)
                raise
            self._passed.add(identity)
        return manifest

    def _evict(self, keep: Set[str], room_bytes: int = 0) -> None:
        """Detaches the least recently used adapters until the others and `room_bytes` are within the limit."""
        for name, loaded in list(self._loaded.items()):
            if self.attached_mib * 2**20 + room_bytes <= self._limit_bytes:
                return
            if loaded.attached and name not in keep:
                self.base.detach(name)
                loaded.attached = False


def _are_finite(rows: Sequence[Rows]) -> bool:
    return all(math.isfinite(share) for of_job in rows for row in of_job for share in row)


def attach_adapter(base: Base, adapter: str, folder: Path) -> Manifest:
    """Attaches an adapter after checking its base, file hash, names, shapes, types and values; see `read_adapter`."""
    manifest, lora, tensors = read_adapter(base, folder)
    base.attach(adapter, lora, tensors)
    return manifest


def read_adapter(base: Base, folder: Path) -> tuple[Manifest, LoraSpec, dict[str, Tensor]]:
    """(manifest, LoRA spec, tensors) of an adapter that fits the base; raises `AdapterRejected`."""
    try:
        manifest = read_manifest(folder)
        weights = read_weights(folder, manifest)
    except OSError as error:  # temporary; the caller tries again
        raise AdapterRejected(f"{folder}: {error.strerror}") from error
    if manifest.base_sha256 != base.fingerprint:  # the base's name tells only where the weights came from
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
    if mismatched := sorted(set(tensors) ^ set(expected)):
        raise AdapterRejected(f"{folder}: tensor {mismatched[0]!r:.80} is missing or does not belong there")
    for name, tensor in tensors.items():
        if tuple(tensor.shape) != expected[name] or tensor.dtype not in (torch.float32, torch.float16):
            raise AdapterRejected(f"{folder}: tensor {name} is {tuple(tensor.shape)} {tensor.dtype}")
        check_tensor(name, bool(torch.isfinite(tensor).all()), float(tensor.float().norm()))
    return manifest, lora, tensors
