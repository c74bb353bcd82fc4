"""Finds the serving adapter, and computes an attached adapter's probabilities."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from model.adapters.registry import Manifest, Registry
from model.base import Base
from model.calibration import apply_temperature
from model.classifier import AdapterRejected, Item, Unscorable, Verdict
from model.kinds import KINDS
from model.labels import LABELS
from model.norms import Norm
from model.serving.scorer import NOT_FINITE, Scorer
from training.corrections import Correction
from training.examples import Example
from training.quarantine import normed
from training.training_loop import compute_logits

TEXTS_PER_CALL = 256


def find_serving(base: Base, registry: Registry, scope: str, tries_adapters: bool = True) -> tuple[str, dict[str, str]]:
    """(the newest promoted adapter that the base accepts, the refused adapters and why).

    Raises `AdapterRejected` if the base refuses the shipped one.
    """
    refused: dict[str, str] = {}
    while True:
        adapter, _ = registry.newest_sound(scope, refused)
        if adapter in refused:
            raise AdapterRejected(refused[adapter])
        try:
            Scorer(base, tries_adapters=tries_adapters).load("serving", registry.folder(adapter))
        except AdapterRejected as error:
            refused[adapter] = str(error)
        else:
            return adapter, refused


def serve(base: Base, adapter: str, manifest: Manifest, texts: Sequence[str]) -> Tensor:
    """(N, 3) calibrated probabilities of an attached adapter, by the same code that serves; before any norm.

    Raises `AdapterRejected` if a score is not a finite number.
    """
    verdicts = _classify(Scorer(base, tells_kinds=False), adapter, manifest, texts)
    return torch.tensor([[verdict.probabilities[label] for label in LABELS] for verdict in verdicts])


def serve_with_kinds(base: Base, adapter: str, manifest: Manifest, texts: Sequence[str]) -> Tensor:
    """(N, 9): the same, with the probabilities of the kinds after them; see `training.norms`."""
    verdicts = _classify(Scorer(base), adapter, manifest, texts)
    rows = [
        [*(each.probabilities[label] for label in LABELS), *(each.kinds.get(kind, 0.0) for kind in KINDS)]
        for each in verdicts
    ]
    return torch.tensor(rows)


def _classify(scorer: Scorer, adapter: str, manifest: Manifest, texts: Sequence[str]) -> list[Verdict]:
    scorer.adopt(adapter, manifest)
    try:
        return [
            verdict
            for start in range(0, len(texts), TEXTS_PER_CALL)
            for verdict in scorer.classify([Item(text, adapter) for text in texts[start : start + TEXTS_PER_CALL]])
        ]
    except Unscorable as error:
        raise AdapterRejected(f"{adapter} adapter: {error}") from error


class AttachedAdapter:
    """An attached adapter with its temperature and norms."""

    def __init__(self, base: Base, name: str, manifest: Manifest, norms: Mapping[str, Norm] | None = None) -> None:
        self._base = base
        self._name = name
        self.manifest = manifest
        self.norms: Mapping[str, Norm] = manifest.learned_norms() if norms is None else norms
        self._known: dict[str, Tensor] = {}
        self._served: dict[str, Tensor] = {}
        self._with_kinds: dict[str, Tensor] = {}

    def probabilities(self, examples: Sequence[Example]) -> Tensor:
        """(N, 3) calibrated probabilities as they would be served, before any norm: parts are read, too."""
        texts = [example.text for example in examples]
        if missing := list(dict.fromkeys(text for text in texts if text not in self._served)):
            rows = serve(self._base, self._name, self.manifest, missing)
            self._served |= dict(zip(missing, rows, strict=True))
        return torch.stack([self._served[text] for text in texts]) if texts else torch.zeros(0, len(LABELS))

    def uncalibrated_probabilities(self, examples: Sequence[Example]) -> Tensor:
        """(N, 3) probabilities of whole texts at temperature 1: training towards these does not change the adapter."""
        return apply_temperature(self._logits(examples), 1.0)

    def correction_probabilities(self, corrections: Sequence[Correction]) -> Tensor:
        """(N, 9) calibrated probabilities of the corrections' texts and of their kinds, before any norm; see
        `training.norms`."""
        texts = [each.example.text for each in corrections]
        if missing := list(dict.fromkeys(text for text in texts if text not in self._with_kinds)):
            rows = serve_with_kinds(self._base, self._name, self.manifest, missing)
            self._with_kinds |= dict(zip(missing, rows, strict=True))
        width = len(LABELS) + len(KINDS)
        return torch.stack([self._with_kinds[text] for text in texts]) if texts else torch.zeros(0, width)

    def count_agreeing(self, corrections: Sequence[Correction]) -> int:
        """How many corrections' texts get their moderator's label, by their community's norm."""
        predicted = normed(corrections, self.correction_probabilities(corrections), self.norms).argmax(dim=-1).tolist()
        return sum(LABELS[i] is each.example.label for i, each in zip(predicted, corrections, strict=True))

    def _logits(self, examples: Sequence[Example]) -> Tensor:
        """(N, 3) logits; each text is computed once."""
        texts = [example.text for example in examples]
        if missing := list(dict.fromkeys(text for text in texts if text not in self._known)):
            logits = compute_logits(self._base, self._name, missing)
            if not bool(torch.isfinite(logits).all()):
                raise AdapterRejected(f"{self._name} adapter: {NOT_FINITE}")
            self._known |= dict(zip(missing, logits, strict=True))
        return torch.stack([self._known[text] for text in texts]) if texts else torch.zeros(0, len(LABELS))
