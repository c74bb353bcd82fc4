"""Which adapter serves, and what one answers."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from model.adapters.registry import Manifest, Registry
from model.base import Base
from model.calibration import apply_temperature
from model.classifier import AdapterRejected
from model.labels import LABELS
from model.norms import Norm
from model.serving.scorer import NOT_FINITE, Scorer
from training.corrections import Correction
from training.examples import Example
from training.fit import logits_of
from training.quarantine import normed


def serving_of(base: Base, registry: Registry, scope: str, tries_adapters: bool = True) -> tuple[str, dict[str, str]]:
    """(the newest promoted adapter that the base takes, those that it refuses and why).

    Raises `AdapterRejected` where it refuses the shipped one.
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


class Serving:
    """An attached adapter with its temperature and norms."""

    def __init__(self, base: Base, name: str, manifest: Manifest, norms: Mapping[str, Norm] | None = None) -> None:
        self._base = base
        self._name = name
        self.manifest = manifest
        self.norms: Mapping[str, Norm] = manifest.learned_norms() if norms is None else norms
        self._known: dict[str, Tensor] = {}

    def said(self, examples: Sequence[Example]) -> Tensor:
        """(N, 3) calibrated, before any norm."""
        return apply_temperature(self._logits(examples), self.manifest.temperature)

    def raw(self, examples: Sequence[Example]) -> Tensor:
        """(N, 3) at temperature 1, as the training computes them: asked for these, the adapter stays what it is."""
        return apply_temperature(self._logits(examples), 1.0)

    def said_of(self, corrections: Sequence[Correction]) -> Tensor:
        """(N, 3) of the corrections' texts, before any norm."""
        return self.said([each.example for each in corrections])

    def answered(self, corrections: Sequence[Correction]) -> int:
        """How many get the label their moderator gave them, by their community's norm."""
        called = normed(corrections, self.said_of(corrections), self.norms).argmax(dim=-1).tolist()
        return sum(LABELS[i] is each.example.label for i, each in zip(called, corrections, strict=True))

    def _logits(self, examples: Sequence[Example]) -> Tensor:
        """(N, 3); each text is computed once."""
        texts = [example.text for example in examples]
        if new := list(dict.fromkeys(text for text in texts if text not in self._known)):
            logits = logits_of(self._base, self._name, new)
            if not bool(torch.isfinite(logits).all()):
                raise AdapterRejected(f"{self._name} adapter: {NOT_FINITE}")
            self._known |= dict(zip(new, logits, strict=True))
        return torch.stack([self._known[text] for text in texts]) if texts else torch.zeros(0, len(LABELS))
